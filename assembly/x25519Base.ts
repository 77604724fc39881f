// X25519 with the base point u = 9 (RFC 7748 section 4.1), for key generation. The scalar multiplication runs on the
// birationally equivalent Edwards curve edwards25519, where a table of multiples of the base point replaces most of the
// work. The result is mapped back by u = (Z + Y) / (Z - Y).
//
// The method is a signed radix-16 comb (Bernstein, Duif, Lange, Schwabe, Yang, "High-speed high-security signatures",
// section 4): scalar = sum of e[i] 16^i with -8 <= e[i] <= 8; 64 additions and 4 doublings.
//
// Secret: the scalar, its digits, every point. Time is constant: all eight entries of a row are read for each digit,
// and masks combine them. Scratch is in X25519_SCRATCH and is wiped before each return.
//
// A point is the pairs (Y + X, Y - X) and (Z + T, Z - T). Adding a table entry takes four multiplications of pairs, and
// each of them gives exactly the sum and difference that the next one needs:
//   (Y + X, Y - X) * (y + x, y - x) = (B, A) -> (H, E)
//   (2 Z, 2 T) * (1, d x y) = (D, C)         -> (G, F)
//   (H, E) * (G, F) = (Y_3, X_3)             -> the next (Y + X, Y - X)
//   (G, H) * (F, E) = (Z_3, T_3)             -> the next (Z + T, Z - T)

import {
  buildBaseTable,
  DOUBLE_ENTRY_BYTES,
  FUSED_ENTRY_BYTES,
  PAIR_SCRATCH,
  PAIR_SCRATCH_BYTES,
  POINT_SCRATCH_BYTES,
  PT,
  PX,
  PY,
  PZ,
  pairFromElements,
  pointDouble,
  ROW_ENTRIES,
} from "./baseTable25519";
import { FE_BYTES, feAdd, feMul, feSub, feToBytes } from "./field25519";
import { DOUBLE_BYTES } from "./fieldDouble";
import { FUSED_BYTES } from "./fieldFused";
import { feInvert } from "./inverse25519";
import { BASE_TABLE, X25519_SCRATCH, X25519_SCRATCH_BYTES } from "./memory";
import { DOUBLE_LIMBS, doubleWeight, mulSumDifference, pairSum, powerOfTwo } from "./pairs25519";
import { clampScalar, x25519Fused } from "./x25519";

// X25519_SCRATCH holds scalar, digits, pairs (of the larger size) and elements. Its end belongs to fieldDouble.ts.
const PAIR: usize = DOUBLE_BYTES;
const K: usize = X25519_SCRATCH;
const DIGITS: usize = X25519_SCRATCH + 64; // 64 x i8
const YX: usize = X25519_SCRATCH + 128; // (Y + X, Y - X)
const ZT: usize = YX + PAIR; // (Z + T, Z - T)
const HE: usize = ZT + PAIR;
const GF: usize = HE + PAIR;
const GH: usize = GF + PAIR;
const FE: usize = GH + PAIR;
const ENTRY: usize = FE + PAIR; // two pairs, one after the other
const LIMBS: usize = ENTRY + 2 * PAIR; // an entry of the table for fieldDouble.ts
const A: usize = LIMBS + DOUBLE_ENTRY_BYTES;
const B: usize = A + FE_BYTES;
const T: usize = B + FE_BYTES; // 4 elements for the inversion

/** The form of the table: 0 before it is built, 1 for fieldDouble.ts, 2 for fieldFused.ts. */
let tableForm: i32 = 0;

/** DIGITS = the clamped scalar at K as 64 signed digits, -8 <= e[i] <= 8. */
function recodeScalar(): void {
  let carry = 0;
  for (let i: usize = 0; i < 64; i++) {
    let digit = ((<i32>load<u8>(K + (i >> 1)) >> (4 * (<i32>i & 1))) & 15) + carry;
    // The top digit of a clamped scalar, with its carry, is at most 8, so nothing is carried out of it.
    carry = i === 63 ? 0 : (digit + 8) >> 4;
    digit -= carry << 4;
    store<i8>(DIGITS + i, <i8>digit);
  }
}

/**
 * ENTRY = digit times the point of the row: the entry of |digit|, negated if the digit is negative. As -(x, y) =
 * (-x, y), negation swaps Y + X with Y - X and changes the sign of d X Y.
 */
