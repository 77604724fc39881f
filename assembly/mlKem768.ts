// ML-KEM-768 (FIPS 203 sections 6 and 7): the internal algorithms with their checks. Random bytes come from the host.
//
// Secret: seeds, m, decapsulation keys, shared secrets, and whether a ciphertext was the one expected. Time is
// constant, except in the two checks of keys, which look at public bytes, and in the sampling of the public matrix. All
// scratch is wiped before each return.
//
// ek 1,184 bytes: t-hat ‖ rho. dk 2,400 bytes: s-hat (1,152) ‖ ek ‖ H(ek) (32) ‖ z (32). c 1,088 bytes.

import { wipe } from "./bytes";
import { KPKE_BYTES, kpkeCheck, kpkeDecrypt, kpkeEncrypt, kpkeKeyGen } from "./kpke";
import { KECCAK_STATE, KEM_BYTES, KEM_SECRETS_END } from "./memory";
import { SHA3_256_RATE, SHA3_512_RATE, SHA3_SUFFIX, SHAKE_SUFFIX, SHAKE256_RATE, sponge } from "./sha3";

const EK_BYTES: i32 = 1184;
const EK_OFFSET: usize = 1152; // in dk
const HASH_OFFSET: usize = EK_OFFSET + EK_BYTES;
const Z_OFFSET: usize = HASH_OFFSET + 32;
const CIPHERTEXT_BYTES: i32 = 1088;

// KEM_BYTES after those of kpke.ts:
const G_INPUT: usize = KEM_BYTES + KPKE_BYTES; // m ‖ H(ek)
const G_OUTPUT: usize = G_INPUT + 64; // K ‖ r
const HASH: usize = G_OUTPUT + 64;
const REJECTION: usize = HASH + 32; // K-bar
const J_INPUT: usize = REJECTION + 32; // z ‖ c
const CIPHERTEXT: usize = J_INPUT + 32 + CIPHERTEXT_BYTES; // c', with room for what encoders write beyond

/** H(s): SHA3-256. */
function H(out: usize, data: usize, length: i32): void {
  sponge(SHA3_256_RATE, SHA3_SUFFIX, out, 32, data, length);
}

/** G of the 64 bytes m ‖ H(ek): SHA3-512. */
function G(): void {
  sponge(SHA3_512_RATE, SHA3_SUFFIX, G_OUTPUT, 64, G_INPUT, 64);
}

/** The OR of all bits in which `length` bytes (a multiple of 16) at a and b differ: 0 if the bytes are equal. */
function difference(a: usize, b: usize, length: usize): u64 {
  let differing = i64x2.splat(0);
  for (let i: usize = 0; i < length; i += 16) {
    differing = v128.or(differing, v128.xor(v128.load(a + i), v128.load(b + i)));
  }
  return i64x2.extract_lane(differing, 0) | i64x2.extract_lane(differing, 1);
}

function wipeScratch(): void {
  wipe(KECCAK_STATE, KEM_SECRETS_END);
}

/** ML-KEM.KeyGen_internal (algorithm 16): ek and dk from the 64-byte seed d ‖ z. */
export function mlKem768KeyGen(ek: usize, dk: usize, seed: usize): void {
  kpkeKeyGen(ek, dk, seed);
  memory.copy(dk + EK_OFFSET, ek, EK_BYTES);
  H(dk + HASH_OFFSET, ek, EK_BYTES);
  memory.copy(dk + Z_OFFSET, seed + 32, 32);
  wipeScratch();
}

/**
 * ML-KEM.Encaps_internal (algorithm 17): the shared secret K (32 bytes) and c, from ek and the 32 random bytes m.
 *
 * @returns 0 if ek fails the modulus check (nothing is written then), else 1
 */
export function mlKem768Encaps(K: usize, c: usize, ek: usize, m: usize): i32 {
  if (!kpkeCheck(ek)) {
    wipeScratch();
    return 0;
  }
  memory.copy(G_INPUT, m, 32);
  H(G_INPUT + 32, ek, EK_BYTES);
  G();
  kpkeEncrypt(c, ek, m, G_OUTPUT + 32);
  memory.copy(K, G_OUTPUT, 32);
  wipeScratch();
  return 1;
}

/**
 * ML-KEM.Decaps_internal (algorithm 18): the shared secret K (32 bytes) of c. If c was not made for dk, the result is
 * another value that looks like a secret (implicit rejection).
 *
 * @returns 0 if dk fails the hash check (nothing is written then), else 1
 */
export function mlKem768Decaps(K: usize, dk: usize, c: usize): i32 {
  H(HASH, dk + EK_OFFSET, EK_BYTES);
  if (difference(HASH, dk + HASH_OFFSET, 32) !== 0) {
    wipeScratch();
    return 0;
  }
  kpkeDecrypt(G_INPUT, dk, c);
  memory.copy(G_INPUT + 32, dk + HASH_OFFSET, 32);
  G();
  memory.copy(J_INPUT, dk + Z_OFFSET, 32);
  memory.copy(J_INPUT + 32, c, CIPHERTEXT_BYTES);
  sponge(SHAKE256_RATE, SHAKE_SUFFIX, REJECTION, 32, J_INPUT, 32 + CIPHERTEXT_BYTES);
  kpkeEncrypt(CIPHERTEXT, dk + EK_OFFSET, G_INPUT, G_OUTPUT + 32);
  const d = difference(c, CIPHERTEXT, CIPHERTEXT_BYTES);
  // The mask is all ones if d is 0, else 0. Once the top bit of d is folded in, only 0 - 1 borrows.
  const isEqual = i64x2.splat(<i64>~(d | (0 - d)) >> 63);
  for (let i: usize = 0; i < 32; i += 16) {
    v128.store(K + i, v128.bitselect(v128.load(G_OUTPUT + i), v128.load(REJECTION + i), isEqual));
  }
  wipeScratch();
  return 1;
}
