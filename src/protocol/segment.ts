// Puts messages into frames, in place, in a send segment: one pool slot of linear memory that leaves in one write.
//
// Protocol v1: every message is a frame.   u32be length ‖ u32be sequence ‖ body ‖ tag
// Protocol v2: messages that leave in one write share frames, because sealing one long frame costs less than sealing
// each message (docs/PERFORMANCE-LOG.md). The plaintext of such a frame, a bundle, is a header and a list of records:
//
//   u32be length ‖ u32be 0 ‖ u8 bundle ‖ ( u32be n ‖ u32be sequence ‖ u8 kind ‖ body )… ‖ tag
//   └──── 9 bytes in front ────────────┘ └ has the shape of a frame by itself ────┘
//
// A message that stays alone is sent as the frame that its record is: the 9 bytes in front are left out.

import { COPY_HAZARD_BYTES, copyInto, LOOP_COPY_BYTES } from "../core/copy.ts";

import { memory } from "../core/wasmModule.ts";
import {
  KIND_HEADER_BYTES,
  Kind,
  LENGTH_BYTES,
  PAD_LENGTH_BYTES,
  PADDED_FLAG,
  SEQUENCE_HEADER_BYTES,
  TAG_BYTES,
} from "./wire.ts";

/**
 * A segment is one pool slot. Writes of less than 64 KiB need more calls, and longer ones gain nothing
 * (docs/PERFORMANCE-LOG.md, transport).
 */
export const SEGMENT_BYTES = 65_536;

/** Sealed frames up to this size go into segments. A larger one would fill them badly, and is sealed in pieces. */
export const SEGMENT_FRAME_BYTES = 32_768;

/**
 * The offset of the first frame in a pool slot. Its text, after the length, is where copies of long texts are fast
 * (copy.ts).
 */
export const FIRST_FRAME_AT = COPY_HAZARD_BYTES - LENGTH_BYTES;

/** The bytes before the first record of a bundle. */
const BUNDLE_FRONT_BYTES = LENGTH_BYTES + KIND_HEADER_BYTES;

/** How a connection frames its messages. */
export interface Framing {
  /** Protocol v2: headers with a kind, bundles, padding. */
  readonly withKind: boolean;
  /** Plaintexts are rounded up to a multiple of this; 0: no padding. */
  readonly padding: number;
  /** The longest sealed frame that may be sent. */
  readonly maxFrameBytes: number;
  /** The longest sealed frame that carries several messages; 0: every message has a frame of its own. */
  readonly bundleBytes: number;
}

/** The length of a plaintext with its padding; `bytes` is the length without. */
export function paddedBytes(framing: Framing, bytes: number): number {
  const { padding } = framing;
  return padding === 0 ? bytes : Math.ceil((bytes + PAD_LENGTH_BYTES) / padding) * padding;
}

/** The longest plaintext without padding that has at most this length with it. */
function unpaddedBytes({ padding }: Framing, bytes: number): number {
  return padding === 0 ? bytes : Math.floor(bytes / padding) * padding - PAD_LENGTH_BYTES;
}

/** The longest body whose frame is not longer than this, sealed. */
export function longestBody(framing: Framing, sealedBytes: number): number {
  return unpaddedBytes(framing, sealedBytes - TAG_BYTES) - headerBytes(framing);
}

/** Header length of the framing. */
export function headerBytes(framing: Framing): number {
  return framing.withKind ? KIND_HEADER_BYTES : SEQUENCE_HEADER_BYTES;
}

/** Writes the last `padBytes` bytes of a padded plaintext that ends at `end`: zeros, then u16be padBytes. */
export function writePadding(bytes: Uint8Array, end: number, padBytes: number): void {
  bytes.fill(0, end - padBytes, end - PAD_LENGTH_BYTES);
  bytes[end - 2] = padBytes >>> 8;
  bytes[end - 1] = padBytes;
}

const view = new DataView(memory.buffer);

export class Segment {
  readonly #framing: Framing;
  readonly #headerBytes: number;
  readonly #maxBundleBytes: number;
  /** The longest record that shares a frame with others; 0: none does. */
  readonly #longestShared: number;
  /** Address of the slot; 0: none yet. */
  slot = 0;
  /** Where the first frame begins and the last one ends. */
  start = 0;
  end = 0;
  /** Complete frames between them. */
  frames = 0;
  /** The cost that its owner counts for its messages. */
  cost = 0;
  sealed = false;
  /** The bundle that is being filled: its address, its number of records, and where its records have to end. */
  #bundleAt = 0;
  #records = 0;
  #mostEnd = 0;

  constructor(framing: Framing) {
    this.#framing = framing;
    this.#headerBytes = headerBytes(framing);
    const { bundleBytes, maxFrameBytes, withKind } = framing;
    this.#maxBundleBytes = Math.max(Math.min(bundleBytes, maxFrameBytes) - TAG_BYTES, 0);
    this.#longestShared = withKind ? this.#maxBundleBytes >>> 1 : 0;
  }

  /** Begins to fill a slot. */
  use(slot: number): void {
    this.slot = slot;
    this.start = slot + FIRST_FRAME_AT;
    this.end = this.start;
    this.frames = 0;
    this.cost = 0;
    this.sealed = false;
    this.#endBundle();
  }