// @inline
function selectEntry(isFused: bool, row: usize, digit: i32): void {
  const size = isFused ? FUSED_BYTES : DOUBLE_BYTES;
  const negative = digit >> 31;
  const magnitude = (digit ^ negative) - negative;
  if (isFused) {
    selectVectors(ENTRY, row, FUSED_ENTRY_BYTES, magnitude);
  } else {
    selectVectors(LIMBS, row, DOUBLE_ENTRY_BYTES, magnitude);
    expandLimbs();
  }
  // Digit 0 is the neutral element, (1, 1) and (1, 0). The 1 of the second pair is there for every digit.
  const one = v128.and(equalMask(magnitude, 0), f64x2.splat(1));
  v128.store(ENTRY, v128.or(v128.load(ENTRY), one));
  v128.store(ENTRY + size, v128.or(v128.load(ENTRY + size), f64x2.replace_lane(f64x2.splat(0), 0, 1)));
  const swap = i32x4.splat(negative);
  const sign = v128.and(swap, i64x2.replace_lane(i64x2.splat(0), 1, i64.MIN_VALUE));
  for (let i: usize = 0; i < size; i += 16) {
    const yx = v128.load(ENTRY + i);
    v128.store(ENTRY + i, v128.bitselect(v128.shuffle<i64>(yx, yx, 1, 0), yx, swap));
    v128.store(ENTRY + size + i, v128.xor(sign, v128.load(ENTRY + size + i)));
  }
}

/** to = entry `magnitude` (1-8) of the row, or zeros for 0. All eight entries are read. */
function selectVectors(to: usize, row: usize, entryBytes: usize, magnitude: i32): void {
  const m1 = equalMask(magnitude, 1);
  const m2 = equalMask(magnitude, 2);
  const m3 = equalMask(magnitude, 3);
  const m4 = equalMask(magnitude, 4);
  const m5 = equalMask(magnitude, 5);
  const m6 = equalMask(magnitude, 6);
  const m7 = equalMask(magnitude, 7);
  const m8 = equalMask(magnitude, 8);
  for (let i: usize = 0; i < entryBytes; i += 16) {
    let p = row + i;
    let selected = v128.and(m1, v128.load(p));
    p += entryBytes;
    selected = v128.or(selected, v128.and(m2, v128.load(p)));
    p += entryBytes;
    selected = v128.or(selected, v128.and(m3, v128.load(p)));
    p += entryBytes;
    selected = v128.or(selected, v128.and(m4, v128.load(p)));
    p += entryBytes;
    selected = v128.or(selected, v128.and(m5, v128.load(p)));
    p += entryBytes;
    selected = v128.or(selected, v128.and(m6, v128.load(p)));
    p += entryBytes;
    selected = v128.or(selected, v128.and(m7, v128.load(p)));
    p += entryBytes;
    selected = v128.or(selected, v128.and(m8, v128.load(p)));
    v128.store(to + i, selected);
  }
}

/** ENTRY = the pairs of fieldDouble.ts (Y + X, Y - X) and (0, d X Y) from the i32 limbs at LIMBS. */
function expandLimbs(): void {
  for (let k = 0; k < DOUBLE_LIMBS; k += 2) {
    const limbs = v128.load(LIMBS + 8 * k);
    const w0 = f64x2.splat(powerOfTwo(doubleWeight(k)));
    const w1 = f64x2.splat(powerOfTwo(doubleWeight(k + 1)));
    const next = v128.shuffle<i64>(limbs, limbs, 1, 0);
    v128.store(ENTRY + 16 * k, f64x2.mul(f64x2.convert_low_i32x4_s(limbs), w0));
    v128.store(ENTRY + 16 * k, f64x2.mul(f64x2.convert_low_i32x4_s(next), w1), 16);
    const product = v128.load64_zero(LIMBS + 8 * DOUBLE_LIMBS + 4 * k);
    const p0 = v128.shuffle<i32>(product, product, 2, 0, 2, 2);
    const p1 = v128.shuffle<i32>(product, product, 2, 1, 2, 2);
    v128.store(ENTRY + PAIR + 16 * k, f64x2.mul(f64x2.convert_low_i32x4_s(p0), w0));
    v128.store(ENTRY + PAIR + 16 * k, f64x2.mul(f64x2.convert_low_i32x4_s(p1), w1), 16);
  }
}

