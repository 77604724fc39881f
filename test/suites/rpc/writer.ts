// The write in flight: when a peer counts as stalled, and when the write's memory is free. The timers are real; the
// suite counts how often they looked.

import assert from "node:assert/strict";
import { acquireSlot, releaseSlot, slotsInUse } from "../../../src/core/slotPool.ts";
import { timers } from "../../../src/rpc/timers.ts";
import { Writer } from "../../../src/rpc/writer.ts";
import { FakeTransport } from "../../support/fakeTransport.ts";
import { test } from "../../support/harness.ts";
import { checkLeaksAfterEachTest, sleep, waitFor } from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

/** Looks in which nothing was taken, after which the peer is given up. */
const LOOKS = 4;

/** A socket on which progress follows a script: bytes left at each look. The last entry repeats. */
class ScriptedTransport extends FakeTransport {
  readonly #script: readonly number[];

  constructor(script: readonly number[]) {
    super();
    this.stalled = true;
    this.#script = script;
  }

  override unwrittenBytes(): number {
    const left = this.#script[Math.min(this.looks, this.#script.length - 1)]!;
    this.looks++;
    return left;
  }
}

function startWrite(transport: FakeTransport, timeoutMs: number, bytes = 1_000) {
  const told = { idle: 0, stalls: 0 };
  const writer = new Writer(timeoutMs, { onIdle: () => told.idle++, onStall: () => told.stalls++ });
  writer.attach(transport);
  writer.writePiece(new Uint8Array(bytes), bytes);
  return { writer, told };
}

test("a peer that takes nothing is given up after four looks", async () => {
  const transport = new ScriptedTransport([1_000]);
  const { writer, told } = startWrite(transport, 64);
  await waitFor(() => told.stalls > 0, "the stall");
  assert.equal(transport.looks, LOOKS);
  assert.equal(timers.size, 0);
  writer.close();
  writer.releaseMemory();
});

test("a peer that takes a byte now and then is slow, not dead; one that stops is given up", async () => {
  // A byte after three looks without any, ten times, and a byte each time, ten times: then nothing more.
  const script: number[] = [];
  let left = 1_000;
  for (let i = 0; i < 10; i++) {
    script.push(left, left, left);
    script.push(--left);
  }
  for (let i = 0; i < 10; i++) script.push(--left);
  const transport = new ScriptedTransport(script);
  const { writer, told } = startWrite(transport, 64);
  await waitFor(() => told.stalls > 0, "the stall at last");
  assert.equal(transport.looks, script.length + LOOKS);
  assert.equal(told.idle, 0);
  writer.close();
  writer.releaseMemory();
});

test("a write that ends in time is looked at no more; the next one begins with all four looks", async () => {
  const transport = new ScriptedTransport([1_000]);
  const { writer, told } = startWrite(transport, 64);
  await waitFor(() => transport.looks === 3, "three looks");
  transport.taken();
  writer.onWritten();
  assert.deepEqual([told.idle, writer.writtenBytes, timers.size], [1, 1_000, 0]);
  writer.writePiece(new Uint8Array(1_000), 1_000);
  await waitFor(() => told.stalls > 0, "the stall of the second write");
  assert.equal(transport.looks, 3 + LOOKS);
  writer.close();
  writer.releaseMemory();
});

test("no timer: for what the kernel takes at once, without a time-out, after the end", () => {
  const [transport, otherTransport] = [new FakeTransport(), new FakeTransport()];
  const taken = startWrite(transport, 64);
  assert.deepEqual([taken.writer.idle, taken.writer.writtenBytes, timers.size], [true, 1_000, 0]);
  transport.stalled = true;
  otherTransport.stalled = true;
  const endless = startWrite(transport, 0);
  assert.deepEqual([endless.writer.busy, timers.size], [true, 0]);
  const ended = startWrite(otherTransport, 64);
  assert.equal(timers.size, 1);
  ended.writer.close();
  assert.deepEqual([ended.writer.idle, timers.size], [false, 0]);
  for (const { writer, told } of [taken, endless, ended]) {
    writer.close();
    writer.releaseMemory();
    assert.deepEqual(told, { idle: 0, stalls: 0 });
  }
});

test("the time of a slot's write begins when its turn ends, if it is in flight by then", async () => {
  const transport = new ScriptedTransport([1_000]);
  const told = { stalls: 0 };
  const writer = new Writer(64, { onIdle() {}, onStall: () => told.stalls++ });
  writer.attach(transport);
  const write = () => writer.writeSlot(new Uint8Array(1_000), acquireSlot(), 1_000);
  write();
  transport.taken();
  writer.onWritten();
  timers.turnEnds();
  assert.deepEqual([writer.idle, timers.size], [true, 0]);
  write();
  // Longer than the first look would take. Other timers go on meanwhile.
  await sleep(50);
  assert.deepEqual([timers.size, transport.looks], [1, 0]);
  timers.turnEnds();
  await waitFor(() => told.stalls > 0, "the stall");
  assert.deepEqual([timers.size, transport.looks], [0, LOOKS]);
  writer.close();
  writer.releaseMemory();
});

test("a slot belongs to the socket until it is written, or the socket is gone; each once", async () => {
  const transport = new FakeTransport();
  transport.stalled = true;
  const writer = new Writer(0, { onIdle() {}, onStall() {} });
  writer.attach(transport);
  writer.writeSlot(new Uint8Array(10), acquireSlot(), 10);
  assert.equal(slotsInUse(), 1);
  transport.taken();
  writer.onWritten();
  writer.onWritten();
  assert.equal(slotsInUse(), 0);
  writer.writeSlot(new Uint8Array(10), acquireSlot(), 10);
  writer.close();
  await sleep(1);
  assert.equal(slotsInUse(), 1, "the kernel may still read it");
  writer.releaseMemory();
  writer.releaseMemory();
  writer.onWritten();
  assert.equal(slotsInUse(), 0);
});

test("a second write while one is in flight, or behind the end, is refused, and the first keeps its memory", () => {
  const transport = new FakeTransport();
  transport.stalled = true;
  const writer = new Writer(0, { onIdle() {}, onStall() {} });
  const refusal = { message: "a write that the writer is not idle for" };
  assert.throws(() => writer.writePiece(new Uint8Array(10), 10), refusal, "there is no socket yet");
  writer.attach(transport);
  const [first, second] = [acquireSlot(), acquireSlot()];
  writer.writeSlot(new Uint8Array(10), first, 10);
  assert.throws(() => writer.writeSlot(new Uint8Array(10), second, 10), refusal);
  const piece = new Uint8Array(10);
  assert.throws(() => writer.writePiece(piece, 10), refusal);
  assert.deepEqual([transport.written.length, writer.sentBytes, slotsInUse()], [1, 10, 2]);
  transport.taken();
  writer.onWritten();
  assert.deepEqual(
    [slotsInUse(), piece.length, writer.writtenBytes],
    [1, 10, 10],
    "those are still the caller's",
  );
  writer.close();
  assert.throws(() => writer.writeSlot(new Uint8Array(10), second, 10), refusal);
  releaseSlot(second);
  assert.equal(slotsInUse(), 0);
});
