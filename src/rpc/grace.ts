// The time between the decision to close a server and the end of accepting.

import { now } from "../core/eventLoop.ts";
import { CallbackDeadline } from "./deadline.ts";
import { timers } from "./timers.ts";

export class Grace {
  readonly #over = new CallbackDeadline(() => this.#finish());
  #finish!: () => void;
  /** When it ends, by the monotonic clock. */
  #end = Number.POSITIVE_INFINITY;
  /** Resolves when it is over; it begins with the first `endWithin`. */
  readonly isOver = new Promise<void>((resolve) => {
    this.#finish = resolve;
  });

  /** Ends the grace after this time, unless it ends earlier. 0: now. */
  endWithin(ms: number): void {
    const end = now() + ms;
    if (end >= this.#end) return;
    this.#end = end;
    if (ms > 0) {
      timers.arm(this.#over, ms);
      return;
    }
    timers.cancel(this.#over);
    this.#finish();
  }
}
