// Frames in linear memory, sealed and opened one by one by the runtime's GCM. Only where `nodeCrypto` is there.

import { readU32 } from "./bytes.ts";
import type { CachedKey } from "./cachedKey.ts";
import { copyInto } from "./copy.ts";
import { detach, wipeAndDetach } from "./detach.ts";
import { LENGTH_BYTES, TAG_BYTES } from "./frameLayout.ts";
import { nodeCrypto } from "./runtimeAes.ts";
import { memory } from "./wasmModule.ts";
import { wipe } from "./wipe.ts";

const options = { authTagLength: TAG_BYTES };

/** Seals the frame at address `frame` in place; returns the address of the next one. */
export function sealFrameNatively(key: CachedKey, iv: Uint8Array, frame: number): number {
  const length = readU32(memory, frame) - TAG_BYTES;
  const text = frame + LENGTH_BYTES;
  const cipher = nodeCrypto!.createCipheriv("aes-256-gcm", key.bytes, iv, options);
  if (length > 0) {
    const ciphertext = cipher.update(memory.subarray(text, text + length));
    copyInto(memory, text, ciphertext);
    detach(ciphertext);
  }
  cipher.final();
  memory.set(cipher.getAuthTag(), text + length);
  return text + length + TAG_BYTES;
}

/** Opens a frame in place. Returns the address of the next one, or 0 when this one does not authenticate. */
export function openFrameNatively(key: CachedKey, iv: Uint8Array, frame: number): number {
  const plaintext = decryptFrameNatively(key, iv, frame);
  if (plaintext === undefined) return 0;
  copyInto(memory, frame + LENGTH_BYTES, plaintext);
  const next = frame + LENGTH_BYTES + plaintext.length + TAG_BYTES;
  wipeAndDetach(plaintext);
  return next;
}

/**
 * A frame's text in memory of its own, or undefined, with nothing left, when it does not authenticate. The frame itself
 * is not changed.
 */
export function decryptFrameNatively(key: CachedKey, iv: Uint8Array, frame: number): Uint8Array | undefined {
  const text = frame + LENGTH_BYTES;
  const tag = text + readU32(memory, frame) - TAG_BYTES;
  const decipher = nodeCrypto!.createDecipheriv("aes-256-gcm", key.bytes, iv, options);
  decipher.setAuthTag(memory.subarray(tag, tag + TAG_BYTES));
  const plaintext = decipher.update(memory.subarray(text, tag));
  try {
    decipher.final();
    return plaintext;
  } catch {
    wipe(plaintext);
    return undefined;
  }
}
