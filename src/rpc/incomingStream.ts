// The receiver's side of one direction of a stream: it keeps the items that the application has not taken, and gives
// credit back as the application takes them.

import { SealwireError } from "../base/errors.ts";
import { viewOf } from "../core/bytes.ts";
import { TAG_BYTES } from "../core/frameLayout.ts";
import { BASE_SETTINGS } from "../protocol/settings.ts";
import { CHUNK_CONTINUES, KIND_HEADER_BYTES } from "../protocol/wire.ts";
import { chunkCost } from "./outgoingStream.ts";
import { PartialItem } from "./partialItem.ts";
import { ReceivedItems } from "./receivedItems.ts";
import type { StreamReceiver, Streams } from "./streams.ts";
import { StreamWindow } from "./streamWindow.ts";

/**
 * The longest body of a chunk, flags and bytes: every peer accepts frames of that length. A stream with a positive
 * balance may send one chunk, so this is the most that it can overdraw.
 */
const MAX_CHUNK_BODY_BYTES = BASE_SETTINGS.maxFrameBytes - KIND_HEADER_BYTES - TAG_BYTES;

interface Waiter {
  resolve(result: IteratorResult<Uint8Array, undefined>): void;
  reject(error: SealwireError): void;
}

const DONE = { done: true, value: undefined } as const;

/** The iterator of a message without a stream. */
export const NO_ITEMS: AsyncIterableIterator<Uint8Array> = {
  [Symbol.asyncIterator]: () => NO_ITEMS,
  next: () => Promise.resolve(DONE),
};

export class IncomingStream implements AsyncIterableIterator<Uint8Array>, StreamReceiver {
  readonly #streams: Streams;
  readonly #sequence: () => number;
  readonly #maxItemBytes: number;
  readonly #window: StreamWindow;
  readonly #items = new ReceivedItems();
  /** The received part of an incomplete item. */
  readonly #partial: PartialItem;
  #waiters: Waiter[] = [];
  /**
   * `ended`: the sender's end arrived, and no chunk may follow. `discarding`: the application takes no more items.
   * `over`: the call is over here, and later chunks are ignored.
   */
  #state: "open" | "ended" | "discarding" | "over" = "open";
  /** A chunk has come, which its sender has worked for. */
  hasBegun = false;
  /** The sender's end arrived, whether or not the application still took items. */
  #endHeard = false;
  #error: SealwireError | undefined;
  /** The call ended before all items were read. Reading on gives an error, which is made only then. */
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
    this.#partial = new PartialItem(maxItemBytes);
  }

  [Symbol.asyncIterator](): this {
    this.taken = true;
    return this;
  }

  /** The next item; done if the sender has ended or the call is over. Rejects with the error that ended the call. */
  next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const item = this.#items.shift();
    if (item !== undefined) {
      this.#giveBack(item.cost);
      this.#leaveWindowIfTaken();
      return Promise.resolve({ done: false, value: item.bytes });
    }
    if (this.#closedUnread) this.#error ??= closedUnread();
    if (this.#error !== undefined) return Promise.reject(this.#error);
    if (this.#state !== "open") return Promise.resolve(DONE);
    // The application waits. The received part of an incomplete item must not block the rest, so its credit goes back.
    this.#giveBackParts();
    this.#widen();
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  /** The application may still take items, and the last one is incomplete. */
  get insideItem(): boolean {
    return this.#state === "open" && this.#partial.insideItem;
  }

  /** The application leaves: the sender is asked to stop. */
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

  /** The application will not iterate: items are dropped, and their memory is freed. */
  discard(): void {
    if (this.#state !== "open") return;
    this.#state = "discarding";
    const cost = this.#items.cost + this.#partial.takeCost();
    this.#partial.forget();
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
    this.hasBegun = true;
    if (this.#state !== "open") return this.#giveBack(cost);
    const part = viewOf(bytes, start + 1, end);
    this.#partial.cost += cost;
    if (this.#partial.bytes + part.length > this.#maxItemBytes) return this.#tooLong();
    if ((flags & CHUNK_CONTINUES) === 0) return this.#complete(part);
    this.#partial.add(part, this.#window.bytes - this.#items.cost);
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

  /** The call has failed. Complete items can still be read, and then the error. */
  fail(error: SealwireError): void {
    if (this.#state === "open") {
      this.#state = "over";
      this.#error ??= error;
    }
    this.#partial.forget();
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
  }

  /** This side's call has ended, and gives no more credit. Its caller may still read the received items. */
  answered(error: SealwireError | undefined): void {
    if (error !== undefined) this.fail(error);
    this.#state = "over";
    for (const waiter of this.#waiters.splice(0)) waiter.resolve(DONE);
    this.#leaveWindow();
  }

  /** The peer's call has ended: unread items are dropped, and a loop that still runs gets an error. */
  close(): void {
    if (!(this.#state === "ended" && this.#items.isEmpty)) {
      if (this.#waiters.length > 0) this.fail(closedUnread());
      else this.#partial.forget();
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

  /** The sender is out of credit. It gets more if the received items were taken. */
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

  /** The item is too long: the sender is asked to stop. Items before it can still be read, and then the error. */
  #tooLong(): void {
    this.#stop();
    const text = `an item of a stream has more than ${this.#maxItemBytes} bytes`;
    const error = new SealwireError("ERR_MESSAGE_TOO_LARGE", text);
    const cost = this.#partial.takeCost();
    this.#state = "discarding";
    this.#error = error;
    this.#partial.forget();
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
    this.#giveBack(cost);
  }

  #complete(last: Uint8Array): void {
    const cost = this.#partial.takeCost();
    const waiter = this.#waiters.shift();
    if (waiter === undefined && !this.#partial.insideItem && this.#items.packs(last.length)) {
      return this.#items.pushShort(last);
    }
    const bytes = this.#partial.complete(last, this.#window.bytes - this.#items.cost);
    if (waiter === undefined) return this.#items.push({ bytes, cost });
    waiter.resolve({ done: false, value: bytes });
    this.#giveBack(cost);
  }

  /** The application will never iterate: received items are wiped. */
  forget(): void {
    this.#partial.forget();
    this.#forgetItems();
  }

  #forgetItems(): void {
    this.#items.forget();
    this.#leaveWindowIfTaken();
  }

  #giveBackParts(): void {
    const cost = this.#partial.takeCost();
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

  /** After the sender's end, received items still count until the application has taken them. */
  #leaveWindowIfTaken(): void {
    if (this.#state === "ended" && this.#items.isEmpty) this.#leaveWindow();
  }

  /** The stream's part of the shared window is free. */
  #leaveWindow(): void {
    this.#window.leave();
  }
}

function closedUnread(): SealwireError {
  return new SealwireError("ERR_ALREADY_ANSWERED", "the call was answered before its stream was read");
}
