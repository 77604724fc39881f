// Which accepted sockets a server listens to, when their handshakes begin, and who goes first under pressure.
//
//   silent ──first message──▶ ready ──a place──▶ young ──▶ old ──▶ overdue
//      │                        │                  └────────┴─────────┴──proof──▶ proven
//      └────────────────────────┴───────────────── any time ─────────────────────────┴──▶ gone
//
// Everybody can open a socket, so a silent one costs a few objects and takes no place of those that spoke: it goes
// when it is slow, and the oldest goes where too many are there, first that of the address which has too many.
// Whoever spoke waits in turn, the addresses one after the other, for a place: there are limits of handshakes and of
// connections, in all and per address. A handshake can be begun with bytes that somebody else once sent, so it holds
// its place against those that wait only while it is young. An old one goes on besides, until a proven connection
// needs the place; an overdue one gives way to the next handshake where there are too many. Nobody gets old while
// nobody waits.
//
// The work per socket is constant, whatever waits.

import { channels } from "../core/diagnostics.ts";
import { type AcceptedSocket, dueOf, leftMs, type SocketStage } from "./acceptedSocket.ts";
import { AddressShare } from "./addressShare.ts";
import type { AdmissionLimits } from "./admissionLimits.ts";
import { Line } from "./line.ts";
import { CallbackDeadline, timers } from "./timers.ts";

type Share = AddressShare<AcceptedSocket>;

/** What the server does when it is told. */
export interface AdmissionEvents {
  /** Its handshake may begin. */
  admit(socket: AcceptedSocket): void;
  /** Closes a socket whose handshake runs: somebody else needs its place. */
  displace(socket: AcceptedSocket): void;
}

/** How long a handshake is young: more than the round trip between any two continents. */
const YOUNG_MS = 250;
/** When it is overdue, or after half of `handshakeTimeoutMs` where that is less. */
const OVERDUE_MS = 1_500;
/** Handshakes that begin in one turn: each takes some tenths of a millisecond, and others want to be served, too. */
const ADMITTED_AT_ONCE = 32;

