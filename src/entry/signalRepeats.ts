// Tells a second signal from one that came twice: GNU timeout signals its program and then the whole process group, with
// the program in it. A second signal means more than the first one: it ends a grace, or cuts.

/** Within this time the same signal is the same wish. Nobody types it again so soon. */
export const SIGNAL_ONCE_MS = 100;

export class SignalRepeats {
  readonly #time: () => number;
  #last: string | undefined;
  #lastAt = Number.NEGATIVE_INFINITY;

  /** `time`: milliseconds of a clock that never goes back. */
  constructor(time: () => number = () => performance.now()) {
    this.#time = time;
  }

  /** False: it is the last signal once more. */
  isNew(signal: string): boolean {
    const at = this.#time();
    if (signal === this.#last && at - this.#lastAt < SIGNAL_ONCE_MS) return false;
    this.#last = signal;
    this.#lastAt = at;
    return true;
  }
}
