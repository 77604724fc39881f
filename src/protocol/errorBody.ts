// The body of a protocol v2 error record: u8 origin ‖ u8 n ‖ code (ASCII) ‖ u16be m ‖ text (UTF-8) ‖ data.

import { SealwireError } from "../base/errors.ts";
import { copyOf, viewOf } from "../core/bytes.ts";
import { decodeText, encodeText } from "../core/text.ts";
import { wipe } from "../core/wipe.ts";

/** The origin of a request's failure. */
export const Origin = {
  /** The application's handler. */
  handler: 0,
  /** The library refused the request before any work, so it may safely go elsewhere. Only the library sends this. */
  notBegun: 1,
  /** The library ended a request whose handler may have run. */
  library: 2,
} as const;
export type Origin = (typeof Origin)[keyof typeof Origin];

/** Characters of a code, and bytes, since all of them are ASCII. */
export const MAX_CODE_LENGTH = 64;
export const MAX_TEXT_BYTES = 4_096;
const EMPTY = new Uint8Array(0);

/**
 * A code in a form that can be sent and passed on: cut, and with `_` for anything but visible ASCII, because codes
 * often end up in logs.
 */
export function asCode(code: string): string {
  return code.slice(0, MAX_CODE_LENGTH).replace(/[^\x21-\x7e]/g, "_");
}

/**
 * The error for a failed request's caller. The calling code wipes the body once it was sent. Code and text are cut to
 * 64 and 4,096 bytes.
 */
export function encodeError(
  origin: Origin,
  code: string,
  text: string,
  data: Uint8Array = EMPTY,
): Uint8Array {
  const codeBytes = encodeText(asCode(code));
  // A text of so many characters may have three times as many bytes.
  const wholeText = encodeText(text.slice(0, MAX_TEXT_BYTES));
  const textBytes = wholeText.subarray(0, MAX_TEXT_BYTES);
  const body = new Uint8Array(4 + codeBytes.length + textBytes.length + data.length);
  body[0] = origin;
  body[1] = codeBytes.length;
  body.set(codeBytes, 2);
  const at = 2 + codeBytes.length;
  body[at] = textBytes.length >>> 8;
  body[at + 1] = textBytes.length;
  body.set(textBytes, at + 2);
  body.set(data, at + 2 + textBytes.length);
  wipe(wholeText);
  return body;
}

/** The ERR_REMOTE error that the caller gets. Never throws: missing parts of a malformed body are empty. */
export function decodeError(body: Uint8Array): SealwireError {
  const codeEnd = Math.min(2 + (body[1] ?? 0), body.length);
  const code = asCode(decodeText(viewOf(body, Math.min(2, codeEnd), codeEnd)));
  const textStart = Math.min(codeEnd + 2, body.length);
  const textLength = ((body[codeEnd] ?? 0) << 8) | (body[codeEnd + 1] ?? 0);
  const textEnd = Math.min(textStart + textLength, body.length);
  const text = decodeText(viewOf(body, textStart, textEnd));
  return new SealwireError("ERR_REMOTE", text || `the peer answered with the error ${code}`, {
    remoteCode: code,
    notBegun: body[0] === Origin.notBegun,
    data: textEnd < body.length ? copyOf(body, textEnd, body.length) : undefined,
  });
}
