// The handshakes that a server runs, by age: young, then old, then overdue. They get older only while a socket waits
// for a place.

import { type AcceptedSocket, dueOf, leftMs } from "./acceptedSocket.ts";
import { Line } from "./line.ts";

/** A handshake is young for this time, which is longer than the round trip between any two continents. */
const YOUNG_MS = 250;
/** An old handshake is overdue after this time, or after half of `handshakeTimeoutMs` if that is less. */
const OVERDUE_MS = 1_500;

export class HandshakeAges {
  readonly young = new Line<AcceptedSocket>();
  readonly old = new Line<AcceptedSocket>();
  readonly overdue = new Line<AcceptedSocket>();
  readonly #overdueMs: number;
  readonly #aged: (socket: AcceptedSocket) => void;

  /** @param aged called with every socket that has just become old or overdue */
  constructor(handshakeTimeoutMs: number, aged: (socket: AcceptedSocket) => void) {
    this.#overdueMs = Math.min(OVERDUE_MS, handshakeTimeoutMs / 2 || OVERDUE_MS);
    this.#aged = aged;
  }

  get count(): number {
    return this.young.length + this.old.length + this.overdue.length;
  }

  /** Moves the handshakes whose time has come. */
  age(now: number): void {
    for (const socket of dueOf(this.young, YOUNG_MS, now)) {
      socket.stage = "old";
      this.old.join(socket.byAge);
      this.#aged(socket);
    }
    for (const socket of dueOf(this.old, this.#overdueMs, now)) {
      socket.stage = "overdue";
      this.overdue.join(socket.byAge);
      this.#aged(socket);
    }
  }

  /** Milliseconds until the next handshake gets older; infinite if none will. */
  nextMs(now: number): number {
    const youngMs = leftMs(this.young.first, YOUNG_MS, now);
    const oldMs = leftMs(this.old.first, this.#overdueMs, now);
    return Math.min(youngMs, oldMs);
  }
}
