// Closes the socket of a connection that this side gives up, after a close record with the reason.
//
// If a socket is closed before all received bytes were read, the system answers with a reset. In Node and Deno a peer
// that writes at that moment sees the reset instead of the reason before it. So this side ends its stream, drops the
// bytes that still arrive, and closes the socket when the peer has ended its stream, which a peer does after it got the
// reason. HTTP servers call this a lingering close.

import type { ErrorCode, SealwireError } from "../base/errors.ts";
import { CallbackDeadline } from "./deadline.ts";
import type { EndingParts } from "./ending.ts";
import { timers } from "./timers.ts";
import type { Transport } from "./transport.ts";
import type { Writer } from "./writer.ts";

/** A peer that gets the reason ends its stream within a round trip or two. */
const LONGEST_MS = 1_000;
/** More than a peer may have on its way by default: credit of messages, and of streams on a slow path. */
const MOST_BYTES = 16_777_216;

/** A peer that has been silent for too long, or whose socket is lost, can't read a reason. */
const GONE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "ERR_READ_TIMEOUT",
  "ERR_WRITE_TIMEOUT",
  "ERR_CONNECTION_LOST",
]);

/**
 * Sends the peer the reason, if that is possible: not after a forged frame, and only as far as the socket takes it at
 * once. Returns whether the peer may be about to read it.
 */
export function sayWhy(
  { lifecycle, outbox, arrivals, writer }: EndingParts & { readonly writer: Writer },
  error: SealwireError | undefined,
): boolean {
  if (error === undefined || error.code === "ERR_DECRYPT") return false;
  const isTaken = writer.idle && !lifecycle.streamEnded;
  outbox.controls.close({ code: error.code, lastBegun: arrivals.lastBegun });
  outbox.sender.flush();
  // The end of a long message may be in the write, and the reason behind it.
  return isTaken && outbox.sender.isEmpty && outbox.controls.closed && !GONE.has(error.code);
}

export class LingeringClose {
  readonly #transport: Transport;
  readonly #deadline = new CallbackDeadline(() => this.finish());
  #leftBytes = MOST_BYTES;
  #endSent = false;

  /** `written`: the socket has taken the close. `drainTimeoutMs`: the longest time of closing; not 0. */
  constructor(transport: Transport, written: boolean, drainTimeoutMs: number) {
    this.#transport = transport;
    timers.arm(this.#deadline, Math.min(LONGEST_MS, drainTimeoutMs));
    if (written) this.written();
    transport.resume();
  }

  /** The socket has taken all written bytes. */
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

  /** The peer has ended its stream, or took too long for that. */
  finish(): void {
    this.stop();
    this.#transport.destroy();
  }

  /** The socket is gone. */
  stop(): void {
    timers.cancel(this.#deadline);
  }
}
