// Multiplication in GHASH (SP 800-38D section 6.3) by vector permute, for up to GHASH_POWERS blocks at a time.
//
// Secret: H, its multiples, the running value Y, and the blocks mixed with Y, because they would reveal H.
// An element of GF(2^128) has 16 bytes. Bit 7 of byte 0 is the coefficient of x^0; the modulus is x^128+x^7+x^2+x+1.
//
// The 16 lanes of a register are the 16 bytes of a block. With T_k[n] = byte k of n·H^i, where n is the high nibble of
// a byte, one look-up gives byte k of the product for all 16 bytes. That byte belongs k bytes further on, so X·H^i is
// the sum over k of x^8k · (T_k[high] + x^4 · T_k[low]). Up to GHASH_POWERS blocks are summed before anything is
// shifted or reduced, so a block takes 32 look-ups. The tables T_0 to T_15 of a power of H have 256 bytes; they are at
// entry + KEY_GHASH, power 1 first.

import { highNibbles, lookup, nibbleMask, reverse16, wipe } from "./bytes";
import { GHASH_NIBBLES, GHASH_POWERS, GHASH_TRANSPOSE, KEY_GHASH, KEY_H4 } from "./memory";
import { interleaveColumnCall, transposeWordsCall } from "./transpose";

const UPPER_LANE: usize = memory.data<u8>(
  [0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255],
  16,
);

/** low + x^128 · high, reduced. Both have 16 bytes; the degree of `high` is at most 123. */
// @inline
export function reduce(low: v128, high: v128): v128 {
  // For big-endian numbers a multiplication by x is a shift to the right. The upper lane comes first.
  const h = reverse16(high);
  let t = v128.xor(v128.xor(h, i64x2.shr_u(h, 1)), v128.xor(i64x2.shr_u(h, 2), i64x2.shr_u(h, 7)));
  let c = v128.xor(v128.xor(i64x2.shl(h, 63), i64x2.shl(h, 62)), i64x2.shl(h, 57));
  // Bits that leave the upper lane enter the lower one; bits that leave the lower one are multiples of x^128 again.
  c = i64x2.shuffle(c, c, 1, 0);
  t = v128.xor(t, c);
  const again = v128.xor(v128.xor(i64x2.shr_u(c, 1), i64x2.shr_u(c, 2)), i64x2.shr_u(c, 7));
  t = v128.xor(t, v128.and(again, v128.load(UPPER_LANE)));
  return v128.xor(low, reverse16(t));
}

/** x · v, for v as two big-endian lanes (reverse16 of the bytes). */
// @inline
export function timesX(v: v128): v128 {
  let c = i64x2.shl(v, 63);
  c = i64x2.shuffle(c, c, 1, 0);
  const again = v128.xor(v128.xor(i64x2.shr_u(c, 1), i64x2.shr_u(c, 2)), i64x2.shr_u(c, 7));
  return v128.xor(v128.xor(i64x2.shr_u(v, 1), c), v128.and(again, v128.load(UPPER_LANE)));
}

/** Writes the 16 tables of one element `h` (16 bytes, usual order) to `out`. */
function buildPower(h: v128, out: usize): void {
  const v = reverse16(h);
  const vx = timesX(v);
  const vx2 = timesX(vx);
  const n8 = h;
  const n4 = reverse16(vx);
  const n2 = reverse16(vx2);
  const n1 = reverse16(timesX(vx2));
  const n12 = v128.xor(n8, n4);
  const n3 = v128.xor(n2, n1);
  const words = GHASH_TRANSPOSE;
  interleaveColumnCall(i64x2.splat(0), n1, n2, n3, words);
  interleaveColumnCall(n4, v128.xor(n4, n1), v128.xor(n4, n2), v128.xor(n4, n3), words + 16);
  interleaveColumnCall(n8, v128.xor(n8, n1), v128.xor(n8, n2), v128.xor(n8, n3), words + 32);
  interleaveColumnCall(n12, v128.xor(n12, n1), v128.xor(n12, n2), v128.xor(n12, n3), words + 48);
  for (let quad: usize = 0; quad < 256; quad += 64) transposeWordsCall(words + quad, out + quad);
}

/** x^8 · (low, high) + z: one step of Horner's rule by bytes. */
// @inline
function shiftLow(low: v128): v128 {
  return i8x16.shuffle(i64x2.splat(0), low, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30);
}

// @inline
function shiftHigh(low: v128, high: v128): v128 {
  return i8x16.shuffle(low, high, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30);
}

/** The low half of H + x^4 · L, and below it the high half. L is given by its two halves of 16 bytes. */
// @inline
function timesX4Low(low: v128, mask: v128): v128 {
  return v128.xor(highNibbles(low, mask), shiftLow(i16x8.shl(v128.and(low, mask), 4)));
}

