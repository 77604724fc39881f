// A record with a frame of its own, in JavaScript memory, because it is too long for a segment or no slot is free.

import { writeU32 } from "../core/bytes.ts";
import { type Framing, headerBytes, paddedBytes, writePadding } from "./segment.ts";
import { LENGTH_BYTES, PADDED_FLAG, SEQUENCE_HEADER_BYTES, TAG_BYTES } from "./wire.ts";

export interface LoneFrame {
  readonly header: Uint8Array;
  /** The body and its padding; without padding the body itself. */
  readonly text: Uint8Array;
  /** Bytes of the sealed frame, its length included. */
  readonly bytes: number;
}

/** Plaintext length of a body: header, body, padding. */
export function plaintextBytes(framing: Framing, bodyBytes: number): number {
  return paddedBytes(framing, headerBytes(framing) + bodyBytes);
}

export function loneFrame(framing: Framing, sequence: number, kind: number, body: Uint8Array): LoneFrame {
  const header = new Uint8Array(headerBytes(framing));
  const frameBytes = plaintextBytes(framing, body.length);
  const padBytes = frameBytes - header.length - body.length;
  writeU32(header, 0, sequence);
  if (framing.withKind) header[SEQUENCE_HEADER_BYTES] = padBytes === 0 ? kind : kind | PADDED_FLAG;
  let text = body;
  if (padBytes > 0) {
    text = new Uint8Array(body.length + padBytes);
    text.set(body);
    writePadding(text, text.length, padBytes);
  }
  return { header, text, bytes: LENGTH_BYTES + frameBytes + TAG_BYTES };
}
