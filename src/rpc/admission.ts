// Which accepted sockets a server serves, when their handshakes begin, and which sockets it closes under pressure.
//
//   silent ──first message──▶ ready ──a place──▶ young ──▶ old ──▶ overdue
//      │                        │                  └────────┴─────────┴──proof──▶ proven
//      └────────────────────────┴───────────────── any time ─────────────────────────┴──▶ gone
//
// Anybody can open a socket, so a silent one costs a few objects and takes no place. It is closed when it is slow. When
// too many sockets are silent, the oldest is closed, first the oldest of an address that has too many.
//
// A socket that sent its first message is ready, and waits for a place; the addresses take turns. Handshakes and
// connections are limited, in all and per address. An attacker can begin a handshake with recorded bytes, so a
// handshake keeps its place against waiting sockets only while it is young. An old one continues without a place, until
// a proven connection needs that place. An overdue one is closed for the next handshake when there are too many.
// Handshakes get older only while sockets wait.
//
// A closed connection has its place until its socket is gone. While a ready socket waits, the oldest such socket is cut.
//
// A ready socket also waits for a turn of the handshakes (handshakeTurns.ts). The work per socket is constant, however many
// wait.

import { channels } from "../core/diagnostics.ts";
import { now } from "../core/eventLoop.ts";
import type { AcceptedSocket } from "./acceptedSocket.ts";
import { AddressShare } from "./addressShare.ts";
import type { AdmissionLimits } from "./admissionLimits.ts";
import { CallbackDeadline } from "./deadline.ts";
import { HandshakeAges } from "./handshakeAges.ts";
import type { HandshakeTask, HandshakeTurns } from "./handshakeTurns.ts";
import { Line } from "./line.ts";
import { Places } from "./places.ts";
import { timers } from "./timers.ts";
import { WaitingSockets } from "./waitingSockets.ts";

type Share = AddressShare<AcceptedSocket>;

/** The server's side of the admission. */
export interface AdmissionEvents {
  /** Its handshake may begin. */
  admit(socket: AcceptedSocket): void;
  /** Closes a socket whose handshake runs, because another socket needs its place. */
  displace(socket: AcceptedSocket): void;
}

export class Admission implements HandshakeTask {
  readonly #limits: AdmissionLimits;
  readonly #events: AdmissionEvents;
  readonly turns: HandshakeTurns;
  readonly #handshakes: HandshakeAges;
  /** The addresses that have sockets. */
  readonly shares = new Map<string, Share>();
  readonly #waiting: WaitingSockets;
  readonly #addresses = new Line<Share>();
  /** Sockets that still have a place although their connections have ended, the oldest end first. */
  readonly #ending = new Line<AcceptedSocket>();
  /** Sockets with a place count against the limit of connections. */
  readonly #places = new Places();
  #admitting = false;
  /** It is in the line of those who wait for a turn. */
  #inLine = false;
  #closed = false;
  readonly #pressure = new CallbackDeadline(() => this.admitReady());
  /** Sockets that were closed because there was no place or no room for them. */
  refused = 0;

  constructor(limits: AdmissionLimits, events: AdmissionEvents, turns: HandshakeTurns) {
    this.#limits = limits;
    this.turns = turns;
    this.#events = events;
    this.#handshakes = new HandshakeAges(limits.handshakeTimeoutMs, (socket) => this.#aged(socket));
    this.#waiting = new WaitingSockets(limits, (socket) => this.#refuse(socket));
    // The listener and the sockets decide whether the process stays alive, not this timer.
    this.#pressure.quiet = true;
  }

  /** Sockets that wait for a place or have sent no complete first message. */
  get waiting(): number {
    return this.#waiting.count;
  }

  /** Sockets that were closed while silent, by either side, or that ended or sent too much while ready. */
  get dropped(): number {
    return this.#waiting.dropped;
  }

  /** Handshakes that run. */
  get handshakes(): number {
    return this.#handshakes.count;
  }

  shareOf(address: string): Share {
    let share = this.shares.get(address);
    if (share === undefined) {
      share = new AddressShare(address);
      this.shares.set(address, share);
    }
    return share;
  }

  // ---- What sockets do ----------------------------------------------------------------------------------

