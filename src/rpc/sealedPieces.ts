// Sealed frames that wait to be written, in JavaScript memory.

import { PieceWriter } from "../core/pieceWriter.ts";

/** Sealed frames in JavaScript memory, in pieces, each one write. Until they are `complete`, more may come. */
export class SealedPieces {
  readonly pieces: Uint8Array[] = [];
  next = 0;
  complete = false;
  /** The counted cost of its only piece; undefined: the length of each piece. */
  readonly cost: number | undefined;
  /** The counted overhead, until the next piece leaves. */
  overhead = 0;

  constructor(cost?: number) {
    this.cost = cost;
  }
}

/** Frames that are sealed piece by piece, one after the other. */
export class GrowingPieces extends SealedPieces {
  readonly writer: PieceWriter;

  /** @param onPiece a piece is full */
  constructor(onPiece: () => void) {
    super();
    this.writer = new PieceWriter((piece) => {
      this.pieces.push(piece);
      onPiece();
    });
  }

  /** No further frame comes: the last piece may leave as it is. `waits`: see PieceWriter.rest. */
  close(waits: boolean): void {
    const rest = this.writer.rest(waits);
    if (rest !== undefined) this.pieces.push(rest);
    this.complete = true;
  }
}
