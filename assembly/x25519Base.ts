// X25519 with the base point u = 9 (RFC 7748 section 4.1), for key generation: the scalar multiplication runs
// on the birationally equivalent Edwards curve edwards25519, where a table of multiples of the base point
// B replaces most of the work, and its result is mapped back by u = (Z + Y) / (Z - Y).
//
// Signed radix-16 comb (Bernstein, Duif, Lange, Schwabe, Yang, "High-speed high-security signatures",
// section 4): scalar = sum of e[i] 16^i with -8 <= e[i] <= 8; 64 additions and 4 doublings. The table holds
// j 256^i B for i = 0..31, j = 1..8 as affine (Y + X, Y - X, 2 d X Y): 36 KiB, built at first use, public.
//
// Secret: the scalar, its digits, every point. Constant time: all eight entries of a row are read for each
// digit and combined by masks. Scratch lies in X25519_SCRATCH and is wiped before each return.

import {
  FE_BYTES,
  feAdd,
  feCopy,
  feFromBytes,
  feMul,
  feSmall,
  feSub,
  feToBytes,
} from "./field25519";
import { feInvert } from "./inverse25519";
import { BASE_TABLE, X25519_SCRATCH, X25519_SCRATCH_BYTES } from "./memory";
import { clampScalar } from "./x25519";

/** Coordinates of B and 2 d (RFC 8032 section 5.1), little-endian. */
const B_X = memory.data<u8>([
  0x1a, 0xd5, 0x25, 0x8f, 0x60, 0x2d, 0x56, 0xc9, 0xb2, 0xa7, 0x25, 0x95, 0x60, 0xc7, 0x2c, 0x69,
  0x5c, 0xdc, 0xd6, 0xfd, 0x31, 0xe2, 0xa4, 0xc0, 0xfe, 0x53, 0x6e, 0xcd, 0xd3, 0x36, 0x69, 0x21,
]);
const B_Y = memory.data<u8>([
  0x58, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
  0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
]);
const TWO_D = memory.data<u8>([
  0x59, 0xf1, 0xb2, 0x26, 0x94, 0x9b, 0xd6, 0xeb, 0x56, 0xb1, 0x83, 0x82, 0x9a, 0x14, 0xe0, 0x00,
  0x30, 0xd1, 0xf3, 0xee, 0xf2, 0x80, 0x8e, 0x19, 0xe7, 0xfc, 0xdf, 0x56, 0xdc, 0xd9, 0x06, 0x24,
]);

const ENTRY_BYTES: usize = 3 * FE_BYTES;
const ROW_BYTES: usize = 8 * ENTRY_BYTES;
const ROWS: i32 = 32;

// X25519_SCRATCH: scalar, digits, the point (X : Y : Z : T) with T = XY / Z, the selected entry, temporaries.
const K: usize = X25519_SCRATCH;
const DIGITS: usize = X25519_SCRATCH + 64; // 64 x i8
const PX: usize = X25519_SCRATCH + 128;
const PY: usize = PX + FE_BYTES;
const PZ: usize = PY + FE_BYTES;
const PT: usize = PZ + FE_BYTES;
const ENTRY: usize = PT + FE_BYTES;
const A: usize = ENTRY + ENTRY_BYTES;
const B: usize = A + FE_BYTES;
const C: usize = B + FE_BYTES;
const D: usize = C + FE_BYTES;
const T: usize = D + FE_BYTES; // 4 elements for the inversion

// After the table, while it is built: nine points (X, Y, Z) and the products of their Z.
const POINT_BYTES: usize = 3 * FE_BYTES;
const POINTS: usize = BASE_TABLE + <usize>ROWS * ROW_BYTES;
const PRODUCTS: usize = POINTS + 9 * POINT_BYTES;
const D2: usize = PRODUCTS + 9 * FE_BYTES;

let tableBuilt: bool = false;

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

