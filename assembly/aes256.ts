// AES-256 encryption (FIPS 197) by vector permute. A register holds one block; several blocks are processed in turn.
//
// Secret: key, round keys, state. Every look-up is a register permute, so no address and no branch depends on a secret.
// aes256Tables.gen.js explains the tables and the idea. Round keys (15 × 16 bytes) and state are in tower form. The
// constant 0x63 of SubBytes passes MixColumns unchanged, so it is folded into the round keys 1 to 14. The last round
// returns to the usual form. aes256Sliced.ts processes 16 blocks at once.
//
// MixColumns, with W = 3·S(x), D = 2·S(x) of one column: P_r = W_r ^ D_(r+1), t = P_0 ^ P_1 ^ P_2 ^ P_3,
// out_r = t ^ P_r = 2·S_r ^ 3·S_(r+1) ^ S_(r+2) ^ S_(r+3).

import {
  FROM_TOWER_HIGH,
  FROM_TOWER_LOW,
  INV,
  INV_A,
  RCON,
  S_IO,
  S_JO,
  S2_IO,
  S2_JO,
  S3_IO,
  S3_JO,
  SBOX_CONSTANT,
  TABLES,
  TO_TOWER_HIGH,
  TO_TOWER_LOW,
} from "./aes256Tables";
import { highNibbles, lookup, nibbleMask } from "./bytes";
import { KEY_ROWS, KEY_SPLATS } from "./memory";

export const ROUNDS: usize = 14;

/** Byte masks of ShiftRows, and of ShiftRows followed by "the next row" (r + 1). */
const SHIFT_ROWS: usize = memory.data<u8>([0, 5, 10, 15, 4, 9, 14, 3, 8, 13, 2, 7, 12, 1, 6, 11], 16);
const SHIFT_ROWS_NEXT: usize = memory.data<u8>([5, 10, 15, 0, 9, 14, 3, 4, 13, 2, 7, 8, 1, 6, 11, 12], 16);
const ROTATE_1: usize = memory.data<u8>([1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12], 16);
const ROTATE_2: usize = memory.data<u8>([2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13], 16);

// @inline
export function table(offset: usize): v128 {
  return v128.load(TABLES + offset);
}

/** One of the two outputs of the inversion: with (n, m) = (i, j) it is io, with (j, i) it is jo. */
// @inline
export function inversion(inv: v128, n: v128, m: v128, aOverK: v128): v128 {
  return v128.xor(lookup(inv, v128.xor(lookup(inv, n), aOverK)), m);
}

// @inline
function byNibbles(x: v128, mask: v128, low: v128, high: v128): v128 {
  return v128.xor(lookup(low, v128.and(x, mask)), lookup(high, highNibbles(x, mask)));
}

// @inline
export function toTower(x: v128, mask: v128): v128 {
  return byNibbles(x, mask, table(TO_TOWER_LOW), table(TO_TOWER_HIGH));
}

/** S(x) without its constant, in tower form, for the key schedule. It is 3·S ^ 2·S. */
// @inline
function subBytes(x: v128, mask: v128): v128 {
  const k = v128.and(x, mask);
  const i = highNibbles(x, mask);
  const j = v128.xor(i, k);
  const inv = table(INV);
  const aOverK = lookup(table(INV_A), k);
  const io = inversion(inv, i, j, aOverK);
  const jo = inversion(inv, j, i, aOverK);
  const w = v128.xor(lookup(table(S3_IO), io), lookup(table(S3_JO), jo));
  const d = v128.xor(lookup(table(S2_IO), io), lookup(table(S2_JO), jo));
  return v128.xor(w, d);
}

/** ShiftRows and MixColumns of a block, from its 3·S and 2·S. */
// @inline
function shiftAndMix(w: v128, d: v128): v128 {
  const p = v128.xor(lookup(w, v128.load(SHIFT_ROWS)), lookup(d, v128.load(SHIFT_ROWS_NEXT)));
  const q = v128.xor(p, lookup(p, v128.load(ROTATE_2)));
  return v128.xor(p, v128.xor(q, lookup(q, v128.load(ROTATE_1))));
}

/** One round on a block in tower form. Only the bytes for which `keep` is 0xff contribute. */
export function partialRound(x: v128, keep: v128, key: v128): v128 {
  const mask = nibbleMask();
  const k = v128.and(x, mask);
  const i = highNibbles(x, mask);
  const j = v128.xor(i, k);
  const inv = table(INV);
  const aOverK = lookup(table(INV_A), k);
  const io = inversion(inv, i, j, aOverK);
  const jo = inversion(inv, j, i, aOverK);
  const w = v128.xor(lookup(table(S3_IO), io), lookup(table(S3_JO), jo));
  const d = v128.xor(lookup(table(S2_IO), io), lookup(table(S2_JO), jo));
  return v128.xor(key, shiftAndMix(v128.and(w, keep), v128.and(d, keep)));
}

