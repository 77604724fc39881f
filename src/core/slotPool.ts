// The pool: slots of 64 KiB in linear memory, which connections fill, seal and hand to sockets. A slot has one owner
// from `acquireSlot` to `releaseSlot`; the owner decides when its memory is free.

import { memory, POOL, POOL_SLOT_BYTES, POOL_SLOTS } from "./wasmModule.ts";

/** A slot that the pool never gives out: for what is sealed in one call and copied out again. */
export const SEALING_SLOT = POOL + (POOL_SLOTS - 1) * POOL_SLOT_BYTES;
const COUNT = POOL_SLOTS - 1;

/** Free slots, last released first, so that few pages of the pool are ever touched. */
const free = new Uint16Array(COUNT);
for (let i = 0; i < COUNT; i++) free[i] = COUNT - 1 - i;
const taken = new Uint8Array(COUNT);
let freeCount = COUNT;

/** The address of a slot that is now the caller's, or 0 when all are taken. Allocates nothing. */
export function acquireSlot(): number {
  if (freeCount === 0) return 0;
  const slot = free[--freeCount]!;
  taken[slot] = 1;
  return POOL + slot * POOL_SLOT_BYTES;
}

/**
 * Gives a slot back. `wipeBytes` bytes from its start are zeroed first: the part that holds plaintext.
 * Releasing a slot that is not taken is a bug in this package and throws.
 */
export function releaseSlot(address: number, wipeBytes = 0): void {
  const slot = (address - POOL) / POOL_SLOT_BYTES;
  if (taken[slot] !== 1) throw new Error(`pool slot at ${address} is not taken`);
  if (wipeBytes > 0) memory.fill(0, address, address + wipeBytes);
  taken[slot] = 0;
  free[freeCount++] = slot;
}

/** True when so few slots are left that none should be held for long. */
export function slotsAreScarce(): boolean {
  return freeCount < COUNT >>> 2;
}

/** Slots that somebody owns now. Tests hold this to zero once everything is closed. */
export function slotsInUse(): number {
  return COUNT - freeCount;
}
