// ChaCha20-Poly1305 (RFC 8439 section 2.8) of frames in linear memory, and of one message in pieces.
//
// Secret: key, keystream (KEYSTREAM, wiped before every return), r and s of Poly1305, plaintext. There are no tables,
// and branches and addresses depend on lengths only. CHACHA_SCRATCH is all 0 between calls, except for a message in
// pieces, whose state stays there until chachaEnd:
//   +0    S of a frame      +64   P of a frame      +128  one block of 16 bytes, padded
//   +192  S of a message    +256  P of a message
//
// Frames are those of gcm.ts; their nonce is Noise's (section 12.3): 32 zero bits ‖ u64le counter. Blocks are made in
// groups of four: block 0 of a frame is the one-time key of Poly1305, and its text begins with block 1. While keystream
// is made, ciphertext is hashed: when sealing, the ciphertext two groups back; when opening, the ciphertext under the
// keystream. Opening checks the tag of a frame before it writes any of its plaintext.

import { tailMask, wipe } from "./bytes";
import { GROUP_BYTES, GROUP_HASHED_BYTES, keystreamGroup, keystreamGroupHashing } from "./chaCha20Group";
import { xorInto } from "./gcm";
import { CHACHA_SCRATCH, CHACHA_SCRATCH_USED_BYTES, KEYSTREAM, KEYSTREAM_BYTES } from "./memory";
import { polyBegin, polyBlocks, polyEnd, polyTag } from "./poly1305";

const TAG: usize = 16;
const PREFIX: usize = 4;
const BLOCK: usize = 64;

const FRAME_S: usize = CHACHA_SCRATCH;
const FRAME_P: usize = CHACHA_SCRATCH + 64;
const PADDED: usize = CHACHA_SCRATCH + 128;
const STREAM_S: usize = CHACHA_SCRATCH + 192;
const STREAM_P: usize = CHACHA_SCRATCH + 256;

/** "expand 32-byte k" */
const CONSTANTS: usize = memory.data<u32>([0x61707865, 0x3320646e, 0x79622d32, 0x6b206574], 16);

/** The number of text bytes whose keystream is in the first group, after block 0. */
const FIRST_TEXT: usize = GROUP_BYTES - BLOCK;
/** The keystream of a message in pieces is made in parts of this size, which stay in the first-level cache. */
const KEYSTREAM_PART: usize = 4096;

/** The state for block 0 with the 32-byte key at `key`. The caller writes the nonce at +52. */
function begin(S: usize, key: usize): void {
  v128.store(S, v128.load(CONSTANTS));
  v128.store(S + 16, v128.load(key));
  v128.store(S + 32, v128.load(key + 16));
  store<u32>(S, 0, 48);
}

// @inline
function useCounter(S: usize, counter: u64): void {
  // Block counter 0, then the nonce.
  store<u64>(S, 0, 48);
  store<u64>(S, counter, 56);
}

/** Hashes `length` bytes; the last block is padded with zeros. */
function hashPadded(P: usize, text: usize, length: usize): void {
  const whole = length & ~15;
  polyBlocks(P, text, whole >> 4);
  if (whole === length) return;
  v128.store(PADDED, v128.and(v128.load(text + whole), tailMask(length - whole)));
  polyBlocks(P, PADDED, 1);
}

/** Hashes the block of the two lengths and returns the tag. */
function tagOf(P: usize, aadBytes: u64, textBytes: u64): v128 {
  store<u64>(PADDED, aadBytes);
  store<u64>(PADDED, textBytes, 8);
  polyBlocks(P, PADDED, 1);
  return polyTag(P);
}

// @inline
function frameLength(frame: usize): usize {
  return <usize>bswap<u32>(load<u32>(frame));
}

/** XORs keystream onto `length` bytes, from the state's counter on. */
function cryptInParts(S: usize, text: usize, length: usize): void {
  while (length > 0) {
    const bytes = min<usize>(length, KEYSTREAM_PART);
    for (let at: usize = 0; at < bytes; at += GROUP_BYTES) keystreamGroup(S, KEYSTREAM + at);
    xorInto(text, KEYSTREAM, bytes);
    text += bytes;
    length -= bytes;
  }
}

function sealText(text: usize, length: usize): void {
  keystreamGroup(FRAME_S, KEYSTREAM);
  polyBegin(FRAME_P, KEYSTREAM);
  const first = min<usize>(length, FIRST_TEXT);
  xorInto(text, KEYSTREAM + BLOCK, first);
  let sealed = first;
  let hashed: usize = 0;
  while (sealed < length) {
    if (sealed - hashed >= GROUP_HASHED_BYTES) {
      keystreamGroupHashing(FRAME_S, KEYSTREAM, FRAME_P, text + hashed);
      hashed += GROUP_HASHED_BYTES;
    } else {
      keystreamGroup(FRAME_S, KEYSTREAM);
    }
    const bytes = min<usize>(length - sealed, GROUP_BYTES);
    xorInto(text + sealed, KEYSTREAM, bytes);
    sealed += bytes;
  }
  hashPadded(FRAME_P, text + hashed, length - hashed);
  v128.store(text + length, tagOf(FRAME_P, 0, length));
}

