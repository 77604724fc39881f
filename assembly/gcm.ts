// AES-256-GCM of frames in linear memory, SP 800-38D with 96-bit IVs, empty AAD and 128-bit tags.
//
// Secret: keys (an entry of the key cache), keystream (KEYSTREAM, wiped before every return), plaintext.
// A frame is u32be length ‖ text ‖ 16-byte tag; `length` counts text and tag. Frames lie side by side in
// [start, end) and use consecutive 64-bit counters. The IV with the block counter is four 32-bit words:
//   layout 0 (v1):     counter high ‖ counter low ‖ 0 ‖ block
//   layout 1 (Noise):  0 ‖ counter high ‖ counter low ‖ block
// The keystream comes from one of two sources, with the same bytes: the module's own AES (sealFrames, openFrames), or
// the host's. The host encrypts the counter blocks that writeCounters() left at KEYSTREAM (or writeCountersAhead()
// elsewhere) and then calls sealPrepared() or openPrepared(). Opening checks the tag of a frame before it writes any of
// its plaintext.

import { encryptBlocks, expandKey } from "./aes256";
import { slicedKeystream, wipeSliced } from "./aes256Sliced";
import { reverse4, tailMask, wipe } from "./bytes";
import { ghashFinal, lengthBlock, wipeHash } from "./ghash";
import { KARATSUBA_BYTES } from "./ghashKaratsuba";
import { expandHash, wipeHashSetup } from "./ghashNibbles";
import { AES_KEY_SCRATCH, GCM_RESULTS, KEY_FLAGS, KEY_KARATSUBA, KEYSTREAM, KEYSTREAM_BYTES } from "./memory";

const TAG: usize = 16;
const PREFIX: usize = 4;

/** The number of keystream blocks made at a time: 8 KiB stay in the first-level cache together with the text. */
const PIECE_BLOCKS: usize = 512;
/** Up to this many blocks the row-wise AES is cheaper than a group of 16. */
const ROWS_MAX: usize = 11;

/** Expands the 32-byte key at `key` into `entry` (KEY_ENTRY_BYTES). */
export function keySetup(entry: usize, key: usize): void {
  expandKey(entry, key);
  v128.store(AES_KEY_SCRATCH, i64x2.splat(0));
  encryptBlocks(entry, AES_KEY_SCRATCH, 1);
  expandHash(entry, v128.load(AES_KEY_SCRATCH));
  // The tables are an earlier key's. Those of this key are built when they are first needed.
  if (load<u32>(entry + KEY_FLAGS) !== 0) memory.fill(entry + KEY_KARATSUBA, 0, KARATSUBA_BYTES);
  store<u32>(entry + KEY_FLAGS, 0);
  wipe(AES_KEY_SCRATCH, AES_KEY_SCRATCH + 16);
  wipeHashSetup();
}

/** The counter block of a frame as words in lanes. The last lane is the block counter's. */
// @inline
function frameNonce(layout: i32, counter: u64): v128 {
  const high = <u32>(counter >> 32);
  const low = <u32>counter;
  const first = i32x4.replace_lane(i32x4.replace_lane(i32x4.splat(0), 0, high), 1, low);
  const last = i32x4.replace_lane(i32x4.replace_lane(i32x4.splat(0), 1, high), 2, low);
  return layout === 0 ? first : last;
}

/** Writes the counter blocks from `counter` on. */
// @inline
function writeCounterBlocks(nonce: v128, counter: u32, count: usize, out: usize): void {
  for (const end = out + 16 * count; out < end; out += 16) {
    v128.store(out, reverse4(i32x4.replace_lane(nonce, 3, counter++)));
  }
}

/**
 * Makes the module's own keystream for `count` counters (at most PIECE_BLOCKS) from `counter`. Returns the address of
 * its first block, inside KEYSTREAM.
 */
export function makeKeystream(entry: usize, nonce: v128, counter: u32, count: usize): usize {
  if (count <= ROWS_MAX) {
    writeCounterBlocks(nonce, counter, count, KEYSTREAM);
    encryptBlocks(entry, KEYSTREAM, count);
    return KEYSTREAM;
  }
  // Groups start at multiples of 16, so that no group crosses a carry out of the last byte.
  const skip = <usize>(counter & 15);
  let groups = (skip + count) >> 4;
  let rest = (skip + count) & 15;
  if (rest > ROWS_MAX) {
    groups++;
    rest = 0;
  }
  slicedKeystream(entry, nonce, counter - <u32>skip, groups, KEYSTREAM);
  const tail = KEYSTREAM + 256 * groups;
  writeCounterBlocks(nonce, counter + 16 * <u32>groups - <u32>skip, rest, tail);
  encryptBlocks(entry, tail, rest);
  return KEYSTREAM + 16 * skip;
}

