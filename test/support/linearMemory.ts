// Finds what calls leave in the core's memory, by comparing all of it before and after.

import assert from "node:assert/strict";
import { GCM_SCRATCH, memory } from "../../src/core/wasmModule.ts";
import { SearchedBytes } from "./searchedBytes.ts";

/** The first two words of GCM_SCRATCH are results that a call returns beside its value: an address and a count. */
const RESULTS_ADDRESSES = [GCM_SCRATCH, GCM_SCRATCH + 4];
/** Differences shown in a message. */
const MAX_SHOWN = 5;
const PAGE_BYTES = 65_536;
const EMPTY_PAGE = Buffer.alloc(PAGE_BYTES);

/** Linear memory page by page. A page is compared at once, as the runtime compares buffers: word by word costs 80 ms. */
const pages = Array.from({ length: memory.length / PAGE_BYTES }, (_, i) =>
  Buffer.from(memory.buffer, i * PAGE_BYTES, PAGE_BYTES),
);

/** All of it as it is now. Only pages that hold anything are kept: nearly all of it was never touched. */
export class MemorySnapshot {
  readonly #pages = pages.map((page) => (page.equals(EMPTY_PAGE) ? EMPTY_PAGE : Buffer.from(page)));

  /** Addresses of the first words that differ now, results of calls left out. */
  differences(): number[] {
    const found: number[] = [];
    for (const [i, page] of pages.entries()) {
      const before = this.#pages[i]!;
      if (page.equals(before)) continue;
      for (let at = 0; at < PAGE_BYTES && found.length < MAX_SHOWN; at += 4) {
        const address = i * PAGE_BYTES + at;
        if (page.readInt32LE(at) === before.readInt32LE(at) || RESULTS_ADDRESSES.includes(address)) continue;
        found.push(address);
      }
    }
    return found;
  }

  /** Fails unless memory is what it was, byte for byte: then nothing of what was computed meanwhile is in it. */
  assertUnchanged(what: string): void {
    const found = this.differences();
    if (found.length === 0) return;
    const shown = found.map((address) => `0x${address.toString(16)}`).join(", ");
    assert.fail(`${what}: linear memory is not what it was, first at ${shown}`);
  }
}

/** The parts of linear memory that are not all zero, joined. */
export function usedMemory(): SearchedBytes {
  return new SearchedBytes(Buffer.concat(pages.filter((page) => !page.equals(EMPTY_PAGE))));
}
