// The number-theoretic transform of ML-KEM (FIPS 203 section 4.3): polynomials of 256 coefficients modulo
// q = 3329, eight of them in the 16-bit lanes of a vector.
//
// Coefficients may be secret: the order of operations never depends on them, and nothing divides. Coefficients are
// signed and not canonical; the bounds below show that no lane overflows.
//
//   mulConstant(a, b)  |result| ≤ q (1/2 + |a| / 2^16), for every 16-bit a and |b| ≤ 1664
//   reduce(a)          |result| ≤ 2187, for every 16-bit a
//
// A constant factor b has a quotient b' = round(b 2^15 / q). round(a b' / 2^15) is a b / q to within 1/2 + |a| / 2^16,
// and a b minus that multiple of q fits into 16 bits. Products of two variables are summed in 32 bits and reduced by
// Montgomery's method, which leaves a factor of 2^-16; the callers multiply it away.
//
// NTT_TABLES, filled when the module is instantiated (public):
//   +0x000  zetas      128 x (i16 zeta, i16 quotient)
//   +0x200  the zetas of lengths 4, 2 (ntt) and 2, 4 (inverse), as vectors: 16 x (zeta, quotient) each
//   +0xa00  1 and gamma (section 4.3.1) in turn, as vectors: 32 x (factor, quotient)

import { NTT_TABLES } from "./memory";

export const Q: i32 = 3329;
export const POLYNOMIAL_BYTES: usize = 512;

const ZETAS: usize = NTT_TABLES;
const LENGTH_4: usize = NTT_TABLES + 0x200;
const LENGTH_2: usize = NTT_TABLES + 0x400;
const INVERSE_LENGTH_2: usize = NTT_TABLES + 0x600;
const INVERSE_LENGTH_4: usize = NTT_TABLES + 0x800;
const GAMMAS: usize = NTT_TABLES + 0xa00;

const ZETA: i32 = 17; // a primitive 256th root of unity
const Q_INVERSE: i32 = 62209; // of q modulo 2^16
const MONTGOMERY: i16 = -1044; // 2^16 modulo q
const MONTGOMERY_QUOTIENT: i16 = -10276;
const INVERSE_SCALE: i16 = 512; // 128^-1 * 2^16 modulo q
const INVERSE_SCALE_QUOTIENT: i16 = 5040;
const ONE_QUOTIENT: i16 = 10;

/** (a * b + 2^14) >> 15. The two forms differ only if both factors are -2^15, which never occurs here. */
// @inline
export function mulQ15(a: v128, b: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i16x8.relaxed_q15mulr_s(a, b);
  return i16x8.q15mulr_sat_s(a, b);
}

/** a * b modulo q, for the factor b with its quotient. */
// @inline
function mulConstant(a: v128, b: v128, quotient: v128): v128 {
  return i16x8.sub(i16x8.mul(a, b), i16x8.mul(mulQ15(a, quotient), i16x8.splat(<i16>Q)));
}

// @inline
export function reduce(a: v128): v128 {
  return i16x8.sub(a, i16x8.mul(mulQ15(a, i16x8.splat(ONE_QUOTIENT)), i16x8.splat(<i16>Q)));
}

/** From |a| < q to 0 ≤ a < q. */
// @inline
export function canonical(a: v128): v128 {
  return i16x8.add(a, v128.and(i16x8.shr_s(a, 15), i16x8.splat(<i16>Q)));
}

/** Writes the representative of z (0 to q - 1) around 0, and its quotient `distance` bytes further on. */
function storeFactor(at: usize, distance: usize, z: i32): void {
  const b = z > Q / 2 ? z - Q : z;
  store<i16>(at, <i16>b);
  // The division is a floor, because the number is positive: 2^14 is added before it and subtracted after it.
  store<i16>(at + distance, <i16>((b * 65536 + Q + 2 * Q * 16384) / (2 * Q) - 16384));
}

/** ZETA^exponent modulo q. */
function power(exponent: i32): i32 {
  let result = 1;
  for (let i = 0; i < exponent; i++) result = (result * ZETA) % Q;
  return result;
}

/** zetas[i] of appendix A: ZETA^BitRev7(i). */
function zeta(i: i32): i32 {
  let reversed = 0;
  for (let bit = 0; bit < 7; bit++) reversed |= ((i >> bit) & 1) << (6 - bit);
  return power(reversed);
}

