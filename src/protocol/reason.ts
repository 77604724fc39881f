// The reason of an end: the fields of cancel, drain and close.

import { SealwireError } from "../base/errors.ts";
import { decodeText, encodeText } from "../core/text.ts";
import { asCode } from "./errorBody.ts";
import { decodeFields, encodeFields, type Fields, u32Field, u32Value, unknownCritical } from "./fields.ts";

export interface Reason {
  /** A code, as errors have them. */
  readonly code?: string;
  readonly text?: string;
  /** Drain and close: the number of the last request that began; later requests did not begin and will not. */
  readonly lastBegun?: number;
  /** Drain and close: milliseconds after which the peer should dial again. */
  readonly retryAfterMs?: number;
}

const Tag = { code: 1, text: 2, lastBegun: 3, retryAfter: 4 } as const;
const known: ReadonlySet<number> = new Set(Object.values(Tag));
const MAX_TEXT_LENGTH = 1_024;

export function encodeReason({ code, text, lastBegun, retryAfterMs }: Reason): Uint8Array {
  const fields: Fields = new Map();
  if (code !== undefined) fields.set(Tag.code, encodeText(asCode(code)));
  if (text !== undefined) fields.set(Tag.text, encodeText(text.slice(0, MAX_TEXT_LENGTH)));
  if (lastBegun !== undefined) fields.set(Tag.lastBegun, u32Value(lastBegun));
  if (retryAfterMs !== undefined) fields.set(Tag.retryAfter, u32Value(retryAfterMs));
  return encodeFields(fields);
}

/**
 * The fields and numbers of a reason, checked completely.
 *
 * @throws SealwireError ERR_PROTOCOL
 */
function readReason(bytes: Uint8Array, start: number, end: number) {
  const fields = decodeFields(bytes, start, end);
  const critical = unknownCritical(fields, known);
  if (critical !== undefined) {
    throw new SealwireError("ERR_PROTOCOL", `a reason with the critical field ${critical}`);
  }
  const lastBegun = u32Field(fields, Tag.lastBegun);
  const retryAfterMs = u32Field(fields, Tag.retryAfter);
  return { fields, lastBegun, retryAfterMs };
}

/**
 * Checks a reason that is not read: its code and text are not decoded.
 *
 * @throws SealwireError ERR_PROTOCOL
 */
export function checkReason(bytes: Uint8Array, start: number, end: number): void {
  readReason(bytes, start, end);
}

/** @throws SealwireError ERR_PROTOCOL */
export function decodeReason(bytes: Uint8Array, start: number, end: number): Reason {
  const { fields, lastBegun, retryAfterMs } = readReason(bytes, start, end);
  const [code, text] = [fields.get(Tag.code), fields.get(Tag.text)];
  return {
    ...(code && { code: asCode(decodeText(code)) }),
    ...(text && { text: decodeText(text).slice(0, MAX_TEXT_LENGTH) }),
    ...(lastBegun !== undefined && { lastBegun }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  };
}
