// When a socket is read again whose peer has proven nothing yet, and whose message of the handshake is incomplete. Each
// read costs a turn of the loop and objects of the runtime, and a peer can send its message byte by byte. So the socket
// rests for as long as the peer has taken since the first bytes of this message. Then a message that is dripped costs a
// number of reads that grows with the logarithm of its time, and a peer with a slow path waits at most twice as long. A
// message in one piece waits for nothing, and neither does one whose second piece completes it.

import { now } from "../core/eventLoop.ts";
import { Deadline, TIMER_TICK_MS, timers } from "./timers.ts";

/** The longest rest. */
const MOST_MS = 1_000;

/** Whose socket rests. */
export interface RestingReader {
  /** The rest is over. */
  readOn(): void;
}

export class ReadBackoff extends Deadline {
  readonly #reader: RestingReader;
  readonly #startedAt = now();

  /** The first bytes of a message came, and others are missing. */
  constructor(reader: RestingReader) {
    super();
    this.#reader = reader;
    // The socket decides whether the process stays alive, not this timer.
    this.quiet = true;
  }

  /** Further bytes came, and others are still missing. True: the socket should rest, until `readOn`. */
  begin(): boolean {
    const ms = Math.min(now() - this.#startedAt, MOST_MS);
    if (ms < TIMER_TICK_MS) return false;
    timers.arm(this, ms);
    return true;
  }

  override expire(): void {
    this.#reader.readOn();
  }
}