  /** Takes an accepted socket. False: it was dropped, because there is no room for it. */
  arrived(socket: AcceptedSocket): boolean {
    socket.share.sockets++;
    return (!this.#closed && this.#waiting.enter(socket)) || this.#refuse(socket);
  }

  /** A proxy told a silent socket's address; its time goes on. False: it was dropped, because there is no room for it. */
  moved(socket: AcceptedSocket, address: string): boolean {
    const { share: before } = socket;
    const share = this.shareOf(address);
    if (share === before) return true;
    share.sockets++;
    socket.share = share;
    this.#leaveShare(before);
    return this.#waiting.move(socket) || this.#refuse(socket);
  }

  /** Its first message is complete. */
  spoke(socket: AcceptedSocket): void {
    this.#waiting.becomeReady(socket);
    this.#queueUp(socket.share);
    this.admitReady();
    if (socket.stage === "ready") this.#waiting.limitWait();
  }

  /** Its connection is open: the peer has proven that it takes part in this handshake. */
  proved(socket: AcceptedSocket): void {
    if (socket.stage === "gone") return;
    const { maxConnections } = this.#limits;
    socket.leaveLines();
    socket.stage = "proven";
    this.#places.take(socket);
    // Handshakes that began when this one was old may have no place now. The youngest loses the least.
    while (this.#places.taken > maxConnections && this.#handshakes.young.last !== undefined)
      this.#displace(this.#handshakes.young.last);
    // All places belong to proven or closing connections, so the handshakes have no places.
    if (this.#places.taken - this.#handshakes.young.length >= maxConnections) {
      for (const line of [this.#handshakes.old, this.#handshakes.overdue])
        while (line.first !== undefined) this.#displace(line.first);
    }
    this.#queueUp(socket.share);
  }

  /** The connection is closed. Its place is free when the socket is gone: soon, if another one waits for the place. */
  ended(socket: AcceptedSocket): void {
    socket.leaveLines();
    socket.stage = "gone";
    if (socket.hasPlace) socket.enterStage("gone", this.#ending, socket.share.ending);
    this.#queueUp(socket.share);
  }

  /** The socket is gone. */
  left(socket: AcceptedSocket): void {
    const { share } = socket;
    if (socket.stage === "silent" || socket.stage === "ready") this.#waiting.dropped++;
    this.#places.give(socket);
    this.ended(socket);
    this.#leaveShare(share);
  }

  /** The number of sockets or places of an address changed. */
  #leaveShare(share: Share): void {
    if (--share.sockets > 0) return;
    share.position.leave();
    this.shares.delete(share.address);
  }

  /**
   * Begins the handshakes of ready sockets, as far as there are places and time. Never called from inside a call of the
   * API.
   */
  admitReady(): void {
    this.#admitWhile(() => this.turns.isFree);
  }

  /** HandshakeTask: one handshake may begin. */
  goOn(): void {
    this.#inLine = false;
    let more = 1;
    this.#admitWhile(() => more-- > 0);
  }

  #admitWhile(isTurn: () => boolean): void {
    if (this.#admitting || this.#closed) return;
    this.#admitting = true;
    try {
      // While a socket waits, handshakes get older.
      if (this.#waiting.readyCount > 0) this.#handshakes.age(now());
      while (this.#addresses.first !== undefined && !this.#closed) {
        const share = this.#addresses.first;
        if (!this.#mayBegin(share)) {
          share.position.leave(); // until the state of this address changes
          if (share.places >= this.#limits.maxConnectionsPerAddress) this.#cutShort(share.ending.first);
          continue;
        }
        if (!this.#isHandshakeFree()) break;
        if (this.#places.taken >= this.#limits.maxConnections) {
          this.#cutShort(this.#ending.first);
          break;
        }
        if (this.#inLine) break;
        if (!isTurn()) {
          this.#inLine = true;
          this.turns.join(this);
          break;
        }
        share.position.leave();
        this.#admit(share.ready.first!);
        this.#queueUp(share);
      }
    } finally {
      this.#admitting = false;
      this.#waiting.forTurn = this.#inLine;
      this.#waiting.refuseUnlessWaiting();
      this.#watchAges();
    }
  }

  /** Nothing is admitted any more, and the timer stops. */
  close(): void {
    this.#closed = true;
    this.#waiting.close();
    timers.cancel(this.#pressure);
  }

  // ---- Places -------------------------------------------------------------------------------------------

  /** The state of this address changed: it joins the line again if it has sockets that wait for a place. */
  #queueUp(share: Share): void {
    if (share.ready.length > 0 && share.position.line === undefined) this.#addresses.join(share.position);
  }

  #mayBegin(share: Share): boolean {
    const { maxConnectionsPerAddress, maxHandshakesPerAddress } = this.#limits;
    if (share.ready.length === 0 || share.places >= maxConnectionsPerAddress) return false;
    return share.handshakes.length < maxHandshakesPerAddress || share.handshakes.first!.stage === "overdue";
  }

  #isHandshakeFree(): boolean {
    return this.handshakes < this.#limits.maxHandshakes || this.#handshakes.overdue.length > 0;
  }

  #admit(socket: AcceptedSocket): void {
    const { share } = socket;
    if (share.handshakes.length >= this.#limits.maxHandshakesPerAddress)
      this.#displace(share.handshakes.first!);
    else if (this.handshakes >= this.#limits.maxHandshakes) this.#displace(this.#handshakes.overdue.first!);
    socket.enterStage("young", this.#handshakes.young, share.handshakes);
    this.#places.take(socket);
    try {
      this.turns.run(() => this.#events.admit(socket));
    } catch (error) {
      this.#cutShort(socket);
      throw error;
    }
  }

  // ---- Ages ---------------------------------------------------------------------------------------------

  /** A handshake is overdue, or old: then it loses its place. */
  #aged(socket: AcceptedSocket): void {
    if (socket.stage === "old") this.#places.give(socket);
    this.#queueUp(socket.share);
  }

  /** Sets the timer for the next handshake that gets older, while a socket waits for that. */
  #watchAges(): void {
    timers.cancel(this.#pressure);
    if (this.#waiting.readyCount === 0 || this.#closed || this.#inLine) return;
    const nextMs = this.#handshakes.nextMs(now());
    if (nextMs !== Number.POSITIVE_INFINITY) timers.arm(this.#pressure, nextMs);
  }

  // ---- Who goes -----------------------------------------------------------------------------------------

  #countRefused({ transport: { remoteAddress } }: AcceptedSocket): void {
    this.refused++;
    if (channels.socketRefused.hasSubscribers) channels.socketRefused.publish({ remoteAddress });
  }

  #refuse(socket: AcceptedSocket): false {
    this.#countRefused(socket);
    socket.leaveLines();
    socket.drop();
    return false;
  }

  /** Closes a socket whose peer may still read why its connection was closed. Its place is free in a later turn. */
  #cutShort(socket: AcceptedSocket | undefined): void {
    socket?.leaveLines();
    socket?.transport.destroy();
  }

  #displace(socket: AcceptedSocket): void {
    this.#countRefused(socket);
    socket.leaveLines();
    this.#places.give(socket); // one that needs it has it now
    this.#events.displace(socket);
  }
}
