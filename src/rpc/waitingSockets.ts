// The accepted sockets that wait: silent ones for their peer's first message, ready ones for a place. They stand in
// line by age, in all and per address. Their number and their time are limited. If there are too many, the oldest
// silent one is closed, or first the oldest of an address that has too many.
//
// A ready socket may also wait for a turn of the handshakes alone (handshakeTurns.ts), as many do when all clients of a
// server come back at once. Such a wait is part of the handshake, and has that one's time limit.

import { now } from "../core/eventLoop.ts";
import { type AcceptedSocket, dueOf, leftMs } from "./acceptedSocket.ts";
import type { AddressShare } from "./addressShare.ts";
import type { AdmissionLimits } from "./admissionLimits.ts";
import { CallbackDeadline } from "./deadline.ts";
import { Line } from "./line.ts";
import { timers } from "./timers.ts";

/**
 * The most sockets whose time is over that are closed in one tick of the timers. Thousands may have come at the same
 * time, and each costs tens of microseconds; the others follow tick by tick.
 */
export const MOST_EXPIRED_PER_TICK = 64;

export class WaitingSockets {
  readonly #limits: AdmissionLimits;
  /** Closes a ready socket that got no place in time. */
  readonly #refuse: (socket: AcceptedSocket) => void;
  readonly #silent = new Line<AcceptedSocket>();
  readonly #ready = new Line<AcceptedSocket>();
  readonly #silence = new CallbackDeadline(() => this.#expireSilent());
  readonly #patience = new CallbackDeadline(() => this.#expireReady());
  /** Ready sockets wait for a turn of the handshakes. There may be places for them. */
  forTurn = false;
  /** Sockets closed while silent, by either side, or that ended or sent too much while ready. */
  dropped = 0;

  constructor(limits: AdmissionLimits, refuse: (socket: AcceptedSocket) => void) {
    this.#limits = limits;
    this.#refuse = refuse;
    // The listener and the sockets decide whether the process stays alive, not these timers.
    for (const deadline of [this.#silence, this.#patience]) deadline.quiet = true;
  }

  /** Sockets that wait for a place or have sent no complete first message. */
  get count(): number {
    return this.#silent.length + this.#ready.length;
  }

  /** Sockets that wait for a place. */
  get readyCount(): number {
    return this.#ready.length;
  }

  /** A new socket waits for its first message. False: there is no room for it. */
  enter(socket: AcceptedSocket): boolean {
    const { share } = socket;
    const { maxWaitingSockets, handshakeTimeoutMs } = this.#limits;
    if (this.#isFull(share)) {
      if (!this.#makeRoom(share.silent)) return false;
    } else if (this.count >= maxWaitingSockets && !this.#makeRoom(this.#silent)) return false;
    socket.enterStage("silent", this.#silent, share.silent);
    if (handshakeTimeoutMs > 0 && !this.#silence.armed) timers.arm(this.#silence, handshakeTimeoutMs);
    return true;
  }

  /** A silent socket belongs to another address now. False: that address has no room for it. */
  move(socket: AcceptedSocket): boolean {
    const { share } = socket;
    if (this.#isFull(share) && !this.#makeRoom(share.silent)) return false;
    share.silent.join(socket.byAddress);
    return true;
  }

  /** The first message of a silent socket is complete: it waits for a place. */
  becomeReady(socket: AcceptedSocket): void {
    socket.enterStage("ready", this.#ready, socket.share.ready);
  }

  /** A ready socket got no place at once: `maxConnectionWaitMs` begins. */
  limitWait(): void {
    if (!this.#patience.armed) this.#watchReady(now());
  }

  /** Ready sockets got no place: with a `maxConnectionWaitMs` of 0, all of them are closed. */
  refuseUnlessWaiting(): void {
    if (this.#limits.maxConnectionWaitMs > 0 || this.forTurn) return;
    while (this.#ready.first !== undefined) this.#refuse(this.#ready.first);
  }

  /** Stops all timers. */
  close(): void {
    for (const deadline of [this.#silence, this.#patience]) timers.cancel(deadline);
  }

  /** How long a socket may be ready. */
  get #readyMs(): number {
    const { maxConnectionWaitMs, handshakeTimeoutMs } = this.#limits;
    if (!this.forTurn) return maxConnectionWaitMs;
    return Math.max(maxConnectionWaitMs, handshakeTimeoutMs || Number.POSITIVE_INFINITY);
  }

  #isFull(share: AddressShare<AcceptedSocket>): boolean {
    return share.silent.length + share.ready.length >= this.#limits.maxWaitingSocketsPerAddress;
  }

  /** Drops the oldest of these sockets. False: there is none. */
  #makeRoom(silent: Line<AcceptedSocket>): boolean {
    if (silent.first === undefined) return false;
    this.#dropSilent(silent.first);
    return true;
  }

  #dropSilent(socket: AcceptedSocket): void {
    this.dropped++;
    socket.leaveLines();
    socket.drop();
  }

  #expireSilent(): void {
    const { handshakeTimeoutMs } = this.#limits;
    const time = now();
    for (const socket of dueOf(this.#silent, handshakeTimeoutMs, time, MOST_EXPIRED_PER_TICK))
      this.#dropSilent(socket);
    const { first } = this.#silent;
    if (first !== undefined) timers.arm(this.#silence, leftMs(first, handshakeTimeoutMs, time));
  }

  #expireReady(): void {
    const time = now();
    for (const socket of dueOf(this.#ready, this.#readyMs, time, MOST_EXPIRED_PER_TICK)) this.#refuse(socket);
    this.#watchReady(time);
  }

  /**
   * Sets the timer for the socket that has been ready for longest. What it waits for may change meanwhile, so the timer
   * fires after `maxConnectionWaitMs` at the latest.
   */
  #watchReady(time: number): void {
    const { maxConnectionWaitMs } = this.#limits;
    const mostMs = maxConnectionWaitMs || Number.POSITIVE_INFINITY;
    const ms = Math.min(leftMs(this.#ready.first, this.#readyMs, time), mostMs);
    if (this.#ready.first !== undefined && ms !== Number.POSITIVE_INFINITY) timers.arm(this.#patience, ms);
  }
}
