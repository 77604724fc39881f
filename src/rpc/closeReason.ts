// Decides which error the callers of a connection get when it ends. All functions are pure.

import { type ErrorCode, isSealwireError, SealwireError } from "../base/errors.ts";
import { dialFailed } from "./dialError.ts";
import type { State } from "./lifecycle.ts";

/** The state of a connection, as far as the reason of its end depends on it. */
export interface Progress {
  readonly state: State;
  /** The peer said that it closes. */
  readonly peerClosed: boolean;
}

/** Reasons that callers get unchanged. Every other reason is the cause of ERR_CONNECTION_LOST. */
const OWN_REASONS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "ERR_CLOSED",
  "ERR_CONNECTION_LOST",
  "ERR_DIAL_FAILED",
  "ERR_DIAL_TIMEOUT",
  "ERR_HANDSHAKE",
  "ERR_HANDSHAKE_TIMEOUT",
  "ERR_READ_TIMEOUT",
  "ERR_UNAUTHORIZED",
  "ERR_WRITE_TIMEOUT",
]);

/** The reason of a connection's end as an error of this package; undefined if it ended in good order. */
export function typedReason(reason: unknown, state: State): SealwireError | undefined {
  if (reason === undefined) return undefined;
  const error = isSealwireError(reason)
    ? reason
    : new SealwireError("ERR_CONNECTION_LOST", "the connection failed", { cause: reason });
  if ((state !== "handshaking" && state !== "unproven") || OWN_REASONS.has(error.code)) return error;
  return new SealwireError("ERR_HANDSHAKE", `the handshake failed: ${error.message}`, { cause: error });
}

/** The error of calls that still wait. `notBegun`: there were no keys, so no part of them can have left. */
export function callError(error: SealwireError | undefined, notBegun: boolean): SealwireError {
  if (error === undefined) return new SealwireError("ERR_CLOSED", "the connection was closed", { notBegun });
  if (OWN_REASONS.has(error.code)) {
    return new SealwireError(error.code, error.message, { cause: error.cause, notBegun });
  }
  const text = `the connection was lost: ${error.message}`;
  return new SealwireError("ERR_CONNECTION_LOST", text, { cause: error, notBegun });
}

/** The socket ended during the handshake. A refusing peer never says why. */
export function lostInHandshake(cause: unknown): SealwireError {
  const text =
    "the connection ended during the handshake: the peer may have other options (psk, keys, pattern, postQuantum, cipher, " +
    "prologue), refuse this side's key (its onConnectionState is told why), speak another protocol, or be lost";
  return new SealwireError("ERR_HANDSHAKE", text, { cause });
}

/** The stream was lost, or cut by the peer. */
export function lostReason({ state }: Progress, text: string, cause?: unknown): SealwireError {
  if (state === "handshaking" || state === "unproven") return lostInHandshake(cause);
  return new SealwireError("ERR_CONNECTION_LOST", text, { cause });
}

/**
 * The reason of a closed socket, which has `error` or none; undefined if the connection ended in good order.
 *
 * @param dialledAddress the address that a client dialled; undefined on a server
 */
export function closedReason(
  progress: Progress,
  dialledAddress: string | undefined,
  error: unknown,
): SealwireError | undefined {
  const { state, peerClosed } = progress;
  if (state === "dialing") return error instanceof SealwireError ? error : dialFailed(dialledAddress, error);
  if (peerClosed && state === "closing") return undefined;
  return lostReason(progress, "the connection was lost", error);
}
