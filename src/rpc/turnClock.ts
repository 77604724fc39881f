// Measures how long the handlers of one read have blocked the event loop.

import { now } from "../core/eventLoop.ts";

/**
 * The time limit of a turn, and how often it is checked: after a number of messages, or of bytes of answers, because
 * one answer of a mebibyte costs as much as a thousand short ones. Of the time between two checks only a part counts:
 * on a busy machine another process may have used the rest, and waiting messages cost more than others.
 */
export const TURN_MS = 10;
const LOOK_MS = 4;
const LOOK_MASK = 31;
const LOOK_BYTES = 65_536;

export class TurnClock {
  /** Handlers have run for TURN_MS: the event loop should look for other events before more run. */
  isOver = false;
  readonly #sent: { readonly accepted: number };
  readonly #time: () => number;
  #ms = 0;
  #lookedAt = 0;
  #lookedAtBytes = 0;
  #handled = 0;

  /** `sent`: the bytes that the connection was given to send. `time`: milliseconds of a clock that never goes back. */
  constructor(sent: { readonly accepted: number }, time: () => number = now) {
    this.#sent = sent;
    this.#time = time;
  }

  /** The handling of a read begins, or continues after the event loop has run. */
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
