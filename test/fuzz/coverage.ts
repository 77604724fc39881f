// The counters that scripts/fuzz/coverage.js puts into the library's sources count here. Blocks are numbered in the
// bundle's order.

const MOST_BLOCKS = 16_384;

/** How often each block has run since the last `reset`. */
export const fuzzHits = new Uint32Array(MOST_BLOCKS);

/** Classes of how often a block ran, as bits: once, twice, up to 4, 8, 32, 128, and more. */
function classOf(hits: number): number {
  if (hits <= 2) return hits;
  if (hits <= 4) return 4;
  if (hits <= 8) return 8;
  if (hits <= 32) return 16;
  return hits <= 128 ? 32 : 64;
}

/** The blocks that inputs have reached so far. */
export class Coverage {
  readonly #seen: Uint8Array;
  /** Blocks that were reached at least once. */
  blocks = 0;

  /** `total`: blocks that there are. */
  constructor(total: number) {
    this.#seen = new Uint8Array(Math.min(total, MOST_BLOCKS));
  }

  /** Begins with an input: nothing has run. */
  reset(): void {
    fuzzHits.fill(0, 0, this.#seen.length);
  }

  /** Takes over what ran since `reset`. Returns whether any block ran that never did, or in a new class of often. */
  add(): boolean {
    let isNew = false;
    for (let block = 0; block < this.#seen.length; block++) {
      const hits = fuzzHits[block]!;
      if (hits === 0) continue;
      const bit = classOf(hits);
      const seen = this.#seen[block]!;
      if ((seen & bit) !== 0) continue;
      if (seen === 0) this.blocks++;
      this.#seen[block] = seen | bit;
      isNew = true;
    }
    return isNew;
  }

  /** Blocks that ran since `reset`. */
  blocksNow(): number[] {
    return [...this.#seen.keys()].filter((block) => fuzzHits[block]! > 0);
  }
}
