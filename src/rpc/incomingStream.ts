// One direction of a stream as its receiver has it: items that the application has not taken, and the credit that goes
// back as it takes them.

import { SealwireError } from "../base/errors.ts";
import { totalLength, viewOf } from "../core/bytes.ts";
import { Allowance } from "../protocol/credit.ts";
import { CHUNK_CONTINUES } from "../protocol/wire.ts";
import { chunkCost } from "./outgoingStream.ts";
import type { ReceivingEnd, Streams } from "./streams.ts";

/** What every stream may have on its way at first. */
export const FIRST_STREAM_CREDIT = 16_384;
/** What a stream whose consumer keeps up may come to have. */
const MAX_STREAM_WINDOW = 4_194_304;

interface Waiter {
  resolve(result: IteratorResult<Uint8Array, undefined>): void;
  reject(error: SealwireError): void;
}

interface Received {
  readonly bytes: Uint8Array;
  readonly cost: number;
}

const DONE = { done: true, value: undefined } as const;

export class IncomingStream implements AsyncIterableIterator<Uint8Array>, ReceivingEnd {
  readonly #streams: Streams;
  readonly #sequence: () => number;
  readonly #maxItemBytes: number;
  readonly #allowance = new Allowance(FIRST_STREAM_CREDIT);
  /** Widened beyond the first credit, out of what the streams of the connection share. */
  #shared = 0;
  #items: Received[] = [];
  /** Parts of an item that is not complete, and what of them was not given back. */
  #parts: Uint8Array[] = [];
  #partBytes = 0;
  #partCost = 0;
  #waiters: Waiter[] = [];
  #state: "open" | "ended" | "discarding" = "open";
  #error: SealwireError | undefined;
  #senderIsBlocked = false;
  /** The application has begun to iterate. */
  taken = false;

  constructor(streams: Streams, sequence: () => number, maxItemBytes: number) {
    this.#streams = streams;
    this.#sequence = sequence;
    this.#maxItemBytes = maxItemBytes;
  }

  [Symbol.asyncIterator](): this {
    this.taken = true;
    return this;
  }

  /** The next item; done when the sender has ended or the call is over. Rejects with what ended the call badly. */
  next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const item = this.#items.shift();
    if (item !== undefined) {
      this.#giveBack(item.cost);
      return Promise.resolve({ done: false, value: item.bytes });
    }
    if (this.#error !== undefined) return Promise.reject(this.#error);
    if (this.#state !== "open") return Promise.resolve(DONE);
    // Somebody waits: what has come of an incomplete item must not keep the rest from coming.
    this.#giveBackParts();
    this.#widen();
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  /** The application leaves: the sender is told to stop. */
  return(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#state === "open") {
      this.#streams.controls.stop(this.#sequence());
      this.discard();
    }
    return Promise.resolve(DONE);
  }

  /** Nobody will iterate: what comes is dropped, and what was taken for it is free. */
  discard(): void {
    if (this.#state !== "open") return;
    this.#state = "discarding";
    const cost = this.#items.reduce((sum, item) => sum + item.cost, this.#partCost);
    this.#items = [];
    this.#forgetParts();
    for (const waiter of this.#waiters.splice(0)) waiter.resolve(DONE);
    this.#giveBack(cost);
  }

  /**
   * A chunk arrived; its bytes are copied.
   *
   * @throws SealwireError ERR_PROTOCOL
   */
  receive(bytes: Uint8Array, start: number, end: number): void {
    if (end === start) throw new SealwireError("ERR_PROTOCOL", "a chunk without flags");
    const flags = bytes[start]!;
    const cost = chunkCost(end - start - 1);
    if (!this.#allowance.receive(cost)) {
      throw new SealwireError("ERR_PROTOCOL", "a chunk that its stream had no credit for");
    }
    if (this.#state === "discarding") return this.#giveBack(cost);
    if (this.#state === "ended")
      throw new SealwireError("ERR_PROTOCOL", "a chunk after the end of its stream");
    this.#parts.push(viewOf(bytes, start + 1, end).slice());
    this.#partBytes += end - start - 1;
    this.#partCost += cost;
    if (this.#partBytes > this.#maxItemBytes) {
      const text = `an item of a stream has more than ${this.#maxItemBytes} bytes`;
      this.#streams.controls.stop(this.#sequence());
      this.discard();
      this.#error = new SealwireError("ERR_MESSAGE_TOO_LARGE", text);
    } else if ((flags & CHUNK_CONTINUES) === 0) this.#complete();
    else if (this.#waiters.length > 0) this.#giveBackParts();
  }

  /** The sender's end arrived. */
  end(): void {
    if (this.#state === "open") this.#state = "ended";
    this.#release();
    for (const waiter of this.#waiters.splice(0)) waiter.resolve(DONE);
  }

  /** The call is over, badly. Items that are complete are still given. */
  fail(error: SealwireError): void {
    if (this.#state === "open") {
      this.#state = "ended";
      this.#error = error;
    }
    this.#forgetParts();
    this.#release();
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
  }

  /** The sender has more than its credit. It gets more if what came was taken. */
  blocked(): void {
    this.#senderIsBlocked = true;
    if (this.#items.length === 0) this.#widen();
  }

  /** The consumer keeps up with a sender that could send more. */
  #widen(): void {
    if (!this.#senderIsBlocked || this.#state !== "open") return;
    this.#senderIsBlocked = false;
    const wanted = Math.min(this.#allowance.window, MAX_STREAM_WINDOW - this.#allowance.window);
    const more = wanted <= 0 ? 0 : this.#streams.takeShared(wanted);
    if (more > 0) {
      this.#shared += more;
      this.#allowance.widen(more);
    }
    this.#sendCredit(true);
  }

  #complete(): void {
    const bytes = this.#parts.length === 1 ? this.#parts[0]! : concatenate(this.#parts);
    const cost = this.#partCost;
    this.#forgetParts();
    const waiter = this.#waiters.shift();
    if (waiter === undefined) {
      this.#items.push({ bytes, cost });
      return;
    }
    waiter.resolve({ done: false, value: bytes });
    this.#giveBack(cost);
  }

  #forgetParts(): void {
    this.#parts = [];
    this.#partBytes = 0;
    this.#partCost = 0;
  }

  #giveBackParts(): void {
    const cost = this.#partCost;
    this.#partCost = 0;
    if (cost > 0) this.#giveBack(cost);
  }

  #giveBack(cost: number): void {
    this.#allowance.giveBack(cost);
    this.#sendCredit(false);
  }

  #sendCredit(all: boolean): void {
    if (this.#state === "ended" || this.#error !== undefined) return;
    const due = all ? this.#allowance.returned : this.#allowance.due;
    if (due === 0) return;
    this.#allowance.given(due);
    this.#streams.controls.credit(this.#sequence(), due);
  }

  /** What the stream had of the shared window is free. */
  #release(): void {
    this.#streams.giveShared(this.#shared);
    this.#shared = 0;
  }
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(totalLength(parts));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
