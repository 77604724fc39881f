// HMAC (RFC 2104) over BLAKE2b-512 and HKDF as Noise defines it (revision 34, section 4.3), all in linear
// memory. Keys, data and outputs are secret; working memory is wiped before each return.

import { BLAKE2B_STATE_BYTES, blake2bFinal, blake2bInit, blake2bUpdate } from "./blake2b";
import { BLAKE2B_SCRATCH } from "./memory";

/** HASHLEN and BLOCKLEN of BLAKE2b (Noise section 12.8). */
const HASHLEN: i32 = 64;
const BLOCKLEN: i32 = 128;

const IPAD: u8 = 0x36;
const OPAD: u8 = 0x5c;

// BLAKE2B_SCRATCH from 0x200 on (the states of blake2b.ts lie below).
const INNER: usize = BLAKE2B_SCRATCH + 0x200; // state
const PAD: usize = BLAKE2B_SCRATCH + 0x300; // key ^ ipad, key ^ opad, 128 bytes
const TEMP_KEY: usize = BLAKE2B_SCRATCH + 0x380; // Noise's temp_key, 64 bytes
const CHAIN: usize = BLAKE2B_SCRATCH + 0x3c0; // 64 bytes of the previous output, then the counter byte
const HMAC_SCRATCH_BYTES: usize = 0x300;

/** PAD = the key block (key, zeros up to BLOCKLEN) with every byte xored with `pad`. */
function padKey(key: usize, keyLength: i32, pad: u8): void {
  memory.fill(PAD, 0, BLOCKLEN);
  memory.copy(PAD, key, keyLength);
  const pads = i8x16.splat(pad);
  for (let i: usize = 0; i < <usize>BLOCKLEN; i += 16) {
    v128.store(PAD + i, v128.xor(v128.load(PAD + i), pads));
  }
}

/** out (64 bytes) = HMAC-BLAKE2b(key, data), key of at most 128 bytes; leaves its scratch unwiped. */
function hmacUnwiped(out: usize, key: usize, keyLength: i32, data: usize, dataLength: i32): void {
  padKey(key, keyLength, IPAD);
  blake2bInit(INNER, HASHLEN, 0, 0);
  blake2bUpdate(INNER, PAD, BLOCKLEN);
  blake2bUpdate(INNER, data, dataLength);
  padKey(key, keyLength, OPAD);
  blake2bFinal(INNER, out);
  blake2bInit(INNER, HASHLEN, 0, 0);
  blake2bUpdate(INNER, PAD, BLOCKLEN);
  blake2bUpdate(INNER, out, HASHLEN);
  blake2bFinal(INNER, out);
}

/**
 * out (64 bytes) = HMAC-BLAKE2b-512 of the data. Keys longer than 128 bytes are hashed by the caller first
 * (RFC 2104 section 2). `out` may overlap the data, not the key.
 */
export function hmacBlake2b(out: usize, key: usize, keyLength: i32, data: usize, dataLength: i32): void {
  hmacUnwiped(out, key, keyLength, data, dataLength);
  memory.fill(INNER, 0, HMAC_SCRATCH_BYTES);
}

/**
 * Noise section 4.3: out = `outputs` (2 or 3) times 64 bytes from the 64-byte chaining key and the input key
 * material. `out` may overlap the chaining key and the material.
 */
export function hkdfBlake2b(out: usize, chainingKey: usize, ikm: usize, ikmLength: i32, outputs: i32): void {
  hmacUnwiped(TEMP_KEY, chainingKey, HASHLEN, ikm, ikmLength);
  for (let i = 1; i <= outputs; i++) {
    store<u8>(CHAIN + <usize>HASHLEN, <u8>i);
    // output_i = HMAC(temp_key, output_(i-1) || byte(i)), with nothing before the first.
    if (i == 1) hmacUnwiped(CHAIN, TEMP_KEY, HASHLEN, CHAIN + <usize>HASHLEN, 1);
    else hmacUnwiped(CHAIN, TEMP_KEY, HASHLEN, CHAIN, HASHLEN + 1);
    memory.copy(out, CHAIN, HASHLEN);
    out += HASHLEN;
  }
  memory.fill(INNER, 0, HMAC_SCRATCH_BYTES);
}
