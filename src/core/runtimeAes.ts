// The AES of the runtime: node:crypto of Node, Bun and Deno. The library works without it, too.

import type * as NodeCrypto from "node:crypto";
import { builtinModule } from "./builtin.ts";
import { wipeAndDetach } from "./detach.ts";
import { runtimeName } from "./runtimeName.ts";

let found: typeof NodeCrypto | undefined;
let looked = false;

/**
 * node:crypto, or undefined. It is loaded by the first call: its start takes longer than most of an import of this
 * package (docs/PERFORMANCE-LOG.md).
 *
 * @internal not in the published types, which need no @types/node
 */
export function nodeCrypto(): typeof NodeCrypto | undefined {
  if (!looked) {
    looked = true;
    const module = builtinModule("node:crypto") as typeof NodeCrypto | undefined;
    if (typeof module?.createCipheriv === "function") found = module;
  }
  return found;
}

type Cipher = ReturnType<typeof NodeCrypto.createCipheriv>;

function createAes(crypto: typeof NodeCrypto, key: Uint8Array): Cipher {
  return crypto.createCipheriv("aes-256-ecb", key, null).setAutoPadding(false);
}

/**
 * Deno appends the input of every call to the rest of the last call, which costs a copy. Whole blocks leave no rest, so
 * this switches the copy off (docs/PERFORMANCE-LOG.md). The switch is not documented. If it is missing, or changes the
 * result, it is not used.
 */
function withoutBlockCache(cipher: Cipher): Cipher {
  const internals = cipher as { _needsBlockCache?: boolean };
  if (internals._needsBlockCache === true) internals._needsBlockCache = false;
  return cipher;
}

function blockCacheIsNeedless(crypto: typeof NodeCrypto): boolean {
  const key = Uint8Array.from({ length: 32 }, (_, i) => i);
  const blocks = Uint8Array.from({ length: 48 }, (_, i) => 3 * i);
  const plain = createAes(crypto, key);
  const switched = withoutBlockCache(createAes(crypto, key));
  for (let call = 0; call < 2; call++) {
    const expected = plain.update(blocks);
    const found = switched.update(blocks);
    if (expected.length !== blocks.length || !expected.equals(found)) return false;
  }
  return true;
}

/** Found out by the first key. */
let skipsBlockCache: boolean | undefined;

/** The runtime's AES-256, one block at a time. One object per key makes the keystream of a whole batch in one call. */
export class RuntimeAes {
  readonly #cipher: Cipher;

  /**
   * @param key 32 bytes, not stored here
   * @internal
   */
  constructor(crypto: typeof NodeCrypto, key: Uint8Array) {
    skipsBlockCache ??= runtimeName === "deno" && blockCacheIsNeedless(crypto);
    const cipher = createAes(crypto, key);
    this.#cipher = skipsBlockCache ? withoutBlockCache(cipher) : cipher;
  }

  /** Encrypts blocks of 16 bytes in place. Allocates the runtime's result, which is wiped. */
  encryptBlocks(blocks: Uint8Array): void {
    const encrypted = this.#cipher.update(blocks);
    blocks.set(encrypted);
    wipeAndDetach(encrypted);
  }

  /** Ends the cipher: the runtimes free the expanded key and thereby wipe it. */
  destroy(): void {
    this.#cipher.final();
  }
}
