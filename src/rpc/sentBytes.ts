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
  /** The memory of items of streams that wait for the peer's credit, and of answers behind them. */
  #held = 0;
  /** The memory of messages and requests that wait for the peer's credit. */
  #unpaid = 0;
  /** Less waits than when the owner set this to false. */
  eased = false;

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
    return memoryBudget.isExceededBy(this.pending + this.#held + this.#unpaid);
  }

  /**
   * No message should be handled before this peer takes more. Messages and requests that wait for credit do not count:
   * the peer's handlers give it, and may wait for answers of this side first.
   */
  get stopsHandlers(): boolean {
    return memoryBudget.isExceededBy(this.pending + this.#held);
  }

  /** The peer takes most of what was sealed. Whether more may be sent is up to the budget. */
  get areFew(): boolean {
    return this.pending <= this.#lowWaterMarkBytes;
  }

  /**
   * So few bytes wait that a paused reader may continue. What waits for credit counts towards the budget alone: a stream
   * whose reader pauses must not keep the messages beside it.
   */
  get isLow(): boolean {
    const all = this.pending + this.#held;
    return this.areFew && (all === 0 || all * 2 <= memoryBudget.free);
  }

  add(bytes: number): void {
    this.accepted += bytes;
    memoryBudget.used += bytes;
  }

  /** Something waits for credit; below 0: it was sent, or won't be. `isUnpaid`: a message or request. */
  hold(bytes: number, isUnpaid: boolean): void {
    if (isUnpaid) this.#unpaid += bytes;
    else this.#held += bytes;
    memoryBudget.used += bytes;
    if (bytes < 0) this.eased = true;
  }

  /** The kernel has taken this many bytes in all. What was dropped inside a write is not counted again. */
  take(bytes: number): void {
    if (bytes <= this.taken) return;
    this.eased = true;
    memoryBudget.used -= bytes - this.taken;
    this.taken = bytes;
  }

  /** The connection is over, so no bytes wait any more. */
  drop(): void {
    this.take(this.accepted);
  }
}