// @inline
function timesX4High(low: v128, high: v128, mask: v128): v128 {
  const up = shiftHigh(i16x8.shl(v128.and(low, mask), 4), i16x8.shl(v128.and(high, mask), 4));
  return v128.xor(highNibbles(high, mask), up);
}

/** The reduced element for the sums of the two nibble classes, 32 bytes each. */
// @inline
export function combineNibbles(lowH: v128, highH: v128, lowL: v128, highL: v128): v128 {
  const mask = nibbleMask();
  return reduce(v128.xor(lowH, timesX4Low(lowL, mask)), v128.xor(highH, timesX4High(lowL, highL, mask)));
}

/** Splits block number `index` of a group into nibbles for multiplyGroup. */
// @inline
export function stage(index: usize, x: v128): void {
  const mask = nibbleMask();
  v128.store(GHASH_NIBBLES + 32 * index, highNibbles(x, mask));
  v128.store(GHASH_NIBBLES + 32 * index + 16, v128.and(x, mask));
}

/** The sum of X_i · H^(top - i) over the `count` staged blocks. `top` is at most GHASH_POWERS. */
export function multiplyGroup(entry: usize, top: usize, count: usize): v128 {
  const end = GHASH_NIBBLES + 32 * count;
  let lowH = i64x2.splat(0);
  let highH = i64x2.splat(0);
  let lowL = i64x2.splat(0);
  let highL = i64x2.splat(0);
  let tables = entry + KEY_GHASH + (top - 1) * 256 + 192;
  for (let quarter = 0; quarter < 4; quarter++) {
    let h0 = i64x2.splat(0);
    let h1 = i64x2.splat(0);
    let h2 = i64x2.splat(0);
    let h3 = i64x2.splat(0);
    let l0 = i64x2.splat(0);
    let l1 = i64x2.splat(0);
    let l2 = i64x2.splat(0);
    let l3 = i64x2.splat(0);
    let t = tables;
    for (let ptr = GHASH_NIBBLES; ptr < end; ptr += 32) {
      const hi = v128.load(ptr);
      const lo = v128.load(ptr + 16);
      let table = v128.load(t);
      h0 = v128.xor(h0, lookup(table, hi));
      l0 = v128.xor(l0, lookup(table, lo));
      table = v128.load(t + 16);
      h1 = v128.xor(h1, lookup(table, hi));
      l1 = v128.xor(l1, lookup(table, lo));
      table = v128.load(t + 32);
      h2 = v128.xor(h2, lookup(table, hi));
      l2 = v128.xor(l2, lookup(table, lo));
      table = v128.load(t + 48);
      h3 = v128.xor(h3, lookup(table, hi));
      l3 = v128.xor(l3, lookup(table, lo));
      t -= 256;
    }
    // z0 + x^8 z1 + x^16 z2 + x^24 z3 is added to x^32 times the sum so far. Apart, the two keep the chain short.
    let high = shiftHigh(h3, i64x2.splat(0));
    let low = v128.xor(shiftLow(h3), h2);
    high = shiftHigh(low, high);
    low = v128.xor(shiftLow(low), h1);
    high = shiftHigh(low, high);
    low = v128.xor(shiftLow(low), h0);
    highH = v128.xor(high, i32x4.shuffle(lowH, highH, 3, 4, 5, 6));
    lowH = v128.xor(low, i32x4.shuffle(i64x2.splat(0), lowH, 3, 4, 5, 6));
    high = shiftHigh(l3, i64x2.splat(0));
    low = v128.xor(shiftLow(l3), l2);
    high = shiftHigh(low, high);
    low = v128.xor(shiftLow(low), l1);
    high = shiftHigh(low, high);
    low = v128.xor(shiftLow(low), l0);
    highL = v128.xor(high, i32x4.shuffle(lowL, highL, 3, 4, 5, 6));
    lowL = v128.xor(low, i32x4.shuffle(i64x2.splat(0), lowL, 3, 4, 5, 6));
    tables -= 64;
  }
  return combineNibbles(lowH, highH, lowL, highL);
}

/** Builds the tables of H^1 … H^GHASH_POWERS in `entry`. */
export function expandHash(entry: usize, h: v128): void {
  let power = h;
  buildPower(h, entry + KEY_GHASH);
  for (let i: usize = 1; i < GHASH_POWERS; i++) {
    stage(0, power);
    power = multiplyGroup(entry, 1, 1);
    if (i === 3) v128.store(entry + KEY_H4, power);
    buildPower(power, entry + KEY_GHASH + 256 * i);
  }
}

/** Wipes the scratch memory that staging uses. */
export function wipeNibbles(): void {
  wipe(GHASH_NIBBLES, GHASH_NIBBLES + 32 * GHASH_POWERS);
}

/** Wipes the scratch memory that expandHash uses. */
export function wipeHashSetup(): void {
  wipeNibbles();
  wipe(GHASH_TRANSPOSE, GHASH_TRANSPOSE + 256);
}
