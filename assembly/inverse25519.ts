// 1 / x modulo p = 2^255 - 19 in constant time: Bernstein and Yang, "Fast constant-time gcd computation and
// modular inversion" (2019), in the form of Wuille and Dettman for libsecp256k1. There delta starts at 1/2, so that 590
// division steps are enough for 256 bits. This file does 20 batches of 30 steps.
//
// A batch runs on the lowest limbs of f and g alone and yields a 2 x 2 matrix ((u, v), (q, r)) with entries
// up to 2^30. The matrix is then applied to the whole of f, g and, modulo p, of d, e, where f = d x and g = e x
// (times a power of 2 that cancels). At the end f is 1 or -1, and d is 1 / x or its negative.
//
// Numbers are nine signed limbs of 30 bits, each in an i32, the sign in the top limb. x is secret: no branch
// and no address depends on it, and the number of steps is fixed.

import { FE_BYTES, feFromBytes, feToBytes } from "./field25519";

const LIMBS: usize = 9;
const MASK_30: i32 = (1 << 30) - 1;
const BATCHES: i32 = 20;

/** p in these limbs is -19, 0, ..., 0, 2^15. */
const P_LOW: i64 = -19;
const P_HIGH: i64 = 1 << 15;
/** 1 / p modulo 2^30. */
const P_INVERSE: i32 = 395589093;

/** Adds p to the number at d if it is negative, negates it if `negate` is -1 (and not 0), and carries. */
function normalizeStep(d: usize, negate: i32): void {
  const addP = load<i32>(d + 32) >> 31;
  let carry = 0;
  for (let i: usize = 0; i < LIMBS; i++) {
    let limb = load<i32>(d + 4 * i);
    if (i === 0) limb += <i32>P_LOW & addP;
    if (i === LIMBS - 1) limb += <i32>P_HIGH & addP;
    limb = (limb ^ negate) - negate + carry;
    carry = limb >> 30;
    store<i32>(d + 4 * i, i === LIMBS - 1 ? limb : limb & MASK_30);
  }
}

/**
 * h = 1 / f (0 for f = 0); f and h are carried. `scratch`: four elements that overlap neither f nor h; the caller wipes
 * them.
 */
export function feInvert(h: usize, x: usize, scratch: usize): void {
  const f = scratch;
  const g = scratch + FE_BYTES;
  const d = scratch + 2 * FE_BYTES;
  const e = scratch + 3 * FE_BYTES;

  feToBytes(e, x);
  for (let i: usize = 0; i < LIMBS; i++) {
    const byte = min<usize>((30 * i) >> 3, 24);
    store<i32>(g + 4 * i, <i32>(load<u64>(e + byte) >> (30 * i - 8 * byte)) & MASK_30);
    store<i32>(f + 4 * i, 0);
    store<i32>(d + 4 * i, 0);
  }
  for (let i: usize = 0; i < LIMBS; i++) store<i32>(e + 4 * i, 0);
  store<i32>(f, <i32>P_LOW);
  store<i32>(f, <i32>P_HIGH, 32);
  store<i32>(e, 1);

  let zeta: i32 = -1; // -(delta + 1/2)
  for (let batch = 0; batch < BATCHES; batch++) {
    // Each row of the matrix is one number: uv = u + 2^32 v, qr = q + 2^32 r.
    let uv: i64 = 1;
    let qr: i64 = (<i64>1) << 32;
    let f0 = load<i32>(f);
    let g0 = load<i32>(g);
    for (let step = 0; step < 30; step++) {
      // If delta > 0 and g is odd, swap and negate. Add f to an odd g. Halve g.
      let swap = zeta >> 31;
      const odd = -(g0 & 1);
      g0 += ((f0 ^ swap) - swap) & odd;
      qr += ((uv ^ <i64>swap) - <i64>swap) & <i64>odd;
      swap &= odd;
      zeta = (zeta ^ swap) - 1;
      f0 += g0 & swap;
      uv += qr & <i64>swap;
      g0 >>= 1;
      uv <<= 1;
    }
    const u: i64 = <i32>uv;
    const v: i64 = (uv - u) >> 32;
    const q: i64 = <i32>qr;
    const r: i64 = (qr - q) >> 32;

    // (f, g) = matrix (f, g) / 2^30, exactly; (d, e) = (matrix (d, e) + p (md, me)) / 2^30, where md and me
    // make the lowest limbs vanish and keep d and e between -2 p and p.
    const signD: i64 = load<i32>(d, 32) >> 31;
    const signE: i64 = load<i32>(e, 32) >> 31;
    let md: i64 = (u & signD) + (v & signE);
    let me: i64 = (q & signD) + (r & signE);
    let fi = i64.load32_s(f);
    let gi = i64.load32_s(g);
    let di = i64.load32_s(d);
    let ei = i64.load32_s(e);
    let cf = u * fi + v * gi;
    let cg = q * fi + r * gi;
    let cd = u * di + v * ei;
    let ce = q * di + r * ei;
    md -= (P_INVERSE * <i32>cd + <i32>md) & MASK_30;
    me -= (P_INVERSE * <i32>ce + <i32>me) & MASK_30;
    cf >>= 30;
    cg >>= 30;
    cd = (cd + P_LOW * md) >> 30;
    ce = (ce + P_LOW * me) >> 30;
    for (let i: usize = 4; i < 4 * LIMBS; i += 4) {
      fi = i64.load32_s(f + i);
      gi = i64.load32_s(g + i);
      di = i64.load32_s(d + i);
      ei = i64.load32_s(e + i);
      cf += u * fi + v * gi;
      cg += q * fi + r * gi;
      cd += u * di + v * ei;
      ce += q * di + r * ei;
      if (i === 4 * (LIMBS - 1)) {
        cd += P_HIGH * md;
        ce += P_HIGH * me;
      }
      store<i32>(f + i - 4, <i32>cf & MASK_30);
      store<i32>(g + i - 4, <i32>cg & MASK_30);
      store<i32>(d + i - 4, <i32>cd & MASK_30);
      store<i32>(e + i - 4, <i32>ce & MASK_30);
      cf >>= 30;
      cg >>= 30;
      cd >>= 30;
      ce >>= 30;
    }
    store<i32>(f, <i32>cf, 32);
    store<i32>(g, <i32>cg, 32);
    store<i32>(d, <i32>cd, 32);
    store<i32>(e, <i32>ce, 32);
  }

  // d is between -2 p and p. It is 1 / x if f = 1, and the negative of that if f = -1.
  normalizeStep(d, load<i32>(f, 32) >> 31);
  normalizeStep(d, 0);
  // The 30-bit limbs become bytes, in e.
  let word: u64 = 0;
  let filled = 0;
  let out = e;
  for (let i: usize = 0; i < LIMBS; i++) {
    word |= (<u64>load<u32>(d + 4 * i)) << filled;
    filled += 30;
    while (filled >= 8 && out < e + 32) {
      store<u8>(out++, <u8>word);
      word >>= 8;
      filled -= 8;
    }
  }
  feFromBytes(h, e);
}
