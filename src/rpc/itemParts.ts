// Collects the parts of a stream's item until it is complete.

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
      const larger = new Uint8Array(Math.min(length, this.#maxItemBytes));
      larger.set(this.#memory.subarray(0, this.bytes));
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
    const { length } = this.#memory;
    let item = this.#memory.subarray(0, this.bytes);
    if (item.length !== length) item = item.slice();
    this.#lastItemBytes = item.length;
    this.forget();
    return item;
  }

  /** What is to be given back now. */
  takeCost(): number {
    const { cost } = this;
    this.cost = 0;
    return cost;
  }

  forget(): void {
    this.insideItem = false;
    this.#memory = EMPTY;
    this.bytes = 0;
    this.cost = 0;
  }
}

const EMPTY = new Uint8Array(0);
