// Counts the bytes that one connection has accepted, and those of them that the kernel has taken. The difference waits
// for the peer, and counts in the budget of the process.

import { memoryBudget } from "./memoryBudget.ts";

export class SentBytes {
  readonly #lowWaterMarkBytes: number;
  /** Accepted since the connection began: bodies, headers, lengths; padding and tags once a frame is full. */
  accepted = 0;
  /** Of these, what the kernel has taken, as far as the budget knows. */
  taken = 0;
  /** Of those accepted, the record that begins a session: no caller gave it. */
  opening = 0;

  constructor(lowWaterMarkBytes: number) {
    this.#lowWaterMarkBytes = lowWaterMarkBytes;
  }

  get pending(): number {
    return this.accepted - this.taken;
  }

  /** A caller gave something, whether or not the kernel has taken it. */
  get anyGiven(): boolean {
    return this.accepted > this.opening;
  }

  /** More waits for this peer than the process has room for. */
  get overBudget(): boolean {
    return memoryBudget.isExceededBy(this.pending);
  }

  /** So little waits that a reader which was paused may go on. */
  get isLow(): boolean {
    const { pending } = this;
    return pending <= this.#lowWaterMarkBytes && (pending === 0 || pending * 2 <= memoryBudget.free);
  }

  add(bytes: number): void {
    this.accepted += bytes;
    memoryBudget.used += bytes;
  }

  /** The kernel has taken so many in all. */
  take(bytes: number): void {
    memoryBudget.used -= bytes - this.taken;
    this.taken = bytes;
  }

  /** Nothing waits any more: the connection is over. */
  drop(): void {
    this.take(this.accepted);
  }
}
