// X25519 (RFC 7748 section 5): the Montgomery ladder on u-coordinates, any public key.
//
// Secret: the scalar, every intermediate element, the result. Time is constant: there are 255 equal steps, and masks
// select. All values are in X25519_SCRATCH, which is wiped before each return.
//
// The ladder needs no conditional swap. With A = x_2 + z_2, B = x_2 - z_2, C = x_3 + z_3, D = x_3 - z_3, swapping the
// two points swaps DA with CB, which leaves (DA + CB)^2 and (DA - CB)^2 as they are. Only the point that is doubled has
// to be selected: (A, B) or (C, D).
//
// Two multiplications run at a time, in the two lanes of a vector. With U = (A, B) and V = (D, C), U * V is (DA, CB).
// Its sum and difference squared is (x_3, z_3 / x_1), which gives (x_3 - z_3, x_3 + z_3), the next V. The selected
// point squared is (AA, BB); (AA, E) * (BB, AA + a24 E) is (x_2, z_2), whose sum and difference are the next U.
//
// The ladder runs over one of two fields. fieldFused.ts is twice as fast; it is used in the relaxed SIMD build if the
// self-test finds that multiply-add is fused. fieldDouble.ts is used everywhere else.

import { FE_BYTES, feMul, feToBytes } from "./field25519";
import { DOUBLE_BYTES } from "./fieldDouble";
import { FUSED_BYTES } from "./fieldFused";
import { feInvert } from "./inverse25519";
import { X25519_SCRATCH, X25519_SCRATCH_BYTES } from "./memory";
import {
  FACTOR_BYTES,
  mulDifferenceSum,
  mulSumDifference,
  multiplyAddIsFused,
  pairFromBytes,
  pairSum,
  square,
  squareForDoubling,
  writeFactor,
} from "./pairs25519";

// X25519_SCRATCH holds the scalar, pairs (of the larger size) and elements. Its end belongs to fieldDouble.ts.
const PAIR: usize = DOUBLE_BYTES;
const K: usize = X25519_SCRATCH;
const U: usize = X25519_SCRATCH + 64;
const V: usize = U + PAIR;
const S: usize = V + PAIR; // the point to double
const F: usize = S + PAIR;
const G: usize = F + PAIR;
const X1: usize = G + PAIR; // x_1 as a factor
const X: usize = X1 + FACTOR_BYTES;
const Z: usize = X + FE_BYTES;
const T: usize = Z + FE_BYTES; // 4 elements for the inversion

/** k = the 32-byte scalar at `from`, clamped (RFC 7748 section 5, decodeScalar25519). */
export function clampScalar(k: usize, from: usize): void {
  v128.store(k, v128.load(from));
  v128.store(k, v128.load(from, 16), 16);
  store<u8>(k, load<u8>(k) & 248);
  store<u8>(k, (load<u8>(k, 31) & 127) | 64, 31);
}

/** 1 if any of the 32 bytes at p is not zero, else 0; without branches. */
function anyNonZero32(p: usize): i32 {
  return i32(v128.any_true(v128.or(v128.load(p), v128.load(p, 16))));
}

/**
 * out (32 bytes) = X25519(K, u) for the clamped scalar at K. This is inlined at two places, and `isFused` is a constant
 * at both.
 */
// @inline
function ladder(isFused: bool, out: usize, u: usize): void {
  const size = isFused ? FUSED_BYTES : DOUBLE_BYTES;
  // x_2 = 1, z_2 = 0: U = (1, 1). x_3 = x_1, z_3 = 1: V = (x_1 - 1, x_1 + 1).
  memory.fill(U, 0, PAIR);
  v128.store(U, f64x2.splat(1));
  pairFromBytes(isFused, V, u);
  writeFactor(isFused, X1, V);
  store<f64>(V, load<f64>(V) - 1);
  store<f64>(V, load<f64>(V, 8) + 1, 8);

  // The last three bits of a clamped scalar are 0, so their steps only double the first point.
  let previous: i64 = 0;
  for (let t = 254; t >= 0; t--) {
    const bit = -(<i64>((load<u8>(K + (t >> 3)) >> (t & 7)) & 1));
    const second = i64x2.splat(previous ^ bit);
    previous = bit;
    for (let i: usize = 0; i < size; i += 16) {
      const v = v128.load(V + i);
      v128.store(S + i, v128.bitselect(v128.shuffle<i64>(v, v, 1, 0), v128.load(U + i), second));
    }
    if (t > 2) mulSumDifference(isFused, V, U, V);
    squareForDoubling(isFused, F, G, S);
    if (t > 2) {
      square(isFused, V, V);
      mulDifferenceSum(isFused, V, V, X1);
    }
    mulSumDifference(isFused, U, F, G);
  }
  // The last bit is 0, so no swap is left. U = (x_2 + z_2, x_2 - z_2), so its sum over its difference
  // is x_2 / z_2.
  memory.copy(V, U, PAIR);
  pairSum(isFused, X, U, 1, T);
  pairSum(isFused, Z, V, -1, T);
  feInvert(Z, Z, T);
  feMul(X, X, Z);
  feToBytes(out, X);
}

function ladderFused(out: usize, u: usize): void {
  ladder(true, out, u);
}

function ladderDouble(out: usize, u: usize): void {
  ladder(false, out, u);
}

/** Whether fieldFused.ts is used. The self-test decides this when the module is instantiated. */
let useFused: bool = ASC_FEATURE_RELAXED_SIMD ? multiplyAddIsFused() : false;

/** The field that the ladder uses: 1 for fieldFused.ts, 0 for fieldDouble.ts, which is right everywhere. */
export function x25519Fused(): i32 {
  return i32(useFused);
}

/** For tests: 0 acts as if the self-test had failed, 1 runs the self-test again. */
export function x25519AllowFused(allowed: i32): void {
  if (ASC_FEATURE_RELAXED_SIMD) useFused = allowed !== 0 && multiplyAddIsFused();
}

/**
 * out (32 bytes) = X25519(scalar, u), both 32 bytes. The scalar is clamped here, the top bit of u is ignored, and
 * u >= p is accepted (RFC 7748 section 5).
 *
 * @returns 0 if the result is all zero (u has low order), else 1. `out` is written in both cases.
 */
export function x25519(out: usize, scalar: usize, u: usize): i32 {
  clampScalar(K, scalar);
  if (ASC_FEATURE_RELAXED_SIMD) {
    if (useFused) ladderFused(out, u);
    else ladderDouble(out, u);
  } else {
    ladderDouble(out, u);
  }
  memory.fill(X25519_SCRATCH, 0, X25519_SCRATCH_BYTES);
  return anyNonZero32(out);
}
