// Copies of message bodies that are safe to keep. Small ones share an allocation with their neighbours, as
// Node's Buffer pool does: an own ArrayBuffer for each costs several times more than the copy.

import { SHARED_BODY_BYTES } from "../constants.ts";
import { release } from "../core/release.ts";
import { wipe } from "../core/wipe.ts";

/** One kept small body keeps at most this much alive. */
const SLAB_BYTES = 16_384;

/** Memory that large bodies are lent from, one after the other; larger ones get memory of their own. */
const SCRATCH_BYTES = 4_194_304;

let scratch: Uint8Array | undefined;

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

/** Memory for a large body that is lent to its handler: the same again and again, as long as nobody has it. */
export function takeScratch(bytes: number): Uint8Array {
  const found = scratch;
  scratch = undefined;
  return found !== undefined && found.length >= bytes ? found : new Uint8Array(bytes);
}

/** Wipes the `usedBytes` bytes of it that were used, and keeps it for the next body. */
export function returnScratch(bytes: Uint8Array, usedBytes: number): void {
  wipe(bytes.subarray(0, usedBytes));
  if (bytes.length <= SCRATCH_BYTES && (scratch === undefined || scratch.length < bytes.length))
    scratch = bytes;
  else release(bytes);
}
