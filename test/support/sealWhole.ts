import { Buffer } from "node:buffer";

/** A frame that was sealed in pieces, in one. */
export function sealWhole(
  sealer: { sealPieces(header: Uint8Array, body: Uint8Array): Uint8Array[] },
  header: Uint8Array,
  body: Uint8Array,
): Uint8Array {
  return new Uint8Array(Buffer.concat(sealer.sealPieces(header, body)));
}
