// The class behind `aes256gcm` and `chacha20poly1305`: an AEAD under one key, a whole message per call. The two
// ciphers differ in their key and in the longest text that they allow.

import { invalidArgument, SealwireError } from "../base/errors.ts";
import type { AeadKey } from "./aeadKey.ts";
import { openMessage, sealMessage, stableCopy } from "./aeadPieces.ts";
import { requireBytes, requireBytesOf } from "./bytes.ts";
import type { Engine } from "./engine.ts";
import { TAG_BYTES } from "./frameLayout.ts";
import { IV_BYTES } from "./nonceCounter.ts";

/** The longest text of a cipher: its number of bytes, and the same number as its specification writes it. */
export interface TextLimit {
  readonly bytes: number;
  readonly written: string;
}

const EMPTY = new Uint8Array(0);

export class OneShotAead {
  readonly #key: AeadKey;
  readonly #engine: Engine;
  readonly #limit: TextLimit;
  #destroyed = false;

  /** @param key owned from now on: `destroy` wipes it */
  constructor(key: AeadKey, engine: Engine, limit: TextLimit) {
    this.#key = key;
    this.#engine = engine;
    this.#limit = limit;
  }

  seal(nonce: Uint8Array, plaintext: Uint8Array, aad: Uint8Array = EMPTY): Uint8Array {
    this.#require(nonce, aad);
    requireBytes("plaintext", plaintext);
    const { bytes, written } = this.#limit;
    if (plaintext.length > bytes) throw invalidArgument("plaintext", `at most ${written} bytes long`);
    const out = new Uint8Array(plaintext.length + TAG_BYTES);
    sealMessage(this.#key, this.#engine, nonce, aad, [plaintext], out, 0);
    return out;
  }

  open(nonce: Uint8Array, sealed: Uint8Array, aad: Uint8Array = EMPTY): Uint8Array {
    this.#require(nonce, aad);
    requireBytes("sealed", sealed);
    const plaintext = openMessage(this.#key, this.#engine, nonce, aad, [stableCopy(sealed)]);
    if (plaintext === null) throw new SealwireError("ERR_DECRYPT", "the message does not authenticate");
    return plaintext;
  }

  destroy(): void {
    this.#destroyed = true;
    this.#key.destroy();
  }

  #require(nonce: Uint8Array, aad: Uint8Array): void {
    if (this.#destroyed) throw new SealwireError("ERR_CLOSED", "this key was destroyed");
    requireBytesOf("nonce", nonce, IV_BYTES);
    requireBytes("aad", aad);
  }
}