/** Wipes the `blocks` blocks that makeKeystream() made. */
export function wipeKeystream(blocks: usize): void {
  if (blocks <= ROWS_MAX) {
    wipe(KEYSTREAM, KEYSTREAM + 16 * blocks);
    return;
  }
  // Keystream is made in whole groups, so up to 15 blocks more lie before and after.
  wipe(KEYSTREAM, KEYSTREAM + 16 * blocks + 512);
  wipeSliced();
}

/** text ^= keystream. */
export function xorInto(text: usize, keystream: usize, length: usize): void {
  const end = text + length;
  while (text + 64 <= end) {
    v128.store(text, v128.xor(v128.load(text), v128.load(keystream)));
    v128.store(text + 16, v128.xor(v128.load(text + 16), v128.load(keystream + 16)));
    v128.store(text + 32, v128.xor(v128.load(text + 32), v128.load(keystream + 32)));
    v128.store(text + 48, v128.xor(v128.load(text + 48), v128.load(keystream + 48)));
    text += 64;
    keystream += 64;
  }
  while (text + 16 <= end) {
    v128.store(text, v128.xor(v128.load(text), v128.load(keystream)));
    text += 16;
    keystream += 16;
  }
  // The bytes after the end are written back as they were.
  if (text < end) {
    v128.store(text, v128.xor(v128.load(text), v128.and(v128.load(keystream), tailMask(end - text))));
  }
}

// @inline
function frameLength(frame: usize): usize {
  return <usize>bswap<u32>(load<u32>(frame));
}

// @inline
function blocksOf(length: usize): usize {
  return (length + 15) >> 4;
}

/** XORs keystream onto a text longer than the first piece, from block counter `counter` on. */
export function cryptPieces(entry: usize, nonce: v128, counter: u32, text: usize, length: usize): void {
  while (length > 0) {
    const bytes = min<usize>(length, 16 * PIECE_BLOCKS);
    const blocks = blocksOf(bytes);
    xorInto(text, makeKeystream(entry, nonce, counter, blocks), bytes);
    counter += <u32>blocks;
    text += bytes;
    length -= bytes;
  }
}

/** The most bytes of text whose keystream is in the first piece, after the E(J0) block. */
const FIRST_TEXT: usize = 16 * (PIECE_BLOCKS - 2);

/** Seals every frame in [start, end) in place. The counter of the first frame is given in halves. */
export function sealFrames(entry: usize, layout: i32, high: u32, low: u32, start: usize, end: usize): void {
  let counter = ((<u64>high) << 32) | low;
  let used: usize = 0;
  let longest: usize = 0;
  for (let frame = start; frame < end; counter++) {
    const length = frameLength(frame) - TAG;
    const text = frame + PREFIX;
    const nonce = frameNonce(layout, counter);
    const first = min<usize>(length, FIRST_TEXT);
    longest = max<usize>(longest, length);
    const blocks = blocksOf(first) + 1;
    const keystream = makeKeystream(entry, nonce, 1, blocks);
    const tagMask = v128.load(keystream);
    xorInto(text, keystream + 16, first);
    cryptPieces(entry, nonce, 1 + <u32>blocks, text + first, length - first);
    const y = ghashFinal(entry, i64x2.splat(0), text, length, lengthBlock(0, length));
    v128.store(text + length, v128.xor(y, tagMask));
    used = max<usize>(used, length > first ? PIECE_BLOCKS : blocks);
    frame = text + length + TAG;
  }
  wipeKeystream(used);
  wipeHash(longest);
}