export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #events: AdmissionEvents;
  readonly #overdueMs: number;
  readonly #shares = new Map<string, Share>();
  readonly #silent = new Line<AcceptedSocket>();
  readonly #ready = new Line<AcceptedSocket>();
  readonly #young = new Line<AcceptedSocket>();
  readonly #old = new Line<AcceptedSocket>();
  readonly #overdue = new Line<AcceptedSocket>();
  readonly #turns = new Line<Share>();
  /** Sockets that count against the limit of connections. */
  #places = 0;
  #admitting = false;
  #closed = false;
  readonly #silence: CallbackDeadline = new CallbackDeadline(() =>
    this.#expire(this.#silent, this.#limits.handshakeTimeoutMs, this.#silence),
  );
  readonly #patience: CallbackDeadline = new CallbackDeadline(() =>
    this.#expire(this.#ready, this.#limits.maxConnectionWaitMs, this.#patience),
  );
  readonly #pressure = new CallbackDeadline(() => this.admitReady());
  /** Sockets closed while silent, by either side. */
  droppedSilent = 0;
  /** Sockets closed for want of a place or of room, after they spoke or before they were listened to. */
  refused = 0;

  constructor(limits: AdmissionLimits, events: AdmissionEvents) {
    this.#limits = limits;
    this.#events = events;
    this.#overdueMs = Math.min(OVERDUE_MS, limits.handshakeTimeoutMs / 2 || OVERDUE_MS);
    // The listener and the sockets keep the process alive, or do not.
    for (const deadline of [this.#silence, this.#patience, this.#pressure]) deadline.quiet = true;
  }

  /** Sockets that sent no complete first message, or wait for a place. */
  get waiting(): number {
    return this.#silent.length + this.#ready.length;
  }

  /** Handshakes that run. */
  get handshakes(): number {
    return this.#young.length + this.#old.length + this.#overdue.length;
  }

  shareOf(address: string): Share {
    let share = this.#shares.get(address);
    if (share === undefined) {
      share = new AddressShare(address);
      this.#shares.set(address, share);
    }
    return share;
  }

  // ---- What sockets do ----------------------------------------------------------------------------------

  /** A socket was accepted. False: there is no room for it, and it was dropped. */
  arrived(socket: AcceptedSocket): boolean {
    const { share } = socket;
    const { maxWaitingSockets, maxWaitingSocketsPerAddress, handshakeTimeoutMs } = this.#limits;
    share.sockets++;
    let crowd: Line<AcceptedSocket> | undefined;
    if (share.silent.length + share.ready.length >= maxWaitingSocketsPerAddress) crowd = share.silent;
    else if (this.waiting >= maxWaitingSockets) crowd = this.#silent;
    if (this.#closed || (crowd !== undefined && crowd.first === undefined)) {
      this.#refuse(socket);
      return false;
    }
    if (crowd !== undefined) this.#dropSilent(crowd.first!);
    this.#enter(socket, "silent", this.#silent, share.silent);
    if (handshakeTimeoutMs > 0 && !this.#silence.armed) timers.arm(this.#silence, handshakeTimeoutMs);
    return true;
  }

  /** Its first message is complete. */
  spoke(socket: AcceptedSocket): void {
    const { maxConnectionWaitMs } = this.#limits;
    this.#enter(socket, "ready", this.#ready, socket.share.ready);
    this.#queueUp(socket.share);
    this.admitReady();
    if (socket.stage !== "ready") return;
    if (maxConnectionWaitMs === 0) this.#refuse(socket);
    else if (!this.#patience.armed) timers.arm(this.#patience, maxConnectionWaitMs);
  }

  /** Its connection is open: the peer has proven that it takes part in this handshake. */
  proved(socket: AcceptedSocket): void {
    if (socket.stage === "gone") return;
    const { maxConnections } = this.#limits;
    this.#leaveLines(socket);
    socket.stage = "proven";
    this.#takePlace(socket);
    // Handshakes began when this one was old, and there are more of them than places: the youngest loses least.
    while (this.#places > maxConnections && this.#young.last !== undefined) this.#displace(this.#young.last);
    // All places belong to connections that are proven or closing: the handshakes that have none get none.
    if (this.#places - this.#young.length >= maxConnections) {
      for (const line of [this.#old, this.#overdue])
        while (line.first !== undefined) this.#displace(line.first);
    }
    this.#queueUp(socket.share);
  }

  /** Its connection is closed. The place is free when the socket is gone. */
  ended(socket: AcceptedSocket): void {
    this.#leaveLines(socket);
    socket.stage = "gone";
    this.#queueUp(socket.share);
  }

  /** The socket is gone. */
  left(socket: AcceptedSocket): void {
    const { share } = socket;
    if (socket.stage === "silent") this.droppedSilent++;
    this.ended(socket);
    this.#givePlace(socket);
    if (--share.sockets > 0) return;
    share.turn.leave();
    this.#shares.delete(share.address);
  }

  /** Lets those begin that spoke, as far as there are places. Not for calls from inside a call of the API. */
  admitReady(): void {
    if (this.#admitting || this.#closed) return;
    this.#admitting = true;
    this.#age(performance.now());
    let more = ADMITTED_AT_ONCE;
    while (this.#turns.first !== undefined && !this.#closed) {
      const share = this.#turns.first;
      if (!this.#mayBegin(share)) {
        share.turn.leave(); // until something changes for this address
        continue;
      }
      if (!this.#isPlaceFree() || more-- === 0) break;
      share.turn.leave();
      this.#admit(share.ready.first!);
      this.#queueUp(share);
    }
    this.#admitting = false;
    this.#watchAges(more < 0);
  }

  /** Nothing is admitted any more, and no timer runs. */
  close(): void {
    this.#closed = true;
    for (const deadline of [this.#silence, this.#patience, this.#pressure]) timers.cancel(deadline);
  }

  // ---- Places -------------------------------------------------------------------------------------------

  /** Something has changed for this address: it is looked at again if it has sockets that wait for a place. */
  #queueUp(share: Share): void {
    if (share.ready.length > 0 && share.turn.line === undefined) this.#turns.join(share.turn);
  }

  #mayBegin(share: Share): boolean {
    const { maxConnectionsPerAddress, maxHandshakesPerAddress } = this.#limits;
    if (share.ready.length === 0 || share.places >= maxConnectionsPerAddress) return false;
    return share.handshakes.length < maxHandshakesPerAddress || share.handshakes.first!.stage === "overdue";
  }

  #isPlaceFree(): boolean {
    const { maxConnections, maxHandshakes } = this.#limits;
    if (this.#places >= maxConnections) return false;
    return this.handshakes < maxHandshakes || this.#overdue.length > 0;
  }

  #admit(socket: AcceptedSocket): void {
    const { share } = socket;
    if (share.handshakes.length >= this.#limits.maxHandshakesPerAddress)
      this.#displace(share.handshakes.first!);
    else if (this.handshakes >= this.#limits.maxHandshakes) this.#displace(this.#overdue.first!);
    this.#enter(socket, "young", this.#young, share.handshakes);
    this.#takePlace(socket);
    this.#events.admit(socket);
  }

  #takePlace(socket: AcceptedSocket): void {
    if (socket.hasPlace) return;
    socket.hasPlace = true;
    socket.share.places++;
    this.#places++;
  }

  #givePlace(socket: AcceptedSocket): void {
    if (!socket.hasPlace) return;
    socket.hasPlace = false;
    socket.share.places--;
    this.#places--;
  }

  // ---- Ages ---------------------------------------------------------------------------------------------

  #enter(
    socket: AcceptedSocket,
    stage: SocketStage,
    byAge: Line<AcceptedSocket>,
    byAddress: Line<AcceptedSocket>,
  ): void {
    socket.stage = stage;
    socket.since = performance.now();
    byAge.join(socket.byAge);
    byAddress.join(socket.byAddress);
  }

  #leaveLines(socket: AcceptedSocket): void {
    socket.byAge.leave();
    socket.byAddress.leave();
  }

  /** While somebody waits, handshakes get older. */
  #age(now: number): void {
    if (this.#ready.length === 0) return;
    for (const socket of dueOf(this.#young, YOUNG_MS, now)) {
      socket.stage = "old";
      this.#old.join(socket.byAge);
      this.#givePlace(socket);
      this.#queueUp(socket.share);
    }
    for (const socket of dueOf(this.#old, this.#overdueMs, now)) {
      socket.stage = "overdue";
      this.#overdue.join(socket.byAge);
      this.#queueUp(socket.share);
    }
  }

  /** Arms the timer for the next handshake that gets older, or for a turn soon, while somebody waits for that. */
  #watchAges(soon: boolean): void {
    timers.cancel(this.#pressure);
    if (this.#ready.length === 0 || this.#closed) return;
    const now = performance.now();
    const youngMs = leftMs(this.#young.first, YOUNG_MS, now);
    const oldMs = leftMs(this.#old.first, this.#overdueMs, now);
    const nextMs = soon ? 0 : Math.min(youngMs, oldMs);
    if (nextMs !== Number.POSITIVE_INFINITY) timers.arm(this.#pressure, nextMs);
  }

  // ---- Who goes -----------------------------------------------------------------------------------------

  #dropSilent(socket: AcceptedSocket): void {
    this.droppedSilent++;
    this.#leaveLines(socket);
    socket.drop();
  }

  #countRefused({ transport: { remoteAddress } }: AcceptedSocket): void {
    this.refused++;
    if (channels.socketRefused.hasSubscribers) channels.socketRefused.publish({ remoteAddress });
  }

  #refuse(socket: AcceptedSocket): void {
    this.#countRefused(socket);
    this.#leaveLines(socket);
    socket.drop();
  }

  #displace(socket: AcceptedSocket): void {
    this.#countRefused(socket);
    this.#leaveLines(socket);
    this.#events.displace(socket);
  }

  /** Ends the stage of those that have been in it for too long, and comes back for the next one. */
  #expire(line: Line<AcceptedSocket>, stageMs: number, deadline: CallbackDeadline): void {
    const now = performance.now();
    for (const socket of dueOf(line, stageMs, now)) {
      if (socket.stage === "silent") this.#dropSilent(socket);
      else this.#refuse(socket);
    }
    if (line.first !== undefined) timers.arm(deadline, leftMs(line.first, stageMs, now));
  }
}
