// X25519 (RFC 7748 section 5) over fieldFused.ts: the same ladder as x25519.ts with its multiplications two
// at a time, four times as fast. Part of the relaxed SIMD build only, and used only where the self-test
// finds that multiply-add is fused (it is on V8 with FMA hardware; JavaScriptCore rounds twice).
//
// Secret: the scalar and every intermediate element. Constant time as x25519.ts. Scratch: X25519_SCRATCH,
// wiped by the caller.
//
// Pairs of one step: U = (A, B), V = (D, C). U * V = (DA, CB); its sum and difference squared is (x_3, z_3 /
// x_1), times (1, -x_1) is (x_3, -z_3), whose sum and difference are the next V. (A, B) or (C, D) squared
// gives (AA, BB), then (AA, E) * (BB, AA + a24 E) = (x_2, z_2), whose sum and difference are the next U.

import { feFromBytes, feMul, feToBytes, FE_BYTES } from "./field25519";
import { feInvert } from "./inverse25519";
import { FUSED_BYTES, mulSumDifference, square, squareForDoubling } from "./fieldFused";
import { X25519_SCRATCH } from "./memory";

const MASK_51: i64 = (<i64>1 << 51) - 1;

// X25519_SCRATCH after the 64 bytes of the scalar.
const U: usize = X25519_SCRATCH + 64;
const V: usize = U + FUSED_BYTES;
const M: usize = V + FUSED_BYTES;
const F: usize = M + FUSED_BYTES;
const G: usize = F + FUSED_BYTES;
const ONE_X1: usize = G + FUSED_BYTES; // (1, -x_1)
const BYTES: usize = ONE_X1 + FUSED_BYTES; // 32
const X: usize = BYTES + 32;
const Z: usize = X + FE_BYTES;
const T: usize = Z + FE_BYTES; // 4 elements for the inversion

/** 2^27 + 1: its square needs 55 bits. */
const FUSED_PROBE = memory.data<f64>([134217729, 134217729, -18014398777917440, -18014398777917440], 16);

/** Whether f64x2.relaxed_madd rounds once: (2^27 + 1)^2 minus its double is 1 then, else 0. */
export function multiplyAddIsFused(): bool {
  const x = v128.load(FUSED_PROBE);
  const difference = f64x2.relaxed_madd(x, x, v128.load(FUSED_PROBE, 16));
  return i64x2.all_true(f64x2.eq(difference, f64x2.splat(1)));
}

/** One lane of a pair from 32 little-endian bytes, the top bit ignored; carried. */
function decode(pair: usize, lane: usize, u: usize): void {
  let carry: i64 = 0;
  for (let k: usize = 0; k < 5; k++) {
    // Limb k begins at bit 51 k; its 8-byte load stays inside of the 32 bytes.
    const byte = min<usize>((51 * k) >> 3, 24);
    const limb = <i64>(load<u64>(u + byte) >> (51 * k - 8 * byte)) & MASK_51;
    const balanced = limb + carry;
    carry = (balanced + (<i64>1 << 50)) >> 51;
    store<f64>(pair + 16 * k + 8 * lane, <f64>(balanced - (carry << 51)));
  }
  store<f64>(pair + 8 * lane, load<f64>(pair + 8 * lane) + <f64>(<i64>19 * carry));
}

/** h (an element of field25519.ts) = U0 + sign * U1, the two lanes of the pair at U. */
function encodeSum(h: usize, sign: f64): void {
  // Limbs of 16 p, so that every sum below is positive.
  let carry: i64 = 0;
  let c0: i64 = <i64>(load<f64>(U) + sign * load<f64>(U, 8)) + 16 * (MASK_51 - 18);
  let c1: i64 = <i64>(load<f64>(U, 16) + sign * load<f64>(U, 24)) + 16 * MASK_51;
  let c2: i64 = <i64>(load<f64>(U, 32) + sign * load<f64>(U, 40)) + 16 * MASK_51;
  let c3: i64 = <i64>(load<f64>(U, 48) + sign * load<f64>(U, 56)) + 16 * MASK_51;
  let c4: i64 = <i64>(load<f64>(U, 64) + sign * load<f64>(U, 72)) + 16 * MASK_51;
  // Two passes leave every limb below 2^51.
  for (let pass = 0; pass < 2; pass++) {
    c0 += 19 * carry;
    c1 += c0 >> 51;
    c0 &= MASK_51;
    c2 += c1 >> 51;
    c1 &= MASK_51;
    c3 += c2 >> 51;
    c2 &= MASK_51;
    c4 += c3 >> 51;
    c3 &= MASK_51;
    carry = c4 >> 51;
    c4 &= MASK_51;
  }
  c0 += 19 * carry;
  store<u64>(BYTES, c0 | (c1 << 51));
  store<u64>(BYTES, (c1 >> 13) | (c2 << 38), 8);
  store<u64>(BYTES, (c2 >> 26) | (c3 << 25), 16);
  store<u64>(BYTES, (c3 >> 39) | (c4 << 12), 24);
  feFromBytes(h, BYTES);
}

/** M = mask ? (C, D) : (A, B), from U = (A, B) and V = (D, C). */
function selectForDoubling(mask: i64): void {
  const m = i64x2.splat(mask);
  for (let i: usize = 0; i < FUSED_BYTES; i += 16) {
    const v = v128.load(V + i);
    v128.store(M + i, v128.bitselect(v128.shuffle<i64>(v, v, 1, 0), v128.load(U + i), m));
  }
}

/** out (32 bytes) = X25519(k, u) for the clamped scalar k. */
export function ladderFused(out: usize, k: usize, u: usize): void {
  // x_2 = 1, z_2 = 0: U = (1, 1). x_3 = u, z_3 = 1: V = (u - 1, u + 1).
  memory.fill(U, 0, 6 * FUSED_BYTES);
  v128.store(U, f64x2.splat(1));
  decode(V, 0, u);
  decode(V, 1, u);
  for (let i: usize = 0; i < FUSED_BYTES; i += 16) {
    const x1 = v128.load(V + i);
    v128.store(ONE_X1 + i, f64x2.replace_lane(f64x2.neg(x1), 0, 0));
  }
  store<f64>(ONE_X1, 1);
  store<f64>(V, load<f64>(V) - 1);
  store<f64>(V, load<f64>(V, 8) + 1, 8);

  let previous: i64 = 0;
  for (let t = 254; t >= 0; t--) {
    const bit = -(<i64>((load<u8>(k + (t >> 3)) >> (t & 7)) & 1));
    selectForDoubling(previous ^ bit);
    previous = bit;
    mulSumDifference(V, U, V);
    squareForDoubling(F, G, M);
    square(V, V);
    mulSumDifference(V, V, ONE_X1);
    mulSumDifference(U, F, G);
  }
  // The last bit of a clamped scalar is 0: nothing is left to swap. U = (x_2 + z_2, x_2 - z_2), so the
  // quotient of its sum and difference is x_2 / z_2.
  encodeSum(X, 1);
  encodeSum(Z, -1);
  feInvert(Z, Z, T);
  feMul(X, X, Z);
  feToBytes(out, X);
}
