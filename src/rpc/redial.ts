// Decides when a client may dial again. Pauses grow with every connection that ends without having been useful. They
// have full jitter, so that clients of a server that comes back don't come in step. They shrink only after a connection
// was useful: a server that refuses or drains after each handshake opens every connection first.

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;
/** 100 ms doubled so often exceeds the longest pause. */
const MOST_DOUBLINGS = 6;

/** A connection that stayed open for so long was useful, whatever it carried. */
export const USEFUL_LIFE_MS = 5_000;

export class RedialPause {
  readonly #random: () => number;
  #failures = 0;
  #lastFailureAt = Number.NEGATIVE_INFINITY;
  #notBefore = Number.NEGATIVE_INFINITY;

  /** @param random gives numbers from 0 to 1, 1 excluded; tests give others than Math.random */
  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** Connections in a row that ended without having been useful; those of one outage count as one. */
  get failures(): number {
    return this.#failures;
  }

  /** Milliseconds from `now` until the next dial; 0: now. */
  remainingMs(now: number): number {
    return Math.max(this.#notBefore - now, 0);
  }

  /** A random part of the first pause, for dials that nobody waits for. */
  jitterMs(): number {
    return this.#random() * FIRST_PAUSE_MS;
  }

  /** A connection was useful: the next dial may be at once. */
  succeeded(): void {
    this.#failures = 0;
    this.#notBefore = Number.NEGATIVE_INFINITY;
  }

  /**
   * A connection that was dialled at `dialledAt` ended without having been useful. Connections that were under way
   * together when one of them failed tell the same thing: they count once.
   */
  failed(dialledAt: number, now: number): void {
    if (dialledAt < this.#lastFailureAt) return;
    this.#lastFailureAt = now;
    const longestMs = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures, LONGEST_PAUSE_MS);
    this.#failures = Math.min(this.#failures + 1, MOST_DOUBLINGS);
    this.#notBefore = now + this.#random() * longestMs;
  }
}
