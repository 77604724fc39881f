// Counts the signals that ask a process to end: each one means more than the one before it. One that came twice is one:
// GNU timeout signals its program and then the whole process group, with the program in it.

/** Within this time the same signal is the same wish. Nobody types it again so soon. */
export const SIGNAL_ONCE_MS = 100;

/** Tells which signal is the last one once more. */
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

/**
 * Handles these signals together. `onSignal` gets the number of signals so far, from 1 on.
 *
 * @returns a function that removes the handlers
 */
export function countSignals<Signal extends NodeJS.Signals>(
  signals: readonly Signal[],
  onSignal: (count: number, signal: Signal) => void,
): () => void {
  const { process } = globalThis;
  const repeats = new SignalRepeats();
  let count = 0;
  const handlers = signals.map((signal) => {
    const handler = (): void => {
      if (repeats.isNew(signal)) onSignal(++count, signal);
    };
    return [signal, handler] as const;
  });
  for (const [signal, handler] of handlers) process.on(signal, handler);
  return () => {
    for (const [signal, handler] of handlers) process.removeListener(signal, handler);
  };
}
