// Memory that the runtime allocated for one result (a cipher's output, a read) goes back at once, not when the
// collector comes: the next result then lies in memory that is mapped and warm.

import { wipe } from "./wipe.ts";

/** `ArrayBuffer.prototype.transfer` (ES2024): detaching is what frees. Node 20 lacks it; there the collector frees. */
const transfer = (ArrayBuffer.prototype as { transfer?: (bytes: number) => ArrayBuffer }).transfer;

/**
 * Below this a detached buffer costs more than it spares. 64 KiB through the runtime's GCM: 33 µs to 12 in Node 26
 * (docs/PERFORMANCE.md).
 */
const RELEASE_FROM_BYTES = 4_096;
/** Bun's ciphers allocate up to a block more than they return. */
const SPARE_BYTES = 32;

/**
 * Frees the memory of `bytes` if they have an ArrayBuffer to themselves. Nobody may use them afterwards; what they
 * held is not wiped.
 */
export function release(bytes: Uint8Array): void {
  if (transfer === undefined || bytes.length < RELEASE_FROM_BYTES) return;
  const { buffer } = bytes;
  if (buffer.byteLength - bytes.length <= SPARE_BYTES) transfer.call(buffer, 0);
}

/** The same for secrets: zeros first. */
export function wipeAndRelease(bytes: Uint8Array): void {
  wipe(bytes);
  release(bytes);
}
