// Turns what a handler threw into what its caller is told. A handler can throw anything: an object without a prototype,
// a proxy, an error whose getters throw. None of that may throw here.

import { isSealwireError } from "../base/errors.ts";
import { isBytes } from "../core/bytes.ts";
import { MAX_CODE_LENGTH } from "../protocol/errorBody.ts";

/** How much of an error the caller gets to see. */
export interface ErrorExposure {
  /** The error's message. */
  readonly exposeErrorMessages: boolean;
  /** The error's stack, message included. */
  readonly exposeStacks: boolean;
}

/** Texts are cut to this before anything is done with them. */
const MAX_TEXT_LENGTH = 4_096;
/** Longer data stays at home. */
const MAX_DATA_BYTES = 16_384;
const UNNAMED = "ERR_HANDLER";

/** `value[name]` as a string, or undefined where it is none or can't be read. */
function textProperty(value: unknown, name: string): string | undefined {
  try {
    const found = (Object(value) as Record<string, unknown>)[name];
    return typeof found === "string" ? found : undefined;
  } catch {
    return undefined;
  }
}

/** Bytes that an error has for its caller, as its `data`. */
function dataOf(error: unknown): Uint8Array | undefined {
  try {
    const { data } = Object(error) as { data?: unknown };
    return isBytes(data) && data.length <= MAX_DATA_BYTES ? data : undefined;
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

/** What the caller is told of `error`: always a code, text only as far as the options say. */
export function describeForPeer(
  error: unknown,
  exposure: ErrorExposure,
): { readonly code: string; readonly text: string; readonly data: Uint8Array | undefined } {
  // An error of a peer that this handler asked in turn keeps the code that it had there.
  const relayed = isSealwireError(error) ? textProperty(error, "remoteCode") : undefined;
  const code = relayed ?? textProperty(error, "code") ?? UNNAMED;
  let text = "";
  if (exposure.exposeStacks) text = textProperty(error, "stack") ?? "";
  if (text === "" && (exposure.exposeStacks || exposure.exposeErrorMessages)) {
    text = textProperty(error, "message") ?? asText(error);
  }
  return { code: code.slice(0, MAX_CODE_LENGTH), text: text.slice(0, MAX_TEXT_LENGTH), data: dataOf(error) };
}