function buildTables(): void {
  for (let i = 0; i < 128; i++) {
    storeFactor(ZETAS + 4 * i, 2, zeta(i));
    storeFactor(GAMMAS + 32 * (i >> 2) + 4 * (i & 3), 16, 1);
    // gamma = ZETA^(2 BitRev7(i) + 1): zetas[64 + i / 2], negated for odd i.
    const root = zeta(64 + (i >> 1));
    storeFactor(GAMMAS + 32 * (i >> 2) + 4 * (i & 3) + 2, 16, (i & 1) === 0 ? root : Q - root);
  }
  for (let t = 0; t < 16; t++) {
    for (let lane = 0; lane < 8; lane++) {
      const at: usize = 32 * t + 2 * lane;
      const half = lane >> 2;
      storeFactor(LENGTH_4 + at, 16, zeta(32 + 2 * t + half));
      storeFactor(INVERSE_LENGTH_4 + at, 16, zeta(63 - 2 * t - half));
      // The blocks in `fine` and `coarse` below have the order 0, 2, 1, 3.
      const block = 4 * t + ((lane >> 2) | (((lane >> 1) & 1) << 1));
      storeFactor(LENGTH_2 + at, 16, zeta(64 + block));
      storeFactor(INVERSE_LENGTH_2 + at, 16, zeta(127 - block));
    }
  }
}

buildTables();

/**
 * NTT (algorithm 9) in place. Input: |f| < q, or the small coefficients of a noise polynomial. A layer adds at most
 * q (1/2 + |f| / 2^16), so |f| < 18,300 after seven layers. Output: |f| ≤ 2187.
 */
export function ntt(f: usize): void {
  let z = ZETAS + 4;
  for (let bytes: usize = 256; bytes >= 16; bytes >>= 1) {
    for (let start = f; start < f + POLYNOMIAL_BYTES; start += 2 * bytes) {
      const b = v128.load16_splat(z);
      const quotient = v128.load16_splat(z, 2);
      z += 4;
      for (let j = start; j < start + bytes; j += 16) {
        const t = mulConstant(v128.load(j + bytes), b, quotient);
        const a = v128.load(j);
        v128.store(j + bytes, i16x8.sub(a, t));
        v128.store(j, i16x8.add(a, t));
      }
    }
  }
  // Lengths 4 and 2 are inside of two vectors: blocks of four, then pairs, are brought side by side.
  for (let i: usize = 0; i < POLYNOMIAL_BYTES; i += 32) {
    const v = v128.load(f + i);
    const w = v128.load(f + i, 16);
    let a = i64x2.shuffle(v, w, 0, 2);
    let t = mulConstant(i64x2.shuffle(v, w, 1, 3), v128.load(LENGTH_4 + i), v128.load(LENGTH_4 + i, 16));
    const low = i16x8.add(a, t);
    const high = i16x8.sub(a, t);
    a = i32x4.shuffle(low, high, 0, 2, 4, 6);
    t = mulConstant(
      i32x4.shuffle(low, high, 1, 3, 5, 7),
      v128.load(LENGTH_2 + i),
      v128.load(LENGTH_2 + i, 16),
    );
    const fine = reduce(i16x8.add(a, t));
    const coarse = reduce(i16x8.sub(a, t));
    v128.store(f + i, i32x4.shuffle(fine, coarse, 0, 4, 2, 6));
    v128.store(f + i, i32x4.shuffle(fine, coarse, 1, 5, 3, 7), 16);
  }
}

/**
 * 2^16 times NTT^-1 (algorithm 10) in place; products need this factor. Input: |f| ≤ 2,700. A sum doubles the bound, so
 * sums are reduced after three layers and after six. Output: |f| < q.
 */
export function inverseNtt(f: usize): void {
  for (let i: usize = 0; i < POLYNOMIAL_BYTES; i += 32) {
    const v = v128.load(f + i);
    const w = v128.load(f + i, 16);
    const fine = i32x4.shuffle(v, w, 0, 4, 2, 6);
    const coarse = i32x4.shuffle(v, w, 1, 5, 3, 7);
    const a = i16x8.add(fine, coarse);
    const b = mulConstant(
      i16x8.sub(coarse, fine),
      v128.load(INVERSE_LENGTH_2 + i),
      v128.load(INVERSE_LENGTH_2 + i, 16),
    );
    const low = i32x4.shuffle(a, b, 0, 4, 1, 5);
    const high = i32x4.shuffle(a, b, 2, 6, 3, 7);
    const c = i16x8.add(low, high);
    const d = mulConstant(
      i16x8.sub(high, low),
      v128.load(INVERSE_LENGTH_4 + i),
      v128.load(INVERSE_LENGTH_4 + i, 16),
    );
    v128.store(f + i, i64x2.shuffle(c, d, 0, 2));
    v128.store(f + i, i64x2.shuffle(c, d, 1, 3), 16);
  }
  let z = ZETAS + 4 * 31;
  for (let bytes: usize = 16; bytes <= 256; bytes <<= 1) {
    const reduces = bytes === 16 || bytes === 128;
    for (let start = f; start < f + POLYNOMIAL_BYTES; start += 2 * bytes) {
      const b = v128.load16_splat(z);
      const quotient = v128.load16_splat(z, 2);
      z -= 4;
      for (let j = start; j < start + bytes; j += 16) {
        const t = v128.load(j);
        const u = v128.load(j + bytes);
        const sum = i16x8.add(t, u);
        v128.store(j, reduces ? reduce(sum) : sum);
        v128.store(j + bytes, mulConstant(i16x8.sub(u, t), b, quotient));
      }
    }
  }
  for (let i = f; i < f + POLYNOMIAL_BYTES; i += 16) {
    const scaled = mulConstant(v128.load(i), i16x8.splat(INVERSE_SCALE), i16x8.splat(INVERSE_SCALE_QUOTIENT));
    v128.store(i, scaled);
  }
}

