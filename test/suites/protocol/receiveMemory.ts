// The memory that all connections receive into: it has one owner at a time, is wiped when it has none, and is lent
// again and again.

import assert from "node:assert/strict";
import { JOIN, memory, RECEIVE_BUFFER } from "../../../src/core/wasmModule.ts";
import {
  copyToBuffer,
  copyToJoin,
  enterRead,
  leaveRead,
  lendMemory,
  receiveBufferFilled,
  wipeReceiveMemory,
} from "../../../src/protocol/receiveMemory.ts";
import { test } from "../../support/harness.ts";

const isZero = (bytes: Uint8Array) => bytes.every((byte) => byte === 0);
const region = (address: number, length: number) => memory.subarray(address, address + length);

test("a read inside a read throws, and the outer one keeps the memory", () => {
  enterRead();
  try {
    assert.throws(() => enterRead(), /inside another read/);
    assert.throws(() => enterRead(), /inside another read/);
  } finally {
    leaveRead();
  }
  enterRead();
  leaveRead();
});

test("whatever was written is wiped: in the receive buffer, where frames are joined, in lent memory", () => {
  const bytes = new Uint8Array(5_000).fill(7);
  assert.equal(copyToBuffer(bytes), RECEIVE_BUFFER);
  assert.equal(copyToJoin(bytes.subarray(0, 3_000)), JOIN);
  // The socket wrote these.
  region(RECEIVE_BUFFER, 9_000).fill(8);
  receiveBufferFilled(9_000);
  copyToBuffer(bytes.subarray(0, 10));
  const lent = lendMemory(4_000);
  lent.fill(9, 0, 4_000);
  lendMemory(10);
  wipeReceiveMemory();
  assert.ok(isZero(region(RECEIVE_BUFFER, 9_000)));
  assert.ok(isZero(region(JOIN, 3_000)));
  assert.ok(isZero(lent));
});

test("inside a read it waits until the read is handled, and is done once", () => {
  enterRead();
  const address = copyToBuffer(new Uint8Array(100).fill(7));
  const lent = lendMemory(100);
  lent.fill(7, 0, 100);
  wipeReceiveMemory();
  assert.equal(memory[address + 99], 7, "the handler still sees its message");
  assert.equal(lent[99], 7);
  leaveRead();
  assert.ok(isZero(region(address, 100)) && isZero(lent));
  // The next read that ends in good order keeps what it has: it is wiped with its connection.
  enterRead();
  copyToBuffer(new Uint8Array(100).fill(7));
  leaveRead();
  assert.equal(memory[address + 99], 7);
  wipeReceiveMemory();
});

test("lent memory is the same as long as it suffices; what it was before is wiped", () => {
  const first = lendMemory(1_000);
  assert.equal(lendMemory(first.length), first);
  first.fill(7);
  const larger = lendMemory(first.length + 1);
  assert.notEqual(larger.buffer, first.buffer);
  assert.ok(isZero(first));
  const large = lendMemory(4_194_305).fill(7);
  enterRead();
  leaveRead();
  assert.ok(isZero(large));
  assert.ok(lendMemory(1).length < large.length);
  assert.notEqual(lendMemory(1).buffer, memory.buffer);
});

test("lent memory that was transferred away is replaced, and wiping goes on without it", () => {
  const lent = lendMemory(1_000);
  const moved = structuredClone(lent, { transfer: [lent.buffer as ArrayBuffer] });
  assert.equal(lent.length, 0);
  copyToBuffer(new Uint8Array(100).fill(7));
  wipeReceiveMemory();
  assert.ok(isZero(region(RECEIVE_BUFFER, 100)));
  enterRead();
  leaveRead();
  const next = lendMemory(1_000);
  assert.ok(next.length >= 1_000);
  assert.notEqual(next.buffer, moved.buffer);
  next.fill(7, 0, 1_000);
  wipeReceiveMemory();
  assert.ok(isZero(next));
});
