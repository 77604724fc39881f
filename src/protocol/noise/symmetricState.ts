// SymmetricState: Noise (revision 34) section 5.2 with BLAKE2b (section 12.8, HASHLEN 64).
//
// ck (64 bytes) and the CipherState's key are secret; h (64 bytes) is the transcript hash.

import { invalidArgument, SealwireError } from "../../base/errors.ts";
import { blake2b } from "../../core/blake2b.ts";
import { requireBytesUpTo } from "../../core/bytes.ts";
import { MAX_MIX_BYTES, mixHash, mixKey, mixKeyAndHash, split } from "../../core/noiseHash.ts";
import { encodeText } from "../../core/text.ts";
import { secretBytes, secretCopy } from "../../core/wipe.ts";
import type { CipherName } from "../handshake.ts";
import { CipherState } from "./cipherState.ts";
import { HASHLEN, KEYLEN, TAGLEN } from "./patterns.ts";

/** SymmetricState of Noise (section 5.2). */
export class SymmetricState {
  /** Its keys live for a message or two, too short for the runtime's own AES. */
  readonly #cipher: CipherState;
  readonly #cipherName: CipherName;
  readonly #ck: Uint8Array;
  readonly #h: Uint8Array;
  /** A key on its way to the CipherState; zeros between calls. */
  readonly #tempK = secretBytes(KEYLEN);
  #destroyed = false;

  /**
   * InitializeSymmetric: a name of up to 64 bytes (ASCII) is padded with zeros, a longer one hashed. The cipher is the
   * one that its fourth part names: ChaChaPoly, otherwise AESGCM.
   *
   * @throws SealwireError ERR_INVALID_ARGUMENT
   */
  constructor(protocolName: string) {
    if (typeof protocolName !== "string") throw invalidArgument("protocolName", "a string");
    const name = encodeText(protocolName);
    this.#cipherName = protocolName.split("_")[3] === "ChaChaPoly" ? "ChaChaPoly" : "AESGCM";
    this.#cipher = new CipherState("wasm", this.#cipherName);
    this.#h = new Uint8Array(HASHLEN);
    this.#h.set(name.length <= HASHLEN ? name : blake2b(name));
    this.#ck = secretCopy(this.#h);
  }

  /** Whether EncryptAndHash encrypts yet. */
  get hasKey(): boolean {
    return this.#cipher.hasKey;
  }

