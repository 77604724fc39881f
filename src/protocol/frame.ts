// Cuts a byte stream into frames (u32be length ‖ sealed). A frame that is complete in one read is opened where the
// socket put it, in the receive window of linear memory, or copied there once. One that is spread over reads is
// collected: up to WINDOW_FRAME_BYTES in one piece, in a pool slot or in JavaScript memory, every byte copied
// once; a larger one in chunks of JavaScript memory, taken as bytes arrive, never as announced.

import {
  FIRST_FRAME_AT,
  LARGE_CHUNK_BYTES,
  LENGTH_BYTES,
  PARTIAL_SLOT_FROM_BYTES,
  PARTIAL_SLOTS,
  SEGMENT_BYTES,
  SPARE_CHUNKS,
  WINDOW_FRAME_BYTES,
} from "../constants.ts";
import { readU32, writeU32 } from "../core/bytes.ts";
import { copyInto } from "../core/copy.ts";
import { JOIN, memory, RECEIVE_WINDOW, RECEIVE_WINDOW_BYTES } from "../core/crypto.ts";
import { acquireSlot, releaseSlot } from "../core/pool.ts";
import { release } from "../core/release.ts";
import { SealwireError } from "../errors.ts";

/** Who takes the frames. Its methods run during `FrameReader` calls and must not call the reader back. */
export interface FrameSink {
  /** How many frames it takes now. At 0 everything else is kept until `FrameReader.resume`. */
  demand(): number;
  /** `count` complete sealed frames fill linear memory [start, end), valid during the call. */
  frames(start: number, end: number, count: number): void;
  /** One complete large frame without its length prefix, in several chunks that are valid during the call. */
  largeFrame(chunks: readonly Uint8Array[]): void;
}

/** A large frame on its way in. */
interface LargeFrame {
  readonly chunks: Uint8Array[];
  filled: number;
  readonly total: number;
}

/** Chunks of large frames that were handled, for the next ones. */
const spareChunks: Uint8Array[] = [];

function newChunk(bytes: number): Uint8Array {
  return bytes === LARGE_CHUNK_BYTES && spareChunks.length > 0 ? spareChunks.pop()! : new Uint8Array(bytes);
}

function reuseChunks(chunks: readonly Uint8Array[]): void {
  for (const chunk of chunks) {
    if (spareChunks.length === SPARE_CHUNKS) return;
    if (chunk.length === LARGE_CHUNK_BYTES) spareChunks.push(chunk);
  }
}

/** Slots that partial frames hold now, of all connections. */
let partialSlots = 0;

/** A frame of at most WINDOW_FRAME_BYTES on its way in, its length prefix included. */
class PartialFrame {
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

