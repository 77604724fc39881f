// A limit of waiting that counts only time in which this process ran. A process that stood still, because it was stopped or
// its machine was, finds all of that time gone at once. What it waits for may come in its next turn.

const now = performance.now.bind(performance);

/** The limit has parts with a look behind each. Whatever passes between two looks counts as one part at most. */
const PARTS = 20;

export class Patience {
  readonly #partMs: number;
  readonly #time: () => number;
  #leftMs: number;
  #lookedAt: number;
  /** The milliseconds that did not count. */
  stoodStillMs = 0;

  /** `time`: milliseconds of a clock that never goes back. */
  constructor(limitMs: number, time = now) {
    this.#partMs = limitMs / PARTS;
    this.#leftMs = limitMs;
    this.#time = time;
    this.#lookedAt = time();
  }

  /** The milliseconds until the next look is due; 0: the time is over. */
  look(): number {
    const at = this.#time();
    const passedMs = at - this.#lookedAt;
    const countedMs = Math.min(passedMs, this.#partMs);
    this.#lookedAt = at;
    this.#leftMs -= countedMs;
    this.stoodStillMs += passedMs - countedMs;
    return this.#leftMs <= 0 ? 0 : Math.min(this.#partMs, this.#leftMs);
  }
}

/** Calls `expired` when this time is over. Returns the function that ends the wait. */
export function expireAfter(limitMs: number, expired: (patience: Patience) => void): () => void {
  const patience = new Patience(limitMs);
  let timer: ReturnType<typeof setTimeout>;
  const look = (): void => {
    const nextMs = patience.look();
    if (nextMs === 0) expired(patience);
    else timer = setTimeout(look, Math.ceil(nextMs));
  };
  look();
  return () => clearTimeout(timer);
}
