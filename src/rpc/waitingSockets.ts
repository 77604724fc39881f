// The accepted sockets that wait: silent ones for their peer's first message, ready ones for a place. They stand in
// line by age, in all and per address. Their number and their time are limited. If there are too many, the oldest
// silent one is closed, or first the oldest of an address that has too many.

import { type AcceptedSocket, dueOf, leftMs } from "./acceptedSocket.ts";
import type { AddressShare } from "./addressShare.ts";
import type { AdmissionLimits } from "./admissionLimits.ts";
import { Line } from "./line.ts";
import { CallbackDeadline, timers } from "./timers.ts";

export class WaitingSockets {
  readonly #limits: AdmissionLimits;
  /** Closes a ready socket that got no place in time. */
  readonly #refuse: (socket: AcceptedSocket) => void;
  readonly #silent = new Line<AcceptedSocket>();
  readonly #ready = new Line<AcceptedSocket>();
  readonly #silence: CallbackDeadline = new CallbackDeadline(() =>
    this.#expire(this.#silent, this.#limits.handshakeTimeoutMs, this.#silence),
  );
  readonly #patience: CallbackDeadline = new CallbackDeadline(() =>
    this.#expire(this.#ready, this.#limits.maxConnectionWaitMs, this.#patience),
  );
  /** Sockets closed while silent, by either side. */
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
  limitWait(socket: AcceptedSocket): void {
    const { maxConnectionWaitMs } = this.#limits;
    if (maxConnectionWaitMs === 0) this.#refuse(socket);
    else if (!this.#patience.armed) timers.arm(this.#patience, maxConnectionWaitMs);
  }

  /** Stops all timers. */
  close(): void {
    for (const deadline of [this.#silence, this.#patience]) timers.cancel(deadline);
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

  /** Ends the stage of sockets that have been in it for too long, and returns for the next one. */
  #expire(line: Line<AcceptedSocket>, stageMs: number, deadline: CallbackDeadline): void {
    const now = performance.now();
    for (const socket of dueOf(line, stageMs, now)) {
      if (socket.stage === "silent") this.#dropSilent(socket);
      else this.#refuse(socket);
    }
    if (line.first !== undefined) timers.arm(deadline, leftMs(line.first, stageMs, now));
  }
}
