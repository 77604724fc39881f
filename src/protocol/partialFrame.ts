// Collects frames that are spread over reads. A frame of at most MAX_SMALL_FRAME_BYTES is in one piece, in a pool slot
// or in JavaScript memory, and every byte of it is copied once. A larger one is in pieces of JavaScript memory, which
// are allocated when bytes arrive, never when a length is announced. No piece is copied to grow, and the cipher takes
// each as it is.

import { writeU32 } from "../core/bytes.ts";
import { copyInto } from "../core/copy.ts";
import { detach } from "../core/detach.ts";
import { freePiece, MAX_PIECE_BYTES, takePiece } from "../core/pieceMemory.ts";
import { acquireSlot, releaseSlot } from "../core/slotPool.ts";
import { memory } from "../core/wasmModule.ts";
import type { FrameSink } from "./frameSink.ts";
import { copyToJoin } from "./receiveMemory.ts";
import { FIRST_FRAME_AT, SEGMENT_BYTES } from "./segment.ts";
import { LENGTH_BYTES } from "./wire.ts";

/** Sealed frames up to this size are opened in linear memory. Larger ones are collected in JavaScript memory. */
export const MAX_SMALL_FRAME_BYTES = 65_536;

/** A frame from this size on that is spread over reads is collected in a pool slot… */
export const PARTIAL_SLOT_FROM_BYTES = 16_384;
/** …while partial frames hold fewer than this many slots; the others are for sending. */
export const PARTIAL_SLOTS = 64;

/** A frame that is being received. */
export interface PartialFrame {
  readonly complete: boolean;
  /** Takes the bytes that it needs of [at, end); returns their number. */
  fill(bytes: Uint8Array, at: number, end: number): number;
  /** Passes the complete frame to the sink; the frame is gone afterwards. */
  deliver(sink: FrameSink): void;
  /** Releases its memory. Idempotent. */
  release(): void;
}

/** Begins to collect a frame whose length prefix says `length`. */
export function beginFrame(length: number): PartialFrame {
  return length > MAX_SMALL_FRAME_BYTES ? new LargePartialFrame(length) : new SmallPartialFrame(length);
}

/** Slots that partial frames hold now, of all connections. */
let partialSlots = 0;

/** A frame of at most MAX_SMALL_FRAME_BYTES; its length prefix is collected, too. */
class SmallPartialFrame implements PartialFrame {
  /** Its pool slot; 0 when it is in JavaScript memory. */
  #slot = 0;
  readonly #bytes: Uint8Array;
  readonly #start: number;
  readonly #total: number;
  #filled = LENGTH_BYTES;

  constructor(length: number) {
    this.#total = LENGTH_BYTES + length;
    if (
      length >= PARTIAL_SLOT_FROM_BYTES &&
      FIRST_FRAME_AT + this.#total <= SEGMENT_BYTES &&
      partialSlots < PARTIAL_SLOTS
    ) {
      this.#slot = acquireSlot();
    }
    if (this.#slot !== 0) {
      partialSlots++;
      this.#bytes = memory;
      this.#start = this.#slot + FIRST_FRAME_AT;
    } else {
      this.#bytes = new Uint8Array(this.#total);
      this.#start = 0;
    }
    writeU32(this.#bytes, this.#start, length);
  }

  get complete(): boolean {
    return this.#filled === this.#total;
  }

  fill(bytes: Uint8Array, at: number, end: number): number {
    const take = Math.min(this.#total - this.#filled, end - at);
    copyInto(this.#bytes, this.#start + this.#filled, bytes.subarray(at, at + take));
    this.#filled += take;
    return take;
  }

  deliver(sink: FrameSink): void {
    let start = this.#start;
    if (this.#slot === 0) {
      start = copyToJoin(this.#bytes);
      detach(this.#bytes);
    }
    try {
      sink.frames(start, start + this.#total, 1);
    } finally {
      this.release();
    }
  }

  release(): void {
    if (this.#slot === 0) return;
    // The frame may have been opened in place.
    releaseSlot(this.#slot, FIRST_FRAME_AT + this.#total);
    partialSlots--;
    this.#slot = 0;
  }
}

class LargePartialFrame implements PartialFrame {
  readonly #pieces: Uint8Array[] = [];
  readonly #total: number;
  #filled = 0;

  constructor(length: number) {
    this.#total = length;
  }

  get complete(): boolean {
    return this.#filled === this.#total;
  }

  fill(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end && this.#filled < this.#total) {
      const offset = this.#filled % MAX_PIECE_BYTES;
      if (offset === 0) this.#pieces.push(takePiece(Math.min(MAX_PIECE_BYTES, this.#total - this.#filled)));
      const piece = this.#pieces.at(-1)!;
      const take = Math.min(piece.length - offset, end - at);
      copyInto(piece, offset, bytes.subarray(at, at + take));
      this.#filled += take;
      at += take;
    }
    return at - start;
  }

  deliver(sink: FrameSink): void {
    try {
      sink.largeFrame(this.#pieces);
    } finally {
      this.release();
    }
  }

  release(): void {
    for (const piece of this.#pieces) freePiece(piece);
    this.#pieces.length = 0;
  }
}
