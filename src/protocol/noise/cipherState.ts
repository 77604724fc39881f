// CipherState: Noise (revision 34) section 5.1 with ChaChaPoly of section 12.3 or AESGCM of section 12.4.
//
// k is secret, 32 bytes. n is two u32 halves, 2^64 - 1 is reserved for Rekey. The nonce of AES-GCM is
// 00000000 ‖ u64be n, that of ChaChaPoly 00000000 ‖ u64le n. A failed decryption leaves n as it was.
//
//   no key (bytes pass as they are) ──initializeKey()──▶ keyed ⟲ initializeKey(), rekey()
//      └──────────────── destroy() ──▶ destroyed ◀── destroy() ──┘   nothing passes any more

import { invalidArgument, SealwireError } from "../../base/errors.ts";
import { requireBytes, requireBytesOf } from "../../core/bytes.ts";
import {
  type ChaCha20Poly1305,
  type ChaChaEngine,
  chacha20poly1305,
  checkChaChaEngine,
} from "../../core/chaCha20Poly1305.ts";
import { checkEngine, type Engine } from "../../core/engine.ts";
import { type Aes256Gcm, aes256gcm } from "../../core/gcm.ts";
import { KEYLEN } from "../../core/noiseHash.ts";
import { secretCopy } from "../../core/wipe.ts";
import type { CipherName } from "../handshake.ts";
import { checkCipher } from "./patterns.ts";

const NONCE_BYTES = 12;
const MAX_U32 = 0xffffffff;
const NO_AD = new Uint8Array(0);

/** CipherState of Noise (section 5.1). */
export class CipherState {
  #k: Uint8Array | undefined;
  /** The expanded key, made at first use: half of a handshake's keys encrypt nothing. */
  #cipher: Aes256Gcm | ChaCha20Poly1305 | undefined;
  readonly #nonce = new Uint8Array(NONCE_BYTES);
  #nHigh = 0;
  #nLow = 0;
  #destroyed = false;

  readonly #engine: Engine;
  readonly #name: CipherName;

  /**
   * Makes a state without a key.
   *
   * @param engine the code that computes, see `aes256gcm` and `chacha20poly1305`; the bytes are the same
   * @param cipher "AESGCM" (default) or "ChaChaPoly"
   * @throws SealwireError ERR_INVALID_ARGUMENT; ERR_UNSUPPORTED for an engine that this runtime lacks
   */
  constructor(engine: Engine = "auto", cipher: CipherName = "AESGCM") {
    checkCipher(cipher);
    if (cipher === "AESGCM") checkEngine(engine);
    else checkChaChaEngine(engine);
    this.#engine = engine;
    this.#name = cipher;
  }

  /**
   * InitializeKey: n becomes 0. The previous key, if any, is wiped.
   *
   * @param key 32 bytes, copied
   * @throws SealwireError ERR_INVALID_ARGUMENT; ERR_CLOSED after destroy()
   */
  initializeKey(key: Uint8Array): void {
    this.#requireAlive();
    requireBytesOf("key", key, KEYLEN);
    this.#forget();
    this.#k = secretCopy(key);
  }

  /** HasKey: before there is a key, encryptWithAd and decryptWithAd return copies of their input. */
  get hasKey(): boolean {
    return this.#k !== undefined;
  }

  /**
   * SetNonce: n = high · 2^32 + low.
   *
   * @throws SealwireError ERR_INVALID_ARGUMENT unless both are integers from 0 to 2^32 - 1; ERR_CLOSED after destroy()
   */
  setNonce(high: number, low: number): void {
    this.#requireAlive();
    if (!Number.isInteger(high) || high < 0 || high > MAX_U32) throw invalidArgument("high", "a u32");
    if (!Number.isInteger(low) || low < 0 || low > MAX_U32) throw invalidArgument("low", "a u32");
    this.#nHigh = high;
    this.#nLow = low;
  }

