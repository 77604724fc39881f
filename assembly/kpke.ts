// K-PKE with the parameters of ML-KEM-768 (FIPS 203 section 5 and table 2): k = 3, eta_1 = eta_2 = 2, d_u = 10,
// d_v = 4.
//
// Secret: sigma, s, e, y, e_1, e_2, r, the message and everything computed from them. The matrix A-hat, encapsulation
// keys and ciphertexts are public. The caller wipes KEM_SCRATCH.
//
// KEM_POLYNOMIALS holds, at 512 bytes each: 9 of A-hat (each with room for the one coefficient that sampling may add),
// 3 factors (1,024 bytes each), 3 of s or y, 3 of e or e_1, 3 of t-hat or u, 1 of v, 1 of e_2 or the message.

import {
  compress1,
  compress4,
  compress10,
  decode12,
  decompress1,
  decompress4,
  decompress10,
  ENCODED_10,
  ENCODED_12,
  encode12,
  sampleCbd2,
  sampleNtt,
} from "./encoding3329";
import { KEM_BYTES, KEM_POLYNOMIALS, XOF_BLOCKS } from "./memory";
import {
  add,
  FACTOR_BYTES,
  inverseNtt,
  multiplySum,
  ntt,
  POLYNOMIAL_BYTES,
  prepareFactor,
  scaleAndAdd,
  subtractFrom,
} from "./ntt3329";
import {
  pairAbsorb,
  pairSqueeze,
  pairStart,
  SHA3_512_RATE,
  SHA3_SUFFIX,
  SHAKE128_RATE,
  SHAKE256_RATE,
  sponge,
} from "./sha3";

const K: usize = 3;
/** The offsets of the last part: rho in a key, the encoded v in a ciphertext. */
const RHO_OFFSET: usize = K * ENCODED_12;
const V_OFFSET: usize = K * ENCODED_10;

const A: usize = KEM_POLYNOMIALS;
const A_BYTES: usize = POLYNOMIAL_BYTES + 16;
const FACTORS: usize = A + K * K * A_BYTES;
const S: usize = FACTORS + K * FACTOR_BYTES; // s and y
const E: usize = S + K * POLYNOMIAL_BYTES; // e and e_1
const U: usize = E + K * POLYNOMIAL_BYTES; // t-hat and u
const V: usize = U + K * POLYNOMIAL_BYTES;
const E2: usize = V + POLYNOMIAL_BYTES; // e_2
const MU: usize = E2 + POLYNOMIAL_BYTES;

const FIRST: usize = XOF_BLOCKS;
const SECOND: usize = XOF_BLOCKS + 0x100;

/** Inputs and outputs of G: KEM_BYTES up to here belong to this file, the rest to mlKem768.ts. */
export const KPKE_BYTES: usize = 0x80;
const G_INPUT: usize = KEM_BYTES;
const G_OUTPUT: usize = KEM_BYTES + 0x40;

/** Two polynomials SampleNTT(rho ‖ tail) side by side. The second one is left out if `secondF` is 0. */
function sampleMatrixPair(rho: usize, f: usize, tail: u32, secondF: usize, secondTail: u32): void {
  pairStart();
  pairAbsorb(0, SHAKE128_RATE, rho, tail, 2);
  pairAbsorb(8, SHAKE128_RATE, rho, secondTail, 2);
  let count = 0;
  let secondCount = secondF === 0 ? 256 : 0;
  // Three blocks are mostly enough. One polynomial in a hundred needs a fourth, and practically none a fifth.
  while (count < 256 || secondCount < 256) {
    pairSqueeze(SHAKE128_RATE, FIRST, SECOND);
    count = sampleNtt(f, count, FIRST);
    if (secondF !== 0) secondCount = sampleNtt(secondF, secondCount, SECOND);
  }
}

/** The next j | i << 8: the next column, or the first column of the next row. */
function nextEntry(tail: u32): u32 {
  return (tail & 0xff) === <u32>K - 1 ? (tail & 0xff00) + 0x100 : tail + 1;
}

/** A-hat (algorithm 13, lines 3 to 7), row by row: in row i, column j, SampleNTT(rho ‖ j ‖ i). */
function sampleMatrix(rho: usize): void {
  let tail: u32 = 0;
  for (let n: usize = 0; n < K * K; n += 2) {
    const next = nextEntry(tail);
    const secondF = n + 1 < K * K ? A + (n + 1) * A_BYTES : 0;
    sampleMatrixPair(rho, A + n * A_BYTES, tail, secondF, next);
    tail = nextEntry(next);
  }
}