  /**
   * MixKey. The caller wipes `inputKeyMaterial`.
   *
   * @throws SealwireError ERR_INVALID_ARGUMENT; ERR_CLOSED after destroy()
   */
  mixKey(inputKeyMaterial: Uint8Array): void {
    this.#requireAlive();
    requireBytesUpTo("inputKeyMaterial", inputKeyMaterial, MAX_MIX_BYTES);
    mixKey(this.#ck, this.#tempK, inputKeyMaterial);
    this.#setKey();
  }

  /**
   * MixHash: h = HASH(h ‖ data).
   *
   * @throws SealwireError ERR_INVALID_ARGUMENT; ERR_CLOSED after destroy()
   */
  mixHash(data: Uint8Array): void {
    this.#requireAlive();
    requireBytesUpTo("data", data, MAX_MIX_BYTES);
    mixHash(this.#h, data);
  }

  /**
   * MixKeyAndHash, for pre-shared keys. The caller wipes `inputKeyMaterial`.
   *
   * @throws SealwireError ERR_INVALID_ARGUMENT; ERR_CLOSED after destroy()
   */
  mixKeyAndHash(inputKeyMaterial: Uint8Array): void {
    this.#requireAlive();
    requireBytesUpTo("inputKeyMaterial", inputKeyMaterial, MAX_MIX_BYTES);
    mixKeyAndHash(this.#ck, this.#h, this.#tempK, inputKeyMaterial);
    this.#setKey();
  }

  /** GetHandshakeHash: a copy of h, 64 bytes. Meaningful after the last message (section 11.2). */
  getHandshakeHash(): Uint8Array {
    return new Uint8Array(this.#h);
  }

  /**
   * EncryptAndHash: the bytes for the wire, 16 bytes longer than `plaintext` once there is a key.
   *
   * @param plaintext at most 524,016 bytes
   * @throws SealwireError ERR_INVALID_ARGUMENT; ERR_CLOSED after destroy(); ERR_COUNTER_EXHAUSTED
   */
  encryptAndHash(plaintext: Uint8Array): Uint8Array {
    this.#requireAlive();
    // Before the cipher counts, so that nothing is encrypted that mixHash would refuse.
    requireBytesUpTo("plaintext", plaintext, MAX_MIX_BYTES - TAGLEN);
    const ciphertext = this.#cipher.encryptWithAd(this.#h, plaintext);
    this.mixHash(ciphertext);
    return ciphertext;
  }

  /**
   * DecryptAndHash.
   *
   * @param ciphertext at most 524,032 bytes
   * @throws SealwireError ERR_DECRYPT, ERR_INVALID_ARGUMENT; the state is then as it was before. ERR_CLOSED after
   *   destroy(); ERR_COUNTER_EXHAUSTED
   */
  decryptAndHash(ciphertext: Uint8Array): Uint8Array {
    this.#requireAlive();
    requireBytesUpTo("ciphertext", ciphertext, MAX_MIX_BYTES);
    // The same bytes must be decrypted and hashed, even if another thread can write to them.
    const own = new Uint8Array(ciphertext);
    const plaintext = this.#cipher.decryptWithAd(this.#h, own);
    this.mixHash(own);
    return plaintext;
  }

  /**
   * Whether MixKeyAndHash with this psk and DecryptAndHash after it would open a ciphertext. The state stays as it is.
   *
   * @throws SealwireError ERR_INVALID_ARGUMENT; ERR_CLOSED after destroy()
   */
  wouldOpen(psk: Uint8Array, ciphertext: Uint8Array): boolean {
    this.#requireAlive();
    requireBytesUpTo("ciphertext", ciphertext, MAX_MIX_BYTES);
    const ck = secretCopy(this.#ck);
    const h = new Uint8Array(this.#h);
    const key = secretBytes(KEYLEN);
    const cipher = new CipherState("wasm", this.#cipherName);
    try {
      mixKeyAndHash(ck, h, key, psk);
      cipher.initializeKey(key);
      cipher.decryptWithAd(h, new Uint8Array(ciphertext)).fill(0);
      return true;
    } catch (error) {
      if (error instanceof SealwireError && error.code === "ERR_DECRYPT") return false;
      throw error;
    } finally {
      ck.fill(0);
      key.fill(0);
      cipher.destroy();
    }
  }

  /**
   * Split, as keys: 32 bytes each, the first for bytes that the initiator sends, the second for the responder. The
   * caller owns and wipes them. The state is destroyed.
   *
   * @throws SealwireError ERR_CLOSED after destroy() or another split
   */
  splitKeys(): [initiatorKey: Uint8Array, responderKey: Uint8Array] {
    this.#requireAlive();
    const keys: [Uint8Array, Uint8Array] = [secretBytes(KEYLEN), secretBytes(KEYLEN)];
    split(this.#ck, ...keys);
    this.destroy();
    return keys;
  }

  /**
   * Split: the first CipherState is for bytes that the initiator sends, the second for the responder. The state is
   * destroyed.
   *
   * @throws SealwireError ERR_CLOSED after destroy() or another split
   */
  split(): [CipherState, CipherState] {
    const keys = this.splitKeys();
    const ciphers: [CipherState, CipherState] = [
      new CipherState("auto", this.#cipherName),
      new CipherState("auto", this.#cipherName),
    ];
    for (const [i, key] of keys.entries()) {
      ciphers[i]!.initializeKey(key);
      key.fill(0);
    }
    return ciphers;
  }

  /** Wipes ck and the key; every method but getHandshakeHash then throws ERR_CLOSED. Idempotent. */
  destroy(): void {
    this.#destroyed = true;
    this.#ck.fill(0);
    this.#cipher.destroy();
  }

  // A wiped chaining key would give the same keys to every peer.
  #requireAlive(): void {
    if (this.#destroyed) throw new SealwireError("ERR_CLOSED", "this SymmetricState was destroyed");
  }

  #setKey(): void {
    this.#cipher.initializeKey(this.#tempK);
    this.#tempK.fill(0);
  }
}
