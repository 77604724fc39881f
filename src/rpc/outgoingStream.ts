// The sender's side of one direction of a stream: items wait here for credit and for their turn.

import { SealwireError } from "../base/errors.ts";
import { copyOf, requireBytes, viewOf } from "../core/bytes.ts";
import { secretBytes } from "../core/wipe.ts";
import { Balance } from "../protocol/credit.ts";
import { CHUNK_CONTINUES } from "../protocol/wire.ts";
import { Fifo } from "./fifo.ts";
import { WAITING_OBJECT_BYTES } from "./memoryBudget.ts";
import type { StreamSender, Streams } from "./streams.ts";

/** Chunks of a stream are at most this long, so that four of them share a segment. */
const MAX_CHUNK_BYTES = 16_000;
/**
 * While what waits takes less memory, and there is credit for it, the next item is taken at once: many short items then share a
 * frame. Beyond that `write` waits for the item to leave, because a peer may give any credit and read nothing.
 */
const MOST_AHEAD_BYTES = 131_072;
/** The cost of a chunk beside its bytes. */
const CHUNK_COST = 64;

interface Item {
  readonly bytes: Uint8Array;
  at: number;
  resolve(): void;
  reject(error: SealwireError): void;
}

const nothing = (): void => {};

/**
 * Why a stream is over. The error is made only when it is read, because it costs more than the rest of a refused call.
 */
type Reason = SealwireError | (() => SealwireError);

export class OutgoingStream implements StreamSender {
  readonly #streams: Streams;
  readonly #sequence: () => number;
  readonly #balance: Balance;
  readonly #maxPendingBytes: number;
  readonly #items = new Fifo<Item>();
  /** The cost of the waiting items. */
  #pendingCost = 0;
  /** Their memory. */
  #pendingBytes = 0;
  /** `ending`: an end follows the items. */
  #state: "open" | "ending" | "ended" = "open";
  #error: Reason | undefined;
  #onEmpty: (() => void) | undefined;
  #blockedSaid = false;
  /** Whether the stream is in the queue; only the scheduler changes it. */
  queued = false;

  /** `credit`: the bytes of the first credit. `sequence`: the request's number, once it has one. */
  constructor(streams: Streams, sequence: () => number, credit: number, maxPendingBytes: number) {
    this.#streams = streams;
    this.#sequence = sequence;
    this.#balance = new Balance(credit);
    this.#maxPendingBytes = maxPendingBytes;
  }

