// The interface of an AEAD key: it seals and opens one message in pieces (aeadPieces.ts), and gives the runtime's
// cipher its key (nativeFrames.ts).

import type { Engine } from "./engine.ts";

/** Both ciphers' keys have this length. */
export const AEAD_KEY_BYTES = 32;

/** The AEADs of node:crypto, by its names. */
export type NativeCipher = "aes-256-gcm" | "chacha20-poly1305";

/**
 * A key and the module's functions that use it, in the order in which they are called. One message at a time. Addresses
 * and lengths are of linear memory.
 */
export interface AeadKey {
  readonly native: NativeCipher;
  /** The 32 bytes themselves for the runtime's cipher, not a copy. */
  readonly bytes: Uint8Array;
  /** The engine for a message of `bytes` bytes; never "auto". */
  engineFor(engine: Engine, bytes: number): Engine;
  /** Starts a message with this 12-byte nonce. May use the first 128 bytes of STAGING, which the caller wipes after `end`. */
  begin(iv: Uint8Array): void;
  /** Hashes AAD, then ciphertext. Every piece except the last one of each has a length that is a multiple of 64. */
  hash(address: number, length: number): void;
  /** XORs the next keystream onto the text. */
  crypt(engine: Engine, address: number, length: number): void;
  /** Writes the 16-byte tag. */
  tag(aadBytes: number, textBytes: number, address: number): void;
  /** Whether the 16 bytes at `address` are the message's tag. */
  verify(aadBytes: number, textBytes: number, address: number): boolean;
  /** Wipes the state of the message. */
  end(): void;
  /** Replaces the key by another (32 bytes, copied) and drops everything that was expanded from the old one. */
  replace(key: Uint8Array): void;
  /** Wipes the key and everything expanded from it. Idempotent. */
  destroy(): void;
}
