// A ChaCha20-Poly1305 key. Nothing is expanded from it: the module takes its 32 bytes, which are in linear memory
// during a call.

import { SealwireError } from "../base/errors.ts";
import { AEAD_KEY_BYTES, type AeadKey } from "./aeadKey.ts";
import type { Engine } from "./engine.ts";
import { hasNativeChaCha } from "./runtimeChaCha.ts";
import { thresholds } from "./tuning.ts";
import { core, memory, STAGING } from "./wasmModule.ts";
import { secretBytes, wipe } from "./wipe.ts";

/** Key ‖ nonce. */
const KEY = STAGING;

export class ChaChaKey implements AeadKey {
  readonly native = "chacha20-poly1305";
  readonly #key = secretBytes(AEAD_KEY_BYTES);
  #destroyed = false;

  /** @param key 32 bytes, copied */
  constructor(key: Uint8Array) {
    this.#key.set(key);
  }

  /**
   * The 32 bytes themselves, not a copy.
   *
   * @throws SealwireError ERR_CLOSED after destroy(), as all uses of the key do
   */
  get bytes(): Uint8Array {
    // Otherwise a wiped key would encrypt under 32 zeros.
    if (this.#destroyed) throw new SealwireError("ERR_CLOSED", "this key was destroyed");
    return this.#key;
  }

  /** Puts the key into linear memory and returns its address; `unload` wipes it there. */
  load(): number {
    memory.set(this.bytes, KEY);
    return KEY;
  }

  unload(): void {
    memory.fill(0, KEY, KEY + AEAD_KEY_BYTES);
  }

  engineFor(engine: Engine, bytes: number): Engine {
    if (engine !== "auto") return engine;
    return bytes >= thresholds.chaChaNativeFromBytes && hasNativeChaCha() ? "native" : "wasm";
  }

  begin(iv: Uint8Array): void {
    const key = this.load();
    memory.set(iv, key + AEAD_KEY_BYTES);
    core.chachaBegin(key);
    this.unload();
  }

  hash(address: number, length: number): void {
    core.chachaHash(address, length);
  }

  crypt(_engine: Engine, address: number, length: number): void {
    core.chachaCrypt(address, length);
  }

  tag(aadBytes: number, textBytes: number, address: number): void {
    core.chachaTag(aadBytes, textBytes, address);
  }

  verify(aadBytes: number, textBytes: number, address: number): boolean {
    return core.chachaVerify(aadBytes, textBytes, address) === 1;
  }

  end(): void {
    core.chachaEnd();
  }

  replace(key: Uint8Array): void {
    this.bytes.set(key);
  }

  destroy(): void {
    this.#destroyed = true;
    wipe(this.#key);
  }
}
