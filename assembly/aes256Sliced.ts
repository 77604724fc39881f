// AES-256 in counter mode, 16 blocks at once, byte-sliced: register p holds byte p of 16 blocks, so ShiftRows only
// chooses which register is read. FIPS 197 by vector permute as in aes256.ts (tower form, tables, folded 0x63,
// MixColumns with P and t). Counter mode is that of SP 800-38D: inc32 on the last word.
//
// Secret: state, constants, keystream; callers wipe them with wipeSliced(). The cost is about 22.75 operations per
// register and round. Byte p = 4 * column + row. Registers live in memory between columns, because every engine spills
// more than about 14 live vectors.
//
// Within 256 counters only byte 15 of the counter block varies. After round 1 only column 0 depends on it, and after
// round 2 every byte depends on it once. prepareCounters() computes everything that does not vary, so round 1 needs one
// S-box and round 2 four.

import { inversion, partialRound, ROUNDS, table, toTower } from "./aes256";
import { INV, INV_A, S_IO, S_JO, S2_IO, S2_JO, S3_IO, S3_JO } from "./aes256Tables";
import { highNibbles, lookup, nibbleMask, reverse4, wipe } from "./bytes";
import { AES_SLICED_CONSTANTS, AES_SLICED_STATE, AES_SLICED_WORDS, KEY_ROWS, KEY_SPLATS } from "./memory";
import { interleaveColumn, transposeWords } from "./transpose";

const COLUMN_0: usize = AES_SLICED_CONSTANTS; // 4 splats: column 0 after round 1 without byte 15
const ROUND_2: usize = AES_SLICED_CONSTANTS + 64; // 16 splats: the state after round 2 without column 0
const STATE: usize = AES_SLICED_STATE;
/** 3·S(x) and 2·S(x) of every register, within a round. */
const W: usize = AES_SLICED_STATE + 256;
const D: usize = AES_SLICED_STATE + 512;

const IOTA: usize = memory.data<u8>([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], 16);
const NOT_BYTE_15: usize = memory.data<u8>(
  [255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0],
  16,
);
const NOT_COLUMN_0: usize = memory.data<u8>(
  [0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255],
  16,
);

/** Computes the constants for the 256 counters that share all but the last byte with `block`. */
function prepareCounters(entry: usize, block: v128): void {
  const rows = entry + KEY_ROWS;
  let x = v128.xor(toTower(block, nibbleMask()), v128.load(rows));
  // SubBytes comes before ShiftRows: byte 15 is still at 15, column 0 still at 0 to 3.
  x = partialRound(x, v128.load(NOT_BYTE_15), v128.load(rows + 16));
  v128.store(AES_SLICED_WORDS, x);
  for (let r: usize = 0; r < 4; r++) v128.store(COLUMN_0 + 16 * r, v128.load8_splat(AES_SLICED_WORDS + r));
  x = partialRound(x, v128.load(NOT_COLUMN_0), v128.load(rows + 32));
  v128.store(AES_SLICED_WORDS, x);
  for (let p: usize = 0; p < 16; p++) v128.store(ROUND_2 + 16 * p, v128.load8_splat(AES_SLICED_WORDS + p));
}

