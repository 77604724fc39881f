// Copies that are fast everywhere.

import { viewOf } from "./bytes.ts";
import { runtimeName } from "./runtimeName.ts";

/**
 * From about 3 KiB on, Bun's memmove uses an instruction that is slow on AMD when the target is not aligned to 16 bytes
 * (docs/PERFORMANCE.md). Steps of this size stay below that.
 */
const STEP_BYTES = 2048;
const inSteps = runtimeName === "bun";

/** `target.set(source, offset)`. Allocates a view per 2 KiB in Bun when the target is not aligned. */
export function copyInto(target: Uint8Array, offset: number, source: Uint8Array): void {
  const { length } = source;
  if (!inSteps || length <= STEP_BYTES || ((target.byteOffset + offset) & 15) === 0) {
    target.set(source, offset);
    return;
  }
  for (let at = 0; at < length; at += STEP_BYTES) {
    target.set(viewOf(source, at, Math.min(at + STEP_BYTES, length)), offset + at);
  }
}
