// Copies of message bodies that are safe to keep. Small ones share an allocation with their neighbours, as
// Node's Buffer pool does: an own ArrayBuffer for each costs several times more than the copy.

import { SHARED_BODY_BYTES } from "../constants.ts";

/** One kept small body keeps at most this much alive. */
const SLAB_BYTES = 16_384;

let slab = new ArrayBuffer(0);
let used = 0;

/** A copy of bytes [start, end). */
export function copyBody(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const length = end - start;
  if (length > SHARED_BODY_BYTES) return viewOf(bytes, start, end).slice();
  if (used + length > slab.byteLength) {
    slab = new ArrayBuffer(SLAB_BYTES);
    used = 0;
  }
  const body = new Uint8Array(slab, used, length);
  used += length;
  body.set(viewOf(bytes, start, end));
  return body;
}

/** Bytes [start, end) as a plain Uint8Array, also where `bytes` is one of a runtime's subclasses. */
export function viewOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start);
}
