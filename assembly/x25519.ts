// X25519 (RFC 7748 section 5): the Montgomery ladder on u-coordinates, any public key.
//
// Secret: the scalar, every intermediate element, the result. Constant time: 255 equal steps, selection by
// masks. Everything is kept in X25519_SCRATCH, which is wiped before each return.
//
// The ladder needs no conditional swap: with A = x_2 + z_2, B = x_2 - z_2, C = x_3 + z_3, D = x_3 - z_3,
// swapping the two points swaps DA with CB, which leaves (DA + CB)^2 and (DA - CB)^2 as they are. Only the
// point that is doubled has to be selected: A or C, B or D.

import {
  FE_BYTES,
  feAdd,
  feCopy,
  feFromBytes,
  feMul,
  feMulSmall,
  feSelect,
  feSmall,
  feSq,
  feSub,
  feToBytes,
} from "./field25519";
import { feInvert } from "./inverse25519";
import { X25519_SCRATCH, X25519_SCRATCH_BYTES } from "./memory";
import { ladderFused, multiplyAddIsFused } from "./x25519Fused";

/** (A - 2) / 4 of curve25519. */
const a24: i64 = 121665;

// X25519_SCRATCH: 64 bytes of scalar work, then elements.
const K: usize = X25519_SCRATCH;
const X1: usize = X25519_SCRATCH + 64;
const X2: usize = X1 + FE_BYTES;
const Z2: usize = X2 + FE_BYTES;
const X3: usize = Z2 + FE_BYTES;
const Z3: usize = X3 + FE_BYTES;
const A: usize = Z3 + FE_BYTES;
const B: usize = A + FE_BYTES;
const C: usize = B + FE_BYTES;
const D: usize = C + FE_BYTES;
const AA: usize = D + FE_BYTES;
const BB: usize = AA + FE_BYTES;
const E: usize = BB + FE_BYTES;
const T: usize = E + FE_BYTES; // 4 elements for the inversion

/** k = the 32-byte scalar at `from`, clamped (RFC 7748 section 5, decodeScalar25519). */
export function clampScalar(k: usize, from: usize): void {
  v128.store(k, v128.load(from));
  v128.store(k, v128.load(from, 16), 16);
  store<u8>(k, load<u8>(k) & 248);
  store<u8>(k, (load<u8>(k, 31) & 127) | 64, 31);
}

/** 1 when any of the 32 bytes at p is not zero, else 0; without branches. */
export function anyNonZero32(p: usize): i32 {
  return i32(v128.any_true(v128.or(v128.load(p), v128.load(p, 16))));
}

/** One ladder step; `swap` is all ones when the second point is the one to double. */
function ladderStep(swap: i32): void {
  feAdd(A, X2, Z2);
  feSub(B, X2, Z2);
  feAdd(C, X3, Z3);
  feSub(D, X3, Z3);
  feMul(X3, D, A); // DA
  feMul(Z3, C, B); // CB
  feSelect(A, A, C, swap);
  feSelect(B, B, D, swap);
  feSq(AA, A);
  feSq(BB, B);
  feAdd(C, X3, Z3);
  feSub(D, X3, Z3);
  feSq(X3, C);
  feSq(Z3, D);
  feMul(Z3, Z3, X1);
  feMul(X2, AA, BB);
  feSub(E, AA, BB);
  feMulSmall(C, E, a24);
  feAdd(C, C, AA);
  feMul(Z2, E, C);
}

/** out (32 bytes) = X25519(k, u) for the clamped scalar k, in any runtime. */
function ladder(out: usize, k: usize, u: usize): void {
  feFromBytes(X1, u);
  feSmall(X2, 1);
  feSmall(Z2, 0);
  feCopy(X3, X1);
  feSmall(Z3, 1);

  let previous = 0;
  for (let t = 254; t >= 0; t--) {
    const bit = -(<i32>((load<u8>(k + (t >> 3)) >> (t & 7)) & 1));
    ladderStep(previous ^ bit);
    previous = bit;
  }
  // The last bit of a clamped scalar is 0: nothing is left to swap.
  feInvert(Z2, Z2, T);
  feMul(X2, X2, Z2);
  feToBytes(out, X2);
}

/** Whether x25519Fused.ts is used; found out when the module is instantiated. */
let fused: bool = ASC_FEATURE_RELAXED_SIMD ? multiplyAddIsFused() : false;

/** Which ladder runs: 1 for the fused one, 0 for the one that is right everywhere. */
export function x25519Fused(): i32 {
  return i32(fused);
}

/** For tests: as if the self-test had failed (0), or run the self-test again (1). */
export function x25519AllowFused(allowed: i32): void {
  if (ASC_FEATURE_RELAXED_SIMD) fused = allowed != 0 && multiplyAddIsFused();
}

/**
 * out (32 bytes) = X25519(scalar, u), both 32 bytes; the scalar is clamped here, the top bit of u ignored,
 * u >= p accepted (RFC 7748 section 5).
 *
 * @returns 0 when the result is all zero (u has low order), else 1. `out` is written in both cases.
 */
export function x25519(out: usize, scalar: usize, u: usize): i32 {
  clampScalar(K, scalar);
  if (ASC_FEATURE_RELAXED_SIMD) {
    if (fused) ladderFused(out, K, u);
    else ladder(out, K, u);
  } else {
    ladder(out, K, u);
  }
  memory.fill(X25519_SCRATCH, 0, X25519_SCRATCH_BYTES);
  return anyNonZero32(out);
}