/** Rounds 1 and 2: writes the state after round 2 for counters with last byte first … first + 15. */
function firstRounds(entry: usize, first: u8, state: usize): void {
  const mask = nibbleMask();
  const inv = table(INV);
  const invA = table(INV_A);
  const s3io = table(S3_IO);
  const s3jo = table(S3_JO);
  const s2io = table(S2_IO);
  const s2jo = table(S2_JO);

  let x = toTower(i8x16.add(v128.load(IOTA), i8x16.splat(first)), mask);
  x = v128.xor(x, v128.load(entry + KEY_SPLATS + 15 * 16));
  let k = v128.and(x, mask);
  let i = highNibbles(x, mask);
  let aOverK = lookup(invA, k);
  let j = v128.xor(i, k);
  let io = inversion(inv, i, j, aOverK);
  let jo = inversion(inv, j, i, aOverK);
  let w = v128.xor(lookup(s3io, io), lookup(s3jo, jo));
  let d = v128.xor(lookup(s2io, io), lookup(s2jo, jo));
  let s = v128.xor(w, d);
  // Byte 15 becomes row 3 of column 0. It enters rows 0 and 1 once, row 2 as 3·S and row 3 as 2·S.
  v128.store(AES_SLICED_WORDS, v128.xor(v128.load(COLUMN_0), s));
  v128.store(AES_SLICED_WORDS + 16, v128.xor(v128.load(COLUMN_0 + 16), s));
  v128.store(AES_SLICED_WORDS + 32, v128.xor(v128.load(COLUMN_0 + 32), w));
  v128.store(AES_SLICED_WORDS + 48, v128.xor(v128.load(COLUMN_0 + 48), d));

  for (let r: usize = 0; r < 4; r++) {
    x = v128.load(AES_SLICED_WORDS + 16 * r);
    k = v128.and(x, mask);
    i = highNibbles(x, mask);
    aOverK = lookup(invA, k);
    j = v128.xor(i, k);
    io = inversion(inv, i, j, aOverK);
    jo = inversion(inv, j, i, aOverK);
    w = v128.xor(lookup(s3io, io), lookup(s3jo, jo));
    d = v128.xor(lookup(s2io, io), lookup(s2jo, jo));
    s = v128.xor(w, d);
    // Row r of column 0 is shifted to column (4 - r) mod 4.
    const column: usize = 64 * ((4 - r) & 3);
    const same: usize = column + 16 * r;
    const before: usize = column + 16 * ((r + 3) & 3);
    const after: usize = column + 16 * ((r + 1) & 3);
    const across: usize = column + 16 * ((r + 2) & 3);
    v128.store(state + same, v128.xor(v128.load(ROUND_2 + same), d));
    v128.store(state + before, v128.xor(v128.load(ROUND_2 + before), w));
    v128.store(state + after, v128.xor(v128.load(ROUND_2 + after), s));
    v128.store(state + across, v128.xor(v128.load(ROUND_2 + across), s));
  }
}

/** SubBytes of register p, as W and D. */
// @inline
function substitute(
  p: usize,
  mask: v128,
  inv: v128,
  invA: v128,
  s3io: v128,
  s3jo: v128,
  s2io: v128,
  s2jo: v128,
): void {
  const x = v128.load(STATE + p);
  const k = v128.and(x, mask);
  const i = highNibbles(x, mask);
  const aOverK = lookup(invA, k);
  const j = v128.xor(i, k);
  const io = inversion(inv, i, j, aOverK);
  const jo = inversion(inv, j, i, aOverK);
  v128.store(W + p, v128.xor(lookup(s3io, io), lookup(s3jo, jo)));
  v128.store(D + p, v128.xor(lookup(s2io, io), lookup(s2jo, jo)));
}

/** MixColumns and the round key, for the column whose rows lie at offsets a, b, c, d before ShiftRows. */
// @inline
function mixColumn(a: usize, b: usize, c: usize, d: usize, out: usize, key: usize): void {
  const p0 = v128.xor(v128.load(W + a), v128.load(D + b));
  const p1 = v128.xor(v128.load(W + b), v128.load(D + c));
  const p2 = v128.xor(v128.load(W + c), v128.load(D + d));
  const p3 = v128.xor(v128.load(W + d), v128.load(D + a));
  const t = v128.xor(v128.xor(p0, p1), v128.xor(p2, p3));
  v128.store(STATE + out, v128.xor(v128.xor(t, p0), v128.load(key)));
  v128.store(STATE + out + 16, v128.xor(v128.xor(t, p1), v128.load(key + 16)));
  v128.store(STATE + out + 32, v128.xor(v128.xor(t, p2), v128.load(key + 32)));
  v128.store(STATE + out + 48, v128.xor(v128.xor(t, p3), v128.load(key + 48)));
}

