// What calls leave behind in the core's memory: all 64 MiB of it, before and after.

import assert from "node:assert/strict";
import { GCM_SCRATCH, memory } from "../../src/core/wasmModule.ts";

const words = new Int32Array(memory.buffer);
/** The first two words of GCM_SCRATCH are results that a call returns beside its value: an address and a count. */
const RESULTS_WORD = GCM_SCRATCH / 4;
/** Differences shown in a message. */
const MAX_SHOWN = 5;

/** All of it as it is now. Only pages that hold anything are kept. */
export class MemorySnapshot {
  readonly #words = new Int32Array(words);

  /** Addresses of the first words that differ now, results of calls left out. */
  differences(): number[] {
    const before = this.#words;
    const found: number[] = [];
    for (let i = 0; i < before.length && found.length < MAX_SHOWN; i++) {
      if (before[i] !== words[i] && i !== RESULTS_WORD && i !== RESULTS_WORD + 1) found.push(4 * i);
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

const PAGE_WORDS = 16_384;

/** The parts of linear memory that are not all zero, joined: nearly all of it was never touched. */
export function usedMemory(): Buffer {
  const pages: Uint8Array[] = [];
  for (let page = 0; page < words.length; page += PAGE_WORDS) {
    for (let i = page; i < page + PAGE_WORDS; i++) {
      if (words[i] === 0) continue;
      pages.push(memory.subarray(page * 4, (page + PAGE_WORDS) * 4));
      break;
    }
  }
  return Buffer.concat(pages);
}
