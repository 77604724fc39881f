// AES-256-GCM (FIPS 197, SP 800-38D) on byte arrays: 32-byte key, 12-byte nonce, 16-byte tag, any AAD.

import { requireBytesOf } from "./bytes.ts";
import { AES_KEY_BYTES } from "./cachedKey.ts";
import { checkEngine, type Engine } from "./engine.ts";
import { GcmKey } from "./gcmKey.ts";
import { OneShotAead } from "./oneShotAead.ts";

/** AES-256-GCM under one key. */
export interface Aes256Gcm {
  /**
   * Encrypts and authenticates.
   *
   * @param nonce 12 bytes. Never twice under one key: that reveals plaintexts and lets anyone forge.
   * @param plaintext up to 2^36 - 32 bytes
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

/** SP 800-38D section 5.2.1.1: at most 2^36 - 32 bytes of text. */
const TEXT_LIMIT = { bytes: 2 ** 36 - 32, written: "2^36 - 32" };

/**
 * AES-256-GCM under one key.
 *
 * @param key 32 bytes, copied
 * @param engine the code that computes: "auto" (default), or one engine by name, see engine.ts
 * @throws SealwireError ERR_INVALID_ARGUMENT; ERR_UNSUPPORTED for an engine that this runtime lacks
 */
export function aes256gcm(key: Uint8Array, engine: Engine = "auto"): Aes256Gcm {
  requireBytesOf("key", key, AES_KEY_BYTES);
  checkEngine(engine);
  return new OneShotAead(new GcmKey(key), engine, TEXT_LIMIT);
}