/**
 * Rounds 3 to 13. W and D are stored to memory and loaded again, because V8 otherwise interleaves the four S-boxes of
 * a column and spills 30 vectors per column.
 */
function fullRounds(key: usize): void {
  const mask = nibbleMask();
  const inv = table(INV);
  const invA = table(INV_A);
  const s3io = table(S3_IO);
  const s3jo = table(S3_JO);
  const s2io = table(S2_IO);
  const s2jo = table(S2_JO);
  for (let round: usize = 3; round < ROUNDS; round++) {
    for (let p: usize = 0; p < 256; p += 32) {
      substitute(p, mask, inv, invA, s3io, s3jo, s2io, s2jo);
      substitute(p + 16, mask, inv, invA, s3io, s3jo, s2io, s2jo);
    }
    mixColumn(0, 80, 160, 240, 0, key);
    mixColumn(64, 144, 224, 48, 64, key + 64);
    mixColumn(128, 208, 32, 112, 128, key + 128);
    mixColumn(192, 16, 96, 176, 192, key + 192);
    key += 256;
  }
}

/** SubBytes and the round key of the last round, in the usual form. */
// @inline
function lastByte(x: v128, key: v128): v128 {
  const mask = nibbleMask();
  const k = v128.and(x, mask);
  const i = highNibbles(x, mask);
  const aOverK = lookup(table(INV_A), k);
  const j = v128.xor(i, k);
  const inv = table(INV);
  const io = inversion(inv, i, j, aOverK);
  const jo = inversion(inv, j, i, aOverK);
  return v128.xor(key, v128.xor(lookup(table(S_IO), io), lookup(table(S_JO), jo)));
}

function lastColumn(a: usize, b: usize, c: usize, d: usize, key: usize, out: usize): void {
  const r0 = lastByte(v128.load(a), v128.load(key));
  const r1 = lastByte(v128.load(b), v128.load(key + 16));
  const r2 = lastByte(v128.load(c), v128.load(key + 32));
  const r3 = lastByte(v128.load(d), v128.load(key + 48));
  interleaveColumn(r0, r1, r2, r3, out);
}

function lastRound(state: usize, key: usize, out: usize): void {
  lastColumn(state, state + 80, state + 160, state + 240, key, AES_SLICED_WORDS);
  lastColumn(state + 64, state + 144, state + 224, state + 48, key + 64, AES_SLICED_WORDS + 16);
  lastColumn(state + 128, state + 208, state + 32, state + 112, key + 128, AES_SLICED_WORDS + 32);
  lastColumn(state + 192, state + 16, state + 96, state + 176, key + 192, AES_SLICED_WORDS + 48);
  for (let quad: usize = 0; quad < 256; quad += 64) transposeWords(AES_SLICED_WORDS + quad, out + quad);
}

/**
 * Writes the keystream of `groups` times 16 counters to `out` (256 bytes per group). The first counter is `counter`, a
 * multiple of 16. `nonce` holds the counter block as four words in lanes; the last lane is ignored.
 */
export function slicedKeystream(entry: usize, nonce: v128, counter: u32, groups: usize, out: usize): void {
  const key = entry + KEY_SPLATS;
  let prepared = false;
  for (; groups > 0; groups--) {
    if (!prepared || (counter & 0xff) === 0) {
      prepareCounters(entry, reverse4(i32x4.replace_lane(nonce, 3, counter & 0xffffff00)));
      prepared = true;
    }
    firstRounds(entry, <u8>counter, STATE);
    fullRounds(key + 3 * 256);
    lastRound(STATE, key + ROUNDS * 256, out);
    counter += 16;
    out += 256;
  }
}

/** Wipes everything that slicedKeystream leaves in scratch memory. */
export function wipeSliced(): void {
  wipe(AES_SLICED_CONSTANTS, AES_SLICED_CONSTANTS + 320);
  memory.fill(AES_SLICED_STATE, 0, 768);
  wipe(AES_SLICED_WORDS, AES_SLICED_WORDS + 256);
}
