// Collects sealed frames in pieces, each of which is one write. Frames follow each other without a gap, so that the last
// bytes of one leave with the first ones of the next, and a loopback device carries each full piece in one packet.

import { writeU32 } from "./bytes.ts";
import { copyInto } from "./copy.ts";
import { detach } from "./detach.ts";
import { LENGTH_BYTES } from "./frameLayout.ts";
import { freePiece, takePiece } from "./pieceMemory.ts";

/**
 * The length of a full piece, which is a good size for a write. It is 1 KiB less than 64 KiB, because Node's ciphers
 * copy their output slowly at 65,536 bytes: their two allocations then lie at the slow distance (copy.ts;
 * docs/PERFORMANCE-LOG.md). It is a multiple of 64, so that no block of a cipher is split.
 */
export const PIECE_BYTES = 64_512;
/** Frames from this size on share pieces. A shorter one that begins a piece gets memory of its length. */
const SHARING_BYTES = PIECE_BYTES / 2;
const MOSTLY_FULL_BYTES = (PIECE_BYTES * 7) / 8;
const NONE = new Uint8Array(0);
/** The length prefix of the frame that begins. */
const prefix = new Uint8Array(LENGTH_BYTES);

export class PieceWriter {
  readonly #give: (piece: Uint8Array) => void;
  /** The piece that is being filled, and how far. */
  #piece: Uint8Array = NONE;
  #filled = 0;
  /** Bytes of the current frame that did not come. */
  #left = 0;
  #shares = false;

  /** @param give takes each piece once it is full; it has memory of its own, for `freePiece` */
  constructor(give: (piece: Uint8Array) => void) {
    this.#give = give;
  }

  /** Bytes of the piece that is being filled. */
  get filled(): number {
    return this.#filled;
  }

  /** A sealed frame begins; `length` of its bytes follow the prefix, which this writes. */
  begin(length: number): void {
    this.#left = LENGTH_BYTES + length;
    this.#shares = this.#left >= SHARING_BYTES;
    writeU32(prefix, 0, length);
    this.append(prefix, false);
  }

  /** The next bytes of the frame. `owned`: they have memory to themselves, which this writer may pass on or free. */
  append(sealed: Uint8Array, owned: boolean): void {
    for (let from = 0; from < sealed.length; ) {
      if (this.#filled === 0) {
        if (owned && from === 0 && sealed.length === PIECE_BYTES) {
          // A whole piece is passed on without a copy.
          this.#left -= PIECE_BYTES;
          this.#give(sealed);
          return;
        }
        this.#piece = takePiece(this.#shares ? PIECE_BYTES : Math.min(this.#left, PIECE_BYTES));
      }
      const bytes = Math.min(sealed.length - from, this.#piece.length - this.#filled);
      copyInto(this.#piece, this.#filled, sealed.subarray(from, from + bytes));
      from += bytes;
      this.#filled += bytes;
      this.#left -= bytes;
      if (this.#filled === this.#piece.length) this.#give(this.#take());
    }
    if (owned) detach(sealed);
  }

  /**
   * The last bytes, if a piece is not full. Between frames only: the next one begins a piece. `waits`: they may wait for
   * long, and are counted by their length, so they do not keep much more memory than that.
   */
  rest(waits: boolean): Uint8Array | undefined {
    if (this.#filled === 0) return undefined;
    const filled = this.#filled;
    const piece = this.#take();
    if (!waits || filled >= MOSTLY_FULL_BYTES) return piece.subarray(0, filled);
    const bytes = piece.slice(0, filled);
    freePiece(piece);
    return bytes;
  }

  #take(): Uint8Array {
    const piece = this.#piece;
    this.#piece = NONE;
    this.#filled = 0;
    return piece;
  }
}
