// Looks endpoints up without a call, for clients that stay connected (`keepConnected`). After a failure of a lookup or
// an endpoint it looks up with growing, random pauses until an endpoint opens. Members dial again by themselves, but
// only a lookup finds a server's new address.

import { CallbackDeadline } from "./deadline.ts";
import { timers } from "./timers.ts";

const FIRST_STANDING_PAUSE_MS = 1_000;
const LONGEST_STANDING_PAUSE_MS = 30_000;

export class StandingLookups {
  readonly #random: () => number;
  readonly #due: CallbackDeadline;
  #isClosed = false;
  #pauseMs = FIRST_STANDING_PAUSE_MS;

  /** @param lookUp looks up if the floor between two lookups allows it; otherwise it calls `needed` again */
  constructor(lookUp: () => void, random: () => number = Math.random) {
    this.#due = new CallbackDeadline(lookUp);
    this.#random = random;
  }

  /** A lookup or endpoint failed: looks up after a pause, unless that is due already. */
  needed(): void {
    if (this.#due.armed || this.#isClosed) return;
    timers.arm(this.#due, this.#pauseMs * (0.5 + this.#random() / 2));
    this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_STANDING_PAUSE_MS);
  }

  /** An endpoint opened: the next failure belongs to another outage. */
  opened(): void {
    this.#pauseMs = FIRST_STANDING_PAUSE_MS;
  }

  /** Whether the pause keeps the process alive. */
  keepAlive(on: boolean): void {
    timers.setQuiet(this.#due, !on);
  }

  close(): void {
    this.#isClosed = true;
    timers.cancel(this.#due);
  }
}
