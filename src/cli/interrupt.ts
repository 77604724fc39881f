// Ctrl-C where a command has something to say before it ends. A second one ends the process as if nothing stood in its way.

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

  /** What `work` gives, or undefined as soon as Ctrl-C comes; nobody learns then how it ends. One at a time. */
  orCame<T>(work: Promise<T>): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      this.#giveUp = () => resolve(undefined);
      if (this.#came) this.#giveUp();
      work.then(resolve, reject);
    });
  }

  /** From here on Ctrl-C does what it does without this. */
  end(): void {
    process.removeListener("SIGINT", this.#onSignal);
  }

  /** Ends the process, without waiting for what was given up, once what was written has left. */
  exit(): Promise<never> {
    return new Promise(() => process.stdout.write("", () => process.exit(exitCodes.interrupted)));
  }
}
