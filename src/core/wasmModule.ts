// The only file that names the exports of the wasm module: its functions with their types, the linear memory, and the
// regions of assembly/memory.ts that the host uses. The module is instantiated when this file is first imported.
//
// All pointers and lengths are byte counts in linear memory. The exported functions trust their arguments; the files
// beside this one check them.

import type { OwnBytes } from "./bytes.ts";
import { wasmInstance } from "./instantiate.ts";

/** X25519, BLAKE2b, HMAC, HKDF (assembly/x25519.ts, x25519Base.ts, blake2b.ts, hkdf.ts). */
export interface CurveExports {
  /** out (32) = X25519(scalar, u); returns 0 when the result is all zero. */
  x25519(out: number, scalar: number, u: number): number;
  /** 1 if the ladder with fused multiply-add is used, 0 for the one that is right everywhere. */
  x25519Fused(): number;
  /** For tests: 0 acts as if the self-test for fused multiply-add had failed, 1 runs it again. */
  x25519AllowFused(allowed: number): void;
  /** out (32) = X25519(scalar, 9). */
  x25519Base(out: number, scalar: number): void;
  /** One-shot: BLAKE2b(key, input) of `length` (1-64) bytes; always writes 64 bytes to out. */
  blake2b(
    out: number,
    length: number,
    input: number,
    inputLength: number,
    key: number,
    keyLength: number,
  ): void;
  /** In place: h (64) = BLAKE2b-512(h || data), Noise's MixHash. */
  mixHash(h: number, data: number, length: number): void;
  /** Begins a hash in the state S (BLAKE2B_STATE_BYTES). */
  blake2bInit(S: number, length: number, key: number, keyLength: number): void;
  blake2bUpdate(S: number, data: number, length: number): void;
  /** Writes the digest and wipes S. */
  blake2bFinal(S: number, out: number): void;
  /** out (64) = HMAC-BLAKE2b-512(key, data), key of at most 128 bytes. */
  hmacBlake2b(out: number, key: number, keyLength: number, data: number, dataLength: number): void;
  /** out (64 * outputs) = Noise's HKDF (section 4.3). */
  hkdfBlake2b(out: number, chainingKey: number, ikm: number, ikmLength: number, outputs: number): void;
}

/**
 * AES-256-GCM (assembly/gcm.ts, gcmStream.ts). `entry` is an expanded key in the key cache; `layout` is 0 for
 * IVs that begin with the counter, 1 for IVs that end with it; counters are given as two u32 halves.
 */
export interface GcmExports {
  /** Expands the 32-byte key at `key` into `entry`. */
  keySetup(entry: number, key: number): void;
  /** Seals the frames in [start, end) in place. */
  sealFrames(entry: number, layout: number, high: number, low: number, start: number, end: number): void;
  /** Opens frames in place up to the first that does not authenticate; returns the number of opened frames. */
  openFrames(entry: number, layout: number, high: number, low: number, start: number, end: number): number;
  /**
   * Writes the counter blocks of the frames in [start, end) to KEYSTREAM as far as they fit, and returns the bytes
   * written. GCM_RESULTS then holds the address where it stopped and the number of frames.
   */
  writeCounters(layout: number, high: number, low: number, start: number, end: number): number;
  /** Writes counter blocks 1 to `blocks` of `frames` frames to `out`, whatever their lengths will be. */
  writeCountersAhead(
    layout: number,
    high: number,
    low: number,
    frames: number,
    blocks: number,
    out: number,
  ): void;
  /** sealFrames and openFrames with the keystream at `keystream`, which is wiped. */
  sealPrepared(entry: number, start: number, end: number, keystream: number): void;
  openPrepared(entry: number, start: number, end: number, keystream: number): number;
  /** One message in pieces. `iv`: 12 bytes, followed by 4 that are read but do not matter. */
  streamBegin(entry: number, iv: number): void;
  streamHash(entry: number, ptr: number, length: number): void;
  streamCrypt(entry: number, ptr: number, length: number): void;
  streamCounters(length: number): void;
  streamXor(ptr: number, length: number): void;
  streamTag(entry: number, aadBytes: number, textBytes: number, tag: number): void;
  /** 1 if the 16 bytes at `tag` are right. */
  streamVerify(entry: number, aadBytes: number, textBytes: number, tag: number): number;
  streamEnd(): void;
}

/**
 * ChaCha20-Poly1305 (assembly/chaCha20Poly1305.ts). `key`: 32 bytes in linear memory; counters are given as two u32
 * halves, nonces are Noise's.
 */
