// BLAKE2b (RFC 7693), unkeyed or keyed, with digests of 1 to 64 bytes, for a message in one call or in pieces.
//
// Key and message may be secret. A state is BLAKE2B_STATE_BYTES in linear memory:
//   +0    h       8 x u64   chaining value
//   +64   t       u64       bytes compressed so far
//   +72   filled  i32       bytes waiting in `block`
//   +76   length  i32       digest length
//   +80   block   128 B     the last bytes, not yet compressed (a full block waits, because it may be the last)
// A finished state is wiped. The host checks arguments; nothing here traps.

import { compress, IV } from "./blake2bCompress";
import { BLAKE2B_SCRATCH } from "./memory";

export const BLAKE2B_STATE_BYTES: usize = 208;
export const BLAKE2B_BLOCK_BYTES: i32 = 128;

const T_OFFSET: usize = 64;
const FILLED_OFFSET: usize = 72;
const LENGTH_OFFSET: usize = 76;
const BLOCK_OFFSET: usize = 80;

// BLAKE2B_SCRATCH, of which `compress` uses the first 64 bytes. One-shot hashes need no state: full blocks are
// compressed where they lie, and only the last block is copied. Vector stores replace memory.copy and memory.fill,
// because each of those costs a call into the runtime.
const H: usize = BLAKE2B_SCRATCH + 64; // 64 bytes
const LAST: usize = BLAKE2B_SCRATCH + 128; // 128 bytes, and as many behind it that are written with zeros

/**
 * Begins a hash of `length` (1-64) bytes in the state S, with the `keyLength` (0-64) bytes at `key`. RFC 7693 section
 * 2.5 defines the parameter block; by section 3.3 a key is a first block, padded with zeros.
 */
export function blake2bInit(S: usize, length: i32, key: usize, keyLength: i32): void {
  memory.copy(S, IV, 64);
  store<u64>(S, load<u64>(S) ^ 0x01010000 ^ ((<u64>keyLength) << 8) ^ <u64>length);
  memory.fill(S + T_OFFSET, 0, BLAKE2B_STATE_BYTES - T_OFFSET);
  store<i32>(S, length, LENGTH_OFFSET);
  if (keyLength > 0) {
    memory.copy(S + BLOCK_OFFSET, key, keyLength);
    store<i32>(S, BLAKE2B_BLOCK_BYTES, FILLED_OFFSET);
  }
}

/** Adds `length` bytes at `data` to the state S. */
export function blake2bUpdate(S: usize, data: usize, length: i32): void {
  if (length <= 0) return;
  let filled = load<i32>(S, FILLED_OFFSET);
  let t = load<u64>(S, T_OFFSET);
  if (filled > 0) {
    const room = min(BLAKE2B_BLOCK_BYTES - filled, length);
    memory.copy(S + BLOCK_OFFSET + filled, data, room);
    filled += room;
    data += room;
    length -= room;
    if (length > 0) {
      t += BLAKE2B_BLOCK_BYTES;
      compress(S, S + BLOCK_OFFSET, t, 0);
      filled = 0;
    }
  }
  while (length > BLAKE2B_BLOCK_BYTES) {
    t += BLAKE2B_BLOCK_BYTES;
    compress(S, data, t, 0);
    data += BLAKE2B_BLOCK_BYTES;
    length -= BLAKE2B_BLOCK_BYTES;
  }
  if (length > 0) {
    memory.copy(S + BLOCK_OFFSET, data, length);
    filled = length;
  }
  store<i32>(S, filled, FILLED_OFFSET);
  store<u64>(S, t, T_OFFSET);
}

/** Writes the digest of the state S to `out` (as many bytes as `blake2bInit` was told) and wipes S. */
export function blake2bFinal(S: usize, out: usize): void {
  const filled = load<i32>(S, FILLED_OFFSET);
  memory.fill(S + BLOCK_OFFSET + filled, 0, BLAKE2B_BLOCK_BYTES - filled);
  compress(S, S + BLOCK_OFFSET, load<u64>(S, T_OFFSET) + filled, ~(<u64>0));
  memory.copy(out, S, load<i32>(S, LENGTH_OFFSET));
  memory.fill(S, 0, BLAKE2B_STATE_BYTES);
}