/** P = 2 P; reads no T. */
function pointDouble(): void {
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

/** Writes the affine table entry of the point (X, Y, Z) at `point`, given 1 / Z. */
function writeEntry(entry: usize, point: usize, inverseZ: usize): void {
  feMul(A, point, inverseZ); // x
  feMul(B, point + FE_BYTES, inverseZ); // y
  feAdd(C, B, A);
  feSmall(D, 1);
  feMul(entry, C, D); // carried
  feSub(C, B, A);
  feMul(entry + FE_BYTES, C, D);
  feMul(C, A, B);
  feMul(entry + 2 * FE_BYTES, C, D2);
}

function savePoint(to: usize): void {
  feCopy(to, PX);
  feCopy(to + FE_BYTES, PY);
  feCopy(to + 2 * FE_BYTES, PZ);
}

/** Row by row: j P for j = 1..8 and 256 P, made affine with one inversion; 256 P begins the next row. */
function buildTable(): void {
  feFromBytes(D2, TWO_D);
  feFromBytes(POINTS, B_X);
  feFromBytes(POINTS + FE_BYTES, B_Y);
  feSmall(T, 1);
  writeEntry(BASE_TABLE, POINTS, T);
  for (let row = 0; row < ROWS; row++) {
    const first = BASE_TABLE + <usize>row * ROW_BYTES;
    pointZero();
    pointAdd(first);
    for (let j: usize = 1; j < 8; j++) {
      pointAdd(first);
      savePoint(POINTS + j * POINT_BYTES);
    }
    for (let i = 0; i < 5; i++) pointDouble();
    savePoint(POINTS + 8 * POINT_BYTES);

    // Montgomery's trick: products of the Z, one inversion, then back.
    feCopy(PRODUCTS + FE_BYTES, POINTS + POINT_BYTES + 2 * FE_BYTES);
    for (let j: usize = 2; j <= 8; j++) {
      feMul(PRODUCTS + j * FE_BYTES, PRODUCTS + (j - 1) * FE_BYTES, POINTS + j * POINT_BYTES + 2 * FE_BYTES);
    }
    feInvert(ENTRY, PRODUCTS + 8 * FE_BYTES, T);
    for (let j: usize = 8; j >= 1; j--) {
      const point = POINTS + j * POINT_BYTES;
      const last = j == 8;
      if (j == 1) feCopy(T, ENTRY);
      else feMul(T, ENTRY, PRODUCTS + (j - 1) * FE_BYTES); // 1 / Z of this point
      feMul(ENTRY, ENTRY, point + 2 * FE_BYTES);
      // 256 P is the next row's first entry; the last row has no next.
      if (!last || row + 1 < ROWS) writeEntry(first + j * ENTRY_BYTES, point, T);
    }
  }
  memory.fill(POINTS, 0, 9 * POINT_BYTES + 10 * FE_BYTES);
  tableBuilt = true;
}

/** DIGITS = the clamped scalar at K as 64 signed digits, -8 <= e[i] <= 8. */
function recodeScalar(): void {
  let carry = 0;
  for (let i: usize = 0; i < 64; i++) {
    let digit = ((<i32>load<u8>(K + (i >> 1)) >> (4 * (<i32>i & 1))) & 15) + carry;
    // The top digit of a clamped scalar is at most 8 with its carry: it takes no further one.
    carry = i == 63 ? 0 : (digit + 8) >> 4;
    digit -= carry << 4;
    store<i8>(DIGITS + i, <i8>digit);
  }
}

/** ENTRY = digit times the row's point: the entry of |digit|, negated by swapping and sign. */
function selectEntry(row: usize, digit: i32): void {
  const negative = digit >> 31;
  const size = (digit ^ negative) - negative;
  let r0 = i64x2.splat(0);
  let r1 = i64x2.splat(0);
  let r2 = i64x2.splat(0);
  let r3 = i64x2.splat(0);
  let r4 = i64x2.splat(0);
  let r5 = i64x2.splat(0);
  let r6 = i64x2.splat(0);
  let r7 = i64x2.splat(0);
  let r8 = i64x2.splat(0);
  for (let j = 1; j <= 8; j++) {
    const mask = i32x4.splat(((size ^ j) - 1) >> 31); // all ones when size = j
    r0 = v128.or(r0, v128.and(mask, v128.load(row)));
    r1 = v128.or(r1, v128.and(mask, v128.load(row, 16)));
    r2 = v128.or(r2, v128.and(mask, v128.load(row, 32)));
    r3 = v128.or(r3, v128.and(mask, v128.load(row, 48)));
    r4 = v128.or(r4, v128.and(mask, v128.load(row, 64)));
    r5 = v128.or(r5, v128.and(mask, v128.load(row, 80)));
    r6 = v128.or(r6, v128.and(mask, v128.load(row, 96)));
    r7 = v128.or(r7, v128.and(mask, v128.load(row, 112)));
    r8 = v128.or(r8, v128.and(mask, v128.load(row, 128)));
    row += ENTRY_BYTES;
  }
  // Digit 0: the neutral element (1, 1, 0).
  const one = i32x4.replace_lane(i64x2.splat(0), 0, ((size - 1) >> 31) & 1);
  r0 = v128.or(r0, one);
  r3 = v128.or(r3, one);
  // -(x, y) = (-x, y): Y + X and Y - X change places, 2 d X Y its sign.
  const sign = i32x4.splat(negative);
  v128.store(ENTRY, v128.bitselect(r3, r0, sign));
  v128.store(ENTRY, v128.bitselect(r4, r1, sign), 16);
  v128.store(ENTRY, v128.bitselect(r5, r2, sign), 32);
  v128.store(ENTRY, v128.bitselect(r0, r3, sign), 48);
  v128.store(ENTRY, v128.bitselect(r1, r4, sign), 64);
  v128.store(ENTRY, v128.bitselect(r2, r5, sign), 80);
  v128.store(ENTRY, i32x4.sub(v128.xor(r6, sign), sign), 96);
  v128.store(ENTRY, i32x4.sub(v128.xor(r7, sign), sign), 112);
  v128.store(ENTRY, i32x4.sub(v128.xor(r8, sign), sign), 128);
}

/** out (32 bytes) = X25519(scalar, 9), the public key; the 32-byte scalar is clamped here. */
export function x25519Base(out: usize, scalar: usize): void {
  if (!tableBuilt) buildTable();
  clampScalar(K, scalar);
  recodeScalar();
  pointZero();
  for (let i: usize = 1; i < 64; i += 2) {
    selectEntry(BASE_TABLE + (i >> 1) * ROW_BYTES, load<i8>(DIGITS + i));
    pointAdd(ENTRY);
  }
  for (let i = 0; i < 4; i++) pointDouble();
  for (let i: usize = 0; i < 64; i += 2) {
    selectEntry(BASE_TABLE + (i >> 1) * ROW_BYTES, load<i8>(DIGITS + i));
    pointAdd(ENTRY);
  }
  feAdd(A, PZ, PY);
  feSub(B, PZ, PY);
  feInvert(B, B, T);
  feMul(A, A, B);
  feToBytes(out, A);
  memory.fill(X25519_SCRATCH, 0, X25519_SCRATCH_BYTES);
}
