// Bytes of short texts. Many share one ArrayBuffer, since one of its own costs a body several times more than to write it.
// No byte is given out twice, so whatever runs meanwhile changes no body.

import { viewOf } from "../../core/bytes.ts";
import { encodeText, encodeTextInto } from "../../core/text.ts";
import { unfilledMemory } from "../../core/unfilledMemory.ts";

/** Longer texts get memory of their own. */
const LONGEST_BODY = 1_024;
/** A short body that somebody keeps holds so much alive. */
const SHORT_BODIES_BYTES = 16_384;
const WORD_BYTES = 8;

/** Where a text is written first, as its length is not known before; and its first bytes, by their number. */
const draft = new Uint8Array(LONGEST_BODY);
const drafts: (Uint8Array | undefined)[] = new Array<Uint8Array | undefined>(LONGEST_BODY + 1).fill(
  undefined,
);

let shared = new ArrayBuffer(0);
let used = 0;

/** The bytes of a text in `draft`, which the next text is written over; undefined for a longer one. */
function drafted(text: string): Uint8Array | undefined {
  const length = encodeTextInto(text, draft);
  if (length < 0) return undefined;
  const view = drafts[length] ?? viewOf(draft, 0, length);
  drafts[length] = view;
  return view;
}

/** The bytes of a text, in an ArrayBuffer of their own. */
export function bytesOfText(text: string): Uint8Array {
  // Engines keep what is very short without an ArrayBuffer.
  return drafted(text)?.slice() ?? encodeText(text);
}

/** The bytes of a text, in an ArrayBuffer that may be shared with other bodies: for what is copied before long. */
export function shortLivedBytesOfText(text: string): Uint8Array {
  const bytes = drafted(text);
  if (bytes === undefined) return encodeText(text);
  const { length } = bytes;
  if (used + length > shared.byteLength) {
    shared = unfilledMemory(SHORT_BODIES_BYTES);
    used = 0;
  }
  const body = new Uint8Array(shared, used, length);
  body.set(bytes);
  used += (length + WORD_BYTES - 1) & -WORD_BYTES;
  return body;
}