  get hasSomething(): boolean {
    if (this.#state === "ended" || this.#sequence() === 0) return false;
    if (this.#items.isEmpty) return this.#state === "ending";
    return this.#balance.positive;
  }

  /** No item waits to be sent. */
  get isEmpty(): boolean {
    return this.#items.isEmpty;
  }

  /**
   * Sends an item, in as many chunks as it needs. Resolves at once while there is credit for it and little waits, and
   * otherwise when it was sent.
   *
   * @throws SealwireError as rejections: ERR_STREAM_STOPPED, ERR_CLOSED (ended by this side), ERR_BACKPRESSURE, and the
   *   error that ended the call; at once: ERR_INVALID_ARGUMENT
   */
  write(item: Uint8Array): Promise<void> {
    requireBytes("item", item);
    if (this.#state !== "open") return refusedWrite(this.#reason());
    const heldBytes = item.length + WAITING_OBJECT_BYTES;
    if (this.#pendingBytes > 0 && this.#pendingBytes + heldBytes > this.#maxPendingBytes) {
      const text = `${this.#pendingBytes} bytes of this stream wait for credit`;
      return refusedWrite(new SealwireError("ERR_BACKPRESSURE", text));
    }
    const isAhead = this.#takesAhead;
    const bytes = copyOf(item);
    this.#pendingCost += chunkCost(bytes.length);
    this.#hold(bytes.length + WAITING_OBJECT_BYTES);
    if (isAhead) {
      this.#items.push({ bytes, at: 0, resolve: nothing, reject: nothing });
      if (this.hasSomething) this.#streams.wake(this);
      return Promise.resolve();
    }
    const written = new Promise<void>((resolve, reject) => {
      this.#items.push({ bytes, at: 0, resolve, reject });
    });
    written.catch(nothing);
    // There may be credit all the same, while the process has no memory for items that are taken ahead.
    if (this.hasSomething) this.#streams.wake(this);
    else this.#sayBlocked();
    return written;
  }

  /** The next item may be taken before it is sent. */
  get #takesAhead(): boolean {
    const hasCredit = this.#pendingCost < this.#balance.bytes;
    return hasCredit && this.#pendingBytes < MOST_AHEAD_BYTES && this.#streams.takesAhead;
  }

  /** No more items of this side. Idempotent. */
  end(): void {
    if (this.#state !== "open") return;
    this.#state = "ending";
    if (this.hasSomething) this.#streams.wake(this);
  }

  /** Calls `callback` once when no item waits any more; at once if none does. */
  whenEmpty(callback: () => void): void {
    if (this.isEmpty) callback();
    else this.#onEmpty = callback;
  }

  /** The request got its number. */
  started(): void {
    if (this.hasSomething) this.#streams.wake(this);
  }

  /** @throws SealwireError ERR_PROTOCOL */
  addCredit(bytes: number): void {
    this.#balance.add(bytes);
    this.#blockedSaid = false;
    if (this.hasSomething) this.#streams.wake(this);
  }

  /** The receiver wants no more: waiting items are dropped, and the end is sent. */
  stop(): void {
    if (this.#state === "ended") return;
    // First, because an answer that waits for the items ends the request, and nothing of the stream may follow it.
    this.#streams.controls.end(this.#sequence());
    this.#drop(new SealwireError("ERR_STREAM_STOPPED", "the other side takes no more of this stream"));
  }

  /** The call is over: waiting items are dropped. */
  fail(reason: Reason): void {
    if (this.#state !== "ended") this.#drop(reason);
  }

  #reason(): SealwireError {
    if (typeof this.#error === "function") this.#error = this.#error();
    return this.#error ?? new SealwireError("ERR_CLOSED", "the stream was ended by this side");
  }

  /** Sends one chunk, or the end. Returns its cost. Only while `hasSomething`. */
  sendOne(): number {
    if (!this.hasSomething) return 0;
    const item = this.#items.first;
    if (item === undefined) {
      this.#state = "ended";
      this.#error = new SealwireError("ERR_CLOSED", "the stream was ended by this side");
      this.#streams.controls.end(this.#sequence());
      return CHUNK_COST;
    }
    const left = item.bytes.length - item.at;
    const length = Math.min(left, MAX_CHUNK_BYTES, Math.max(this.#balance.bytes - CHUNK_COST, 1));
    // Memory of its own, because the sender may send chunks of other streams before it copies this one.
    const body = secretBytes(1 + length);
    body[0] = length < left ? CHUNK_CONTINUES : 0;
    body.set(viewOf(item.bytes, item.at, item.at + length), 1);
    const cost = chunkCost(length);
    this.#balance.spend(cost);
    item.at += length;
    this.#pendingCost -= length;
    this.#streams.sendChunk(this.#sequence(), body);
    body.fill(0);
    if (length === left) {
      this.#items.shift();
      this.#pendingCost -= CHUNK_COST;
      this.#leave(item);
      item.resolve();
      if (this.isEmpty) this.#emptied();
    }
    if (!this.isEmpty) this.#sayBlocked();
    return cost;
  }

  /** Once each time that the credit is used up. */
  #sayBlocked(): void {
    if (this.#blockedSaid || this.#balance.positive || this.#sequence() === 0) return;
    this.#blockedSaid = true;
    this.#streams.controls.blocked(this.#sequence());
  }

  #drop(reason: Reason): void {
    this.#state = "ended";
    this.#error = reason;
    const items = this.#items.takeAll();
    this.#pendingCost = 0;
    for (const item of items) {
      this.#leave(item);
      item.reject(this.#reason());
    }
    this.#emptied();
  }

  /** The item was sent, or won't be: it no longer counts, and is wiped. */
  #leave({ bytes }: Item): void {
    this.#hold(-(bytes.length + WAITING_OBJECT_BYTES));
    bytes.fill(0);
  }

  #hold(bytes: number): void {
    this.#pendingBytes += bytes;
    this.#streams.hold(bytes);
  }

  #emptied(): void {
    const callback = this.#onEmpty;
    this.#onEmpty = undefined;
    callback?.();
  }
}

/**
 * A rejection that need not be awaited: the peer may leave a stream at any time, which must end no process whose code does
 * not await its writes. The call reports the failure as well.
 */
export function refusedWrite(error: SealwireError): Promise<never> {
  const refused = Promise.reject(error);
  refused.catch(nothing);
  return refused;
}

/** The cost of a chunk of `bytes` bytes in its stream's credit. */
export function chunkCost(bytes: number): number {
  return bytes + CHUNK_COST;
}
