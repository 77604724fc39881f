// Copies that are fast everywhere.
//
// From 2 to 3 KiB on, memmove of the C libraries uses `rep movsb`, which some processors do slowly when the target lies a
// little behind the source, page for page: 0 < (target - source) mod 4,096 < 32 makes it ten to thirty times slower, below
// 64 still twice. docs/PERFORMANCE-LOG.md has what was measured on a Zen 3, and `npm run bench:core -- --filter copy` measures
// it again.
//
// Linear memory begins on a page, and so do the buffers of 16 KiB and more that Bun allocates, such as a cipher's output;
// the addresses of other buffers are unknown. So data that is copied between the two lies
// COPY_HAZARD_BYTES behind a page in linear memory; where it does not, copies are cut into steps that are short enough to
// be fast.

import { viewOf } from "./bytes.ts";
import { runtimeName } from "./runtimeName.ts";

export const COPY_PAGE_BYTES = 4_096;
/** From this distance on copies are as fast as anywhere. */
export const COPY_HAZARD_BYTES = 64;
/** Shorter copies are never slow. */
export const COPY_STEP_BYTES = 2_048;

/** Only in Bun do large buffers begin on a page as linear memory does, so that offsets tell the distance. */
const inSteps = runtimeName === "bun";

/** Whether a copy goes to a target that lies a little behind the source, page for page. */
export function isSlowDistance(targetOffset: number, sourceOffset: number): boolean {
  const distance = (targetOffset - sourceOffset) & (COPY_PAGE_BYTES - 1);
  return distance !== 0 && distance < COPY_HAZARD_BYTES;
}

/** Up to here bytes are copied by a loop: a call of TypedArray.prototype.set costs more. */
export const LOOP_COPY_BYTES = 32;

/** `target.set(source, offset)`. Allocates a view per 2 KiB in Bun where the distance of the two makes copies slow. */
export function copyInto(target: Uint8Array, offset: number, source: Uint8Array): void {
  if (
    inSteps &&
    source.length > COPY_STEP_BYTES &&
    isSlowDistance(target.byteOffset + offset, source.byteOffset)
  ) {
    copyInSteps(target, offset, source);
  } else target.set(source, offset);
}

/** The same in steps of COPY_STEP_BYTES, the shortest last. */
export function copyInSteps(target: Uint8Array, offset: number, source: Uint8Array): void {
  const { length } = source;
  for (let at = 0; at < length; at += COPY_STEP_BYTES) {
    target.set(viewOf(source, at, Math.min(at + COPY_STEP_BYTES, length)), offset + at);
  }
}
