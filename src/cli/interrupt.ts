// Handles Ctrl-C for commands that print something before they end. A second Ctrl-C ends the process at once.

import process from "node:process";
import { SignalRepeats } from "../entry/signalRepeats.ts";
import { exitCodes } from "./exitCodes.ts";

/** Ends the process as the signal does where nothing listens to it. */
export function endBy(signal: NodeJS.Signals, listener: () => void): void {
  process.removeListener(signal, listener);
  process.kill(process.pid, signal);
}

export class Interrupt {
  #came = false;
  #giveUp = (): void => {};
  readonly #repeats = new SignalRepeats();
  readonly #onSignal = (): void => {
    if (!this.#repeats.isNew("SIGINT")) return;
    if (this.#came) endBy("SIGINT", this.#onSignal);
    this.#came = true;
    this.#giveUp();
  };

  constructor() {
    process.on("SIGINT", this.#onSignal);
  }

  get came(): boolean {
    return this.#came;
  }

  /** The result of `work`, or undefined as soon as Ctrl-C comes; then its end is ignored. One at a time. */
  orCame<T>(work: Promise<T>): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      this.#giveUp = () => resolve(undefined);
      if (this.#came) this.#giveUp();
      work.then(resolve, reject);
    });
  }

  /** From now on Ctrl-C has its usual effect. */
  end(): void {
    process.removeListener("SIGINT", this.#onSignal);
  }

  /** Ends the process once its output has left, without waiting for the abandoned work. */
  exit(): Promise<never> {
    return new Promise(() => process.stdout.write("", () => process.exit(exitCodes.interrupted)));
  }
}
