// The only file that names the exports of the wasm module: its functions with their types, the linear memory, and the
// regions of assembly/memory.ts that the host uses. The memory is made when this file is first imported, the module is
// compiled when one of its functions is first asked for: a program that imports the package may need neither, or not yet.
//
// All pointers and lengths are byte counts in linear memory. The exported functions trust their arguments; the files
// beside this one check them.

import type { OwnBytes } from "./bytes.ts";
import { wasmInstance, wasmMemory } from "./instantiate.ts";
import { GCM_SCRATCH } from "./wasmBinary.ts";

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

/** The functions, once the module runs. They stand in a prototype, where engines take methods for constants. */
const functions: object = Object.create(
  new Proxy(
    {},
    {
      get(_, name) {
        startCore();
        return Reflect.get(functions, name);
      },
    },
  ),
);

/** The functions of the core. The first one that is asked for starts it, and throws what `startCore` throws. */
export const core: CoreExports = Object.create(functions);

/**
 * Compiles and instantiates the module, if it does not run yet: some milliseconds.
 *
 * @throws SealwireError ERR_UNSUPPORTED if the runtime lacks WebAssembly SIMD, or does not let it run
 */
export function startCore(): void {
  if (Object.getPrototypeOf(functions) === null) return;
  Object.assign(functions, wasmInstance().exports);
  Object.setPrototypeOf(functions, null);
}

/** The whole linear memory. Fixed in size, so this view never detaches. */
export const memory: OwnBytes = new Uint8Array(wasmMemory().buffer);

const results = new Uint32Array(memory.buffer, GCM_SCRATCH, 2);
/** After writeCounters: the address of the first frame that did not fit, or the end. */
export function stoppedAt(): number {
  return results[0]!;
}
/** After writeCounters: the number of frames before that address. */
export function framesPrepared(): number {
  return results[1]!;
}

// Addresses and sizes of assembly/memory.ts.
export {
  // Entries of keystream made ahead (keystreamAhead.ts).
  AHEAD,
  AHEAD_ENTRIES,
  AHEAD_ENTRY_BYTES,
  // Size of a BLAKE2b state.
  BLAKE2B_STATE_BYTES,
  // Scratch memory of the module's ChaCha20-Poly1305, which is 0 between calls.
  CHACHA_SCRATCH,
  CHACHA_SCRATCH_BYTES,
  // Arguments and results of X25519, 256 bytes.
  CURVE_ARGS,
  // Scratch memory of the module's AES-GCM. Its first 8 bytes are results; the rest is 0 between calls.
  GCM_SCRATCH,
  GCM_SCRATCH_BYTES,
  // Where a frame that was collected elsewhere is opened (protocol/partialFrame.ts).
  JOIN,
  // The key cache: KEY_ENTRIES expanded keys of KEY_ENTRY_BYTES each.
  KEY_CACHE,
  KEY_ENTRIES,
  KEY_ENTRY_BYTES,
  // Counter blocks, then keystream, when the runtime's AES is used.
  KEYSTREAM,
  KEYSTREAM_BYTES,
  // The pool's slots (slotPool.ts).
  POOL,
  POOL_SLOT_BYTES,
  POOL_SLOTS,
  // The memory that sockets read into.
  RECEIVE_BUFFER,
  RECEIVE_BUFFER_BYTES,
  // Arguments and results of one-off calls; nothing stays there between calls.
  STAGING,
  STAGING_BYTES,
} from "./wasmBinary.ts";
