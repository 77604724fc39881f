// Random bytes from the operating system, through Web Crypto or, where that global is missing, node:crypto.

import { SealwireError } from "../base/errors.ts";
import type { OwnBytes } from "./bytes.ts";
import { nodeCrypto } from "./runtimeAes.ts";
import { secretBytes } from "./wipe.ts";

/**
 * `length` random bytes, at most 65,536.
 *
 * @throws SealwireError ERR_UNSUPPORTED where there is no source: nothing weaker is ever taken
 */
export function randomBytes(length: number): OwnBytes {
  const bytes = secretBytes(length);
  if (typeof globalThis.crypto?.getRandomValues === "function") return crypto.getRandomValues(bytes);
  if (nodeCrypto !== undefined) return nodeCrypto.randomFillSync(bytes);
  throw new SealwireError("ERR_UNSUPPORTED", "keys need crypto.getRandomValues, which this runtime lacks");
}
