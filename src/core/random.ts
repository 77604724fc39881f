// Random bytes from the operating system, through Web Crypto or, where that global is missing, node:crypto.

import { SealwireError } from "../base/errors.ts";
import { type OwnBytes, viewOf } from "./bytes.ts";
import { nodeCrypto } from "./runtimeAes.ts";
import { secretBytes, secretCopy, wipe } from "./wipe.ts";

/**
 * Bun keeps a copy of short results (up to 256 bytes of a store of 2 KiB), and Deno keeps the last 256 bytes. A longer
 * draw bypasses Bun's store and overwrites Deno's copy.
 */
const PASSED_BYTES = 1_024;

/**
 * `length` random bytes, at most 64,512, of which the runtime keeps no copy.
 *
 * @throws SealwireError ERR_UNSUPPORTED without a source; a weaker one is never used
 */
export function randomBytes(length: number): OwnBytes {
  const drawn = secretBytes(length + PASSED_BYTES);
  fillRandomly(drawn);
  const bytes = secretCopy(viewOf(drawn, 0, length));
  wipe(drawn);
  return bytes;
}

function fillRandomly(bytes: OwnBytes): void {
  if (typeof globalThis.crypto?.getRandomValues === "function") {
    crypto.getRandomValues(bytes);
    return;
  }
  const runtime = nodeCrypto();
  if (runtime === undefined)
    throw new SealwireError("ERR_UNSUPPORTED", "keys need crypto.getRandomValues, which this runtime lacks");
  runtime.randomFillSync(bytes);
}