/** Makes the keystream of as much text as fits and hashes the text. Returns 1 if the tag after it is right. */
function verifyText(text: usize, length: usize): i32 {
  keystreamGroup(FRAME_S, KEYSTREAM);
  polyBegin(FRAME_P, KEYSTREAM);
  let hashed: usize = 0;
  for (let made = GROUP_BYTES; made < BLOCK + length && made < KEYSTREAM_BYTES; made += GROUP_BYTES) {
    if (length - hashed >= GROUP_HASHED_BYTES) {
      keystreamGroupHashing(FRAME_S, KEYSTREAM + made, FRAME_P, text + hashed);
      hashed += GROUP_HASHED_BYTES;
    } else {
      keystreamGroup(FRAME_S, KEYSTREAM + made);
    }
  }
  hashPadded(FRAME_P, text + hashed, length - hashed);
  const tag = tagOf(FRAME_P, 0, length);
  return v128.any_true(v128.xor(tag, v128.load(text + length))) ? 0 : 1;
}

/** Bytes of KEYSTREAM that a frame with this length of text used. */
// @inline
function keystreamBytes(length: usize): usize {
  return min<usize>((BLOCK + length + GROUP_BYTES - 1) & ~(GROUP_BYTES - 1), KEYSTREAM_BYTES);
}

/** Wipes the states of frames and `used` bytes of keystream. */
function endFrames(used: usize): void {
  wipe(KEYSTREAM, KEYSTREAM + used);
  wipe(FRAME_S, FRAME_S + 64);
  polyEnd(FRAME_P);
  wipe(PADDED, PADDED + 16);
}

/** Seals the frames in [start, end) in place. `key`: 32 bytes. The counter of the first frame is given in halves. */
export function chachaSealFrames(key: usize, high: u32, low: u32, start: usize, end: usize): void {
  let counter = ((<u64>high) << 32) | low;
  begin(FRAME_S, key);
  for (let frame = start; frame < end; counter++) {
    const length = frameLength(frame) - TAG;
    useCounter(FRAME_S, counter);
    sealText(frame + PREFIX, length);
    frame += PREFIX + length + TAG;
  }
  endFrames(GROUP_BYTES);
}

/** Opens the frames in [start, end) in place, up to the first that does not authenticate. Returns their number. */
export function chachaOpenFrames(key: usize, high: u32, low: u32, start: usize, end: usize): u32 {
  let counter = ((<u64>high) << 32) | low;
  let used: usize = 0;
  let opened: u32 = 0;
  begin(FRAME_S, key);
  for (let frame = start; frame < end; counter++) {
    const length = frameLength(frame) - TAG;
    const text = frame + PREFIX;
    useCounter(FRAME_S, counter);
    used = max<usize>(used, keystreamBytes(length));
    if (!verifyText(text, length)) break;
    const first = min<usize>(length, KEYSTREAM_BYTES - BLOCK);
    xorInto(text, KEYSTREAM + BLOCK, first);
    cryptInParts(FRAME_S, text + first, length - first);
    opened++;
    frame = text + length + TAG;
  }
  endFrames(used);
  return opened;
}

/**
 * Starts a message in pieces with the 32-byte key at `key` and the 12-byte nonce after it. The host feeds the AAD, then
 * the text. Every piece of either, except its last one, is a multiple of 64 bytes. To open, the host feeds all
 * ciphertext to chachaHash, then calls chachaVerify, and only then chachaCrypt. The host limits texts to
 * 2^38 - 64 bytes.
 */
export function chachaBegin(key: usize): void {
  begin(STREAM_S, key);
  store<u32>(STREAM_S, load<u32>(key, 32), 52);
  store<u64>(STREAM_S, load<u64>(key, 36), 56);
  keystreamGroup(STREAM_S, KEYSTREAM);
  polyBegin(STREAM_P, KEYSTREAM);
  wipe(KEYSTREAM, KEYSTREAM + GROUP_BYTES);
  // Text begins with block 1.
  store<u32>(STREAM_S, 1, 48);
}

/** Hashes AAD or ciphertext. A piece that is not a multiple of 16 bytes is the last one, and is padded. */
export function chachaHash(ptr: usize, length: usize): void {
  hashPadded(STREAM_P, ptr, length);
}

/** XORs the next keystream onto the text. */
export function chachaCrypt(ptr: usize, length: usize): void {
  const next = load<u32>(STREAM_S, 48) + <u32>((length + BLOCK - 1) >> 6);
  cryptInParts(STREAM_S, ptr, length);
  store<u32>(STREAM_S, next, 48);
  wipe(KEYSTREAM, KEYSTREAM + KEYSTREAM_PART);
}

/** Writes the 16-byte tag to `tag`. */
export function chachaTag(aadBytes: f64, textBytes: f64, tag: usize): void {
  v128.store(tag, tagOf(STREAM_P, <u64>aadBytes, <u64>textBytes));
}

/** 1 if the 16 bytes at `tag` are the message's tag, else 0. */
export function chachaVerify(aadBytes: f64, textBytes: f64, tag: usize): i32 {
  const expected = tagOf(STREAM_P, <u64>aadBytes, <u64>textBytes);
  return v128.any_true(v128.xor(v128.load(tag), expected)) ? 0 : 1;
}

/** Wipes the state. */
export function chachaEnd(): void {
  memory.fill(CHACHA_SCRATCH, 0, CHACHA_SCRATCH_USED_BYTES);
}
