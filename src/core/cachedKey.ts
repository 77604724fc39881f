// One AES-256-GCM key, as its owner uses it: the 32 bytes, and their expansions while there is room for them. Linear
// memory holds KEY_ENTRIES expanded keys, and at most LIVE_CIPHERS objects of the runtime's AES are alive. A key that
// was not used for a while loses both, and is expanded again at its next use.

import { SealwireError } from "../base/errors.ts";
import { ClockCache, type EntryOwner } from "./clockCache.ts";
import { nodeCrypto, RuntimeAes } from "./runtimeAes.ts";
import { core, KEY_CACHE, KEY_ENTRIES, KEY_ENTRY_BYTES, memory, STAGING } from "./wasmModule.ts";
import { secretBytes, wipe } from "./wipe.ts";

export const AES_KEY_BYTES = 32;

/** The most objects of the runtime's AES at once: each costs about a kilobyte outside of this package's memory. */
export const LIVE_CIPHERS = 1024;

const expansions = new ClockCache(KEY_ENTRIES);
const ciphers = new ClockCache(LIVE_CIPHERS);

/** The number of expanded keys now; for tests. */
export function expandedKeys(): number {
  return expansions.inUse;
}

/** The number of cipher objects of the runtime that are alive; for tests. */
export function liveCiphers(): number {
  return ciphers.inUse;
}

export class CachedKey {
  readonly #key = secretBytes(AES_KEY_BYTES);
  #entry = -1;
  #address = 0;
  #runtimeAes: RuntimeAes | undefined;
  #cipherEntry = -1;
  #destroyed = false;

  readonly #expansionOwner: EntryOwner = {
    // The next owner's expansion overwrites all of this one.
    evicted: () => {
      this.#entry = -1;
    },
  };

  readonly #cipherOwner: EntryOwner = {
    evicted: () => {
      this.#runtimeAes!.destroy();
      this.#runtimeAes = undefined;
      this.#cipherEntry = -1;
    },
  };

  /** @param key 32 bytes, copied */
  constructor(key: Uint8Array) {
    this.#key.set(key);
  }

  /**
   * Address of the expanded key, valid until another key's address is requested.
   *
   * @throws SealwireError ERR_CLOSED after destroy(), as do the next two
   */
  expanded(): number {
    if (this.#entry < 0) {
      this.#requireAlive();
      this.#entry = expansions.take(this.#expansionOwner);
      this.#address = KEY_CACHE + this.#entry * KEY_ENTRY_BYTES;
      memory.set(this.#key, STAGING);
      core.keySetup(this.#address, STAGING);
      memory.fill(0, STAGING, STAGING + AES_KEY_BYTES);
    } else {
      expansions.touch(this.#entry);
    }
    return this.#address;
  }

  /** The runtime's AES under this key. Only where `nodeCrypto` is there. */
  runtimeAes(): RuntimeAes {
    if (this.#runtimeAes === undefined) {
      this.#requireAlive();
      // First, because it may throw, and an entry has a cipher.
      const aes = new RuntimeAes(nodeCrypto()!, this.#key);
      this.#cipherEntry = ciphers.take(this.#cipherOwner);
      this.#runtimeAes = aes;
    } else {
      ciphers.touch(this.#cipherEntry);
    }
    return this.#runtimeAes;
  }

  /** The 32 bytes themselves, for the runtime's GCM. Not a copy. */
  get bytes(): Uint8Array {
    this.#requireAlive();
    return this.#key;
  }

  /** Replaces the key by another (32 bytes, copied) and drops everything that was expanded from the old one. */
  replace(key: Uint8Array): void {
    this.#requireAlive();
    this.#forget();
    this.#key.set(key);
  }

  /** Wipes the key and everything expanded from it. Idempotent. */
  destroy(): void {
    this.#destroyed = true;
    this.#forget();
  }

  // Otherwise a wiped key would encrypt under 32 zeros.
  #requireAlive(): void {
    if (this.#destroyed) throw new SealwireError("ERR_CLOSED", "this key was destroyed");
  }

  #forget(): void {
    wipe(this.#key);
    if (this.#entry >= 0) {
      memory.fill(0, this.#address, this.#address + KEY_ENTRY_BYTES);
      expansions.giveBack(this.#entry);
      this.#entry = -1;
    }
    if (this.#runtimeAes !== undefined) {
      this.#runtimeAes.destroy();
      ciphers.giveBack(this.#cipherEntry);
      this.#runtimeAes = undefined;
      this.#cipherEntry = -1;
    }
  }
}