/** Bytes that `prepareFactor` writes. */
export const FACTOR_BYTES: usize = 2 * POLYNOMIAL_BYTES;

/** The pairs (f_2i, f_2i+1 gamma_i), then the pairs (f_2i+1, f_2i), of any f in the NTT domain. */
export function prepareFactor(out: usize, f: usize): void {
  for (let i: usize = 0; i < POLYNOMIAL_BYTES; i += 16) {
    const v = v128.load(f + i);
    v128.store(out + i, mulConstant(v, v128.load(GAMMAS + 2 * i), v128.load(GAMMAS + 2 * i, 16)));
    const r = reduce(v);
    v128.store(out + i, v128.or(i32x4.shl(r, 16), i32x4.shr_u(r, 16)), POLYNOMIAL_BYTES);
  }
}

/** c / 2^16 modulo q, in the upper half of each 32-bit lane; |result| ≤ |c| / 2^16 + q / 2. */
// @inline
function montgomery(c: v128): v128 {
  const m = i16x8.mul(c, i32x4.splat(Q_INVERSE));
  return i32x4.sub(c, i32x4.dot_i16x8_s(m, i32x4.splat(Q)));
}

/**
 * out = 2^-16 times the sum of three products in the NTT domain (MultiplyNTTs, algorithms 11 and 12). The polynomials
 * are at `a`, `stride` bytes apart, with coefficients 0 ≤ a < 4096; the factors follow one another at `factors`. The
 * sums of six products stay below 2^26, so |out| ≤ 2,500.
 */
export function multiplySum(out: usize, a: usize, stride: usize, factors: usize): void {
  for (let i: usize = 0; i < POLYNOMIAL_BYTES; i += 16) {
    const a0 = v128.load(a + i);
    const a1 = v128.load(a + stride + i);
    const a2 = v128.load(a + 2 * stride + i);
    const f = factors + i;
    let even = i32x4.dot_i16x8_s(a0, v128.load(f));
    let odd = i32x4.dot_i16x8_s(a0, v128.load(f, POLYNOMIAL_BYTES));
    even = i32x4.add(even, i32x4.dot_i16x8_s(a1, v128.load(f, FACTOR_BYTES)));
    odd = i32x4.add(odd, i32x4.dot_i16x8_s(a1, v128.load(f, FACTOR_BYTES + POLYNOMIAL_BYTES)));
    even = i32x4.add(even, i32x4.dot_i16x8_s(a2, v128.load(f, 2 * FACTOR_BYTES)));
    odd = i32x4.add(odd, i32x4.dot_i16x8_s(a2, v128.load(f, 2 * FACTOR_BYTES + POLYNOMIAL_BYTES)));
    const low = i32x4.shr_u(montgomery(even), 16);
    const high = v128.and(montgomery(odd), i32x4.splat(0xffff0000));
    v128.store(out + i, v128.or(low, high));
  }
}

/** f = 2^16 f + g: undoes the factor that `multiplySum` leaves, then adds. |f| ≤ 2187. */
export function scaleAndAdd(f: usize, g: usize): void {
  for (let i: usize = 0; i < POLYNOMIAL_BYTES; i += 16) {
    const scaled = mulConstant(v128.load(f + i), i16x8.splat(MONTGOMERY), i16x8.splat(MONTGOMERY_QUOTIENT));
    v128.store(f + i, reduce(i16x8.add(scaled, v128.load(g + i))));
  }
}

/** f = f + g; both below 2^14. |f| ≤ 2187. */
export function add(f: usize, g: usize): void {
  for (let i: usize = 0; i < POLYNOMIAL_BYTES; i += 16) {
    v128.store(f + i, reduce(i16x8.add(v128.load(f + i), v128.load(g + i))));
  }
}

/** f = g - f; both below 2^14. |f| ≤ 2187. */
export function subtractFrom(f: usize, g: usize): void {
  for (let i: usize = 0; i < POLYNOMIAL_BYTES; i += 16) {
    v128.store(f + i, reduce(i16x8.sub(v128.load(g + i), v128.load(f + i))));
  }
}
