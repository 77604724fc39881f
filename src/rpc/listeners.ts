// Calls the listeners that an application gave. Whatever a listener throws, rejects with or returns ends here: it must
// neither reach a connection nor become an unhandled rejection, which would end the process.

/** Within a period, this many reports of one kind are printed in full; of the others only every tenfold number is. */
const REPORTS_PER_PERIOD = 5;
const REPORT_PERIOD_MS = 1_000;

/**
 * Reports errors of one kind on the console, a few a second, because a peer must not be able to cause a line of output
 * with each message. Never throws, whatever the error and the console are.
 */
export class ConsoleReport {
  readonly #text: string;
  #periodStart = Number.NEGATIVE_INFINITY;
  #reports = 0;
  #nextCount = 10;

  /** @param text the fixed part of the report */
  constructor(text: string) {
    this.#text = text;
  }

  say(error: unknown): void {
    const now = performance.now();
    if (now - this.#periodStart >= REPORT_PERIOD_MS) {
      this.#periodStart = now;
      this.#reports = 0;
      this.#nextCount = 10;
    }
    this.#reports++;
    if (this.#reports <= REPORTS_PER_PERIOD) {
      print(this.#text, error);
    } else if (this.#reports === this.#nextCount) {
      this.#nextCount *= 10;
      print(`${this.#text} (${this.#reports} times within a second)`);
    }
  }
}

function print(text: string, ...details: unknown[]): void {
  try {
    console.error(text, ...details);
  } catch {
    // The value can't be shown (a getter or an inspection hook of it throws), or the console can't write.
    try {
      console.error(text, "with a value that can't be shown");
    } catch {
      // The error can't be reported anywhere.
    }
  }
}

const reports = new Map<string, ConsoleReport>();

function report(name: string, error: unknown): void {
  let ofThisListener = reports.get(name);
  if (ofThisListener === undefined) {
    ofThisListener = new ConsoleReport(`sealwire: ${name} failed`);
    reports.set(name, ofThisListener);
  }
  ofThisListener.say(error);
}

/**
 * Calls `listener`, if there is one. If it throws, or its promise or thenable rejects, the error is reported once on
 * the console, because no caller could handle it.
 */
export function callListener<Arguments extends unknown[]>(
  name: string,
  listener: ((...args: Arguments) => unknown) | undefined,
  ...args: Arguments
): void {
  try {
    const result = listener?.(...args);
    if ((typeof result !== "object" && typeof result !== "function") || result === null) return;
    // The promise takes the result as `await` does: getters that throw, and thenables that call back twice or throw
    // afterwards, settle it once. (Promise.resolve would read `constructor` outside of any guard.)
    new Promise((resolve) => resolve(result)).then(undefined, (error) => report(name, error));
  } catch (error) {
    report(name, error);
  }
}
