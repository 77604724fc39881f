// Checks the options of requests, calls and sends. Their values are read before: the object's getters may give another
// value when they are asked again.

import { invalidArgument } from "../base/errors.ts";
import { integerOption, MAX_MS } from "../base/options.ts";
import { type AbortSignal, isAbortSignal } from "../core/abortSignal.ts";
import { requireBytes } from "../core/bytes.ts";
import { type CallHead, checkHead } from "../protocol/head.ts";
import { PreparedHead } from "../protocol/preparedHead.ts";

/** @throws SealwireError ERR_INVALID_ARGUMENT */
export function requireOptions(options: unknown): asserts options is object {
  if (typeof options !== "object" || options === null) throw invalidArgument("options", "an object");
}

/** @throws SealwireError ERR_INVALID_ARGUMENT naming the option */
export function checkRequestOptions(
  signal: AbortSignal | undefined,
  timeoutMs: number | undefined,
  into: Uint8Array | undefined,
): void {
  if (signal !== undefined && !isAbortSignal(signal)) throw invalidArgument("signal", "an AbortSignal");
  if (into !== undefined) requireBytes("into", into);
  if (timeoutMs !== undefined) integerOption("timeoutMs", timeoutMs, 0, MAX_MS);
}

/** @throws SealwireError ERR_INVALID_ARGUMENT naming the option */
export function checkCallOptions(
  signal: AbortSignal | undefined,
  timeoutMs: number | undefined,
  into: Uint8Array | undefined,
  head: CallHead | undefined,
  streams: boolean | undefined,
): void {
  checkRequestOptions(signal, timeoutMs, into);
  if (head !== undefined && !(head instanceof PreparedHead)) checkHead(head);
  if (streams !== undefined && typeof streams !== "boolean") throw invalidArgument("streams", "a boolean");
}
