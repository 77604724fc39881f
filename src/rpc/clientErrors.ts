// Errors of a call that are found before any connection has it.

import { SealwireError } from "../base/errors.ts";
import { requireBytes } from "../core/bytes.ts";
import { KIND_HEADER_BYTES, TAG_BYTES } from "../protocol/wire.ts";
import { reasonOf } from "./abortWatchers.ts";

/** What calls of a closed client reject with. */
export function closedError(): SealwireError {
  return new SealwireError("ERR_CLOSED", "the client is closed", { notBegun: true });
}

/** @throws SealwireError ERR_INVALID_ARGUMENT, ERR_MESSAGE_TOO_LARGE */
export function checkBody(body: Uint8Array, maxFrameBytes: number): void {
  requireBytes("body", body);
  const frameBytes = body.length + KIND_HEADER_BYTES + TAG_BYTES;
  if (frameBytes <= maxFrameBytes) return;
  const text = `a body of ${body.length} bytes makes a frame of ${frameBytes} bytes, maxFrameBytes is ${maxFrameBytes}`;
  throw new SealwireError("ERR_MESSAGE_TOO_LARGE", text);
}

/** The signal of a call aborted; `cause` is its reason. */
export function abortError(cause: unknown, notBegun = false): SealwireError {
  return new SealwireError("ERR_ABORTED", "the request was aborted", { cause, notBegun });
}

/** Why a call was not made whose signal had aborted before. */
export function abortedError(signal: AbortSignal): SealwireError {
  return abortError(reasonOf(signal), true);
}
