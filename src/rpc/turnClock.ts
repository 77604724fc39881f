// Measures how long the handlers of one read have kept the event loop from everything else.

import { now } from "../core/eventLoop.ts";

/**
 * What a turn may take, and how often that is looked at: after so many messages, or so many bytes of answers, since
 * one answer of a mebibyte costs as much as a thousand short ones. Of the time between two looks only so much counts: on
 * a busy machine another process may have had the rest, and messages that wait for that cost more than those that don't.
 */
export const TURN_MS = 10;
const LOOK_MS = 4;
const LOOK_MASK = 31;
const LOOK_BYTES = 65_536;

export class TurnClock {
  /** Handlers have run for TURN_MS: before more do, the event loop should look for other events. */
  isOver = false;
  readonly #sent: { readonly accepted: number };
  readonly #time: () => number;
  #ms = 0;
  #lookedAt = 0;
  #lookedAtBytes = 0;
  #handled = 0;

  /** `sent`: what the connection was given to send. `time`: milliseconds of a clock that never goes back. */
  constructor(sent: { readonly accepted: number }, time: () => number = now) {
    this.#sent = sent;
    this.#time = time;
  }

  /** The handling of a read begins, or goes on after the event loop has run. */
  begin(): void {
    this.#ms = 0;
    this.#lookedAt = this.#time();
    this.#handled = 0;
    this.isOver = false;
  }

  /** A message was handled or refused. */
  count(): void {
    const { accepted } = this.#sent;
    if ((++this.#handled & LOOK_MASK) !== 0 && accepted - this.#lookedAtBytes < LOOK_BYTES) return;
    const at = this.#time();
    this.#ms += Math.min(at - this.#lookedAt, LOOK_MS);
    this.#lookedAt = at;
    this.#lookedAtBytes = accepted;
    this.isOver = this.#ms > TURN_MS;
  }
}
