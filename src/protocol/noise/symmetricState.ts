// SymmetricState: Noise (revision 34) section 5.2 with BLAKE2b (section 12.8, HASHLEN 64).
//
// ck (64 bytes) and the CipherState's key are secret; h (64 bytes) is the transcript hash.

import { blake2b, hkdfBlake2b } from "../../core/blake2b.ts";
import { invalidArgument } from "../../errors.ts";
import { CipherState } from "./cipherState.ts";
import { HASHLEN } from "./patterns.ts";

const KEYLEN = 32;
const EMPTY = new Uint8Array(0);

export class SymmetricState {
  /** Its keys live for a message or two: not worth setting up the runtime's own AES. */
  readonly #cipher = new CipherState("wasm");
  readonly #ck: Uint8Array;
  #h: Uint8Array;

  /** InitializeSymmetric: a name of up to 64 bytes (ASCII) is padded with zeros, a longer one hashed. */
  constructor(protocolName: string) {
    if (typeof protocolName !== "string") throw invalidArgument("protocolName", "a string");
    const name = new TextEncoder().encode(protocolName);
    this.#h = new Uint8Array(HASHLEN);
    if (name.length <= HASHLEN) this.#h.set(name);
    else this.#h = blake2b(name);
    this.#ck = new Uint8Array(this.#h);
  }

  /** Whether EncryptAndHash encrypts by now. */
  get hasKey(): boolean {
    return this.#cipher.hasKey;
  }

  /** MixKey. The caller wipes `inputKeyMaterial`. */
  mixKey(inputKeyMaterial: Uint8Array): void {
    const [ck, tempK] = hkdfBlake2b(this.#ck, inputKeyMaterial, 2) as [Uint8Array, Uint8Array];
    this.#ck.set(ck);
    this.#cipher.initializeKey(tempK.subarray(0, KEYLEN));
    ck.fill(0);
    tempK.fill(0);
  }

  /** MixHash: h = HASH(h ‖ data). */
  mixHash(data: Uint8Array): void {
    const input = new Uint8Array(HASHLEN + data.length);
    input.set(this.#h);
    input.set(data, HASHLEN);
    this.#h = blake2b(input);
  }

  /** MixKeyAndHash, for pre-shared keys. The caller wipes `inputKeyMaterial`. */
  mixKeyAndHash(inputKeyMaterial: Uint8Array): void {
    const outputs = hkdfBlake2b(this.#ck, inputKeyMaterial, 3) as [Uint8Array, Uint8Array, Uint8Array];
    const [ck, tempH, tempK] = outputs;
    this.#ck.set(ck);
    this.mixHash(tempH);
    this.#cipher.initializeKey(tempK.subarray(0, KEYLEN));
    for (const output of outputs) output.fill(0);
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
    const [tempK1, tempK2] = hkdfBlake2b(this.#ck, EMPTY, 2) as [Uint8Array, Uint8Array];
    const keys: [Uint8Array, Uint8Array] = [tempK1.slice(0, KEYLEN), tempK2.slice(0, KEYLEN)];
    tempK1.fill(0);
    tempK2.fill(0);
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
}
