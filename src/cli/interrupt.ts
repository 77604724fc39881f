// Handles Ctrl-C for commands that print something before they end. A second Ctrl-C ends the process at once.

import process from "node:process";
import { countSignals } from "../entry/signalCount.ts";
import { exitCodes } from "./exitCodes.ts";

/** Calls `onFirst` when one of the signals comes; the next one ends the process as if nothing listened to it. */
export function onFirstSignal(signals: readonly NodeJS.Signals[], onFirst: () => void): () => void {
  const remove = countSignals(signals, (count, signal) => {
    if (count === 1) return onFirst();
    remove();
    process.kill(process.pid, signal);
  });
  return remove;
}

export class Interrupt {
  #came = false;
  #giveUp = (): void => {};
  /** From now on Ctrl-C has its usual effect. */
  readonly end: () => void;

  constructor() {
    this.end = onFirstSignal(["SIGINT"], () => {
      this.#came = true;
      this.#giveUp();
    });
  }

  get came(): boolean {
    return this.#came;
  }

  /** The result of `work`, or undefined as soon as Ctrl-C comes; then its end is ignored. One at a time. */
  orCame<T>(work: Promise<T>): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      const giveUp = (): void => resolve(undefined);
      this.#giveUp = giveUp;
      if (this.#came) this.#giveUp();
      work.then(resolve, reject);
    });
  }

  /** Ends the process once its output has left, without waiting for the abandoned work. */
  exit(): Promise<never> {
    return new Promise(() => process.stdout.write("", () => process.exit(exitCodes.interrupted)));
  }
}
