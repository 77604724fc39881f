// HMAC (RFC 2104) over BLAKE2b-512, and HKDF as Noise defines it (revision 34, section 4.3), all in linear memory.
// Keys, data and outputs are secret; working memory is wiped before each return.
//
// The two key blocks of a key are compressed once, and every MAC under the key starts from the results. Two outputs of
// HKDF therefore cost ten compressions. An empty message is the exception: its inner key block is the last block.

import { copy64, oneShotFinish, oneShotFirstBlock, oneShotResume, oneShotStart } from "./blake2b";
import { BLAKE2B_SCRATCH } from "./memory";

/** HASHLEN and BLOCKLEN of BLAKE2b (Noise section 12.8). */
const HASHLEN: i32 = 64;
const BLOCKLEN: i32 = 128;

const IPAD: u8 = 0x36;
const OPAD: u8 = 0x5c;

// BLAKE2B_SCRATCH from 0x200 on; blake2b.ts uses the bytes before.
const INNER_PAD: usize = BLAKE2B_SCRATCH + 0x200; // key ^ ipad, 128 bytes
const OUTER_PAD: usize = BLAKE2B_SCRATCH + 0x280; // key ^ opad, 128 bytes
const INNER: usize = BLAKE2B_SCRATCH + 0x300; // chaining value after INNER_PAD, 64 bytes
const OUTER: usize = BLAKE2B_SCRATCH + 0x340; // chaining value after OUTER_PAD, 64 bytes
const DIGEST: usize = BLAKE2B_SCRATCH + 0x380; // of the inner hash, 64 bytes
const TEMP_KEY: usize = BLAKE2B_SCRATCH + 0x3c0; // Noise's temp_key, 64 bytes
const CHAIN: usize = BLAKE2B_SCRATCH + 0x400; // 64 bytes of the previous output, then the counter byte
const HMAC_SCRATCH: usize = INNER_PAD;
const HMAC_SCRATCH_END: usize = BLAKE2B_SCRATCH + 0x450;

/** Writes both key blocks (the key, zero-padded to BLOCKLEN, ^ ipad or opad) and the chaining values after them. */
function setKey(key: usize, keyLength: i32): void {
  for (let i: usize = 0; i < <usize>BLOCKLEN; i += 16) v128.store(INNER_PAD + i, i64x2.splat(0));
  if (keyLength === HASHLEN) copy64(INNER_PAD, key);
  else memory.copy(INNER_PAD, key, keyLength);
  for (let i: usize = 0; i < <usize>BLOCKLEN; i += 16) {
    const block = v128.load(INNER_PAD + i);
    v128.store(INNER_PAD + i, v128.xor(block, i8x16.splat(IPAD)));
    v128.store(OUTER_PAD + i, v128.xor(block, i8x16.splat(OPAD)));
  }
  oneShotStart(HASHLEN, 0);
  oneShotFirstBlock(INNER_PAD, INNER);
  oneShotStart(HASHLEN, 0);
  oneShotFirstBlock(OUTER_PAD, OUTER);
}

/** out (64 bytes) = HMAC of the data under the key that was set. `out` may overlap the data. */
function mac(out: usize, data: usize, dataLength: i32): void {
  if (dataLength === 0) {
    oneShotStart(HASHLEN, 0);
    oneShotFinish(0, INNER_PAD, BLOCKLEN, DIGEST);
  } else {
    oneShotResume(INNER);
    oneShotFinish(BLOCKLEN, data, dataLength, DIGEST);
  }
  oneShotResume(OUTER);
  oneShotFinish(BLOCKLEN, DIGEST, HASHLEN, out);
}

function wipeScratch(): void {
  for (let p: usize = HMAC_SCRATCH; p < HMAC_SCRATCH_END; p += 16) v128.store(p, i64x2.splat(0));
}

/**
 * out (64 bytes) = HMAC-BLAKE2b-512 of the data. The caller first hashes a key that is longer than 128 bytes
 * (RFC 2104 section 2). `out` may overlap key and data.
 */
export function hmacBlake2b(out: usize, key: usize, keyLength: i32, data: usize, dataLength: i32): void {
  setKey(key, keyLength);
  mac(out, data, dataLength);
  wipeScratch();
}

/**
 * Noise section 4.3: out = `outputs` (2 or 3) times 64 bytes from the 64-byte chaining key and the input key
 * material. `out` may overlap the chaining key and the material.
 */
export function hkdfBlake2b(out: usize, chainingKey: usize, ikm: usize, ikmLength: i32, outputs: i32): void {
  setKey(chainingKey, HASHLEN);
  mac(TEMP_KEY, ikm, ikmLength);
  setKey(TEMP_KEY, HASHLEN);
  for (let i = 1; i <= outputs; i++) {
    // output_i = HMAC(temp_key, output_(i-1) || byte(i)); output_0 is empty.
    store<u8>(CHAIN + <usize>HASHLEN, <u8>i);
    if (i === 1) mac(CHAIN, CHAIN + <usize>HASHLEN, 1);
    else mac(CHAIN, CHAIN, HASHLEN + 1);
    copy64(out, CHAIN);
    out += HASHLEN;
  }
  wipeScratch();
}
