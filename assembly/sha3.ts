// SHA-3 and SHAKE (FIPS 202): sponges over Keccak-f[1600], one at a time or two side by side.
//
// Messages may be secret (seeds of ML-KEM): time depends on lengths only. The state is at KECCAK_STATE. Two sponges
// have their 64-bit lanes in turn:
//   lane i of the first at +16 i, of the second at +16 i + 8
// A single sponge has its lanes in a row. The one-shot functions wipe the state here; otherwise the caller wipes it
// (mlKem768.ts). Rates: 168 B SHAKE128, 136 B SHAKE256 and SHA3-256, 72 B SHA3-512.

import { keccakF1600, keccakF1600Pair } from "./keccakRounds";
import { KECCAK_STATE } from "./memory";

export const KECCAK_PAIR_BYTES: usize = 400;
const KECCAK_STATE_BYTES: usize = 200;

export const SHAKE128_RATE: i32 = 168;
export const SHAKE256_RATE: i32 = 136;
export const SHA3_256_RATE: i32 = 136;
export const SHA3_512_RATE: i32 = 72;

/** The bits that tell the functions apart and the first bit of the padding (FIPS 202 sections 5.1, 6.1, 6.2). */
export const SHA3_SUFFIX: u8 = 0x06;
export const SHAKE_SUFFIX: u8 = 0x1f;

/**
 * out (outLength bytes) = the sponge of the message, with this rate (a multiple of 8) and suffix. Wipes the state.
 * `out` may not overlap the message.
 */
export function sponge(rate: i32, suffix: u8, out: usize, outLength: i32, data: usize, length: i32): void {
  const S = KECCAK_STATE;
  memory.fill(S, 0, KECCAK_STATE_BYTES);
  while (length >= rate) {
    for (let i = 0; i < rate; i += 8) store<u64>(S + i, load<u64>(S + i) ^ load<u64>(data + i));
    keccakF1600(S);
    data += rate;
    length -= rate;
  }
  for (let i = 0; i < length; i++) store<u8>(S + i, load<u8>(S + i) ^ load<u8>(data + i));
  store<u8>(S + length, load<u8>(S + length) ^ suffix);
  store<u8>(S + rate - 1, load<u8>(S + rate - 1) ^ 0x80);
  keccakF1600(S);
  while (outLength > rate) {
    memory.copy(out, S, rate);
    out += rate;
    outLength -= rate;
    keccakF1600(S);
  }
  memory.copy(out, S, outLength);
  memory.fill(S, 0, KECCAK_STATE_BYTES);
}

/** Begins two sponges: both have absorbed nothing. */
export function pairStart(): void {
  memory.fill(KECCAK_STATE, 0, KECCAK_PAIR_BYTES);
}

/** Byte `at` of a sponge ^= value. `which` is 0 for the first of two sponges, 8 for the second. */
// @inline
function pairXor(which: usize, at: usize, value: u8): void {
  const p = KECCAK_STATE + which + ((at >> 3) << 4) + (at & 7);
  store<u8>(p, load<u8>(p) ^ value);
}

/**
 * One of two sponges (`which`: 0 or 8) absorbs 32 bytes, then the `tailLength` (1 or 2) bytes of `tail`, low byte
 * first, and the padding of SHAKE. Every XOF and PRF of ML-KEM has this input.
 */
export function pairAbsorb(which: usize, rate: i32, seed: usize, tail: u32, tailLength: i32): void {
  for (let i: usize = 0; i < 4; i++) store<u64>(KECCAK_STATE + which + (i << 4), load<u64>(seed + (i << 3)));
  pairXor(which, 32, <u8>tail);
  if (tailLength === 2) pairXor(which, 33, <u8>(tail >> 8));
  pairXor(which, 32 + tailLength, SHAKE_SUFFIX);
  pairXor(which, rate - 1, 0x80);
}

/** Writes the next `rate` bytes of both to `first` and `second`. A `second` of 0 gets nothing. */
export function pairSqueeze(rate: i32, first: usize, second: usize): void {
  keccakF1600Pair(KECCAK_STATE);
  for (let i: usize = 0; i < <usize>rate; i += 8) store<u64>(first + i, load<u64>(KECCAK_STATE + 2 * i));
  if (second === 0) return;
  for (let i: usize = 0; i < <usize>rate; i += 8) store<u64>(second + i, load<u64>(KECCAK_STATE + 2 * i, 8));
}
