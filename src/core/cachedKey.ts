// One AES-256-GCM key as its owner sees it: the 32 bytes, kept here, and what is expanded from them, kept as
// long as there is room. Linear memory holds KEY_SLOTS expanded keys, and LIVE_CIPHERS objects of the
// runtime's AES are alive at most; who is not used for a while is expanded anew the next time (1 to 3 µs).

import { SealwireError } from "../base/errors.ts";
import { nodeCrypto, RuntimeAes } from "./runtimeAes.ts";
import { type SlotOwner, Slots } from "./slots.ts";
import { core, KEY_CACHE, KEY_SLOT_BYTES, KEY_SLOTS, memory, STAGING } from "./wasmModule.ts";
import { wipe } from "./wipe.ts";

export const AES_KEY_BYTES = 32;

/** Objects of the runtime's AES that may live at once: each costs about a kilobyte outside of our memory. */
export const LIVE_CIPHERS = 1024;

const expansions = new Slots(KEY_SLOTS);
const ciphers = new Slots(LIVE_CIPHERS);

/** How many expanded keys there are now; for tests. */
export function expandedKeys(): number {
  return expansions.inUse;
}

/** How many cipher objects of the runtime are alive; for tests. */
export function liveCiphers(): number {
  return ciphers.inUse;
}

export class CachedKey {
  readonly #key = new Uint8Array(AES_KEY_BYTES);
  #slot = -1;
  #address = 0;
  #runtimeAes: RuntimeAes | undefined;
  #cipherSlot = -1;
  #destroyed = false;

  readonly #expansionOwner: SlotOwner = {
    // The next owner's expansion overwrites all of this one.
    evicted: () => {
      this.#slot = -1;
    },
  };

  readonly #cipherOwner: SlotOwner = {
    evicted: () => {
      this.#runtimeAes!.destroy();
      this.#runtimeAes = undefined;
      this.#cipherSlot = -1;
    },
  };

  /** @param key 32 bytes, copied */
  constructor(key: Uint8Array) {
    this.#key.set(key);
  }

  /**
   * Address of the expanded key, valid until another key's is asked for.
   *
   * @throws SealwireError ERR_CLOSED after destroy(), as do the next two
   */
  expanded(): number {
    if (this.#slot < 0) {
      this.#requireAlive();
      this.#slot = expansions.acquire(this.#expansionOwner);
      this.#address = KEY_CACHE + this.#slot * KEY_SLOT_BYTES;
      memory.set(this.#key, STAGING);
      core.keySetup(this.#address, STAGING);
      memory.fill(0, STAGING, STAGING + AES_KEY_BYTES);
    } else {
      expansions.touch(this.#slot);
    }
    return this.#address;
  }

  /** The runtime's AES under this key. Only where `nodeCrypto` is there. */
  runtimeAes(): RuntimeAes {
    if (this.#runtimeAes === undefined) {
      this.#requireAlive();
      this.#cipherSlot = ciphers.acquire(this.#cipherOwner);
      this.#runtimeAes = new RuntimeAes(nodeCrypto!, this.#key);
    } else {
      ciphers.touch(this.#cipherSlot);
    }
    return this.#runtimeAes;
  }

  /** The 32 bytes themselves, for the runtime's GCM. Not a copy. */
  get bytes(): Uint8Array {
    this.#requireAlive();
    return this.#key;
  }

  /** Replaces the key by another (32 bytes, copied) and forgets all that came of the old one. */
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
    if (this.#slot >= 0) {
      memory.fill(0, this.#address, this.#address + KEY_SLOT_BYTES);
      expansions.release(this.#slot);
      this.#slot = -1;
    }
    if (this.#runtimeAes !== undefined) {
      this.#runtimeAes.destroy();
      ciphers.release(this.#cipherSlot);
      this.#runtimeAes = undefined;
      this.#cipherSlot = -1;
    }
  }
}
