// The table of x25519Base.ts: multiples of the base point B of edwards25519 (RFC 8032 section 5.1). The table is public
// and is built at first use. Entry j of row i is (j + 1) 256^i B, i < 32, j < 8, with Z = 1:
//   for fieldFused.ts   160 bytes: the pairs (Y + X, Y - X) and (1, d X Y)
//   for fieldDouble.ts  144 bytes: limbs without their weights as i32, those of Y + X and Y - X in turn, then
//                       those of d X Y. As doubles the table would not fit into a first-level cache.
//
// Nothing here is secret. The points are computed with field25519.ts in extended coordinates (X : Y : Z : T),
// T = XY / Z (Hisil, Wong, Carter, Dawson, "Twisted Edwards curves revisited", 2008).

import { FE_BYTES, feAdd, feCopy, feFromBytes, feMul, feSmall, feSub, feToBytes } from "./field25519";
import { DOUBLE_BYTES } from "./fieldDouble";
import { FUSED_BYTES } from "./fieldFused";
import { feInvert } from "./inverse25519";
import { BASE_BUILD, BASE_TABLE } from "./memory";
import { DOUBLE_LIMBS, doubleWeight, pairFromBytes, powerOfTwo } from "./pairs25519";

/** Coordinates of B, and d, little-endian. */
// biome-ignore format: rows of 16 bytes
const B_X = memory.data<u8>([
  0x1a, 0xd5, 0x25, 0x8f, 0x60, 0x2d, 0x56, 0xc9, 0xb2, 0xa7, 0x25, 0x95, 0x60, 0xc7, 0x2c, 0x69,
  0x5c, 0xdc, 0xd6, 0xfd, 0x31, 0xe2, 0xa4, 0xc0, 0xfe, 0x53, 0x6e, 0xcd, 0xd3, 0x36, 0x69, 0x21,
]);
// biome-ignore format: rows of 16 bytes
const B_Y = memory.data<u8>([
  0x58, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
  0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
]);
// biome-ignore format: rows of 16 bytes
const D_BYTES = memory.data<u8>([
  0xa3, 0x78, 0x59, 0x13, 0xca, 0x4d, 0xeb, 0x75, 0xab, 0xd8, 0x41, 0x41, 0x4d, 0x0a, 0x70, 0x00,
  0x98, 0xe8, 0x79, 0x77, 0x79, 0x40, 0xc7, 0x8c, 0x73, 0xfe, 0x6f, 0x2b, 0xee, 0x6c, 0x03, 0x52,
]);

export const ROWS: i32 = 32;
export const ROW_ENTRIES: usize = 8;
export const FUSED_ENTRY_BYTES: usize = 2 * FUSED_BYTES;
export const DOUBLE_ENTRY_BYTES: usize = 3 * 4 * <usize>DOUBLE_LIMBS;

// BASE_BUILD holds the multiple being computed and temporaries, which pointDouble uses at key generation as well. While
// the table is built it also holds the entries of a row, nine points (X, Y, Z) and the products of their Z.
export const PX: usize = BASE_BUILD;
export const PY: usize = PX + FE_BYTES;
export const PZ: usize = PY + FE_BYTES;
export const PT: usize = PZ + FE_BYTES;
const A: usize = PT + FE_BYTES;
const B: usize = A + FE_BYTES;
const C: usize = B + FE_BYTES;
const D: usize = C + FE_BYTES;
/** The region in which pointDouble leaves secrets. */
export const POINT_SCRATCH_BYTES: usize = 8 * FE_BYTES;
const T: usize = D + FE_BYTES; // 4 elements for the inversion
const D1: usize = T + 4 * FE_BYTES; // d
const D2: usize = D1 + FE_BYTES; // 2 d
const BYTES: usize = D2 + FE_BYTES; // 32
const LANES: usize = BYTES + FE_BYTES; // a pair
/** The region in which pairFromElements leaves secrets. */
export const PAIR_SCRATCH: usize = BYTES;
export const PAIR_SCRATCH_BYTES: usize = FE_BYTES + DOUBLE_BYTES;
/** (Y + X, Y - X, 2 d X Y) of P, the first entry of the row, and of the first entry of the next row. */
const STEP: usize = LANES + DOUBLE_BYTES;
const STEP_BYTES: usize = 3 * FE_BYTES;
const POINT_BYTES: usize = 3 * FE_BYTES;
const POINTS: usize = STEP + STEP_BYTES;
const PRODUCTS: usize = POINTS + 9 * POINT_BYTES;

/** P = the neutral element. */
function pointZero(): void {
  feSmall(PX, 0);
  feSmall(PY, 1);
  feSmall(PZ, 1);
  feSmall(PT, 0);
}

/** P = P + Q for Q affine at `entry` as (Y + X, Y - X, 2 d X Y); the formulas are complete. */
function pointAdd(entry: usize): void {
  feAdd(A, PY, PX);
  feSub(B, PY, PX);
  feMul(A, A, entry);
  feMul(B, B, entry + FE_BYTES);
  feMul(C, PT, entry + 2 * FE_BYTES);
  feAdd(D, PZ, PZ);
  feSub(PX, A, B); // E
  feAdd(PY, A, B); // H
  feAdd(PZ, D, C); // G
  feSub(D, D, C); // F
  feMul(PT, PX, PY);
  feMul(PX, PX, D);
  feMul(PY, PY, PZ);
  feMul(PZ, PZ, D);
}

