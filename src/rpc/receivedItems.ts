// The items of a stream that the application has not taken, in order. Short ones take four times what their sender paid
// for them, as arrays. So if many wait, further ones are packed, which makes them slower to take.

import { wipe } from "../core/wipe.ts";
import { chunkCost } from "./outgoingStream.ts";
import { PackedQueue } from "./packedQueue.ts";
import { FIRST_STREAM_CREDIT } from "./sharedWindow.ts";

/** A longer item waits in memory of its own, which its taker gets. */
const LONGEST_PACKED_BYTES = 512;
/** So many fit the first credit of a stream. With arrays they take no more than that credit and the longest chunk. */
const MOST_ARRAYS = FIRST_STREAM_CREDIT / chunkCost(0);

export interface ReceivedItem {
  readonly bytes: Uint8Array;
  readonly cost: number;
}

export class ReceivedItems {
  /** Made when the first item has to wait. */
  #queue: PackedQueue<ReceivedItem> | undefined;
  /** What the senders of the waiting items paid. */
  cost = 0;

  get isEmpty(): boolean {
    return this.#queue?.isEmpty ?? true;
  }

  /** Whether an item of one chunk waits packed. */
  packs(bytes: number): boolean {
    return bytes <= LONGEST_PACKED_BYTES && (this.#queue?.length ?? 0) >= MOST_ARRAYS;
  }

  /** A short item of one chunk; its bytes are copied. */
  pushShort(bytes: Uint8Array): void {
    this.#queue ??= new PackedQueue();
    this.#queue.push(bytes, 0, bytes.length);
    this.cost += chunkCost(bytes.length);
  }

  push(item: ReceivedItem): void {
    this.#queue ??= new PackedQueue();
    this.#queue.pushItem(item);
    this.cost += item.cost;
  }

  /** The oldest item, in memory of its own. */
  shift(): ReceivedItem | undefined {
    const queue = this.#queue;
    if (queue === undefined || queue.isEmpty) return undefined;
    const item = queue.take() ?? shortItem(queue);
    this.cost -= item.cost;
    return item;
  }

  /** Drops and wipes all of them. */
  forget(): void {
    if (this.#queue === undefined) return;
    for (const { bytes } of this.#queue.clear()) wipe(bytes);
    this.cost = 0;
  }
}

/** The item that was taken last. */
function shortItem(queue: PackedQueue<ReceivedItem>): ReceivedItem {
  const bytes = queue.bytes.slice(queue.start, queue.end);
  queue.wipe();
  return { bytes, cost: chunkCost(bytes.length) };
}
