// Closes the socket of a connection that this side gives up, behind a close that says why.
//
// A system answers a socket that is closed before everything was read from it with a reset. A peer that writes at that
// moment is told of the reset, in Node and Deno instead of the reason that lies before it. So this side ends its
// stream, drops what still arrives, and closes the socket when the peer has ended its own, as a peer does that was told:
// what HTTP servers call a lingering close.

import type { ErrorCode, SealwireError } from "../base/errors.ts";
import type { EndingParts } from "./ending.ts";
import { CallbackDeadline, timers } from "./timers.ts";
import type { Transport } from "./transport.ts";
import type { Writer } from "./writer.ts";

/** A peer that hears the reason ends its stream within a round trip or two. */
const LONGEST_MS = 1_000;
/** More than a peer may have on its way by default: credit of messages, and of streams on a slow path. */
const MOST_BYTES = 16_777_216;

/** A peer of which nothing is heard, or whose socket is lost, reads no reason. */
const GONE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "ERR_READ_TIMEOUT",
  "ERR_WRITE_TIMEOUT",
  "ERR_CONNECTION_LOST",
]);

/**
 * Tells the peer why it is given up, if it can be told: not where something was forged, and as far as the socket takes it
 * at once. Whether the peer may be about to read it.
 */
export function sayWhy(
  { lifecycle, outbox, arrivals, writer }: EndingParts & { readonly writer: Writer },
  error: SealwireError | undefined,
): boolean {
  if (error === undefined || error.code === "ERR_DECRYPT") return false;
  const isTaken = writer.idle && !lifecycle.streamEnded;
  outbox.controls.close({ code: error.code, lastBegun: arrivals.lastBegun });
  outbox.sender.flush();
  return isTaken && outbox.controls.closed && !GONE.has(error.code);
}

export class LingeringClose {
  readonly #transport: Transport;
  readonly #deadline = new CallbackDeadline(() => this.finish());
  #leftBytes = MOST_BYTES;
  #endSent = false;

  /** `written`: the socket has taken the close. `drainTimeoutMs`: how long closing may last at most; not 0. */
  constructor(transport: Transport, written: boolean, drainTimeoutMs: number) {
    this.#transport = transport;
    timers.arm(this.#deadline, Math.min(LONGEST_MS, drainTimeoutMs));
    if (written) this.written();
    transport.resume();
  }

  /** The socket has taken all that was written. */
  written(): void {
    if (this.#endSent) return;
    this.#endSent = true;
    this.#transport.end();
  }

  /** Bytes arrived, and are dropped. */
  received(bytes: number): void {
    this.#leftBytes -= bytes;
    if (this.#leftBytes < 0) this.finish();
  }

  /** The peer has ended its stream, or took too long for it. */
  finish(): void {
    this.stop();
    this.#transport.destroy();
  }

  /** The socket is gone. */
  stop(): void {
    timers.cancel(this.#deadline);
  }
}
