// Gives out a fixed number of slots to more owners than there are slots. An owner that was not used for a
// while loses its slot and is told so; it asks again when it next needs one. "Second chance" (clock)
// replacement: near to least recently used, for one byte write per use.

/** Something that can live without its slot. */
export interface SlotOwner {
  /** The slot goes to someone else. What it held is the owner's to wipe. */
  evicted(slot: number): void;
}

export class Slots {
  readonly #owners: (SlotOwner | undefined)[] = [];
  readonly #used: Uint8Array;
  readonly #free: number[] = [];
  #hand = 0;

  /** @param count how many slots there are, numbered from 0 */
  constructor(count: number) {
    this.#used = new Uint8Array(count);
  }

  /** A slot for `owner`, taken from another owner when none is free. */
  acquire(owner: SlotOwner): number {
    let slot = this.#free.pop();
    if (slot === undefined) {
      slot = this.#owners.length < this.#used.length ? this.#owners.length : this.#takeFromAnother();
    }
    this.#owners[slot] = owner;
    // Not marked yet: who comes once goes before those who came back.
    this.#used[slot] = 0;
    return slot;
  }

  /** Marks a slot as just used. */
  touch(slot: number): void {
    this.#used[slot] = 1;
  }

  release(slot: number): void {
    this.#owners[slot] = undefined;
    this.#free.push(slot);
  }

  /** Slots that have an owner. */
  get inUse(): number {
    return this.#owners.length - this.#free.length;
  }

  #takeFromAnother(): number {
    // Every turn of the hand clears marks, so the second turn finds one at the latest.
    for (;;) {
      const slot = this.#hand;
      this.#hand = (slot + 1) % this.#used.length;
      if (this.#used[slot] === 0) {
        this.#owners[slot]!.evicted(slot);
        return slot;
      }
      this.#used[slot] = 0;
    }
  }
}
