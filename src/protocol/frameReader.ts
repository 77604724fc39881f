// Cuts a byte stream into frames (u32be length ‖ sealed). A frame that is complete in one read is opened in place, in
// the receive buffer of linear memory, or copied there once. A frame that is spread over reads is collected
// (partialFrame.ts).

import { SealwireError } from "../base/errors.ts";
import { readU32 } from "../core/bytes.ts";
import { memory, RECEIVE_BUFFER, RECEIVE_BUFFER_BYTES } from "../core/wasmModule.ts";
import type { FrameSink } from "./frameSink.ts";
import { beginFrame, MAX_SMALL_FRAME_BYTES, type PartialFrame } from "./partialFrame.ts";
import { copyToBuffer, receiveBufferFilled } from "./receiveMemory.ts";
import { LENGTH_BYTES } from "./wire.ts";

export class FrameReader {
  readonly #sink: FrameSink;
  readonly #minBytes: number;
  readonly #maxBytes: number;
  /** The first bytes of a length, 0 to 3 of them. */
  #prefix = 0;
  #prefixBytes = 0;
  #partial: PartialFrame | undefined;
  #stopped = false;

  /** Lengths count what follows the prefix; a frame outside [minBytes, maxBytes] is refused. */
  constructor(sink: FrameSink, minBytes: number, maxBytes: number) {
    this.#sink = sink;
    this.#minBytes = minBytes;
    this.#maxBytes = maxBytes;
  }

  /**
   * `length` bytes were read into linear memory at RECEIVE_BUFFER.
   *
   * @throws SealwireError ERR_FRAME_TOO_SHORT, ERR_FRAME_TOO_LARGE, as soon as the prefix is complete.
   */
  takeReceiveBuffer(length: number): void {
    receiveBufferFilled(length);
    this.#take(memory, RECEIVE_BUFFER, RECEIVE_BUFFER + length);
  }

  /** The same for bytes elsewhere, of any length; they are copied. Throws the same. */
  read(bytes: Uint8Array): void {
    this.#take(bytes, 0, bytes.length);
  }

  /** True while a frame has begun and is not complete. */
  get insideFrame(): boolean {
    return this.#prefixBytes > 0 || this.#partial !== undefined;
  }

  /** Drops everything; later calls do nothing. Safe inside the sink's methods. */
  stop(): void {
    this.#stopped = true;
    this.#prefixBytes = 0;
    this.#partial?.release();
    this.#partial = undefined;
  }

  #take(bytes: Uint8Array, at: number, end: number): void {
    while (!this.#stopped) {
      const partial = this.#partial;
      if (partial !== undefined) {
        at += partial.fill(bytes, at, end);
        if (!partial.complete) return;
        this.#partial = undefined;
        partial.deliver(this.#sink);
      } else if (at === end) {
        return;
      } else {
        at = this.#deliverRun(bytes, at, end);
      }
    }
  }

  /**
   * Delivers the complete frames at the front of [at, end), or begins to collect one. Returns the index behind the last
   * byte used.
   */
  #deliverRun(bytes: Uint8Array, at: number, end: number): number {
    const inBuffer = bytes === memory;
    const stop = inBuffer ? end : Math.min(end, at + RECEIVE_BUFFER_BYTES);
    let next = at;
    let count = 0;
    if (this.#prefixBytes === 0) {
      while (stop - next >= LENGTH_BYTES) {
        const length = readU32(bytes, next);
        if (length < this.#minBytes || length > MAX_SMALL_FRAME_BYTES || length > this.#maxBytes) break;
        if (stop - next - LENGTH_BYTES < length) break;
        next += LENGTH_BYTES + length;
        count++;
      }
    }
    if (count === 0) return this.#begin(bytes, at, end);
    let start = at;
    if (!inBuffer) start = copyToBuffer(at === 0 && next === bytes.length ? bytes : bytes.subarray(at, next));
    this.#sink.frames(start, start + next - at, count);
    return next;
  }

  /** Reads the length of a frame that will be collected; returns the index of its content. */
  #begin(bytes: Uint8Array, at: number, end: number): number {
    while (this.#prefixBytes < LENGTH_BYTES) {
      if (at === end) return at;
      this.#prefix = ((this.#prefix << 8) | bytes[at++]!) >>> 0;
      this.#prefixBytes++;
    }
    const length = this.#prefix;
    this.#prefixBytes = 0;
    this.#checkLength(length);
    this.#partial = beginFrame(length);
    return at;
  }

  #checkLength(length: number): void {
    if (length < this.#minBytes) {
      throw new SealwireError(
        "ERR_FRAME_TOO_SHORT",
        `frame of ${length} bytes, at least ${this.#minBytes} expected`,
      );
    }
    const limit = Math.min(this.#maxBytes, this.#sink.mostBytes ?? Number.POSITIVE_INFINITY);
    if (length > limit)
      throw new SealwireError("ERR_FRAME_TOO_LARGE", `frame of ${length} bytes, limit ${limit}`);
  }
}
