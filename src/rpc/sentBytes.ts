// Counts the bytes that one connection has accepted, and those of them that the kernel has taken. The difference waits
// for the peer, and counts towards the budget of the process.

import { memoryBudget } from "./memoryBudget.ts";

export class SentBytes {
  readonly #lowWaterMarkBytes: number;
  /** Accepted since the connection began: bodies, headers, lengths; padding and tags once a frame is full. */
  accepted = 0;
  /** The accepted bytes that the kernel has taken, as far as the budget knows. */
  taken = 0;
  /** The accepted bytes of the record that begins a session, which no caller passed. */
  opening = 0;

  constructor(lowWaterMarkBytes: number) {
    this.#lowWaterMarkBytes = lowWaterMarkBytes;
  }

  get pending(): number {
    return this.accepted - this.taken;
  }

  /** A caller has passed bytes, whether or not the kernel has taken them. */
  get anyGiven(): boolean {
    return this.accepted > this.opening;
  }

  /** This peer has more unsent bytes than the process has free. */
  get overBudget(): boolean {
    return memoryBudget.isExceededBy(this.pending);
  }

  /** So few bytes wait that a paused reader may continue. */
  get isLow(): boolean {
    const { pending } = this;
    return pending <= this.#lowWaterMarkBytes && (pending === 0 || pending * 2 <= memoryBudget.free);
  }

  add(bytes: number): void {
    this.accepted += bytes;
    memoryBudget.used += bytes;
  }

  /** The kernel has taken this many bytes in all. */
  take(bytes: number): void {
    memoryBudget.used -= bytes - this.taken;
    this.taken = bytes;
  }

  /** The connection is over, so no bytes wait any more. */
  drop(): void {
    this.take(this.accepted);
  }
}
