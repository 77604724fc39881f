// GHASH, SP 800-38D section 6.4. Quads of blocks (ghashKaratsuba.ts) hash most of a long text. Groups of up to
// GHASH_POWERS blocks (ghashNibbles.ts) hash its rest, and short texts.
//
// Secret: Y and everything derived from H. Texts are read from linear memory. The last block is filled up with zeros
// after it is loaded: bytes after the end of the text are read, but do not change the result.

import { reverse16, tailMask } from "./bytes";
import { hashQuads, wipeQuads } from "./ghashKaratsuba";
import { multiplyGroup, stage, wipeNibbles } from "./ghashNibbles";
import { GHASH_LANES, GHASH_POWERS } from "./memory";

/** Texts from this many bytes on use the Karatsuba form. */
const KARATSUBA_FROM: usize = 14 * 16;

/** The block that ends every GHASH in GCM: bit lengths of AAD and text as two big-endian u64. */
// @inline
export function lengthBlock(aadBytes: u64, textBytes: u64): v128 {
  return reverse16(i64x2.replace_lane(i64x2.splat(textBytes << 3), 1, aadBytes << 3));
}

/** Block number `index` of the text from `ptr` to `end`. The last block is filled up with zeros. */
// @inline
function textBlock(ptr: usize, end: usize): v128 {
  const left = end - ptr;
  const x = v128.load(ptr);
  return left < 16 ? v128.and(x, tailMask(left)) : x;
}

/**
 * Y after the `length` bytes at `ptr`. With `final` the block `lengths` follows; without it, `length` must not
 * be 0.
 */
function absorb(entry: usize, y: v128, ptr: usize, length: usize, final: boolean, lengths: v128): v128 {
  const end = ptr + length;
  let lanes: usize = 0;
  if (length >= KARATSUBA_FROM) {
    // At least four blocks must follow the quads.
    const quads = (((length + 15) >> 4) - 4 + usize(final)) >> 2;
    hashQuads(entry, y, ptr, quads);
    ptr += 64 * quads;
    y = i64x2.splat(0);
    lanes = 4;
  }
  let done = false;
  do {
    let count: usize = 0;
    do {
      let x: v128;
      if (ptr < end) {
        x = textBlock(ptr, end);
        ptr += 16;
        done = !final && ptr >= end;
      } else {
        x = lengths;
        done = true;
      }
      if (count === 0) x = v128.xor(x, y);
      if (count < lanes) x = v128.xor(x, v128.load(GHASH_LANES + 16 * count));
      stage(count, x);
      count++;
    } while (count < GHASH_POWERS && !done);
    y = multiplyGroup(entry, count, count);
    lanes = 0;
  } while (!done);
  return y;
}

/** Y after the `length` bytes at `ptr`. The last block is filled up with zeros. */
export function ghash(entry: usize, y: v128, ptr: usize, length: usize): v128 {
  return length === 0 ? y : absorb(entry, y, ptr, length, false, y);
}

/** Does the same as ghash(), then hashes the length block. */
export function ghashFinal(entry: usize, y: v128, ptr: usize, length: usize, lengths: v128): v128 {
  return absorb(entry, y, ptr, length, true, lengths);
}

/** Wipes everything that hashing texts of at most `length` bytes leaves in scratch memory. */
export function wipeHash(length: usize): void {
  wipeNibbles();
  if (length >= KARATSUBA_FROM) wipeQuads();
}
