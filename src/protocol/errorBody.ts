// The body of a protocol v2 error frame: u8 code length ‖ code (ASCII) ‖ text (UTF-8).

import { SealwireError } from "../base/errors.ts";
import { decodeText, encodeText } from "../core/text.ts";

const MAX_CODE_BYTES = 64;
const MAX_TEXT_BYTES = 4_096;

/** What a failed handler tells the caller. Code and text are cut to 64 and 4,096 bytes. */
export function encodeError(code: string, text: string): Uint8Array {
  const codeBytes = encodeText(code.replace(/[^\x21-\x7e]/g, "_").slice(0, MAX_CODE_BYTES));
  let textBytes = encodeText(text);
  if (textBytes.length > MAX_TEXT_BYTES) textBytes = textBytes.slice(0, MAX_TEXT_BYTES);
  const body = new Uint8Array(1 + codeBytes.length + textBytes.length);
  body[0] = codeBytes.length;
  body.set(codeBytes, 1);
  body.set(textBytes, 1 + codeBytes.length);
  return body;
}

/** The ERR_REMOTE error that the caller gets. Never throws: a malformed body gives an empty text. */
export function decodeError(body: Uint8Array): SealwireError {
  const codeLength = Math.min(body[0] ?? 0, body.length - 1);
  const remoteCode = decodeText(body.subarray(1, 1 + Math.max(codeLength, 0)));
  const text = decodeText(body.subarray(1 + Math.max(codeLength, 0)));
  return new SealwireError("ERR_REMOTE", text || `the peer answered with the error ${remoteCode}`, {
    remoteCode,
  });
}
