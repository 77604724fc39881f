// Why something ends: the fields of cancel, drain and close.

import { decodeText, encodeText } from "../core/text.ts";
import { decodeFields, encodeFields, type Fields, u32Field, u32Value } from "./fields.ts";

export interface Reason {
  /** A code, as errors have them. */
  readonly code?: string;
  readonly text?: string;
  /** Drain and close: the number of the last request that was begun; those after it were not and won't be. */
  readonly lastBegun?: number;
  /** Drain and close: milliseconds after which it is worth coming back. */
  readonly retryAfterMs?: number;
}

const Tag = { code: 1, text: 2, lastBegun: 3, retryAfter: 4 } as const;
export const MAX_CODE_LENGTH = 64;
const MAX_TEXT_LENGTH = 1_024;

export function encodeReason({ code, text, lastBegun, retryAfterMs }: Reason): Uint8Array {
  const fields: Fields = new Map();
  if (code !== undefined) fields.set(Tag.code, encodeText(code.slice(0, MAX_CODE_LENGTH)));
  if (text !== undefined) fields.set(Tag.text, encodeText(text.slice(0, MAX_TEXT_LENGTH)));
  if (lastBegun !== undefined) fields.set(Tag.lastBegun, u32Value(lastBegun));
  if (retryAfterMs !== undefined) fields.set(Tag.retryAfter, u32Value(retryAfterMs));
  return encodeFields(fields);
}

/** @throws SealwireError ERR_PROTOCOL */
export function decodeReason(bytes: Uint8Array, start: number, end: number): Reason {
  const fields = decodeFields(bytes, start, end);
  const [code, text] = [fields.get(Tag.code), fields.get(Tag.text)];
  const lastBegun = u32Field(fields, Tag.lastBegun);
  const retryAfterMs = u32Field(fields, Tag.retryAfter);
  return {
    ...(code && { code: decodeText(code).slice(0, MAX_CODE_LENGTH) }),
    ...(text && { text: decodeText(text).slice(0, MAX_TEXT_LENGTH) }),
    ...(lastBegun !== undefined && { lastBegun }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  };
}
