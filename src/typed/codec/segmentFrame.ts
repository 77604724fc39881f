// Bytes beside a text, in one body:
//
//   body = u8 1 ‖ u32be n ‖ n × u32be length ‖ n segments ‖ text          the rest after the segments is the text
//
// No JSON text begins with a byte 1, so a body without segments is the text alone.

import { readU32, viewOf, writeU32 } from "../../core/bytes.ts";
import { wipe } from "../../core/wipe.ts";
import type { ResolvedCodecLimits } from "./codec.ts";
import { notDecodable, notEncodable } from "./valuePath.ts";

/** The first byte of a body that has segments or marks. */
export const FRAMED = 1;
const HEADER_BYTES = 5;
const SEGMENT_LENGTH_BYTES = 4;

/** The length of the body. */
export function framedLength(segments: readonly Uint8Array[], textBytes: number): number {
  let length = HEADER_BYTES + SEGMENT_LENGTH_BYTES * segments.length + textBytes;
  for (const segment of segments) length += segment.length;
  return length;
}

/** The body of a text and its segments, in memory of its own, of this length. */
export function frame(segments: readonly Uint8Array[], text: Uint8Array, length: number): Uint8Array {
  const body = new Uint8Array(length);
  body[0] = FRAMED;
  writeU32(body, 1, segments.length);
  let at = HEADER_BYTES;
  for (const segment of segments) {
    writeU32(body, at, segment.length);
    at += SEGMENT_LENGTH_BYTES;
  }
  for (const segment of segments) {
    body.set(segment, at);
    at += segment.length;
  }
  // A getter of a value may have transferred the memory of another part. Then all later bytes would be shifted.
  if (at + text.length !== length) {
    wipe(body);
    throw notEncodable([], "its bytes were transferred away meanwhile");
  }
  body.set(text, at);
  return body;
}

/** The parts of a body, as views. */
export interface Framed {
  readonly segments: readonly Uint8Array[];
  readonly text: Uint8Array;
}

/** @throws SealwireError ERR_DECODE */
export function unframe(body: Uint8Array, limits: ResolvedCodecLimits): Framed {
  const count = body.length < HEADER_BYTES ? 0 : readU32(body, 1);
  const first = HEADER_BYTES + SEGMENT_LENGTH_BYTES * count;
  if (count > limits.maxSegments)
    throw notDecodable(
      `it has ${count} byte segments, and at most ${limits.maxSegments} may be (maxSegments)`,
    );
  if (first > body.length || body.length < HEADER_BYTES) throw notDecodable("it ends within its header");
  const segments: Uint8Array[] = [];
  let at = first;
  for (let i = 0; i < count; i++) {
    const end = at + readU32(body, HEADER_BYTES + SEGMENT_LENGTH_BYTES * i);
    if (end > body.length) throw notDecodable("it ends within a byte segment");
    segments.push(viewOf(body, at, end));
    at = end;
  }
  return { segments, text: viewOf(body, at, body.length) };
}
