// Gives out a fixed number of entries to more owners than there are entries. An owner that did not use its entry for a
// while loses it and is told so; it takes another when it next needs one. Replacement is "second chance" (clock): near
// to least recently used, for one byte written per use.

/** An object that works without its entry. */
export interface EntryOwner {
  /** The entry goes to another owner. This owner has to wipe its content. */
  evicted(entry: number): void;
}

export class ClockCache {
  readonly #owners: (EntryOwner | undefined)[] = [];
  readonly #used: Uint8Array;
  readonly #free: number[] = [];
  #hand = 0;

  /** @param count the number of entries, numbered from 0 */
  constructor(count: number) {
    this.#used = new Uint8Array(count);
  }

  /** An entry for `owner`, taken from another owner if none is free. */
  take(owner: EntryOwner): number {
    let entry = this.#free.pop();
    if (entry === undefined) {
      entry = this.#owners.length < this.#used.length ? this.#owners.length : this.#evict();
    }
    this.#owners[entry] = owner;
    // New entries start unmarked, so owners that use theirs once are evicted first.
    this.#used[entry] = 0;
    return entry;
  }

  /** Marks an entry as just used. */
  touch(entry: number): void {
    this.#used[entry] = 1;
  }

  giveBack(entry: number): void {
    this.#owners[entry] = undefined;
    this.#free.push(entry);
  }

  /** Entries that have an owner. */
  get inUse(): number {
    return this.#owners.length - this.#free.length;
  }

  #evict(): number {
    // Every turn of the hand clears marks, so the second turn finds one at the latest.
    for (;;) {
      const entry = this.#hand;
      this.#hand = (entry + 1) % this.#used.length;
      if (this.#used[entry] === 0) {
        this.#owners[entry]!.evicted(entry);
        return entry;
      }
      this.#used[entry] = 0;
    }
  }
}
