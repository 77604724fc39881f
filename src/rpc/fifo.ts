// A queue whose work per item is constant in every runtime. In some of them, Array.prototype.shift moves all items that
// are left.

/** After this many items were taken from the front, the array is shortened. */
const SHIFT_AFTER = 64;

export class Fifo<Item> {
  #items: (Item | undefined)[] = [];
  #head = 0;

  get isEmpty(): boolean {
    return this.#head === this.#items.length;
  }

  /** The oldest; undefined when it is empty. */
  get first(): Item | undefined {
    return this.#items[this.#head];
  }

  push(item: Item): void {
    this.#items.push(item);
  }

  /** Removes the oldest and returns it; undefined when it is empty. */
  shift(): Item | undefined {
    if (this.isEmpty) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.isEmpty) {
      this.#items = [];
      this.#head = 0;
    } else if (this.#head >= SHIFT_AFTER && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** Empties the queue and returns its items in order. */
  takeAll(): Item[] {
    const items = this.#items.slice(this.#head) as Item[];
    this.#items = [];
    this.#head = 0;
    return items;
  }
}
