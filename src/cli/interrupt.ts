// Handles Ctrl-C for commands that print something before they end. A second Ctrl-C ends the process at once.

import process from "node:process";
import { exitCodes } from "./exitCodes.ts";

export class Interrupt {
  #came = false;
  #giveUp = (): void => {};
  readonly #onSignal = (): void => {
    this.#came = true;
    this.#giveUp();
  };

  constructor() {
    process.once("SIGINT", this.#onSignal);
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