// @inline
export function copy64(to: usize, from: usize): void {
  v128.store(to, v128.load(from));
  v128.store(to, v128.load(from, 16), 16);
  v128.store(to, v128.load(from, 32), 32);
  v128.store(to, v128.load(from, 48), 48);
}

/** The 128-byte block at `to` = `length` (0-128) bytes, then zeros. Up to 128 bytes beyond are read and zeroed. */
function lastBlock(to: usize, from: usize, length: i32): void {
  for (let i: usize = 0; i < 128; i += 16) v128.store(to + i, v128.load(from + i));
  const end = to + <usize>length;
  for (let i: usize = 0; i < 128; i += 16) v128.store(end + i, i64x2.splat(0));
}

/** H = the first chaining value of every hash with this parameter block (RFC 7693 section 2.5). */
export function oneShotStart(length: i32, keyLength: i32): void {
  copy64(H, IV);
  store<u64>(H, load<u64>(H) ^ 0x01010000 ^ ((<u64>keyLength) << 8) ^ <u64>length);
}

/** H = a chaining value that was saved after the first block, when t was 128. */
// @inline
export function oneShotResume(chainingValue: usize): void {
  copy64(H, chainingValue);
}

/** Compresses one whole first block that is not the last, and saves the chaining value to `out` (64 bytes). */
export function oneShotFirstBlock(block: usize, out: usize): void {
  compress(H, block, BLAKE2B_BLOCK_BYTES, 0);
  copy64(out, H);
}

/** Ends the hash with the rest of the message, after its first `t` bytes. `out` gets all 64 bytes of h. */
export function oneShotFinish(t: u64, data: usize, length: i32, out: usize): void {
  while (length > BLAKE2B_BLOCK_BYTES) {
    t += BLAKE2B_BLOCK_BYTES;
    compress(H, data, t, 0);
    data += BLAKE2B_BLOCK_BYTES;
    length -= BLAKE2B_BLOCK_BYTES;
  }
  lastBlock(LAST, data, length);
  compress(H, LAST, t + length, ~(<u64>0));
  copy64(out, H);
  for (let i: usize = 0; i < 192; i += 16) v128.store(H + i, i64x2.splat(0)); // H and LAST
}

/**
 * One-shot: BLAKE2b(key, input) of `length` (1-64) bytes. `out` gets 64 bytes; the caller wipes those after `length`
 * and uses them for nothing. `key`: 0-64 bytes.
 */
export function blake2b(
  out: usize,
  length: i32,
  input: usize,
  inputLength: i32,
  key: usize,
  keyLength: i32,
): void {
  oneShotStart(length, keyLength);
  if (keyLength === 0) {
    oneShotFinish(0, input, inputLength, out);
    return;
  }
  lastBlock(LAST, key, keyLength);
  if (inputLength === 0) {
    oneShotFinish(0, LAST, BLAKE2B_BLOCK_BYTES, out);
    return;
  }
  compress(H, LAST, BLAKE2B_BLOCK_BYTES, 0);
  oneShotFinish(BLAKE2B_BLOCK_BYTES, input, inputLength, out);
}

/** Noise's MixHash (section 5.2) in place: h (64 bytes) = BLAKE2b-512(h || data). */
export function mixHash(h: usize, data: usize, length: i32): void {
  oneShotStart(64, 0);
  copy64(LAST, h);
  if (length <= 64) {
    lastBlock(LAST + 64, data, length);
    compress(H, LAST, 64 + length, ~(<u64>0));
    copy64(h, H);
    for (let i: usize = 0; i < 192; i += 16) v128.store(H + i, i64x2.splat(0));
  } else {
    copy64(LAST + 64, data);
    compress(H, LAST, BLAKE2B_BLOCK_BYTES, 0);
    oneShotFinish(BLAKE2B_BLOCK_BYTES, data + 64, length - 64, h);
  }
}
