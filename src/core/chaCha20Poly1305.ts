// ChaCha20-Poly1305 (RFC 8439 section 2.8) on byte arrays: 32-byte key, 12-byte nonce, 16-byte tag, any AAD.

import { invalidArgument } from "../base/errors.ts";
import { AEAD_KEY_BYTES } from "./aeadKey.ts";
import { requireBytesOf } from "./bytes.ts";
import { ChaChaKey } from "./chaChaKey.ts";
import type { Engine } from "./engine.ts";
import { OneShotAead } from "./oneShotAead.ts";
import { requireChaChaEngine } from "./runtimeChaCha.ts";

/** One key of ChaCha20-Poly1305. */
export interface ChaCha20Poly1305 {
  /**
   * Encrypts.
   *
   * @param nonce 12 bytes. Never twice under one key: that reveals plaintexts and lets anyone forge.
   * @param plaintext up to 2^38 - 64 bytes
   * @param aad authenticated with the plaintext, not part of the result; empty when left out
   * @returns ciphertext ‖ 16-byte tag, in memory of its own
   * @throws SealwireError ERR_INVALID_ARGUMENT; ERR_CLOSED after destroy()
   */
  seal(nonce: Uint8Array, plaintext: Uint8Array, aad?: Uint8Array): Uint8Array;
  /**
   * Verifies, then decrypts.
   *
   * @param nonce 12 bytes
   * @param sealed ciphertext ‖ 16-byte tag; only read
   * @returns the plaintext, in memory of its own
   * @throws SealwireError ERR_DECRYPT if it does not authenticate, whatever the cause, or is shorter than a tag;
   *   ERR_INVALID_ARGUMENT; ERR_CLOSED after destroy()
   */
  open(nonce: Uint8Array, sealed: Uint8Array, aad?: Uint8Array): Uint8Array;
  /** Wipes the key and everything that was expanded from it. Idempotent. */
  destroy(): void;
}

/** RFC 8439 section 2.8: 2^32 - 1 blocks of 64 bytes. */
const TEXT_LIMIT = { bytes: 2 ** 38 - 64, written: "2^38 - 64" };
const ENGINES: readonly unknown[] = ["auto", "wasm", "native"];

/** The code that computes: the module, the runtime, or the faster one by size. */
export type ChaChaEngine = Exclude<Engine, "keystream">;

/** @throws SealwireError ERR_INVALID_ARGUMENT; ERR_UNSUPPORTED for an engine that this cipher lacks in this runtime */
export function checkChaChaEngine(engine: unknown): asserts engine is ChaChaEngine {
  if (!ENGINES.includes(engine)) throw invalidArgument("engine", '"auto", "wasm" or "native"');
  requireChaChaEngine(engine as ChaChaEngine);
}

/**
 * ChaCha20-Poly1305 under one key.
 *
 * @param key 32 bytes, copied
 * @param engine the code that computes: "auto" (default), "wasm" or "native"
 * @throws SealwireError ERR_INVALID_ARGUMENT; ERR_UNSUPPORTED for an engine that this runtime lacks
 */
export function chacha20poly1305(key: Uint8Array, engine: ChaChaEngine = "auto"): ChaCha20Poly1305 {
  requireBytesOf("key", key, AEAD_KEY_BYTES);
  checkChaChaEngine(engine);
  return new OneShotAead(new ChaChaKey(key), engine, TEXT_LIMIT);
}
