// Memory for pieces of long frames, sealed ones only: they wait to be written, or were read and wait for their rest. It
// is used again, because new memory costs more than the copy that fills it (docs/PERFORMANCE-LOG.md).

import { COPY_HAZARD_BYTES } from "./copy.ts";
import { detach } from "./detach.ts";

/** A multiple of 1 KiB that takes the frame of a body of 64 KiB. */
const BUFFER_BYTES = 66_560;
/** The offset of a piece in its buffer, so that copies of a cipher's output are fast (copy.ts). */
const OFFSET = COPY_HAZARD_BYTES;

/** The longest piece. */
export const MAX_PIECE_BYTES = BUFFER_BYTES - OFFSET;

/** The most buffers that are stored for reuse: 4 MiB, in a process that sends or receives long frames. */
export const SPARE_PIECES = 64;

const spare: ArrayBuffer[] = [];

/** Memory for a piece of at most MAX_PIECE_BYTES, with arbitrary sealed bytes; a short one gets memory of its length. */
export function takePiece(bytes: number): Uint8Array {
  if (bytes < MAX_PIECE_BYTES / 2) return new Uint8Array(bytes);
  return new Uint8Array(spare.pop() ?? new ArrayBuffer(BUFFER_BYTES), OFFSET, bytes);
}

/**
 * Frees a piece, or memory of a piece's kind that came from elsewhere. No code may use it afterwards. Freeing twice is a
 * bug in this package and throws, as two pieces would share memory.
 */
export function freePiece(piece: Uint8Array): void {
  const { buffer } = piece;
  if (buffer.byteLength !== BUFFER_BYTES) return detach(piece);
  if (spare.includes(buffer as ArrayBuffer)) throw new Error("piece freed twice");
  if (spare.length < SPARE_PIECES) spare.push(buffer as ArrayBuffer);
  else detach(new Uint8Array(buffer));
}
