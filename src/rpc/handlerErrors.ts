// Turns a thrown value into the error that a handler's caller gets. A handler can throw anything: an object without a
// prototype, a proxy, an error whose getters throw. None of that may throw here.

import { isReceived, isSealwireError } from "../base/errors.ts";
import { requireBytes } from "../core/bytes.ts";
import { MAX_CODE_LENGTH } from "../protocol/errorBody.ts";

/** How much of an error the caller gets. */
export interface ErrorExposure {
  /** The error's message. */
  readonly exposeErrorMessages: boolean;
  /** The error's stack, message included. */
  readonly exposeStacks: boolean;
}

/** Texts are cut to this before anything is done with them. */
const MAX_TEXT_LENGTH = 4_096;
/** Longer data are not sent. */
const MAX_DATA_BYTES = 16_384;
const UNNAMED = "ERR_HANDLER";

/** `value[name]` if it is a string that can be read; otherwise undefined. */
function textProperty(value: unknown, name: string): string | undefined {
  try {
    const found = (Object(value) as Record<string, unknown>)[name];
    return typeof found === "string" ? found : undefined;
  } catch {
    return undefined;
  }
}

/** The bytes of an error's `data`. */
function dataOf(error: unknown): Uint8Array | undefined {
  try {
    const { data } = Object(error) as { data?: unknown };
    requireBytes("data", data);
    return data.length <= MAX_DATA_BYTES ? data : undefined;
  } catch {
    return undefined;
  }
}

function asText(value: unknown): string {
  try {
    return String(value);
  } catch {
    return "a value that is no text";
  }
}

/** The code of `error`, and its text as far as the options allow. */
export function describeForPeer(
  error: unknown,
  exposure: ErrorExposure,
): { readonly code: string; readonly text: string; readonly data: Uint8Array | undefined } {
  // If a handler's own request failed, its error keeps the code of that peer.
  const relayed = isSealwireError(error) ? textProperty(error, "remoteCode") : undefined;
  const code = relayed ?? textProperty(error, "code") ?? UNNAMED;
  let text = "";
  if (exposure.exposeStacks) text = textProperty(error, "stack") ?? "";
  if (text === "" && (exposure.exposeStacks || exposure.exposeErrorMessages)) {
    text = textProperty(error, "message") ?? asText(error);
  }
  // The data of another peer are not for this one.
  const data = relayed !== undefined || isReceived(error) ? undefined : dataOf(error);
  return { code: code.slice(0, MAX_CODE_LENGTH), text: text.slice(0, MAX_TEXT_LENGTH), data };
}
