// Calls the listeners that an application gave. Whatever a listener throws, rejects with or returns ends here: it must
// neither reach a connection nor become an unhandled rejection, which would end the process.

import { builtinModule } from "../core/builtin.ts";
import { now } from "../core/eventLoop.ts";
import { oneLine } from "../core/text.ts";

/** Within a period, this many reports of one kind are printed in full; of the others only every tenfold number is. */
const REPORTS_PER_PERIOD = 5;
const REPORT_PERIOD_MS = 1_000;
/** The longest text of an error that is printed. */
const MOST_SHOWN = 8_192;

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
    const time = now();
    if (time - this.#periodStart >= REPORT_PERIOD_MS) {
      this.#periodStart = time;
      this.#reports = 0;
      this.#nextCount = 10;
    }
    this.#reports++;
    if (this.#reports <= REPORTS_PER_PERIOD) {
      print(this.#text, () => shown(error));
    } else if (this.#reports === this.#nextCount) {
      this.#nextCount *= 10;
      print(`${this.#text} (${this.#reports} times within a second)`);
    }
  }
}

/**
 * The error, or its text if it would control a terminal or begin a line of its own: its message may quote a peer.
 */
function shown(error: unknown): unknown {
  if (typeof error === "string") return oneLine(error.slice(0, MOST_SHOWN));
  const util = builtinModule("node:util") as { inspect?(value: unknown): string } | undefined;
  const text = util?.inspect?.(error) ?? "";
  const lines = text.slice(0, MOST_SHOWN).split("\n");
  const isHarmless = (line: string, index: number): boolean =>
    oneLine(line) === line && (index === 0 || /^[\s)\]}]|^$/.test(line));
  if (text.length <= MOST_SHOWN && lines.every(isHarmless)) return error;
  return lines.map(oneLine).join("\n  ");
}

function print(text: string, ...details: (() => unknown)[]): void {
  try {
    console.error(text, ...details.map((detail) => detail()));
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
