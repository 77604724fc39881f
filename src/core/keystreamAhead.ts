// Keystream for the next frames of one direction, made before the frames exist. A call of the runtime's AES has a fixed
// cost, and this shares that cost among messages that come one at a time.
//
// Only a connection that sends or receives STREAK single messages in a row gets it, and at most AHEAD_ENTRIES
// directions have it at once. A further direction takes the entry that was unused for the longest time. Waiting
// keystream is as secret as the key beside it. The keystream of each frame is given out once. After that, its counter
// lies behind `#nextLow` for good, so a counter that is set back never meets used or wiped keystream.

import type { CachedKey } from "./cachedKey.ts";
import { ClockCache, type EntryOwner } from "./clockCache.ts";
import { nodeCrypto } from "./runtimeAes.ts";
import { AHEAD, AHEAD_ENTRIES, AHEAD_ENTRY_BYTES, core, memory } from "./wasmModule.ts";

/**
 * Single messages in a row before keystream is made ahead; in a stream of batches it would be wasted. The number
 * doubles, up to the maximum, each time that fewer than MIN_FRAMES frames used their keystream.
 */
const STREAK = 4;
const MAX_STREAK = 256;
/** Below this many frames per call keystream ahead gains nothing. */
const MIN_FRAMES = 3;
/** The first call makes keystream for so many frames, and each call GROWTH times as many if all of the last was used. */
const FIRST_FRAMES = 8;
const GROWTH = 4;

const entries = new ClockCache(AHEAD_ENTRIES);

/** The number of directions that hold keystream now; for tests. */
export function directionsAhead(): number {
  return entries.inUse;
}

export class KeystreamAhead {
  #entry = -1;
  #address = 0;
  /** The bytes at `#address` that may hold keystream. All others of the entry are 0. */
  #filled = 0;
  /** Blocks per frame, including the one for the tag. */
  #blocks = 0;
  /** Frames [#nextLow, #endLow) of counter #high have keystream; that of the first one is at #next. */
  #high = 0;
  #nextLow = 0;
  #endLow = 0;
  #next = 0;
  #streak = 0;
  #neededStreak = STREAK;
  /** The number of frames that the last keystream was for; 0 if it does not count. */
  #made = 0;
  /** The number of frames that used it; MIN_FRAMES if it does not count. */
  #taken = MIN_FRAMES;
  /** The most blocks that a frame needed since keystream was last made. */
  #largest = 0;

  readonly #owner: EntryOwner = {
    evicted: () => {
      this.#wipe();
      this.#entry = -1;
    },
  };

  /** A frame of another kind came: the keystream stays, but no more is made for now. */
  pause(): void {
    this.#streak = 0;
    this.#largest = 0;
  }

  /**
   * The address of keystream for the frame with this counter and `length` bytes of text, or 0. It must be used and
   * wiped at once.
   */
  take(key: CachedKey, layout: 0 | 1, high: number, low: number, length: number): number {
    const blocks = ((length + 15) >>> 4) + 1;
    if (blocks > this.#largest) this.#largest = blocks;
    if (!this.#has(high, low, blocks)) {
      this.#streak++;
      if (this.#streak < this.#neededStreak || !this.#refill(key, layout, high, low)) return 0;
    }
    entries.touch(this.#entry);
    const stride = 16 * this.#blocks;
    const found = this.#next + (low - this.#nextLow) * stride;
    this.#nextLow = low + 1;
    this.#next = found + stride;
    this.#taken++;
    return found;
  }

  /** Wipes the keystream and releases the entry. */
  drop(): void {
    if (this.#entry < 0) return;
    this.#wipe();
    entries.giveBack(this.#entry);
    this.#entry = -1;
  }

  #has(high: number, low: number, blocks: number): boolean {
    return (
      this.#entry >= 0 &&
      high === this.#high &&
      low >= this.#nextLow &&
      low < this.#endLow &&
      blocks <= this.#blocks
    );
  }

  #refill(key: CachedKey, layout: 0 | 1, high: number, low: number): boolean {
    if (this.#taken < MIN_FRAMES) {
      this.#taken = MIN_FRAMES;
      this.#made = 0;
      this.#neededStreak = Math.min(2 * this.#neededStreak, MAX_STREAK);
      this.#streak = 0;
      return false;
    }
    if (this.#taken > MIN_FRAMES) this.#neededStreak = STREAK;
    const blocks = this.#largest;
    const wanted = this.#made > 0 && this.#taken >= this.#made ? GROWTH * this.#made : FIRST_FRAMES;
    const frames = Math.min(wanted, Math.floor(AHEAD_ENTRY_BYTES / (16 * blocks)));
    // Near the end of a half counter, keystream is not made ahead.
    if (nodeCrypto() === undefined || frames < MIN_FRAMES || low + frames > 0xffffffff) return false;
    // First, because a destroyed key throws here, and the entry would be lost.
    const aes = key.runtimeAes();
    if (this.#entry < 0) {
      this.#entry = entries.take(this.#owner);
      this.#address = AHEAD + this.#entry * AHEAD_ENTRY_BYTES;
    }
    this.#overwrite(layout, high, low, frames, blocks);
    aes.encryptBlocks(memory.subarray(this.#address, this.#address + this.#filled));
    this.#blocks = blocks;
    this.#high = high;
    this.#nextLow = low;
    this.#endLow = low + frames;
    this.#next = this.#address;
    this.#made = frames;
    this.#taken = 0;
    // The next refill counts sizes from now on.
    this.#largest = 0;
    return true;
  }

  /** Puts the counters of the next frames in the place of all keystream that is left. */
  #overwrite(layout: 0 | 1, high: number, low: number, frames: number, blocks: number): void {
    this.#endLow = this.#nextLow;
    const bytes = 16 * blocks * frames;
    core.writeCountersAhead(layout, high, low, frames, blocks, this.#address);
    if (this.#filled > bytes) memory.fill(0, this.#address + bytes, this.#address + this.#filled);
    this.#filled = bytes;
  }

  #wipe(): void {
    memory.fill(0, this.#address, this.#address + this.#filled);
    this.#filled = 0;
    this.#endLow = this.#nextLow;
  }
}
