// One sealed frame, of any size, given out in pieces of PIECE_BYTES. Every piece is filled before it is given out; the
// last one is allocated at its exact size.

import { PIECE_BYTES } from "./aeadPieces.ts";
import { writeU32 } from "./bytes.ts";
import { copyInto } from "./copy.ts";
import { detach } from "./detach.ts";
import { LENGTH_BYTES } from "./frameLayout.ts";

export class PieceWriter {
  readonly #give: (piece: Uint8Array) => void;
  /** Bytes of the frame that were not passed on. */
  #left: number;
  #piece: Uint8Array;
  /** How far the piece is filled. */
  #at = LENGTH_BYTES;

  /** @param length of the sealed frame without its length prefix, which this writes */
  constructor(length: number, give: (piece: Uint8Array) => void) {
    this.#give = give;
    this.#left = LENGTH_BYTES + length;
    this.#piece = this.#newPiece();
    writeU32(this.#piece, 0, length);
  }

  /** The next ciphertext. `owned`: it has memory to itself, which this writer may pass on or free. */
  append(ciphertext: Uint8Array, owned: boolean): void {
    for (let from = 0; from < ciphertext.length; ) {
      if (this.#at === 0) {
        // A whole piece, and the current piece is empty: it is passed on without a copy.
        if (owned && ciphertext.length === PIECE_BYTES) return this.#next(ciphertext);
        this.#piece = this.#newPiece();
      }
      const take = Math.min(ciphertext.length - from, this.#piece.length - this.#at);
      copyInto(this.#piece, this.#at, ciphertext.subarray(from, from + take));
      from += take;
      this.#at += take;
      if (this.#at === this.#piece.length) this.#next(this.#piece);
    }
    if (owned) detach(ciphertext);
  }

  #newPiece(): Uint8Array {
    return new Uint8Array(Math.min(this.#left, PIECE_BYTES));
  }

  #next(full: Uint8Array): void {
    this.#left -= full.length;
    this.#at = 0;
    this.#give(full);
  }
}
