import { Buffer } from "node:buffer";
import { PieceWriter } from "../../src/core/pieceWriter.ts";

/** What seals frames in pieces: a cipher or a session. */
export interface PieceSealer {
  sealPieces(header: Uint8Array, body: Uint8Array, writer: PieceWriter): void;
}

/** The pieces of one frame. */
export function piecesOf(sealer: PieceSealer, header: Uint8Array, body: Uint8Array): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  const writer = new PieceWriter((piece) => pieces.push(piece));
  sealer.sealPieces(header, body, writer);
  const rest = writer.rest(true);
  return rest === undefined ? pieces : [...pieces, rest];
}

/** A frame that was sealed in pieces, in one. */
export function sealWhole(sealer: PieceSealer, header: Uint8Array, body: Uint8Array): Uint8Array {
  return new Uint8Array(Buffer.concat(piecesOf(sealer, header, body)));
}