  get isEmpty(): boolean {
    return this.frames === 0 && this.#records === 0;
  }

  /** Copies a message into the slot. False if it has no room there; then nothing has changed. Allocates nothing. */
  append(sequence: number, kind: number, body: Uint8Array): boolean {
    const recordBytes = LENGTH_BYTES + this.#headerBytes + body.length;
    const frame = this.end;
    if (recordBytes > this.#longestShared) return this.#appendAlone(sequence, kind, body, recordBytes);
    if (frame + recordBytes > this.#mostEnd) return this.#appendFirst(sequence, kind, body, recordBytes);
    this.#writeRecord(frame, sequence, kind, body, recordBytes);
    return true;
  }

  /** The first record of a bundle. */
  #appendFirst(sequence: number, kind: number, body: Uint8Array, recordBytes: number): boolean {
    if (this.#records > 0) this.#closeBundle();
    // It counts as alone after the front. If another one joins, #mostEnd counts for both.
    if (!this.#hasRoom(BUNDLE_FRONT_BYTES + LENGTH_BYTES, recordBytes - LENGTH_BYTES)) return false;
    const text = this.end + LENGTH_BYTES;
    const most = Math.min(this.#maxBundleBytes, this.slot + SEGMENT_BYTES - TAG_BYTES - text);
    this.#bundleAt = this.end;
    this.#mostEnd = text + unpaddedBytes(this.#framing, most);
    this.end += BUNDLE_FRONT_BYTES;
    this.#writeRecord(this.end, sequence, kind, body, recordBytes);
    return true;
  }

  #writeRecord(address: number, sequence: number, kind: number, body: Uint8Array, recordBytes: number): void {
    view.setUint32(address, recordBytes - LENGTH_BYTES);
    this.#writeMessage(address, sequence, kind, body);
    this.end = address + recordBytes;
    this.#records++;
  }

  /** Completes the last frame: now `frames` frames fill [start, end), ready to be sealed. */
  finish(): void {
    if (this.#records > 0) this.#closeBundle();
  }

  /** Whether `frontBytes` and then a plaintext of this length, padded and sealed, fit behind the end. */
  #hasRoom(frontBytes: number, plaintextBytes: number): boolean {
    const sealedBytes = paddedBytes(this.#framing, plaintextBytes) + TAG_BYTES;
    return this.end + frontBytes + sealedBytes <= this.slot + SEGMENT_BYTES;
  }

  #closeBundle(): void {
    if (this.#records === 1) {
      // A single message: its record becomes the frame. The first frame of a segment then begins later.
      if (this.#bundleAt === this.start) {
        this.start += BUNDLE_FRONT_BYTES;
        this.#bundleAt = this.start;
      } else {
        memory.copyWithin(this.#bundleAt, this.#bundleAt + BUNDLE_FRONT_BYTES, this.end);
        this.end -= BUNDLE_FRONT_BYTES;
      }
    } else {
      view.setUint32(this.#bundleAt + LENGTH_BYTES, 0);
      memory[this.#bundleAt + BUNDLE_FRONT_BYTES - 1] = Kind.bundle;
    }
    this.#closeFrame(this.#bundleAt);
    this.#endBundle();
  }

  /** No bundle is being filled. */
  #endBundle(): void {
    this.#records = 0;
    this.#mostEnd = 0;
  }

  /** A message that gets a frame of its own at once. */
  #appendAlone(sequence: number, kind: number, body: Uint8Array, recordBytes: number): boolean {
    if (this.#records > 0) this.#closeBundle();
    if (!this.#hasRoom(LENGTH_BYTES, recordBytes - LENGTH_BYTES)) return false;
    const frame = this.end;
    this.#writeMessage(frame, sequence, kind, body);
    this.end += recordBytes;
    this.#closeFrame(frame);
    return true;
  }

  /** Header and body of a message, after a length at `address` that is written elsewhere. */
  #writeMessage(address: number, sequence: number, kind: number, body: Uint8Array): void {
    view.setUint32(address + LENGTH_BYTES, sequence);
    let at = address + LENGTH_BYTES + SEQUENCE_HEADER_BYTES;
    if (this.#framing.withKind) memory[at++] = kind;
    const { length } = body;
    if (length > LOOP_COPY_BYTES) copyInto(memory, at, body);
    else for (let i = 0; i < length; i++) memory[at + i] = body[i]!;
  }

  /** The plaintext from `frame` to the end is complete: pads it, leaves space for the tag, writes the length. */
  #closeFrame(frame: number): void {
    const bytes = this.end - frame - LENGTH_BYTES;
    const plaintextBytes = paddedBytes(this.#framing, bytes);
    if (plaintextBytes > bytes) {
      this.end += plaintextBytes - bytes;
      writePadding(memory, this.end, plaintextBytes - bytes);
      memory[frame + LENGTH_BYTES + SEQUENCE_HEADER_BYTES]! |= PADDED_FLAG;
    }
    view.setUint32(frame, plaintextBytes + TAG_BYTES);
    this.end += TAG_BYTES;
    this.frames++;
  }
}
