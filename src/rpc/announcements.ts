// Tells the application about the states of its connection, in their order. It never does so inside a call of the
// application: the states that `close` leads to are told right after that call has returned.

import type { SealwireError } from "../base/errors.ts";
import { runSoon } from "../core/eventLoop.ts";

export type ToldState = "draining" | "closed";

export class Announcements {
  readonly #tell: (state: ToldState, error: SealwireError | undefined) => void;
  #untold: [state: ToldState, error: SealwireError | undefined][] = [];
  #inCall = false;

  constructor(tell: (state: ToldState, error: SealwireError | undefined) => void) {
    this.#tell = tell;
  }

  /** Runs the work of a call of the application. */
  inCall(run: () => void): void {
    this.#inCall = true;
    try {
      run();
    } finally {
      this.#inCall = false;
    }
  }

  add(state: ToldState, error?: SealwireError): void {
    const first = this.#untold.push([state, error]) === 1;
    if (!this.#inCall) this.tellAll();
    else if (first) runSoon(() => this.tellAll());
  }

  /** Reports the states that were not reported yet. Never called inside a call of the application. */
  tellAll(): void {
    for (const [state, error] of this.#untold.splice(0)) this.#tell(state, error);
  }
}
