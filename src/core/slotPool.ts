// The pool: slots of 64 KiB in linear memory, which connections fill, seal and hand to sockets. A slot has one owner
// from `acquireSlot` to `releaseSlot`; the owner decides when its memory is free.

import { memory, POOL, POOL_SLOT_BYTES, POOL_SLOTS } from "./wasmModule.ts";

/** A slot that the pool never gives out, for frames that are sealed in one call and copied out again. */
export const SEALING_SLOT = POOL + (POOL_SLOTS - 1) * POOL_SLOT_BYTES;
const COUNT = POOL_SLOTS - 1;

/** Free slots; the last released one is used first, so that few pages of the pool are ever touched. */
const free = new Uint16Array(COUNT);
for (let i = 0; i < COUNT; i++) free[i] = COUNT - 1 - i;
const taken = new Uint8Array(COUNT);
let freeCount = COUNT;

/** The address of a slot that the caller now owns, or 0 if all are in use. Allocates nothing. */
export function acquireSlot(): number {
  if (freeCount === 0) return 0;
  const slot = free[--freeCount]!;
  taken[slot] = 1;
  return POOL + slot * POOL_SLOT_BYTES;
}

/**
 * Releases a slot. `wipeBytes` bytes from its start, the part with plaintext, are zeroed first. Releasing a free slot
 * is a bug in this package and throws.
 */
export function releaseSlot(address: number, wipeBytes = 0): void {
  const slot = (address - POOL) / POOL_SLOT_BYTES;
  if (taken[slot] !== 1) throw new Error(`pool slot at ${address} is not taken`);
  if (wipeBytes > 0) memory.fill(0, address, address + wipeBytes);
  taken[slot] = 0;
  free[freeCount++] = slot;
}

/** True if so few slots are free that none should be held for long. */
export function slotsAreScarce(): boolean {
  return freeCount < COUNT >>> 2;
}

/** The number of slots in use. Tests require zero once everything is closed. */
export function slotsInUse(): number {
  return COUNT - freeCount;
}
