// The runtime's own AES, where there is one: node:crypto of Node, Bun and Deno. Everything works without.

import type * as NodeCrypto from "node:crypto";
import { wipeAndRelease } from "./release.ts";

/** Which runtime this is, as far as tuning goes. */
export type RuntimeName = "node" | "bun" | "deno" | "other";

export const runtimeName: RuntimeName = detectRuntime();

function detectRuntime(): RuntimeName {
  if ("Bun" in globalThis) return "bun";
  if ("Deno" in globalThis) return "deno";
  return typeof process === "object" && process.versions?.node !== undefined ? "node" : "other";
}

/**
 * node:crypto, or undefined. Not imported: an import would fail where it is missing. getBuiltinModule is in
 * Node from 20.16, Bun and Deno.
 *
 * @internal not in the published types, which need no @types/node
 */
export const nodeCrypto: typeof NodeCrypto | undefined = findNodeCrypto();

function findNodeCrypto(): typeof NodeCrypto | undefined {
  try {
    const found = globalThis.process?.getBuiltinModule?.("node:crypto");
    return typeof found?.createCipheriv === "function" ? found : undefined;
  } catch {
    return undefined;
  }
}

/**
 * AES-256 without a mode of the runtime, one long-lived object per key: the keystream of a whole batch in one call.
 */
export class RuntimeAes {
  readonly #cipher: ReturnType<typeof NodeCrypto.createCipheriv>;

  /**
   * @param key 32 bytes, not kept here
   * @internal
   */
  constructor(crypto: typeof NodeCrypto, key: Uint8Array) {
    this.#cipher = crypto.createCipheriv("aes-256-ecb", key, null).setAutoPadding(false);
  }

  /** Encrypts blocks of 16 bytes in place. Allocates the runtime's result, which is wiped. */
  encryptBlocks(blocks: Uint8Array): void {
    const encrypted = this.#cipher.update(blocks);
    blocks.set(encrypted);
    wipeAndRelease(encrypted);
  }

  /** Ends the cipher: the runtimes free, and with it wipe, the expanded key. */
  destroy(): void {
    this.#cipher.final();
  }
}
