// Collects the parts of a stream's item until it is complete. Memory that it leaves is wiped.

import { secretBytes, wipe } from "../core/wipe.ts";

/** How the memory of an item grows with it: many short chunks must not cost more than their bytes. */
export class ItemParts {
  readonly #maxItemBytes: number;
  /** The bytes are at its front. */
  #memory = EMPTY;
  /** How long the last item of several chunks was. */
  #lastItemBytes = 0;
  /** A chunk came whose item goes on. */
  insideItem = false;
  bytes = 0;
  /** What the chunks cost, as far as it was not given back to their sender. */
  cost = 0;

  constructor(maxItemBytes: number) {
    this.#maxItemBytes = maxItemBytes;
  }

  /**
   * Copies the bytes of a chunk whose item goes on. `windowBytes`: what its sender may still make this side hold; the
   * item begins with as much memory as the last one took, up to that.
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

  /** The item whose last chunk this is, in memory of its own. */
  complete(last: Uint8Array, windowBytes: number): Uint8Array {
    if (this.bytes === 0) {
      this.forget();
      return last.slice();
    }
    this.add(last, windowBytes);
    const memory = this.#memory;
    this.#lastItemBytes = this.bytes;
    if (memory.length === this.bytes) {
      // It is the application's from now on.
      this.#memory = EMPTY;
      this.forget();
      return memory;
    }
    const item = memory.slice(0, this.bytes);
    this.forget();
    return item;
  }

  /** What is to be given back now. */
  takeCost(): number {
    const { cost } = this;
    this.cost = 0;
    return cost;
  }

  /** What has come of an item that is not complete is wiped. */
  forget(): void {
    if (this.bytes > 0) wipe(this.#memory.subarray(0, this.bytes));
    this.insideItem = false;
    this.#memory = EMPTY;
    this.bytes = 0;
    this.cost = 0;
  }
}

const EMPTY = new Uint8Array(0);
