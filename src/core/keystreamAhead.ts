// Keystream for the next frames of one direction, made before the frames exist. A call of the runtime's AES has a fixed
// cost, and this shares that cost among messages that come one at a time.
//
// Only a connection that sends or receives STREAK single messages in a row gets it, and at most AHEAD_ENTRIES
// directions have it at once. A further direction takes the entry that was unused for the longest time. Waiting
// keystream is as secret as the key beside it. The keystream of each frame is given out once. After that, its counter
// lies behind `#nextLow`, so a counter that is set back never meets used or wiped keystream; it is made anew.

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
/** A call makes keystream for so many times as many frames as used the last, so little of it is ever wasted. */
const GROWTH = 4;

const entries = new ClockCache(AHEAD_ENTRIES);

/** The number of directions that hold keystream now; for tests. */
export function directionsAhead(): number {
  return entries.inUse;
}

export class KeystreamAhead implements EntryOwner {
  #entry = -1;
  #address = 0;
  /** Blocks per frame, including the one for the tag. */
  #blocks = 0;
  /** Frames [#nextLow, #endLow) of counter #high have keystream; that of the first one is at #next. */
  #high = 0;
  #nextLow = 0;
  #endLow = 0;
  #next = 0;
  #streak = 0;
  #neededStreak = STREAK;
  /** The number of frames that the last keystream was for. All bytes of the entry behind it are 0. */
  #made = 0;
  /** The number of frames that used it; MIN_FRAMES if it does not count. */
  #taken = MIN_FRAMES;
  /** The most blocks that a frame needed since keystream was last made. */
  #largest = 0;

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
    entries.giveBack(this.#entry);
    this.evicted();
  }

  /** EntryOwner: another direction gets the entry. */
  evicted(): void {
    memory.fill(0, this.#address, this.#end);
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
      this.#neededStreak = Math.min(2 * this.#neededStreak, MAX_STREAK);
      this.#streak = 0;
      return false;
    }
    if (this.#taken > MIN_FRAMES) this.#neededStreak = STREAK;
    const blocks = this.#largest;
    const frames = Math.min(GROWTH * this.#taken, Math.floor(AHEAD_ENTRY_BYTES / (16 * blocks)));
    // Near the end of a half counter, keystream is not made ahead.
    if (nodeCrypto() === undefined || frames < MIN_FRAMES || low + frames > 0xffffffff) return false;
    // First, because a destroyed key throws here, and the entry would be lost.
    const aes = key.runtimeAes();
    if (this.#entry < 0) {
      this.#entry = entries.take(this);
      this.#address = AHEAD + this.#entry * AHEAD_ENTRY_BYTES;
    }
    const start = this.#address;
    const end = start + 16 * blocks * frames;
    const lastEnd = this.#end;
    // What is left of the last keystream is gone, whatever throws.
    this.#endLow = this.#nextLow;
    if (lastEnd > end) memory.fill(0, end, lastEnd);
    this.#blocks = blocks;
    this.#made = frames;
    core.writeCountersAhead(layout, high, low, frames, blocks, start);
    aes.encryptBlocks(memory.subarray(start, end));
    this.#high = high;
    this.#nextLow = low;
    this.#endLow = low + frames;
    this.#next = start;
    this.#taken = 0;
    // The next refill counts sizes from now on.
    this.#largest = 0;
    return true;
  }

  /** The address behind the last keystream. */
  get #end(): number {
    return this.#address + 16 * this.#blocks * this.#made;
  }
}
