// Looks endpoints up without a call, for clients that want to stay connected (`keepConnected`): while a lookup or an
// endpoint has failed and none has opened since, with growing, jittered pauses. Members dial again by themselves; what
// they can't do is find that a server has another address now.

import { CallbackDeadline, timers } from "./timers.ts";

const FIRST_STANDING_PAUSE_MS = 1_000;
const LONGEST_STANDING_PAUSE_MS = 30_000;

export class StandingLookups {
  readonly #random: () => number;
  readonly #due: CallbackDeadline;
  #isClosed = false;
  #pauseMs = FIRST_STANDING_PAUSE_MS;

  /** @param lookUp looks up if the floor between two lookups allows it; else it calls `needed` again */
  constructor(lookUp: () => void, random: () => number = Math.random) {
    this.#due = new CallbackDeadline(lookUp);
    this.#random = random;
  }

  /** Something failed: looks up after a pause, unless that is due already. */
  needed(): void {
    if (this.#due.armed || this.#isClosed) return;
    timers.arm(this.#due, this.#pauseMs * (0.5 + this.#random() / 2));
    this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_STANDING_PAUSE_MS);
  }

  /** An endpoint opened: the next failure is one of another outage. */
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
