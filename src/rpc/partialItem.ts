// Collects the chunks of a stream's item until it is complete. Memory that it no longer uses is wiped.

import { secretBytes, wipe } from "../core/wipe.ts";

/** Lets the memory of an item grow with its bytes: many short chunks must not cost more than their bytes. */
export class PartialItem {
  readonly #maxItemBytes: number;
  /** The bytes of the item, at the front. */
  #memory = EMPTY;
  /** The length of the last item that had several chunks. */
  #lastItemBytes = 0;
  /** The item is incomplete: more chunks follow. */
  insideItem = false;
  bytes = 0;
  /** The cost of the chunks that was not given back to their sender. */
  cost = 0;

  constructor(maxItemBytes: number) {
    this.#maxItemBytes = maxItemBytes;
  }

  /**
   * Copies the bytes of a chunk whose item continues. `windowBytes`: the bytes that the sender may still have on their
   * way. The item begins with as much memory as the last one took, up to that.
   */
  add(part: Uint8Array, windowBytes: number): void {
    this.insideItem = true;
    const needed = this.bytes + part.length;
    if (needed > this.#memory.length) {
      const expected = this.bytes === 0 ? Math.min(this.#lastItemBytes, windowBytes) : 0;
      const length = Math.max(needed, this.#memory.length * 2, expected);
      const larger = secretBytes(Math.min(length, this.#maxItemBytes));
      const held = this.#memory.subarray(0, this.bytes);
      larger.set(held);
      wipe(held);
      this.#memory = larger;
    }
    this.#memory.set(part, this.bytes);
    this.bytes = needed;
  }

  /** The complete item, in memory of its own; `last` is its last chunk. */
  complete(last: Uint8Array, windowBytes: number): Uint8Array {
    if (this.bytes === 0) {
      this.forget();
      return last.slice();
    }
    this.add(last, windowBytes);
    const memory = this.#memory;
    this.#lastItemBytes = this.bytes;
    if (memory.length === this.bytes) {
      // The application owns the memory from now on.
      this.#memory = EMPTY;
      this.forget();
      return memory;
    }
    const item = memory.slice(0, this.bytes);
    this.forget();
    return item;
  }

  /** The cost that is given back now. */
  takeCost(): number {
    const { cost } = this;
    this.cost = 0;
    return cost;
  }

  /** Wipes the received part of an incomplete item. */
  forget(): void {
    if (this.bytes > 0) wipe(this.#memory.subarray(0, this.bytes));
    this.insideItem = false;
    this.#memory = EMPTY;
    this.bytes = 0;
    this.cost = 0;
  }
}

const EMPTY = new Uint8Array(0);