/** P = 2 P. T is not read. */
export function pointDouble(): void {
  feAdd(A, PX, PY);
  feMul(A, A, A);
  feMul(B, PX, PX);
  feMul(C, PY, PY);
  feMul(D, PZ, PZ);
  feAdd(D, D, D);
  feAdd(PY, C, B); // H
  feSub(PZ, C, B); // G
  feSub(PX, A, PY); // E
  feSub(D, D, PZ); // F
  feMul(PT, PX, PY);
  feMul(PX, PX, D);
  feMul(PY, PY, PZ);
  feMul(PZ, PZ, D);
}

/** The pair (f + g, f - g). */
export function pairFromElements(fused: bool, pair: usize, f: usize, g: usize): void {
  feAdd(A, f, g);
  feSub(B, f, g);
  pairOf(fused, pair, A, B);
}

/** The pair (f, g) of elements up to twice carried. */
function pairOf(fused: bool, pair: usize, f: usize, g: usize): void {
  const size = fused ? FUSED_BYTES : DOUBLE_BYTES;
  feToBytes(BYTES, f);
  pairFromBytes(fused, pair, BYTES);
  feToBytes(BYTES, g);
  pairFromBytes(fused, LANES, BYTES);
  for (let i: usize = 0; i < size; i += 16) {
    v128.store(pair + i, v128.shuffle<i64>(v128.load(pair + i), v128.load(LANES + i), 0, 3));
  }
}

/** The limbs of f for fieldDouble.ts, without their weights, as i32 at `to`, `stride` bytes apart. */
function writeLimbs(to: usize, stride: usize, f: usize): void {
  feToBytes(BYTES, f);
  pairFromBytes(false, LANES, BYTES);
  for (let k = 0; k < DOUBLE_LIMBS; k++) {
    store<i32>(to, <i32>(load<f64>(LANES + 16 * k) * powerOfTwo(-doubleWeight(k))));
    to += stride;
  }
}

/** The table entry of the point (X, Y, Z) at `point`, given 1 / Z. */
function writeEntry(fused: bool, entry: usize, point: usize, inverseZ: usize): void {
  feMul(C, point, inverseZ); // x
  feMul(D, point + FE_BYTES, inverseZ); // y
  feAdd(A, D, C);
  feSub(B, D, C);
  feMul(C, C, D);
  feMul(C, C, D1);
  if (fused) {
    pairOf(fused, entry, A, B);
    feSmall(D, 1);
    pairOf(fused, entry + FUSED_BYTES, D, C);
  } else {
    writeLimbs(entry, 8, A);
    writeLimbs(entry + 4, 8, B);
    writeLimbs(entry + 8 * DOUBLE_LIMBS, 4, C);
  }
}

/** STEP = the affine form of the point (X, Y, Z) at `point`, given 1 / Z. */
function writeStep(point: usize, inverseZ: usize): void {
  feMul(C, point, inverseZ);
  feMul(D, point + FE_BYTES, inverseZ);
  feAdd(STEP, D, C);
  feSub(STEP + FE_BYTES, D, C);
  feMul(C, C, D);
  feMul(STEP + 2 * FE_BYTES, C, D2);
}

function savePoint(to: usize): void {
  feCopy(to, PX);
  feCopy(to + FE_BYTES, PY);
  feCopy(to + 2 * FE_BYTES, PZ);
}

/** Computes j P for j = 1..8 and 256 P of each row, affine with one inversion. 256 P begins the next row. */
export function buildBaseTable(fused: bool): void {
  const entryBytes = fused ? FUSED_ENTRY_BYTES : DOUBLE_ENTRY_BYTES;
  feFromBytes(D1, D_BYTES);
  feAdd(D2, D1, D1);
  feFromBytes(POINTS, B_X);
  feFromBytes(POINTS + FE_BYTES, B_Y);
  feSmall(T, 1);
  writeStep(POINTS, T);
  writeEntry(fused, BASE_TABLE, POINTS, T);
  for (let row = 0; row < ROWS; row++) {
    const first = BASE_TABLE + <usize>row * ROW_ENTRIES * entryBytes;
    pointZero();
    pointAdd(STEP);
    for (let j: usize = 1; j < 8; j++) {
      pointAdd(STEP);
      savePoint(POINTS + j * POINT_BYTES);
    }
    for (let i = 0; i < 5; i++) pointDouble();
    savePoint(POINTS + 8 * POINT_BYTES);

    // Montgomery's trick: the products of all Z, one inversion, then one inverse after the other.
    feCopy(PRODUCTS + FE_BYTES, POINTS + POINT_BYTES + 2 * FE_BYTES);
    for (let j: usize = 2; j <= 8; j++) {
      feMul(PRODUCTS + j * FE_BYTES, PRODUCTS + (j - 1) * FE_BYTES, POINTS + j * POINT_BYTES + 2 * FE_BYTES);
    }
    feInvert(PX, PRODUCTS + 8 * FE_BYTES, T);
    for (let j: usize = 8; j >= 1; j--) {
      const point = POINTS + j * POINT_BYTES;
      if (j === 1) feCopy(T, PX);
      else feMul(T, PX, PRODUCTS + (j - 1) * FE_BYTES); // 1 / Z of this point
      feMul(PX, PX, point + 2 * FE_BYTES);
      if (j === 8) {
        writeStep(point, T);
        if (row + 1 === ROWS) continue; // no row follows the last one
      }
      writeEntry(fused, first + j * entryBytes, point, T);
    }
  }
}
