// Decides which error the callers of a connection get when it ends. All functions are pure.

import { type ErrorCode, isSealwireError, SealwireError } from "../base/errors.ts";
import { dialFailed } from "./dialError.ts";
import type { State } from "./lifecycle.ts";

/** How far a connection is, as far as its reason to end depends on it. */
export interface Progress {
  readonly state: State;
  /** The peer said that nothing follows. */
  readonly peerClosed: boolean;
}

/** Reasons that callers get as they are; every other one is the cause of ERR_CONNECTION_LOST. */
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

/** Whatever ended the connection, as an error of this package; undefined when it ended in good order. */
export function typedReason(reason: unknown, state: State): SealwireError | undefined {
  if (reason === undefined) return undefined;
  const error = isSealwireError(reason)
    ? reason
    : new SealwireError("ERR_CONNECTION_LOST", "the connection failed", { cause: reason });
  if ((state !== "handshaking" && state !== "unproven") || OWN_REASONS.has(error.code)) return error;
  return new SealwireError("ERR_HANDSHAKE", `the handshake failed: ${error.message}`, { cause: error });
}

/** What calls that still wait reject with. `notBegun`: there were no keys, so nothing of them can have left. */
export function callError(error: SealwireError | undefined, notBegun: boolean): SealwireError {
  if (error === undefined) return new SealwireError("ERR_CLOSED", "the connection was closed", { notBegun });
  if (OWN_REASONS.has(error.code)) {
    return new SealwireError(error.code, error.message, { cause: error.cause, notBegun });
  }
  const text = `the connection was lost: ${error.message}`;
  return new SealwireError("ERR_CONNECTION_LOST", text, { cause: error, notBegun });
}

/** The socket ended while the handshake ran. Nothing is sent to say why a handshake is refused. */
export function lostInHandshake(cause: unknown): SealwireError {
  const text =
    "the connection ended during the handshake: the peer may have other options (psk, keys, pattern, postQuantum, cipher), " +
    "speak another protocol, or be lost";
  return new SealwireError("ERR_HANDSHAKE", text, { cause });
}

/** The stream was lost, or cut by the peer. */
export function lostReason({ state }: Progress, text: string, cause?: unknown): SealwireError {
  if (state === "handshaking" || state === "unproven") return lostInHandshake(cause);
  return new SealwireError("ERR_CONNECTION_LOST", text, { cause });
}

/**
 * The socket is closed, with `error` if it has one; undefined when nothing is missing.
 *
 * @param dialledAddress where a client dialled; undefined on a server
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
