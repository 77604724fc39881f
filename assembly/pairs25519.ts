// Pairs of elements of fieldFused.ts or fieldDouble.ts: one name for the operations of both, the conversion from bytes
// and to elements of field25519.ts, and the test for fused multiply-add. The first argument tells the field; it is a
// constant wherever these functions are inlined. Limbs may be secret: no branch and no address depends on one.

import { feFromBytes } from "./field25519";
import * as double from "./fieldDouble";
import * as fused from "./fieldFused";

const FUSED_LIMBS: i32 = 5;
export const DOUBLE_LIMBS: i32 = 12;

// @inline
export function mulSumDifference(isFused: bool, h: usize, f: usize, g: usize): void {
  if (ASC_FEATURE_RELAXED_SIMD) {
    if (isFused) fused.mulSumDifference(h, f, g);
    else double.mulSumDifference(h, f, g);
  } else {
    double.mulSumDifference(h, f, g);
  }
}

/** The number of bytes that `writeFactor` fills, in either field. */
export const FACTOR_BYTES: usize = double.FACTOR_BYTES;

/** table = the form of the element x that mulDifferenceSum reads. Both lanes of the pair f are x. */
// @inline
export function writeFactor(isFused: bool, table: usize, f: usize): void {
  if (isFused) {
    // (1, -x)
    for (let i: usize = 0; i < fused.FUSED_BYTES; i += 16) {
      v128.store(table + i, f64x2.replace_lane(f64x2.neg(v128.load(f + i)), 0, 0));
    }
    store<f64>(table, 1);
  } else {
    double.writeFactor(table, f);
  }
}

/** h = (a - b x, a + b x) for the pair f = (a, b). */
// @inline
export function mulDifferenceSum(isFused: bool, h: usize, f: usize, table: usize): void {
  if (isFused) mulSumDifference(true, h, f, table);
  else double.mulDifferenceSum(h, f, table);
}

// @inline
export function square(isFused: bool, h: usize, f: usize): void {
  if (ASC_FEATURE_RELAXED_SIMD) {
    if (isFused) fused.square(h, f);
    else double.square(h, f);
  } else {
    double.square(h, f);
  }
}

// @inline
export function squareForDoubling(isFused: bool, h: usize, g: usize, f: usize): void {
  if (ASC_FEATURE_RELAXED_SIMD) {
    if (isFused) fused.squareForDoubling(h, g, f);
    else double.squareForDoubling(h, g, f);
  } else {
    double.squareForDoubling(h, g, f);
  }
}

/** The weight of limb k is 2^fusedWeight(k) or 2^doubleWeight(k); that of limb 5 or 12 is 2^255. */
// @inline
function fusedWeight(k: i32): i32 {
  return 51 * k;
}

// @inline
export function doubleWeight(k: i32): i32 {
  return (85 * k + 3) >> 2; // ceil(21.25 k)
}

/** 2^n for -1023 < n < 1024. */
// @inline
export function powerOfTwo(n: i32): f64 {
  return reinterpret<f64>((<i64>(1023 + n)) << 52);
}

/** (2^27 + 1)^2 needs 55 bits; as a double it is 1 less. */
const PROBE = memory.data<f64>([134217729, 134217729, -18014398777917440, -18014398777917440], 16);

/** Whether f64x2.relaxed_madd rounds once (fused) or twice. The answer is the same for all operands, and stays. */
export function multiplyAddIsFused(): bool {
  const x = v128.load(PROBE);
  return i64x2.all_true(f64x2.eq(f64x2.relaxed_madd(x, x, v128.load(PROBE, 16)), f64x2.splat(1)));
}

/** Both lanes of the pair = the 32 little-endian bytes at u without the top bit, carried. */
export function pairFromBytes(isFused: bool, pair: usize, u: usize): void {
  const limbs = isFused ? FUSED_LIMBS : DOUBLE_LIMBS;
  let carry: i64 = 0;
  for (let k = 0; k < limbs; k++) {
    const weight = isFused ? fusedWeight(k) : doubleWeight(k);
    const width = (isFused ? fusedWeight(k + 1) : doubleWeight(k + 1)) - weight;
    const byte = min(weight >> 3, 24); // an 8-byte load that stays inside the 32
    const bits = (load<u64>(u + byte) >> (weight - 8 * byte)) & (((<u64>1) << width) - 1);
    const limb = <i64>bits + carry;
    carry = (limb + ((<i64>1) << (width - 1))) >> width;
    // The limbs of fieldFused.ts do not contain their weights.
    const scale = isFused ? 1 : powerOfTwo(weight);
    v128.store(pair + 16 * k, f64x2.splat(<f64>(limb - (carry << width)) * scale));
  }
  v128.store(pair, f64x2.add(v128.load(pair), f64x2.splat(<f64>(carry * 19))));
}

/** h (an element of field25519.ts) = p0 + sign * p1 of the lanes of a carried pair. `bytes`: 32 bytes of scratch. */
export function pairSum(isFused: bool, h: usize, pair: usize, sign: f64, bytes: usize): void {
  const limbs = isFused ? FUSED_LIMBS : DOUBLE_LIMBS;
  // The limbs become signed integers and are carried twice around. A negative number gains p by that (a carry of
  // -1 out of the top comes back as -19), and at the end all limbs are in range.
  for (let k = 0; k < limbs; k++) {
    const scale = isFused ? 1 : powerOfTwo(-doubleWeight(k));
    const limb = (load<f64>(pair + 16 * k) + sign * load<f64>(pair + 16 * k + 8)) * scale;
    store<i64>(pair + 16 * k, <i64>limb);
  }
  let carry: i64 = 0;
  for (let pass = 0; pass < 2; pass++) {
    carry *= 19;
    for (let k = 0; k < limbs; k++) {
      const width = isFused ? 51 : doubleWeight(k + 1) - doubleWeight(k);
      const limb = load<i64>(pair + 16 * k) + carry;
      carry = limb >> width;
      store<i64>(pair + 16 * k, limb - (carry << width));
    }
  }
  store<i64>(pair, load<i64>(pair) + carry * 19);

  for (let i: usize = 0; i < 32; i += 8) store<u64>(bytes + i, 0);
  for (let k = 0; k < limbs; k++) {
    const weight = isFused ? fusedWeight(k) : doubleWeight(k);
    const word = min(weight >> 3, 24);
    const limb = load<u64>(pair + 16 * k);
    store<u64>(bytes + word, load<u64>(bytes + word) + (limb << (weight - 8 * word)));
  }
  feFromBytes(h, bytes);
}