  /**
   * EncryptWithAd: ciphertext ‖ 16-byte tag in fresh memory; before there is a key, a copy of `plaintext`.
   *
   * @throws SealwireError ERR_COUNTER_EXHAUSTED when n is 2^64 - 1; ERR_INVALID_ARGUMENT; ERR_CLOSED after destroy()
   */
  encryptWithAd(ad: Uint8Array, plaintext: Uint8Array): Uint8Array {
    this.#requireAlive();
    requireBytes("ad", ad);
    requireBytes("plaintext", plaintext);
    const cipher = this.#expanded();
    if (cipher === undefined) return new Uint8Array(plaintext);
    const ciphertext = cipher.seal(this.#nextNonce(), plaintext, ad);
    this.#advance();
    return ciphertext;
  }

  /**
   * DecryptWithAd: the plaintext in fresh memory; before there is a key, a copy of `ciphertext`.
   *
   * @param ciphertext with its 16-byte tag
   * @throws SealwireError ERR_DECRYPT (n stays); ERR_COUNTER_EXHAUSTED when n is 2^64 - 1;
   *   ERR_INVALID_ARGUMENT; ERR_CLOSED after destroy()
   */
  decryptWithAd(ad: Uint8Array, ciphertext: Uint8Array): Uint8Array {
    this.#requireAlive();
    requireBytes("ad", ad);
    requireBytes("ciphertext", ciphertext);
    const cipher = this.#expanded();
    if (cipher === undefined) return new Uint8Array(ciphertext);
    const plaintext = cipher.open(this.#nextNonce(), ciphertext, ad);
    this.#advance();
    return plaintext;
  }

  /**
   * Rekey (section 11.3): k becomes the first 32 bytes of ENCRYPT(k, 2^64 - 1, "", zeros of 32 bytes); n
   * stays.
   *
   * @throws SealwireError ERR_INVALID_ARGUMENT without a key; ERR_CLOSED after destroy()
   */
  rekey(): void {
    this.#requireAlive();
    const cipher = this.#expanded();
    if (cipher === undefined) throw invalidArgument("this CipherState", "given a key before rekey()");
    const nonce = new Uint8Array(NONCE_BYTES).fill(0xff, 4);
    const sealed = cipher.seal(nonce, new Uint8Array(KEYLEN), NO_AD);
    const [nHigh, nLow] = [this.#nHigh, this.#nLow];
    this.initializeKey(sealed.subarray(0, KEYLEN));
    sealed.fill(0);
    this.setNonce(nHigh, nLow);
  }

  /** Wipes the key. Idempotent. Every other method then throws ERR_CLOSED, so that nothing leaves unencrypted. */
  destroy(): void {
    this.#destroyed = true;
    this.#forget();
  }

  #forget(): void {
    this.#k?.fill(0);
    this.#k = undefined;
    this.#cipher?.destroy();
    this.#cipher = undefined;
    this.#nHigh = 0;
    this.#nLow = 0;
  }

  #requireAlive(): void {
    if (this.#destroyed) throw new SealwireError("ERR_CLOSED", "this CipherState was destroyed");
  }

  #expanded(): Aes256Gcm | ChaCha20Poly1305 | undefined {
    if (this.#cipher === undefined && this.#k !== undefined) {
      this.#cipher =
        this.#name === "AESGCM"
          ? aes256gcm(this.#k, this.#engine)
          : chacha20poly1305(this.#k, this.#engine as ChaChaEngine);
    }
    return this.#cipher;
  }

  #nextNonce(): Uint8Array {
    if (this.#nHigh === MAX_U32 && this.#nLow === MAX_U32) {
      throw new SealwireError("ERR_COUNTER_EXHAUSTED", "2^64 - 1 messages under one key");
    }
    const view = new DataView(this.#nonce.buffer);
    const isLittle = this.#name === "ChaChaPoly";
    view.setUint32(isLittle ? 8 : 4, this.#nHigh, isLittle);
    view.setUint32(isLittle ? 4 : 8, this.#nLow, isLittle);
    return this.#nonce;
  }

  #advance(): void {
    this.#nLow = (this.#nLow + 1) >>> 0;
    if (this.#nLow === 0) this.#nHigh += 1;
  }
}