export interface ChaChaExports {
  /** Seals the frames in [start, end) in place. */
  chachaSealFrames(key: number, high: number, low: number, start: number, end: number): void;
  /** Opens frames in place up to the first that does not authenticate; returns the number of opened frames. */
  chachaOpenFrames(key: number, high: number, low: number, start: number, end: number): number;
  /** One message in pieces; its 12-byte nonce follows the key. */
  chachaBegin(key: number): void;
  chachaHash(ptr: number, length: number): void;
  chachaCrypt(ptr: number, length: number): void;
  chachaTag(aadBytes: number, textBytes: number, tag: number): void;
  /** 1 if the 16 bytes at `tag` are right. */
  chachaVerify(aadBytes: number, textBytes: number, tag: number): number;
  chachaEnd(): void;
}

/** ML-KEM-768, SHA-3 and SHAKE (assembly/mlKem768.ts, sha3.ts). Some read or write up to 16 bytes beyond a buffer. */
export interface KemExports {
  /** ek (1,184) and dk (2,400) from the 64-byte seed. */
  mlKem768KeyGen(ek: number, dk: number, seed: number): void;
  /** K (32) and c (1,088) from ek and the 32 random bytes m; returns 0 when ek fails the modulus check. */
  mlKem768Encaps(K: number, c: number, ek: number, m: number): number;
  /** K (32) from dk and c; returns 0 when dk fails the hash check. */
  mlKem768Decaps(K: number, dk: number, c: number): number;
  /** out = the sponge over Keccak-f[1600] with this rate and suffix, for tests. */
  sponge(rate: number, suffix: number, out: number, outLength: number, data: number, length: number): void;
}

export type CoreExports = CurveExports & GcmExports & ChaChaExports & KemExports;

const exported = wasmInstance().exports;

/** The functions of the core. */
export const core = exported as unknown as CoreExports;

/** The whole linear memory. Fixed in size, so this view never detaches. */
export const memory: OwnBytes = new Uint8Array((exported.memory as WebAssembly.Memory).buffer);

/** The address or size that assembly/memory.ts exports under this name. */
function region(name: string): number {
  return (exported[name] as WebAssembly.Global).value as number;
}

/** Arguments and results of one-off calls; nothing stays there between calls. */
export const STAGING = region("STAGING");
export const STAGING_BYTES = region("STAGING_BYTES");

/** Arguments and results of X25519, 256 bytes. */
export const CURVE_ARGS = region("CURVE_ARGS");
/** Size of a BLAKE2b state. */
export const BLAKE2B_STATE_BYTES = region("BLAKE2B_STATE_BYTES");

/** The key cache: KEY_ENTRIES expanded keys of KEY_ENTRY_BYTES each. */
export const KEY_CACHE = region("KEY_CACHE");
export const KEY_ENTRY_BYTES = region("KEY_ENTRY_BYTES");
export const KEY_ENTRIES = region("KEY_ENTRIES");
/** Counter blocks, then keystream, when the runtime's AES is used. */
export const KEYSTREAM = region("KEYSTREAM");
export const KEYSTREAM_BYTES = region("KEYSTREAM_BYTES");

/** Scratch memory of the module's AES-GCM. Its first 8 bytes are results; the rest is 0 between calls. */
export const GCM_SCRATCH = region("GCM_SCRATCH");
export const GCM_SCRATCH_BYTES = region("GCM_SCRATCH_BYTES");

/** Scratch memory of the module's ChaCha20-Poly1305, which is 0 between calls. */
export const CHACHA_SCRATCH = region("CHACHA_SCRATCH");
export const CHACHA_SCRATCH_BYTES = region("CHACHA_SCRATCH_BYTES");

const results = new Uint32Array(memory.buffer, GCM_SCRATCH, 2);
/** After writeCounters: the address of the first frame that did not fit, or the end. */
export function stoppedAt(): number {
  return results[0]!;
}
/** After writeCounters: the number of frames before that address. */
export function framesPrepared(): number {
  return results[1]!;
}

/** Entries of keystream made ahead (keystreamAhead.ts). */
export const AHEAD = region("AHEAD");
export const AHEAD_ENTRY_BYTES = region("AHEAD_ENTRY_BYTES");
export const AHEAD_ENTRIES = region("AHEAD_ENTRIES");

/** The pool's slots (slotPool.ts). */
export const POOL = region("POOL");
export const POOL_SLOT_BYTES = region("POOL_SLOT_BYTES");
export const POOL_SLOTS = region("POOL_SLOTS");

/**
 * The memory that sockets read into, and in which a frame that was collected elsewhere is opened
 * (protocol/partialFrame.ts).
 */
export const RECEIVE_BUFFER = region("RECEIVE_BUFFER");
export const RECEIVE_BUFFER_BYTES = region("RECEIVE_BUFFER_BYTES");
export const JOIN = region("JOIN");
