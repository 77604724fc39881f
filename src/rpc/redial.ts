// Decides when a client may dial again. Pauses grow with every useless connection. They are fully random up to their
// limit, so that the clients of a server that returns do not dial at the same time. They shrink only after a useful
// connection, because a server that refuses or drains after each handshake opens every connection first.

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;
/** After this many doublings, 100 ms exceed the longest pause. */
const MOST_DOUBLINGS = 6;

/** A connection that stayed open for this time was useful, whatever it carried. */
export const USEFUL_LIFE_MS = 5_000;

export class RedialPause {
  readonly #random: () => number;
  #failures = 0;
  #lastFailureAt = Number.NEGATIVE_INFINITY;
  #notBefore = Number.NEGATIVE_INFINITY;

  /** @param random returns numbers from 0 to 1, excluding 1; tests pass other functions than Math.random */
  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** Useless connections in a row; those of one outage count once. */
  get failures(): number {
    return this.#failures;
  }

  /** Milliseconds from `now` until the next dial; 0: now. */
  remainingMs(now: number): number {
    return Math.max(this.#notBefore - now, 0);
  }

  /** A random part of the first pause, for dials that no call waits for. */
  jitterMs(): number {
    return this.#random() * FIRST_PAUSE_MS;
  }

  /** A connection was useful: the next dial need not wait. */
  succeeded(): void {
    this.#failures = 0;
    this.#notBefore = Number.NEGATIVE_INFINITY;
  }

  /**
   * A connection that was dialled at `dialledAt` was useless. Connections that were dialling when another one failed
   * show the same outage, so they count once.
   */
  failed(dialledAt: number, now: number): void {
    if (dialledAt < this.#lastFailureAt) return;
    this.#lastFailureAt = now;
    const longestMs = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures, LONGEST_PAUSE_MS);
    this.#failures = Math.min(this.#failures + 1, MOST_DOUBLINGS);
    this.#notBefore = now + this.#random() * longestMs;
  }
}