/** All ones if a = b, for 0 <= a, b <= 8; else 0. */
// @inline
function equalMask(a: i32, b: i32): v128 {
  return i32x4.splat(((a ^ b) - 1) >> 31);
}

/** Adds ENTRY to the point. */
// @inline
function addEntry(isFused: bool, size: usize): void {
  for (let i: usize = 0; i < size; i += 16) {
    // (Z + T, Z - T) becomes (2 Z, 2 T).
    const zt = v128.load(ZT + i);
    const negated = v128.xor(zt, f64x2.replace_lane(f64x2.splat(0), 1, -0.0));
    v128.store(ZT + i, f64x2.add(negated, v128.shuffle<i64>(zt, zt, 1, 0)));
  }
  mulSumDifference(isFused, HE, YX, ENTRY);
  mulSumDifference(isFused, GF, ZT, ENTRY + size);
  for (let i: usize = 0; i < size; i += 16) {
    const he = v128.load(HE + i);
    const gf = v128.load(GF + i);
    v128.store(GH + i, v128.shuffle<i64>(gf, he, 0, 2));
    v128.store(FE + i, v128.shuffle<i64>(gf, he, 1, 3));
  }
  mulSumDifference(isFused, YX, HE, GF);
  mulSumDifference(isFused, ZT, GH, FE);
}

/** PX, PY, PZ = twice the coordinates of the point, which are the same point. Destroys the pairs. */
// @inline
function toElements(isFused: bool): void {
  memory.copy(HE, YX, PAIR);
  pairSum(isFused, PY, YX, 1, T);
  pairSum(isFused, PX, HE, -1, T);
  pairSum(isFused, PZ, ZT, 1, T);
}

/** out (32 bytes) = the u-coordinate of the scalar at K times the base point. */
// @inline
function comb(isFused: bool, out: usize): void {
  const size = isFused ? FUSED_BYTES : DOUBLE_BYTES;
  const rowBytes = ROW_ENTRIES * (isFused ? FUSED_ENTRY_BYTES : DOUBLE_ENTRY_BYTES);
  recodeScalar();
  // The neutral element is (1, 1), (1, 1).
  memory.fill(YX, 0, 2 * PAIR);
  v128.store(YX, f64x2.splat(1));
  v128.store(ZT, f64x2.splat(1));
  for (let i: usize = 1; i < 64; i += 2) {
    selectEntry(isFused, BASE_TABLE + (i >> 1) * rowBytes, load<i8>(DIGITS + i));
    addEntry(isFused, size);
  }
  toElements(isFused);
  for (let i = 0; i < 4; i++) pointDouble();
  pairFromElements(isFused, YX, PY, PX);
  pairFromElements(isFused, ZT, PZ, PT);
  for (let i: usize = 0; i < 64; i += 2) {
    selectEntry(isFused, BASE_TABLE + (i >> 1) * rowBytes, load<i8>(DIGITS + i));
    addEntry(isFused, size);
  }
  toElements(isFused);
  feAdd(A, PZ, PY);
  feSub(B, PZ, PY);
  feInvert(B, B, T);
  feMul(A, A, B);
  feToBytes(out, A);
}

function combFused(out: usize): void {
  if (tableForm !== 2) buildBaseTable(true);
  tableForm = 2;
  comb(true, out);
}

function combDouble(out: usize): void {
  if (tableForm !== 1) buildBaseTable(false);
  tableForm = 1;
  comb(false, out);
}

/** out (32 bytes) = X25519(scalar, 9), the public key. The 32-byte scalar is clamped here. */
export function x25519Base(out: usize, scalar: usize): void {
  clampScalar(K, scalar);
  if (ASC_FEATURE_RELAXED_SIMD) {
    if (x25519Fused()) combFused(out);
    else combDouble(out);
  } else {
    combDouble(out);
  }
  memory.fill(X25519_SCRATCH, 0, X25519_SCRATCH_BYTES);
  memory.fill(PX, 0, POINT_SCRATCH_BYTES);
  memory.fill(PAIR_SCRATCH, 0, PAIR_SCRATCH_BYTES);
}
