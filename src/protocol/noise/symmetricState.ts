// SymmetricState: Noise (revision 34) section 5.2 with BLAKE2b (section 12.8, HASHLEN 64).
//
// ck (64 bytes) and the CipherState's key are secret; h (64 bytes) is the transcript hash.

import { blake2b } from "../../core/blake2b.ts";
import { MAX_MIX_BYTES, mixHash, mixKey, mixKeyAndHash, split } from "../../core/noiseHash.ts";
import { invalidArgument } from "../../errors.ts";
import { CipherState } from "./cipherState.ts";
import { HASHLEN } from "./patterns.ts";

const KEYLEN = 32;
const encoder = new TextEncoder();

function requireBytes(name: string, bytes: Uint8Array): void {
  if (!(bytes instanceof Uint8Array) || bytes.length > MAX_MIX_BYTES) {
    throw invalidArgument(name, `a Uint8Array of at most ${MAX_MIX_BYTES} bytes`);
  }
}

export class SymmetricState {
  /** Its keys live for a message or two: not worth setting up the runtime's own AES. */
  readonly #cipher = new CipherState("wasm");
  readonly #ck: Uint8Array;
  readonly #h: Uint8Array;
  /** On its way to the CipherState; zeros between calls. */
  readonly #tempK = new Uint8Array(KEYLEN);

  /** InitializeSymmetric: a name of up to 64 bytes (ASCII) is padded with zeros, a longer one hashed. */
  constructor(protocolName: string) {
    if (typeof protocolName !== "string") throw invalidArgument("protocolName", "a string");
    const name = encoder.encode(protocolName);
    this.#h = new Uint8Array(HASHLEN);
    this.#h.set(name.length <= HASHLEN ? name : blake2b(name));
    this.#ck = new Uint8Array(this.#h);
  }

  /** Whether EncryptAndHash encrypts by now. */
  get hasKey(): boolean {
    return this.#cipher.hasKey;
  }

  /**
   * MixKey. The caller wipes `inputKeyMaterial`.
   *
   * @throws SealwireError ERR_INVALID_ARGUMENT
   */
  mixKey(inputKeyMaterial: Uint8Array): void {
    requireBytes("inputKeyMaterial", inputKeyMaterial);
    mixKey(this.#ck, this.#tempK, inputKeyMaterial);
    this.#setKey();
  }

  /**
   * MixHash: h = HASH(h ‖ data).
   *
   * @throws SealwireError ERR_INVALID_ARGUMENT
   */
  mixHash(data: Uint8Array): void {
    requireBytes("data", data);
    mixHash(this.#h, data);
  }

  /**
   * MixKeyAndHash, for pre-shared keys. The caller wipes `inputKeyMaterial`.
   *
   * @throws SealwireError ERR_INVALID_ARGUMENT
   */
  mixKeyAndHash(inputKeyMaterial: Uint8Array): void {
    requireBytes("inputKeyMaterial", inputKeyMaterial);
    mixKeyAndHash(this.#ck, this.#h, this.#tempK, inputKeyMaterial);
    this.#setKey();
  }

  /** GetHandshakeHash: a copy of h, 64 bytes. Meaningful after the last message (section 11.2). */
  getHandshakeHash(): Uint8Array {
    return new Uint8Array(this.#h);
  }

  /** EncryptAndHash: what goes on the wire, 16 bytes longer than `plaintext` once there is a key. */
  encryptAndHash(plaintext: Uint8Array): Uint8Array {
    const ciphertext = this.#cipher.encryptWithAd(this.#h, plaintext);
    this.mixHash(ciphertext);
    return ciphertext;
  }

  /**
   * DecryptAndHash.
   *
   * @throws SealwireError ERR_DECRYPT; the state is then as it was before
   */
  decryptAndHash(ciphertext: Uint8Array): Uint8Array {
    const plaintext = this.#cipher.decryptWithAd(this.#h, ciphertext);
    this.mixHash(ciphertext);
    return plaintext;
  }

  /**
   * Split, as keys: 32 bytes each, for what the initiator sends and for what the responder sends. The caller
   * owns and wipes them. The state is wiped.
   */
  splitKeys(): [initiatorKey: Uint8Array, responderKey: Uint8Array] {
    const keys: [Uint8Array, Uint8Array] = [new Uint8Array(KEYLEN), new Uint8Array(KEYLEN)];
    split(this.#ck, ...keys);
    this.destroy();
    return keys;
  }

  /** Split: the first CipherState is for what the initiator sends, the second for the responder. */
  split(): [CipherState, CipherState] {
    const keys = this.splitKeys();
    const ciphers: [CipherState, CipherState] = [new CipherState(), new CipherState()];
    for (const [i, key] of keys.entries()) {
      ciphers[i]!.initializeKey(key);
      key.fill(0);
    }
    return ciphers;
  }

  /** Wipes ck and the key. Idempotent. */
  destroy(): void {
    this.#ck.fill(0);
    this.#cipher.destroy();
  }
  #setKey(): void {
    this.#cipher.initializeKey(this.#tempK);
    this.#tempK.fill(0);
  }
}
