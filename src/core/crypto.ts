// The only file that names what the wasm module exports: its functions with their types, the linear memory,
// and the regions of assembly/memory.ts that the host uses. Instantiated when first imported.
//
// All pointers and lengths are byte counts in linear memory. The exported functions trust their arguments:
// the modules beside this one check them.

import { wasmInstance } from "./wasm.ts";

/** X25519, BLAKE2b, HMAC, HKDF (assembly/x25519.ts, x25519Base.ts, blake2b.ts, hkdf.ts). */
export interface CurveExports {
  /** out (32) = X25519(scalar, u); returns 0 when the result is all zero. */
  x25519(out: number, scalar: number, u: number): number;
  /** out (32) = X25519(scalar, 9). */
  x25519Base(out: number, scalar: number): void;
  /** One-shot: out (`length` bytes, 1-64) = BLAKE2b(key, input). */
  blake2b(
    out: number,
    length: number,
    input: number,
    inputLength: number,
    key: number,
    keyLength: number,
  ): void;
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

export type CoreExports = CurveExports;

const exported = wasmInstance().exports;

/** The functions of the core. */
export const core = exported as unknown as CoreExports;

/** The whole linear memory. Fixed in size, so this view never detaches. */
export const memory = new Uint8Array((exported.memory as WebAssembly.Memory).buffer);

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

/** The pool's slots (pool.ts). */
export const POOL = region("POOL");
export const POOL_SLOT_BYTES = region("POOL_SLOT_BYTES");
export const POOL_SLOTS = region("POOL_SLOTS");

/** Where sockets read to; an unfinished frame is moved directly before it (protocol/frame.ts). */
export const RECEIVE_WINDOW = region("RECEIVE_WINDOW");
export const RECEIVE_WINDOW_BYTES = region("RECEIVE_WINDOW_BYTES");