/**
 * The key expansion (FIPS 197 section 5.2) of the 32-byte key at `key`. It writes the round keys of `entry` in both
 * layouts (rows and splats), takes constant time and leaves nothing secret elsewhere in memory.
 */
export function expandKey(entry: usize, key: usize): void {
  const mask = nibbleMask();
  const constant = i8x16.splat(SBOX_CONSTANT);
  let even = toTower(v128.load(key), mask);
  let odd = toTower(v128.load(key + 16), mask);
  const rows = entry + KEY_ROWS;
  v128.store(rows, even);
  v128.store(rows + 16, odd);
  for (let round: usize = 2; round <= ROUNDS; round++) {
    const isEven = (round & 1) === 0;
    const previous = isEven ? odd : even;
    let temp = v128.xor(subBytes(previous, mask), constant);
    // All four words are the last word of the previous round key, rotated on even rounds (RotWord).
    if (isEven) {
      temp = i8x16.shuffle(temp, temp, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15, 12);
      temp = v128.xor(temp, i32x4.splat(load<u8>(RCON + (round >> 1))));
    } else {
      temp = i32x4.shuffle(temp, temp, 3, 3, 3, 3);
    }
    // w ^ (w << 1 word) ^ (w << 2) ^ (w << 3) adds to each word all words before it.
    let w = isEven ? even : odd;
    const zero = i64x2.splat(0);
    w = v128.xor(w, i8x16.shuffle(zero, w, 0, 0, 0, 0, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27));
    w = v128.xor(w, i8x16.shuffle(zero, w, 0, 0, 0, 0, 0, 0, 0, 0, 16, 17, 18, 19, 20, 21, 22, 23));
    w = v128.xor(w, temp);
    if (isEven) even = w;
    else odd = w;
    v128.store(rows + 16 * round, w);
  }
  for (let round: usize = 1; round <= ROUNDS; round++) {
    const ptr = rows + 16 * round;
    v128.store(ptr, v128.xor(v128.load(ptr), constant));
  }
  const last = rows + 16 * ROUNDS;
  v128.store(last, byNibbles(v128.load(last), mask, table(FROM_TOWER_LOW), table(FROM_TOWER_HIGH)));
  for (let i: usize = 0; i < 16 * (ROUNDS + 1); i++) {
    v128.store(entry + KEY_SPLATS + 16 * i, v128.load8_splat(rows + i));
  }
}

/**
 * Encrypts `count` blocks of 16 bytes at `blocks` in place (ECB). The rounds are the outer loop, so that the
 * processor overlaps the blocks. For more than about a dozen blocks aes256Sliced.ts is faster.
 */
export function encryptBlocks(entry: usize, blocks: usize, count: usize): void {
  const mask = nibbleMask();
  const end = blocks + 16 * count;
  const rows = entry + KEY_ROWS;
  const inv = table(INV);
  const invA = table(INV_A);

  const key0 = v128.load(rows);
  const low = table(TO_TOWER_LOW);
  const high = table(TO_TOWER_HIGH);
  for (let ptr = blocks; ptr < end; ptr += 16) {
    v128.store(ptr, v128.xor(byNibbles(v128.load(ptr), mask, low, high), key0));
  }

  const s3io = table(S3_IO);
  const s3jo = table(S3_JO);
  const s2io = table(S2_IO);
  const s2jo = table(S2_JO);
  for (let round: usize = 1; round < ROUNDS; round++) {
    const key = v128.load(rows + 16 * round);
    for (let ptr = blocks; ptr < end; ptr += 16) {
      const x = v128.load(ptr);
      const k = v128.and(x, mask);
      const i = highNibbles(x, mask);
      const aOverK = lookup(invA, k);
      const j = v128.xor(i, k);
      const io = inversion(inv, i, j, aOverK);
      const jo = inversion(inv, j, i, aOverK);
      const w = v128.xor(lookup(s3io, io), lookup(s3jo, jo));
      const d = v128.xor(lookup(s2io, io), lookup(s2jo, jo));
      v128.store(ptr, v128.xor(key, shiftAndMix(w, d)));
    }
  }

  const sio = table(S_IO);
  const sjo = table(S_JO);
  const keyLast = v128.load(rows + 16 * ROUNDS);
  const shiftRows = v128.load(SHIFT_ROWS);
  for (let ptr = blocks; ptr < end; ptr += 16) {
    const x = v128.load(ptr);
    const k = v128.and(x, mask);
    const i = highNibbles(x, mask);
    const aOverK = lookup(invA, k);
    const j = v128.xor(i, k);
    const io = inversion(inv, i, j, aOverK);
    const jo = inversion(inv, j, i, aOverK);
    const s = v128.xor(lookup(sio, io), lookup(sjo, jo));
    v128.store(ptr, v128.xor(lookup(s, shiftRows), keyLast));
  }
}