  /** Takes what it needs of bytes [at, end); returns how many that were. */
  fill(bytes: Uint8Array, at: number, end: number): number {
    const take = Math.min(this.#total - this.#filled, end - at);
    copyInto(this.#bytes, this.#start + this.#filled, bytes.subarray(at, at + take));
    this.#filled += take;
    return take;
  }

  /** Gives the complete frame to the sink; it is gone afterwards. */
  deliver(sink: FrameSink): void {
    let start = this.#start;
    if (this.#slot === 0) {
      start = JOIN;
      copyInto(memory, start, this.#bytes);
      release(this.#bytes);
    }
    try {
      sink.frames(start, start + this.#total, 1);
    } finally {
      this.release();
    }
  }

  release(): void {
    if (this.#slot === 0) return;
    // It may have been opened in place.
    releaseSlot(this.#slot, FIRST_FRAME_AT + this.#total);
    partialSlots--;
    this.#slot = 0;
  }
}

export class FrameReader {
  readonly #sink: FrameSink;
  readonly #minBytes: number;
  readonly #maxBytes: number;
  /** The first bytes of a length, 0 to 3 of them. */
  #prefix = 0;
  #prefixBytes = 0;
  #partial: PartialFrame | undefined;
  #large: LargeFrame | undefined;
  /** What came while the sink took nothing. */
  #kept: Uint8Array | undefined;
  #stopped = false;
  /** Bytes were kept because the sink took no more; `resume` is due when it does. */
  stalled = false;

  /** Lengths count what follows the prefix; a frame outside [minBytes, maxBytes] is refused. */
  constructor(sink: FrameSink, minBytes: number, maxBytes: number) {
    this.#sink = sink;
    this.#minBytes = minBytes;
    this.#maxBytes = maxBytes;
  }

  /**
   * `length` bytes were read into linear memory at RECEIVE_WINDOW.
   *
   * @throws SealwireError ERR_FRAME_TOO_SHORT, ERR_FRAME_TOO_LARGE, as soon as the prefix is complete.
   */
  readWindow(length: number): void {
    this.#take(memory, RECEIVE_WINDOW, RECEIVE_WINDOW + length);
  }

  /** The same for bytes elsewhere, of any length; they are copied. Throws the same. */
  read(bytes: Uint8Array): void {
    this.#take(bytes, 0, bytes.length);
  }

  /** Goes on with what was kept while the sink's demand was 0. Throws the same as `readWindow`. */
  resume(): void {
    if (this.#stopped || this.#sink.demand() === 0) return;
    this.stalled = false;
    const kept = this.#kept ?? new Uint8Array(0);
    this.#kept = undefined;
    this.read(kept);
  }

  /** True when bytes wait here: an unfinished frame, or frames that the sink has not taken. */
  get hasUnread(): boolean {
    return (
      this.#prefixBytes > 0 ||
      this.#partial !== undefined ||
      this.#large !== undefined ||
      this.#kept !== undefined
    );
  }

  /** Forgets everything; later calls do nothing. Safe inside the sink's methods. */
  stop(): void {
    this.#stopped = true;
    this.#prefixBytes = 0;
    this.#partial?.release();
    this.#partial = undefined;
    this.#large = undefined;
    this.#kept = undefined;
  }

  #take(bytes: Uint8Array, at: number, end: number): void {
    if (this.stalled) {
      if (!this.#stopped) this.#keep(bytes, at, end);
      return;
    }
    while (!this.#stopped) {
      if (this.#partial !== undefined) {
        at += this.#partial.fill(bytes, at, end);
        if (!this.#partial.complete) return;
      } else if (this.#large !== undefined) {
        at += fillLarge(this.#large, bytes, at, end);
        if (this.#large.filled < this.#large.total) return;
      } else if (at === end) {
        return;
      }
      const demand = this.#sink.demand();
      if (demand === 0) {
        this.stalled = true;
        this.#keep(bytes, at, end);
        return;
      }
      if (this.#partial !== undefined || this.#large !== undefined) this.#deliverCollected();
      else at = this.#deliverRun(bytes, at, end, demand);
    }
  }

  #deliverCollected(): void {
    const partial = this.#partial;
    const large = this.#large;
    this.#partial = undefined;
    this.#large = undefined;
    partial?.deliver(this.#sink);
    if (large === undefined) return;
    this.#sink.largeFrame(large.chunks);
    reuseChunks(large.chunks);
  }

  /** Delivers the complete frames at the front of [at, end), or begins to collect one. Returns where it got to. */
  #deliverRun(bytes: Uint8Array, at: number, end: number, demand: number): number {
    const inWindow = bytes === memory;
    const stop = inWindow ? end : Math.min(end, at + RECEIVE_WINDOW_BYTES);
    let next = at;
    let count = 0;
    if (this.#prefixBytes === 0) {
      while (count < demand && stop - next >= LENGTH_BYTES) {
        const length = readU32(bytes, next);
        if (length < this.#minBytes || length > WINDOW_FRAME_BYTES || length > this.#maxBytes) break;
        if (stop - next - LENGTH_BYTES < length) break;
        next += LENGTH_BYTES + length;
        count++;
      }
    }
    if (count === 0) return this.#begin(bytes, at, end);
    let start = at;
    if (!inWindow) {
      start = RECEIVE_WINDOW;
      copyInto(memory, start, at === 0 && next === bytes.length ? bytes : bytes.subarray(at, next));
    }
    this.#sink.frames(start, start + next - at, count);
    return next;
  }

  /** Reads the length of a frame that will be collected; returns where its content begins. */
  #begin(bytes: Uint8Array, at: number, end: number): number {
    while (this.#prefixBytes < LENGTH_BYTES) {
      if (at === end) return at;
      this.#prefix = ((this.#prefix << 8) | bytes[at++]!) >>> 0;
      this.#prefixBytes++;
    }
    const length = this.#prefix;
    this.#prefixBytes = 0;
    this.#checkLength(length);
    if (length > WINDOW_FRAME_BYTES) this.#large = { chunks: [], filled: 0, total: length };
    else this.#partial = new PartialFrame(length);
    return at;
  }

  #checkLength(length: number): void {
    if (length < this.#minBytes) {
      throw new SealwireError(
        "ERR_FRAME_TOO_SHORT",
        `frame of ${length} bytes, at least ${this.#minBytes} expected`,
      );
    }
    if (length > this.#maxBytes) {
      throw new SealwireError("ERR_FRAME_TOO_LARGE", `frame of ${length} bytes, limit ${this.#maxBytes}`);
    }
  }

  #keep(bytes: Uint8Array, at: number, end: number): void {
    if (at === end) return;
    const before = this.#kept?.length ?? 0;
    const joined = new Uint8Array(before + end - at);
    if (this.#kept !== undefined) joined.set(this.#kept);
    joined.set(bytes.subarray(at, end), before);
    this.#kept = joined;
  }
}

/** Moves what is there into the large frame; returns how many bytes it took. */
function fillLarge(large: LargeFrame, bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && large.filled < large.total) {
    const offset = large.filled % LARGE_CHUNK_BYTES;
    if (offset === 0) large.chunks.push(newChunk(Math.min(LARGE_CHUNK_BYTES, large.total - large.filled)));
    const chunk = large.chunks.at(-1)!;
    const take = Math.min(chunk.length - offset, end - at);
    copyInto(chunk, offset, bytes.subarray(at, at + take));
    large.filled += take;
    at += take;
  }
  return at - start;
}
