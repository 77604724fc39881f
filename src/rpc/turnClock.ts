// Measures how long the handlers of one read have kept the event loop from everything else.

import { now } from "../core/eventLoop.ts";

/**
 * What a turn may take, and how often that is looked at. Of the time between two looks only so much counts: on a busy
 * machine another process may have had the rest, and messages that wait for that cost more than those that don't.
 */
const TURN_MS = 10;
const LOOK_MS = 4;
const LOOK_MASK = 31;

export class TurnClock {
  /** Handlers have run for TURN_MS: before more do, the event loop should look for other events. */
  isOver = false;
  #ms = 0;
  #lookedAt = 0;
  #handlers = 0;

  /** The handling of a read begins, or goes on after the event loop has run. */
  begin(): void {
    this.#ms = 0;
    this.#lookedAt = now();
    this.#handlers = 0;
    this.isOver = false;
  }

  /** A handler begins. */
  count(): void {
    if ((++this.#handlers & LOOK_MASK) === 0) this.#look();
  }

  #look(): void {
    const at = now();
    this.#ms += Math.min(at - this.#lookedAt, LOOK_MS);
    this.#lookedAt = at;
    this.isOver = this.#ms > TURN_MS;
  }
}