/** SamplePolyCBD_2(PRF_2(seed, N)) and the same for N + 1. The second one is left out if `secondF` is 0. */
function sampleNoisePair(seed: usize, N: u32, f: usize, secondF: usize): void {
  pairStart();
  pairAbsorb(0, SHAKE256_RATE, seed, N, 1);
  pairAbsorb(8, SHAKE256_RATE, seed, N + 1, 1);
  pairSqueeze(SHAKE256_RATE, FIRST, SECOND);
  sampleCbd2(f, FIRST);
  if (secondF !== 0) sampleCbd2(secondF, SECOND);
}

/** Fills S, E and, if `last` is not 0, that polynomial with noise (N = 0, 1, 2 …) from the 32-byte seed. */
function sampleNoise(seed: usize, last: usize): void {
  const P = POLYNOMIAL_BYTES;
  sampleNoisePair(seed, 0, S, S + P);
  sampleNoisePair(seed, 2, S + 2 * P, E);
  sampleNoisePair(seed, 4, E + P, E + 2 * P);
  if (last !== 0) sampleNoisePair(seed, 6, last, 0);
}

/** Brings the three polynomials at S into the NTT domain, and makes factors of them. */
function transformS(): void {
  for (let i: usize = 0; i < K; i++) {
    ntt(S + i * POLYNOMIAL_BYTES);
    prepareFactor(FACTORS + i * FACTOR_BYTES, S + i * POLYNOMIAL_BYTES);
  }
}

/** K-PKE.KeyGen (algorithm 13): ek (1,184 bytes) and dk (1,152 bytes) from the 32-byte seed d. */
export function kpkeKeyGen(ek: usize, dk: usize, d: usize): void {
  memory.copy(G_INPUT, d, 32);
  store<u8>(G_INPUT + 32, <u8>K);
  sponge(SHA3_512_RATE, SHA3_SUFFIX, G_OUTPUT, 64, G_INPUT, 33);
  sampleMatrix(G_OUTPUT);
  sampleNoise(G_OUTPUT + 32, 0);
  transformS();
  for (let i: usize = 0; i < K; i++) {
    ntt(E + i * POLYNOMIAL_BYTES);
    multiplySum(U, A + i * K * A_BYTES, A_BYTES, FACTORS);
    scaleAndAdd(U, E + i * POLYNOMIAL_BYTES);
    encode12(ek + i * ENCODED_12, U);
    encode12(dk + i * ENCODED_12, S + i * POLYNOMIAL_BYTES);
  }
  memory.copy(ek + RHO_OFFSET, G_OUTPUT, 32);
}

/** The modulus check (section 7.2): 1 if every coefficient of ek is below q, else 0. */
export function kpkeCheck(ek: usize): i32 {
  let valid = 1;
  for (let i: usize = 0; i < K; i++) valid &= decode12(U + i * POLYNOMIAL_BYTES, ek + i * ENCODED_12);
  return valid;
}

/** K-PKE.Encrypt (algorithm 14): c (1,088 bytes) = the 32-byte message m under ek, with the 32-byte randomness r. */
export function kpkeEncrypt(c: usize, ek: usize, m: usize, r: usize): void {
  for (let i: usize = 0; i < K; i++) decode12(U + i * POLYNOMIAL_BYTES, ek + i * ENCODED_12);
  sampleMatrix(ek + RHO_OFFSET);
  sampleNoise(r, E2);
  transformS();
  multiplySum(V, U, POLYNOMIAL_BYTES, FACTORS);
  inverseNtt(V);
  decompress1(MU, m);
  add(E2, MU);
  add(V, E2);
  for (let i: usize = 0; i < K; i++) {
    // The matrix is transposed here: this is its column i.
    multiplySum(U, A + i * A_BYTES, K * A_BYTES, FACTORS);
    inverseNtt(U);
    add(U, E + i * POLYNOMIAL_BYTES);
    compress10(c + i * ENCODED_10, U);
  }
  compress4(c + V_OFFSET, V);
}

/** K-PKE.Decrypt (algorithm 15): m (32 bytes) from c with dk. */
export function kpkeDecrypt(m: usize, dk: usize, c: usize): void {
  for (let i: usize = 0; i < K; i++) {
    const s = S + i * POLYNOMIAL_BYTES;
    const u = U + i * POLYNOMIAL_BYTES;
    decode12(s, dk + i * ENCODED_12);
    decompress10(u, c + i * ENCODED_10);
    ntt(u);
    prepareFactor(FACTORS + i * FACTOR_BYTES, u);
  }
  multiplySum(U, S, POLYNOMIAL_BYTES, FACTORS);
  inverseNtt(U);
  decompress4(V, c + V_OFFSET);
  subtractFrom(U, V);
  compress1(m, U);
}
