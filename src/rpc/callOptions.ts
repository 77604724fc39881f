// Checks the options of requests, calls and sends. Their values are read before: the object's getters may give another
// value when they are asked again.

import { invalidArgument } from "../base/errors.ts";
import { checkOptionNames, integerOption, MAX_MS } from "../base/options.ts";
import { type AbortSignal, isAbortSignal } from "../core/abortSignal.ts";
import { requireBytes } from "../core/bytes.ts";
import { type CallHead, checkHead } from "../protocol/head.ts";
import { PreparedHead } from "../protocol/preparedHead.ts";
import type { CallOptions, RequestOptions, SendOptions } from "./peer.ts";

export const sendOptionNames: readonly string[] = ["head", "timeoutMs"] satisfies (keyof SendOptions)[];
export const requestOptionNames: readonly string[] = [
  "signal",
  "timeoutMs",
  "into",
] satisfies (keyof RequestOptions)[];
export const callOptionNames: readonly string[] = [
  "signal",
  "timeoutMs",
  "head",
  "streams",
] satisfies (keyof CallOptions)[];

/**
 * Checks the names of a call's options. It makes no list of them, because calls are many.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT naming an option that is not known
 */
export function requireOptions(options: unknown, known: readonly string[]): asserts options is object {
  if (typeof options !== "object" || options === null) throw invalidArgument("options", "an object");
  for (const name in options) {
    // `keptOptions` names them all, and leaves undefined what the call has not.
    if (!known.includes(name) && options[name as keyof typeof options] !== undefined)
      checkOptionNames(options, known);
  }
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
