// Finds out whether the runtime's node:crypto has ChaCha20-Poly1305. Node's and Deno's have it, Bun's does not.

import { SealwireError } from "../base/errors.ts";
import type { Engine } from "./engine.ts";
import { TAG_BYTES } from "./frameLayout.ts";
import { IV_BYTES } from "./nonceCounter.ts";
import { nodeCrypto } from "./runtimeAes.ts";

let found: boolean | undefined;

/** Found out by making a cipher, once. */
export function hasNativeChaCha(): boolean {
  found ??= findNative();
  return found;
}

function findNative(): boolean {
  try {
    const options = { authTagLength: TAG_BYTES };
    const cipher = nodeCrypto()!.createCipheriv(
      "chacha20-poly1305",
      new Uint8Array(32),
      new Uint8Array(IV_BYTES),
      options,
    );
    cipher.final();
    return cipher.getAuthTag().length === TAG_BYTES;
  } catch {
    return false;
  }
}

/** @throws SealwireError ERR_UNSUPPORTED for an engine that this cipher lacks in this runtime */
export function requireChaChaEngine(engine: Engine): void {
  if (engine === "keystream") {
    throw new SealwireError("ERR_UNSUPPORTED", 'engine "keystream" is one of AES-256-GCM only');
  }
  if (engine === "native" && !hasNativeChaCha()) {
    throw new SealwireError("ERR_UNSUPPORTED", 'engine "native" needs chacha20-poly1305 in node:crypto');
  }
}
