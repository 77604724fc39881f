// When a socket is read again whose peer has proven nothing yet, and whose message of the handshake is incomplete. Each
// read costs a turn of the loop and objects of the runtime, and a peer can send its message byte by byte. So the socket
// rests for a quarter of the time that the peer has taken since the first bytes of this message. Then a message that is
// dripped costs some reads for the first second and four for each further one, and a peer with a slow path waits a
// quarter longer at most: the handshake's time limit, however short, remains that of the peer. A message in one piece
// waits for nothing, and neither does one whose second piece completes it.

import { now } from "../core/eventLoop.ts";
import { Deadline } from "./deadline.ts";
import { TIMER_TICK_MS, timers } from "./timers.ts";

/** The longest rest. */
const MOST_MS = 250;
/** The rest's part of the time that the message has taken. */
const SHARE = 0.25;

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
    const takenMs = now() - this.#startedAt;
    if (takenMs < TIMER_TICK_MS) return false;
    timers.arm(this, Math.min(SHARE * takenMs, MOST_MS));
    return true;
  }

  /** The message is complete, or won't be. True: the socket rested. It may hand out what it had already read. */
  end(): boolean {
    const { armed } = this;
    timers.cancel(this);
    return armed;
  }

  override expire(): void {
    this.#reader.readOn();
  }
}
