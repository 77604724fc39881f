// Measures how long the records of one read have kept the event loop from everything else.

import { now } from "../core/eventLoop.ts";

/**
 * The time limit of a turn, and how often it is checked: after a number of messages, or of bytes of answers, because
 * one answer of a mebibyte costs as much as a thousand short ones. Of the time of short messages only a part counts
 * between two checks: on a busy machine another process may have used the rest, and waiting messages cost more than
 * others. The whole time of long answers counts.
 */
export const TURN_MS = 1.5;
/** The shortest turn, for connections that come when the others have used the time up. */
export const LEAST_TURN_MS = 0.5;
const LOOK_MS = 1;
const LOOK_MESSAGES = 32;
const LOOK_BYTES = 65_536;

export class TurnClock {
  /** The time of the turn is over: the event loop should poll for other events before more records are handled. */
  isOver = false;
  readonly #sent: { readonly accepted: number };
  readonly #time: () => number;
  #turnMs = TURN_MS;
  #ms = 0;
  #lookedAt = 0;
  /** Messages until the time is checked; and it is checked when so many bytes were accepted to be sent. */
  #untilCheck = LOOK_MESSAGES;
  #checkAtBytes = LOOK_BYTES;

  /** `sent`: the bytes that the connection was given to send. `time`: milliseconds of a clock that never goes back. */
  constructor(sent: { readonly accepted: number }, time: () => number = now) {
    this.#sent = sent;
    this.#time = time;
  }

  /**
   * The handling of a read begins, or continues after the event loop has run. It may take `turnMs` milliseconds. `at`:
   * the time, if the caller knows it, because reading a clock costs as much as handling a short record.
   */
  begin(turnMs = TURN_MS, at = this.#time()): void {
    this.#turnMs = turnMs;
    this.#ms = 0;
    this.#lookedAt = at;
    this.#untilCheck = LOOK_MESSAGES;
    this.isOver = false;
  }

  /** A message was handled or refused. */
  count(): void {
    if (--this.#untilCheck <= 0 || this.#sent.accepted >= this.#checkAtBytes) this.#check();
  }

  #check(): void {
    const { accepted } = this.#sent;
    this.#look(accepted >= this.#checkAtBytes ? Number.POSITIVE_INFINITY : LOOK_MS);
    this.#untilCheck = LOOK_MESSAGES;
    this.#checkAtBytes = accepted + LOOK_BYTES;
    this.isOver = this.#ms > this.#turnMs;
  }

  /** The milliseconds that the turn has taken so far. `at`: the time, if the caller knows it. */
  taken(at?: number): number {
    this.#look(LOOK_MS, at);
    return this.#ms;
  }

  #look(mostMs: number, at = this.#time()): void {
    this.#ms += Math.min(at - this.#lookedAt, mostMs);
    this.#lookedAt = at;
  }
}
