import { Buffer } from "node:buffer";

/** A frame that was sealed in pieces, in one. */
export function sealWhole(
  sealer: { sealPieces(header: Uint8Array, body: Uint8Array, give: (piece: Uint8Array) => void): void },
  header: Uint8Array,
  body: Uint8Array,
): Uint8Array {
  const pieces: Uint8Array[] = [];
  sealer.sealPieces(header, body, (piece) => pieces.push(piece));
  return new Uint8Array(Buffer.concat(pieces));
}
