// The pool of slots: the owner of a slot, wiping, and a pool with few free slots.

import assert from "node:assert/strict";
import {
  acquireSlot,
  releaseSlot,
  SEALING_SLOT,
  slotsAreScarce,
  slotsInUse,
} from "../../../src/core/slotPool.ts";
import { memory, POOL, POOL_SLOT_BYTES, POOL_SLOTS } from "../../../src/core/wasmModule.ts";
import { onAfterEachTest, test } from "../../support/harness.ts";

/** Slots that a test took and has not given back. */
const held: number[] = [];

function take(): number {
  const address = acquireSlot();
  assert.notEqual(address, 0);
  held.push(address);
  return address;
}

function giveBack(address: number, wipeBytes?: number): void {
  held.splice(held.indexOf(address), 1);
  releaseSlot(address, wipeBytes);
}

onAfterEachTest(() => {
  for (const address of held.splice(0)) releaseSlot(address);
  assert.equal(slotsInUse(), 0);
});

test("every slot of the region but the last, which is for sealing, is given out once, then none", () => {
  const addresses = Array.from({ length: POOL_SLOTS - 1 }, take);
  const all = Array.from({ length: POOL_SLOTS - 1 }, (_, i) => POOL + i * POOL_SLOT_BYTES);
  assert.equal(SEALING_SLOT, POOL + (POOL_SLOTS - 1) * POOL_SLOT_BYTES);
  assert.deepEqual(addresses, all, "the lowest first, so that few pages are touched");
  assert.equal(slotsInUse(), POOL_SLOTS - 1);
  assert.equal(acquireSlot(), 0);
  assert.equal(slotsInUse(), POOL_SLOTS - 1);
});

test("what was given back last is taken first", () => {
  const [first, second, third] = [take(), take(), take()];
  assert.equal(slotsInUse(), 3);
  giveBack(first);
  giveBack(third);
  assert.deepEqual([take(), take()], [third, first]);
  assert.deepEqual(new Set(held), new Set([first, second, third]));
});

test("as many bytes as were asked for are wiped, and no others", () => {
  for (const wipeBytes of [0, 1, 100, POOL_SLOT_BYTES]) {
    const address = take();
    const end = address + POOL_SLOT_BYTES;
    memory.fill(7, address, end + 1);
    giveBack(address, wipeBytes);
    assert.ok(memory.subarray(address, address + wipeBytes).every((byte) => byte === 0));
    assert.ok(memory.subarray(address + wipeBytes, end + 1).every((byte) => byte === 7));
    memory.fill(0, address, end + 1);
  }
});

test("without a length nothing is wiped", () => {
  const address = take();
  memory[address] = 7;
  giveBack(address);
  assert.equal(memory[address], 7);
  memory[address] = 0;
});

test("a slot that is free, or no slot, can't be given back", () => {
  const address = take();
  giveBack(address);
  for (const wrong of [
    address,
    POOL + POOL_SLOTS * POOL_SLOT_BYTES,
    POOL - POOL_SLOT_BYTES,
    address + 1,
    0,
  ]) {
    memory[wrong] = 7;
    assert.throws(() => releaseSlot(wrong, 1), /is not taken/, String(wrong));
    assert.equal(memory[wrong], 7, "nothing is wiped either");
    memory[wrong] = 0;
  }
  assert.equal(slotsInUse(), 0);
  assert.equal(take(), address);
  assert.notEqual(take(), address, "it is given out once");
});

test("slots are scarce when fewer than a quarter are left", () => {
  const most = POOL_SLOTS - POOL_SLOTS / 4;
  for (let i = 0; i < most; i++) take();
  assert.equal(slotsAreScarce(), false, `${POOL_SLOTS / 4} are left`);
  const last = take();
  assert.equal(slotsAreScarce(), true);
  giveBack(last);
  assert.equal(slotsAreScarce(), false);
});
