// Measures which share of its time a receiver waits for a sender that ran out of credit.

/** So many times the credit runs out before the share is known, so that one sender that paused is no evidence. */
const TIMES = 32;

export class IdleShare {
  #times = 0;
  #since = 0;
  #idleMs = 0;
  #waitsSince: number | undefined;

  /** The receiver has handled everything, and the sender said that it has no credit. Nothing has arrived since. */
  get waits(): boolean {
    return this.#waitsSince !== undefined;
  }

  /**
   * The sender has no credit, and everything that it sent was handled. Returns the share, from 0 to 1, when it is known
   * again; otherwise undefined. `at`, here and below: milliseconds of a clock that never goes back.
   */
  ranOut(at: number): number | undefined {
    if (this.#times === 0) this.#since = at;
    this.#waitsSince = at;
    if (this.#times++ < TIMES) return undefined;
    const share = this.#idleMs / Math.max(at - this.#since, Number.MIN_VALUE);
    this.#times = 1;
    this.#since = at;
    this.#idleMs = 0;
    return share;
  }

  /** Something arrives from the sender while the receiver waits. */
  arrived(at: number): void {
    this.#idleMs += at - this.#waitsSince!;
    this.#waitsSince = undefined;
  }
}