/** Opens the frames in [start, end) in place, up to the first that does not authenticate. Returns their number. */
export function openFrames(entry: usize, layout: i32, high: u32, low: u32, start: usize, end: usize): u32 {
  let counter = ((<u64>high) << 32) | low;
  let used: usize = 0;
  let longest: usize = 0;
  let opened: u32 = 0;
  for (let frame = start; frame < end; counter++) {
    const length = frameLength(frame) - TAG;
    const text = frame + PREFIX;
    const nonce = frameNonce(layout, counter);
    const first = min<usize>(length, FIRST_TEXT);
    longest = max<usize>(longest, length);
    const blocks = blocksOf(first) + 1;
    used = max<usize>(used, length > first ? PIECE_BLOCKS : blocks);
    const keystream = makeKeystream(entry, nonce, 1, blocks);
    const y = ghashFinal(entry, i64x2.splat(0), text, length, lengthBlock(0, length));
    const tag = v128.xor(y, v128.load(keystream));
    if (v128.any_true(v128.xor(tag, v128.load(text + length)))) break;
    xorInto(text, keystream + 16, first);
    cryptPieces(entry, nonce, 1 + <u32>blocks, text + first, length - first);
    opened++;
    frame = text + length + TAG;
  }
  wipeKeystream(used);
  wipeHash(longest);
  return opened;
}

/**
 * Writes the counter blocks of the frames in [start, end) to KEYSTREAM: 1 (for the tag), 2, 3, … of each.
 * Stops before a frame whose blocks do not fit. Returns the bytes written; GCM_RESULTS holds the address after the last
 * frame that fits (u32) and the number of frames (u32).
 */
export function writeCounters(layout: i32, high: u32, low: u32, start: usize, end: usize): usize {
  let counter = ((<u64>high) << 32) | low;
  let out = KEYSTREAM;
  let frame = start;
  let frames: u32 = 0;
  while (frame < end) {
    const length = frameLength(frame);
    const blocks = blocksOf(length - TAG) + 1;
    if (out + 16 * blocks > KEYSTREAM + KEYSTREAM_BYTES) break;
    writeCounterBlocks(frameNonce(layout, counter), 1, blocks, out);
    out += 16 * blocks;
    frame += PREFIX + length;
    counter++;
    frames++;
  }
  store<u32>(GCM_RESULTS, <u32>frame);
  store<u32>(GCM_RESULTS + 4, frames);
  return out - KEYSTREAM;
}

/**
 * Writes counter blocks 1 to `blocks` of `frames` frames to `out`, one frame after the other. The lengths of the frames
 * are not known yet.
 */
export function writeCountersAhead(
  layout: i32,
  high: u32,
  low: u32,
  frames: usize,
  blocks: usize,
  out: usize,
): void {
  let counter = ((<u64>high) << 32) | low;
  for (; frames > 0; frames--) {
    writeCounterBlocks(frameNonce(layout, counter), 1, blocks, out);
    out += 16 * blocks;
    counter++;
  }
}

/** Seals the frames in [start, end) with the keystream that lies at `keystream`, and wipes it. */
export function sealPrepared(entry: usize, start: usize, end: usize, keystream: usize): void {
  const keystreamStart = keystream;
  let longest: usize = 0;
  for (let frame = start; frame < end; ) {
    const length = frameLength(frame) - TAG;
    const text = frame + PREFIX;
    longest = max<usize>(longest, length);
    xorInto(text, keystream + 16, length);
    const y = ghashFinal(entry, i64x2.splat(0), text, length, lengthBlock(0, length));
    v128.store(text + length, v128.xor(y, v128.load(keystream)));
    keystream += 16 * (blocksOf(length) + 1);
    frame = text + length + TAG;
  }
  wipe(keystreamStart, keystream);
  wipeHash(longest);
}

/** Opens frames with the keystream that lies at `keystream`, and wipes it; see openFrames. */
export function openPrepared(entry: usize, start: usize, end: usize, keystream: usize): u32 {
  const keystreamStart = keystream;
  let longest: usize = 0;
  let opened: u32 = 0;
  let authentic = true;
  for (let frame = start; frame < end; ) {
    const length = frameLength(frame) - TAG;
    const text = frame + PREFIX;
    longest = max<usize>(longest, length);
    if (authentic) {
      const y = ghashFinal(entry, i64x2.splat(0), text, length, lengthBlock(0, length));
      const tag = v128.xor(y, v128.load(keystream));
      authentic = !v128.any_true(v128.xor(tag, v128.load(text + length)));
    }
    if (authentic) {
      xorInto(text, keystream + 16, length);
      opened++;
    }
    // After a failure the loop only finds the end of the keystream, because all of it is wiped.
    keystream += 16 * (blocksOf(length) + 1);
    frame = text + length + TAG;
  }
  wipe(keystreamStart, keystream);
  wipeHash(longest);
  return opened;
}
