// The receiver's side of one direction of a stream: it keeps the items that the application has not taken, and gives
// credit back as the application takes them.

import { SealwireError } from "../base/errors.ts";
import { viewOf } from "../core/bytes.ts";
import { TAG_BYTES } from "../core/frameLayout.ts";
import { wipe } from "../core/wipe.ts";
import { BASE_SETTINGS } from "../protocol/settings.ts";
import { CHUNK_CONTINUES, KIND_HEADER_BYTES } from "../protocol/wire.ts";
import { Fifo } from "./fifo.ts";
import { ItemParts } from "./itemParts.ts";
import { chunkCost } from "./outgoingStream.ts";
import type { ReceivingEnd, Streams } from "./streams.ts";
import { StreamWindow } from "./streamWindow.ts";

/** Flags and bytes: every peer takes frames of that length. A balance above 0 permits one, so it is what a stream overdraws. */
const MAX_CHUNK_BODY_BYTES = BASE_SETTINGS.maxFrameBytes - KIND_HEADER_BYTES - TAG_BYTES;

interface Waiter {
  resolve(result: IteratorResult<Uint8Array, undefined>): void;
  reject(error: SealwireError): void;
}

interface Received {
  readonly bytes: Uint8Array;
  readonly cost: number;
}

const DONE = { done: true, value: undefined } as const;

/** What whoever iterates gets where there is no stream. */
export const NO_ITEMS: AsyncIterableIterator<Uint8Array> = {
  [Symbol.asyncIterator]: () => NO_ITEMS,
  next: () => Promise.resolve(DONE),
};

export class IncomingStream implements AsyncIterableIterator<Uint8Array>, ReceivingEnd {
  readonly #streams: Streams;
  readonly #sequence: () => number;
  readonly #maxItemBytes: number;
  readonly #window: StreamWindow;
  readonly #items = new Fifo<Received>();
  #heldCost = 0;
  /** What has come of an item that is not complete. */
  readonly #parts: ItemParts;
  #waiters: Waiter[] = [];
  /**
   * `ended`: the sender's end arrived, and no chunk may follow. `discarding`: nobody takes what comes. `over`: the call is
   * over here, and what comes has crossed its end.
   */
  #state: "open" | "ended" | "discarding" | "over" = "open";
  /** The sender's end arrived, whether anybody still took the items or not. */
  #endHeard = false;
  #error: SealwireError | undefined;
  /** The call has its end, and not all of it was read: whoever asks for more gets an error, which is made only then. */
  #closedUnread = false;
  #senderIsBlocked = false;
  /** The application left before the request had its number. */
  #stopWanted = false;
  /** The application has begun to iterate. */
  taken = false;

  constructor(streams: Streams, sequence: () => number, maxItemBytes: number) {
    this.#streams = streams;
    this.#window = new StreamWindow(streams.windows);
    this.#sequence = sequence;
    this.#maxItemBytes = maxItemBytes;
    this.#parts = new ItemParts(maxItemBytes);
  }

  [Symbol.asyncIterator](): this {
    this.taken = true;
    return this;
  }

