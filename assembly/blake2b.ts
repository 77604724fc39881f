// BLAKE2b (RFC 7693): unkeyed or keyed, digests of 1 to 64 bytes, in one go or piece by piece.
//
// Key and message may be secret. A state is BLAKE2B_STATE_BYTES in linear memory:
//   +0    h       8 x u64   chaining value
//   +64   t       u64       bytes compressed so far
//   +72   filled  i32       bytes waiting in `block`
//   +76   length  i32       digest length
//   +80   block   128 B     the last, not yet compressed bytes (a full block waits: it may be the last)
// A finished state is wiped. Arguments are checked by the host; nothing here traps.

import { compress, IV } from "./blake2bCompress";
import { BLAKE2B_SCRATCH } from "./memory";

export const BLAKE2B_STATE_BYTES: usize = 208;
export const BLAKE2B_BLOCK_BYTES: i32 = 128;

const T_OFFSET: usize = 64;
const FILLED_OFFSET: usize = 72;
const LENGTH_OFFSET: usize = 76;
const BLOCK_OFFSET: usize = 80;

/** The state of one-shot calls; the first 64 bytes of the scratch belong to `compress`. */
const ONE_SHOT: usize = BLAKE2B_SCRATCH + 64;

/**
 * Begins a hash of `length` (1-64) bytes in the state S, with the `keyLength` (0-64) bytes at `key`
 * (RFC 7693 section 2.5: parameter block, 3.3: a key is a first block padded with zeros).
 */
export function blake2bInit(S: usize, length: i32, key: usize, keyLength: i32): void {
  memory.copy(S, IV, 64);
  store<u64>(S, load<u64>(S) ^ 0x01010000 ^ (<u64>keyLength << 8) ^ <u64>length);
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

/** One-shot: `out` (`length` bytes, 1-64) = BLAKE2b(key, input). */
export function blake2b(out: usize, length: i32, input: usize, inputLength: i32, key: usize, keyLength: i32): void {
  blake2bInit(ONE_SHOT, length, key, keyLength);
  blake2bUpdate(ONE_SHOT, input, inputLength);
  blake2bFinal(ONE_SHOT, out);
}
