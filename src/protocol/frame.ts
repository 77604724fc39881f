// Cuts a byte stream into frames (u32be length ‖ sealed). Bytes are parsed where sockets put them, in the
// receive window of linear memory; an unfinished frame is parked in JavaScript memory and moved directly
// before the next bytes, so that a frame is always contiguous. Frames above WINDOW_FRAME_BYTES are collected
// in chunks of JavaScript memory, taken as bytes arrive, never as announced.
//
//            ┌───────── head room ─────────┬───────── window ──────────┐
//            │           parked partial ───┤ what the socket just read │
//            └─────────────────────────────┴───────────────────────────┘

import { LARGE_CHUNK_BYTES, LENGTH_BYTES, SPARE_CHUNKS, WINDOW_FRAME_BYTES } from "../constants.ts";
import { readU32 } from "../core/bytes.ts";
import { copyInto } from "../core/copy.ts";
import { memory, RECEIVE_WINDOW, RECEIVE_WINDOW_BYTES } from "../core/crypto.ts";
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

/** u32be at an address of linear memory. */
export function readLength(address: number): number {
  return readU32(memory, address);
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

export class FrameReader {
  readonly #sink: FrameSink;
  readonly #minBytes: number;
  readonly #maxBytes: number;
  #parked: Uint8Array | undefined;
  #large: LargeFrame | undefined;
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
    if (this.#stopped) return;
    if (this.stalled) {
      this.#append(memory.subarray(RECEIVE_WINDOW, RECEIVE_WINDOW + length));
      return;
    }
    let start = RECEIVE_WINDOW;
    if (this.#parked !== undefined) {
      start -= this.#parked.length;
      copyInto(memory, start, this.#parked);
      this.#parked = undefined;
    }
    this.#consume(start, RECEIVE_WINDOW + length);
  }

  /** The same for bytes elsewhere, of any length; they are copied. Throws the same. */
  read(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length && !this.#stopped; at += RECEIVE_WINDOW_BYTES) {
      if (this.stalled) {
        this.#append(bytes.subarray(at));
        return;
      }
      const piece =
        bytes.length <= RECEIVE_WINDOW_BYTES ? bytes : bytes.subarray(at, at + RECEIVE_WINDOW_BYTES);
      memory.set(piece, RECEIVE_WINDOW);
      this.readWindow(piece.length);
    }
  }

  /** Goes on with what was kept while the sink's demand was 0. Throws the same as `readWindow`. */
  resume(): void {
    if (this.#stopped || this.#sink.demand() === 0) return;
    this.stalled = false;
    const parked = this.#parked;
    this.#parked = undefined;
    if (parked !== undefined) this.read(parked);
    else if (this.#large !== undefined) this.#consume(RECEIVE_WINDOW, RECEIVE_WINDOW);
  }

  /** True when bytes wait here: an unfinished frame, or frames that the sink has not taken. */
  get hasUnread(): boolean {
    return this.#parked !== undefined || this.#large !== undefined;
  }

  /** Forgets everything; later calls do nothing. Safe inside the sink's methods. */
  stop(): void {
    this.#stopped = true;
    this.#parked = undefined;
    this.#large = undefined;
  }

  #consume(start: number, end: number): void {
    while (!this.#stopped) {
      const demand = this.#sink.demand();
      if (this.#large !== undefined) {
        start += this.#fillLarge(this.#large, start, end);
        if (this.#large.filled < this.#large.total) return;
        if (demand === 0) return this.#stall(start, end);
        const { chunks } = this.#large;
        this.#large = undefined;
        this.#sink.largeFrame(chunks);
        reuseChunks(chunks);
        continue;
      }
      if (demand === 0 && start !== end) return this.#stall(start, end);

      let next = start;
      let count = 0;
      let length = 0;
      while (count < demand && end - next >= LENGTH_BYTES) {
        length = readLength(next);
        if (length < this.#minBytes || length > WINDOW_FRAME_BYTES || length > this.#maxBytes) break;
        if (end - next - LENGTH_BYTES < length) break;
        next += LENGTH_BYTES + length;
        count++;
      }
      if (count > 0) {
        this.#sink.frames(start, next, count);
        start = next;
        continue;
      }
      if (end - start < LENGTH_BYTES) return this.#park(start, end);
      this.#checkLength(length);
      if (length <= WINDOW_FRAME_BYTES) return this.#park(start, end);
      this.#large = { chunks: [], filled: 0, total: length };
      start += LENGTH_BYTES;
    }
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

  /** Moves what is there into the large frame; returns how many bytes it took. */
  #fillLarge(large: LargeFrame, start: number, end: number): number {
    let at = start;
    while (at < end && large.filled < large.total) {
      const offset = large.filled % LARGE_CHUNK_BYTES;
      if (offset === 0) large.chunks.push(newChunk(Math.min(LARGE_CHUNK_BYTES, large.total - large.filled)));
      const chunk = large.chunks.at(-1)!;
      const take = Math.min(chunk.length - offset, end - at);
      copyInto(chunk, offset, memory.subarray(at, at + take));
      large.filled += take;
      at += take;
    }
    return at - start;
  }

  #stall(start: number, end: number): void {
    this.stalled = true;
    this.#park(start, end);
  }

  #park(start: number, end: number): void {
    this.#parked = start === end ? undefined : memory.slice(start, end);
  }

  #append(bytes: Uint8Array): void {
    const parked = this.#parked ?? new Uint8Array(0);
    const joined = new Uint8Array(parked.length + bytes.length);
    joined.set(parked);
    joined.set(bytes, parked.length);
    this.#parked = joined;
  }
}