  /** The next item; done when the sender has ended or the call is over. Rejects with what ended the call badly. */
  next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const item = this.#items.shift();
    if (item !== undefined) {
      this.#heldCost -= item.cost;
      this.#giveBack(item.cost);
      this.#leaveWindowIfTaken();
      return Promise.resolve({ done: false, value: item.bytes });
    }
    if (this.#closedUnread) this.#error ??= closedUnread();
    if (this.#error !== undefined) return Promise.reject(this.#error);
    if (this.#state !== "open") return Promise.resolve(DONE);
    // Somebody waits: what has come of an incomplete item must not keep the rest from coming.
    this.#giveBackParts();
    this.#widen();
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  /** Somebody may still take items, and the last one that has begun to come is not complete. */
  get insideItem(): boolean {
    return this.#state === "open" && this.#parts.insideItem;
  }

  /** The application leaves: the sender is told to stop. */
  return(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#state === "open") {
      this.#stop();
      this.discard();
    }
    this.#error = undefined;
    this.#closedUnread = false;
    this.#forgetItems();
    return Promise.resolve(DONE);
  }

  /** The request got its number. */
  started(): void {
    if (!this.#stopWanted || this.#state === "over") return;
    this.#stopWanted = false;
    this.#streams.controls.stop(this.#sequence());
  }

  /** Nobody will iterate: what comes is dropped, and what was taken for it is free. */
  discard(): void {
    if (this.#state !== "open") return;
    this.#state = "discarding";
    const cost = this.#heldCost + this.#parts.takeCost();
    this.#parts.forget();
    for (const waiter of this.#waiters.splice(0)) waiter.resolve(DONE);
    this.#forgetItems();
    this.#giveBack(cost);
  }

  /**
   * A chunk arrived; its bytes are copied.
   *
   * @throws SealwireError ERR_PROTOCOL
   */
  receive(bytes: Uint8Array, start: number, end: number): void {
    if (end === start) throw new SealwireError("ERR_PROTOCOL", "a chunk without flags");
    if (end - start > MAX_CHUNK_BODY_BYTES)
      throw new SealwireError("ERR_PROTOCOL", "a chunk that is too long");
    const flags = bytes[start]!;
    const cost = chunkCost(end - start - 1);
    if (!this.#window.receive(cost)) {
      throw new SealwireError("ERR_PROTOCOL", "a chunk that its stream had no credit for");
    }
    if (this.#endHeard) throw new SealwireError("ERR_PROTOCOL", "a chunk after the end of its stream");
    if (this.#state !== "open") return this.#giveBack(cost);
    const part = viewOf(bytes, start + 1, end);
    this.#parts.cost += cost;
    if (this.#parts.bytes + part.length > this.#maxItemBytes) return this.#tooLong();
    if ((flags & CHUNK_CONTINUES) === 0) return this.#complete(part);
    this.#parts.add(part, this.#window.bytes - this.#heldCost);
    if (this.#waiters.length > 0) this.#giveBackParts();
  }

  /**
   * The sender's end arrived.
   *
   * @throws SealwireError ERR_PROTOCOL inside of an item, and when there was one before
   */
  end(): void {
    if (this.#endHeard || this.insideItem) {
      throw new SealwireError("ERR_PROTOCOL", "the end of a stream where none can be");
    }
    this.#endHeard = true;
    if (this.#state !== "open") return;
    this.#state = "ended";
    this.#leaveWindowIfTaken();
    for (const waiter of this.#waiters.splice(0)) waiter.resolve(DONE);
  }

  /** Nobody waits for the call's end any more. Items that are complete are still given, and then the error. */
  fail(error: SealwireError): void {
    if (this.#state === "open") {
      this.#state = "over";
      this.#error ??= error;
    }
    this.#parts.forget();
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
  }

  /** This side's call has its end, and gets no credit any more. What has come of it is its caller's. */
  answered(error: SealwireError | undefined): void {
    if (error !== undefined) this.fail(error);
    this.#state = "over";
    for (const waiter of this.#waiters.splice(0)) waiter.resolve(DONE);
    this.#leaveWindow();
  }

  /** The peer's call has its end: what was not taken is dropped, and whoever still iterates is told. */
  close(): void {
    if (!(this.#state === "ended" && this.#items.isEmpty)) {
      if (this.#waiters.length > 0) this.fail(closedUnread());
      else this.#parts.forget();
      this.#closedUnread = true;
    }
    this.#state = "over";
    this.#forgetItems();
    this.#leaveWindow();
  }

  /** The credit that its sender gets now. */
  takeCredit(): { readonly sequence: number; readonly bytes: number } {
    const isOpen = this.#state === "open" || this.#state === "discarding";
    const bytes = isOpen ? this.#window.takeCredit() : 0;
    return { sequence: this.#sequence(), bytes };
  }

  /** The sender has more than its credit. It gets more if what came was taken. */
  blocked(): void {
    this.#senderIsBlocked = true;
    this.#window.senderWaits();
    if (this.#items.isEmpty) this.#widen();
  }

  /** The consumer keeps up with a sender that could send more. */
  #widen(): void {
    if (!this.#senderIsBlocked || this.#state !== "open") return;
    this.#senderIsBlocked = false;
    this.#window.widen();
    this.#sendCredit(true);
  }

  #stop(): void {
    const sequence = this.#sequence();
    if (sequence === 0) this.#stopWanted = true;
    else this.#streams.controls.stop(sequence);
  }

  /** Whoever sends it is told to stop. Items before it are still given, and then the error. */
  #tooLong(): void {
    this.#stop();
    const text = `an item of a stream has more than ${this.#maxItemBytes} bytes`;
    const error = new SealwireError("ERR_MESSAGE_TOO_LARGE", text);
    const cost = this.#parts.takeCost();
    this.#state = "discarding";
    this.#error = error;
    this.#parts.forget();
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
    this.#giveBack(cost);
  }

  #complete(last: Uint8Array): void {
    const cost = this.#parts.takeCost();
    const bytes = this.#parts.complete(last, this.#window.bytes - this.#heldCost);
    const waiter = this.#waiters.shift();
    if (waiter === undefined) {
      this.#items.push({ bytes, cost });
      this.#heldCost += cost;
      return;
    }
    waiter.resolve({ done: false, value: bytes });
    this.#giveBack(cost);
  }

  /** Nobody has begun to iterate, and nobody will: what has come is wiped. */
  forget(): void {
    this.#parts.forget();
    this.#forgetItems();
  }

  #forgetItems(): void {
    for (const { bytes } of this.#items.takeAll()) wipe(bytes);
    this.#heldCost = 0;
    this.#leaveWindowIfTaken();
  }

  #giveBackParts(): void {
    const cost = this.#parts.takeCost();
    if (cost > 0) this.#giveBack(cost);
  }

  #giveBack(cost: number): void {
    this.#window.giveBack(cost);
    this.#sendCredit(false);
  }

  #sendCredit(all: boolean): void {
    if (this.#state === "ended" || this.#state === "over" || this.#sequence() === 0) return;
    const due = all ? this.#window.returned : this.#window.due;
    if (due > 0) this.#streams.oweCredit(this);
  }

  /** What has come after the sender's end is still held, and counts, until the application has taken it. */
  #leaveWindowIfTaken(): void {
    if (this.#state === "ended" && this.#items.isEmpty) this.#leaveWindow();
  }

  /** What the stream had of the shared window is free. */
  #leaveWindow(): void {
    this.#window.leave();
  }
}

function closedUnread(): SealwireError {
  return new SealwireError("ERR_ALREADY_ANSWERED", "the call was answered before its stream was read");
}
