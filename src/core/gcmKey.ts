// An AES-256-GCM key: its expansions (cachedKey.ts), and the module's functions for one message in pieces.

import type { AeadKey } from "./aeadKey.ts";
import { CachedKey } from "./cachedKey.ts";
import type { Engine } from "./engine.ts";
import { nodeCrypto } from "./runtimeAes.ts";
import { thresholds } from "./tuning.ts";
import { core, KEYSTREAM, memory, STAGING } from "./wasmModule.ts";

export class GcmKey extends CachedKey implements AeadKey {
  readonly native = "aes-256-gcm";
  /** The expansion that a message in pieces uses from `begin` to `end`. */
  #entry = 0;

  engineFor(engine: Engine, bytes: number): Engine {
    if (engine !== "auto") return engine;
    if (nodeCrypto() === undefined) return "wasm";
    if (bytes >= thresholds.nativeMessageFromBytes) return "native";
    return bytes >= thresholds.keystreamFromBytes ? "keystream" : "wasm";
  }

  begin(iv: Uint8Array): void {
    // First, because expanding a key uses the same bytes.
    this.#entry = this.expanded();
    memory.set(iv, STAGING);
    core.streamBegin(this.#entry, STAGING);
  }

  hash(address: number, length: number): void {
    core.streamHash(this.#entry, address, length);
  }

  crypt(engine: Engine, address: number, length: number): void {
    if (engine === "wasm") {
      core.streamCrypt(this.#entry, address, length);
      return;
    }
    core.streamCounters(length);
    this.runtimeAes().encryptBlocks(memory.subarray(KEYSTREAM, KEYSTREAM + ((length + 15) & ~15)));
    core.streamXor(address, length);
  }

  tag(aadBytes: number, textBytes: number, address: number): void {
    core.streamTag(this.#entry, aadBytes, textBytes, address);
  }

  verify(aadBytes: number, textBytes: number, address: number): boolean {
    return core.streamVerify(this.#entry, aadBytes, textBytes, address) === 1;
  }

  end(): void {
    core.streamEnd();
  }
}
