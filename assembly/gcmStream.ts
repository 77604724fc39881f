// AES-256-GCM of one message in pieces, SP 800-38D: any 96-bit IV, AAD, texts larger than linear memory.
//
// Secret: the state at GCM_STREAM (wiped by streamEnd), keystream, plaintext. One message at a time.
//   +0   IV as words in lanes, last lane unused      +16  E(J0)      +32  Y
//   +48  u32 next block counter
// The host feeds the AAD, then the text, in pieces. Every piece of either, except its last one, is a multiple of 16
// bytes. To open, the host feeds all ciphertext to streamHash, then calls streamVerify, and only then streamCrypt. The
// host limits texts to 2^36 - 32 bytes.

import { reverse4, wipe } from "./bytes";
import { cryptPieces, makeKeystream, wipeKeystream, xorInto } from "./gcm";
import { ghash, ghashFinal, lengthBlock, wipeHash } from "./ghash";
import { GCM_STREAM, KEYSTREAM } from "./memory";

const IV: usize = GCM_STREAM;
const TAG_MASK: usize = GCM_STREAM + 16;
const Y: usize = GCM_STREAM + 32;
const NEXT_COUNTER: usize = GCM_STREAM + 48;

/** Starts a message with the 12-byte IV at `iv`. */
export function streamBegin(entry: usize, iv: usize): void {
  const nonce = reverse4(v128.load(iv));
  v128.store(IV, nonce);
  v128.store(TAG_MASK, v128.load(makeKeystream(entry, nonce, 1, 1)));
  v128.store(Y, i64x2.splat(0));
  store<u32>(NEXT_COUNTER, 2);
  wipe(KEYSTREAM, KEYSTREAM + 16);
}

/** Hashes AAD or ciphertext. */
export function streamHash(entry: usize, ptr: usize, length: usize): void {
  v128.store(Y, ghash(entry, v128.load(Y), ptr, length));
}

/** XORs the next keystream onto the text, with the module's own AES. */
export function streamCrypt(entry: usize, ptr: usize, length: usize): void {
  const counter = load<u32>(NEXT_COUNTER);
  cryptPieces(entry, v128.load(IV), counter, ptr, length);
  store<u32>(NEXT_COUNTER, counter + <u32>((length + 15) >> 4));
  wipeKeystream(min<usize>((length + 15) >> 4, 512));
}

/** Writes the counter blocks for the next `length` bytes to KEYSTREAM, for the host's AES. */
export function streamCounters(length: usize): void {
  const blocks = (length + 15) >> 4;
  const nonce = v128.load(IV);
  let counter = load<u32>(NEXT_COUNTER);
  for (let out = KEYSTREAM; out < KEYSTREAM + 16 * blocks; out += 16) {
    v128.store(out, reverse4(i32x4.replace_lane(nonce, 3, counter++)));
  }
  store<u32>(NEXT_COUNTER, counter);
}

/** XORs the keystream that the host left at KEYSTREAM onto the text, and wipes it. */
export function streamXor(ptr: usize, length: usize): void {
  xorInto(ptr, KEYSTREAM, length);
  wipe(KEYSTREAM, KEYSTREAM + 16 * ((length + 15) >> 4));
}

// @inline
function computeTag(entry: usize, aadBytes: f64, textBytes: f64): v128 {
  const lengths = lengthBlock(<u64>aadBytes, <u64>textBytes);
  return v128.xor(v128.load(TAG_MASK), ghashFinal(entry, v128.load(Y), 0, 0, lengths));
}

/** Writes the 16-byte tag to `tag`. */
export function streamTag(entry: usize, aadBytes: f64, textBytes: f64, tag: usize): void {
  v128.store(tag, computeTag(entry, aadBytes, textBytes));
}

/** 1 if the 16 bytes at `tag` are the message's tag, else 0. */
export function streamVerify(entry: usize, aadBytes: f64, textBytes: f64, tag: usize): i32 {
  return v128.any_true(v128.xor(v128.load(tag), computeTag(entry, aadBytes, textBytes))) ? 0 : 1;
}

/** Wipes the state. */
export function streamEnd(): void {
  wipe(GCM_STREAM, GCM_STREAM + 64);
  wipeHash(usize.MAX_VALUE);
}
