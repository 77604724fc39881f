// Copies that are fast in every runtime.
//
// From 2 to 3 KiB on, memmove of the C libraries uses `rep movsb`. On some processors it is slow if the target lies a
// little behind the source within a page: 0 < (target - source) mod 4,096 < 32 makes it ten to thirty times slower,
// below 64 still twice. docs/PERFORMANCE-LOG.md has measurements on a Zen 3; `npm run bench:core -- --filter copy`
// repeats them.
//
// Linear memory begins on a page, and so do the buffers of 16 KiB and more that Bun allocates, such as a cipher's
// output; the addresses of other buffers are unknown. So data that is copied between the two is placed
// COPY_HAZARD_BYTES behind a page in linear memory. Where that is impossible, copies are cut into steps that are short
// enough to be fast.

import { viewOf } from "./bytes.ts";
import { runtimeName } from "./runtimeName.ts";

export const COPY_PAGE_BYTES = 4_096;
/** From this distance on copies have their usual speed. */
export const COPY_HAZARD_BYTES = 64;
/** Shorter copies are never slow. */
export const COPY_STEP_BYTES = 2_048;

/** Only in Bun do large buffers begin on a page, like linear memory, so that offsets give the distance. */
const inSteps = runtimeName === "bun";

/** Whether the target of a copy lies a little behind the source within a page. */
export function isSlowDistance(targetOffset: number, sourceOffset: number): boolean {
  const distance = (targetOffset - sourceOffset) & (COPY_PAGE_BYTES - 1);
  return distance !== 0 && distance < COPY_HAZARD_BYTES;
}

/** Up to this length bytes are copied by a loop: a call of TypedArray.prototype.set costs more. */
export const LOOP_COPY_BYTES = 32;

/** `target.set(source, offset)`. Allocates a view per 2 KiB in Bun if their distance makes copies slow. */
export function copyInto(target: Uint8Array, offset: number, source: Uint8Array): void {
  if (
    inSteps &&
    source.length > COPY_STEP_BYTES &&
    isSlowDistance(target.byteOffset + offset, source.byteOffset)
  ) {
    copyInSteps(target, offset, source);
  } else target.set(source, offset);
}

/** The same in steps of COPY_STEP_BYTES; the last one may be shorter. */
export function copyInSteps(target: Uint8Array, offset: number, source: Uint8Array): void {
  const { length } = source;
  for (let at = 0; at < length; at += COPY_STEP_BYTES) {
    target.set(viewOf(source, at, Math.min(at + COPY_STEP_BYTES, length)), offset + at);
  }
}
