// Seals and opens frames in linear memory one by one with the runtime's AEAD. It needs `nodeCrypto`, with the cipher.

import type * as NodeCrypto from "node:crypto";
import type { AeadKey } from "./aeadKey.ts";
import { readU32 } from "./bytes.ts";
import { copyInto } from "./copy.ts";
import { detach, wipeAndDetach } from "./detach.ts";
import { LENGTH_BYTES, TAG_BYTES } from "./frameLayout.ts";
import { nodeCrypto } from "./runtimeAes.ts";
import { memory } from "./wasmModule.ts";
import { wipe } from "./wipe.ts";

const options = { authTagLength: TAG_BYTES };

/**
 * The runtime's cipher to seal one message. The types of node:crypto distinguish the ciphers by name; this file uses
 * only their common members.
 *
 * @internal
 */
export function createNativeCipher(key: AeadKey, iv: Uint8Array): NodeCrypto.CipherGCM {
  return nodeCrypto()!.createCipheriv(key.native as "aes-256-gcm", key.bytes, iv, options);
}

/**
 * The same to open a message.
 *
 * @internal
 */
export function createNativeDecipher(key: AeadKey, iv: Uint8Array): NodeCrypto.DecipherGCM {
  return nodeCrypto()!.createDecipheriv(key.native as "aes-256-gcm", key.bytes, iv, options);
}

/** Seals the frame at address `frame` in place; returns the address of the next one. */
export function sealFrameNatively(key: AeadKey, iv: Uint8Array, frame: number): number {
  const length = readU32(memory, frame) - TAG_BYTES;
  const text = frame + LENGTH_BYTES;
  const cipher = createNativeCipher(key, iv);
  if (length > 0) {
    const ciphertext = cipher.update(memory.subarray(text, text + length));
    copyInto(memory, text, ciphertext);
    detach(ciphertext);
  }
  cipher.final();
  memory.set(cipher.getAuthTag(), text + length);
  return text + length + TAG_BYTES;
}

/** Opens a frame in place. Returns the address of the next one, or 0 if this one does not authenticate. */
export function openFrameNatively(key: AeadKey, iv: Uint8Array, frame: number): number {
  const text = frame + LENGTH_BYTES;
  const plaintext = decryptNatively(key, iv, memory, text, text + readU32(memory, frame));
  if (plaintext === undefined) return 0;
  copyInto(memory, frame + LENGTH_BYTES, plaintext);
  const next = frame + LENGTH_BYTES + plaintext.length + TAG_BYTES;
  wipeAndDetach(plaintext);
  return next;
}

/**
 * Opens ciphertext ‖ tag, bytes [start, end), which are only read. Returns the plaintext in memory of its own, or
 * undefined, with nothing left in memory, if they do not authenticate.
 */
export function decryptNatively(
  key: AeadKey,
  iv: Uint8Array,
  bytes: Uint8Array,
  start: number,
  end: number,
): Uint8Array | undefined {
  const tag = end - TAG_BYTES;
  const decipher = createNativeDecipher(key, iv);
  decipher.setAuthTag(bytes.subarray(tag, end));
  const plaintext = decipher.update(bytes.subarray(start, tag));
  try {
    decipher.final();
    return plaintext;
  } catch {
    wipe(plaintext);
    return undefined;
  }
}
