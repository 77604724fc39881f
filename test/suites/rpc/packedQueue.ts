// Entries that wait as bytes: strings and objects in one order, with an array as the model.

import assert from "node:assert/strict";
import fc from "fast-check";
import { PackedQueue } from "../../../src/rpc/packedQueue.ts";
import { ReceivedItems } from "../../../src/rpc/receivedItems.ts";
import { test } from "../../support/harness.ts";

interface Item {
  readonly number: number;
}

/** Short strings, those at the edge of what is packed, and those that get a page of their own. */
const length = fc.oneof(fc.nat(80), fc.integer({ min: 4_080, max: 4_110 }), fc.constant(70_000));
const step = fc.oneof(
  { weight: 6, arbitrary: length.map((bytes) => ({ push: bytes })) },
  { weight: 2, arbitrary: fc.constant("item" as const) },
  { weight: 5, arbitrary: fc.constant("take" as const) },
  { weight: 1, arbitrary: fc.constant("clear" as const) },
);

function stringOf(bytes: number, seed: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, i) => (i * 31 + seed) & 0xff);
}

test("gives what it was given, in order, whatever is mixed", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const queue = new PackedQueue<Item>();
      let model: (Uint8Array | Item)[] = [];
      for (const [i, what] of steps.entries()) {
        if (typeof what === "object") {
          const given = stringOf(what.push, i);
          const around = new Uint8Array(given.length + 7).fill(0xee);
          around.set(given, 3);
          queue.push(around, 3, 3 + given.length);
          model.push(given);
        } else if (what === "item") {
          const item = { number: i };
          queue.pushItem(item);
          model.push(item);
        } else if (what === "clear") {
          const items = model.filter((each): each is Item => !(each instanceof Uint8Array));
          assert.deepEqual(queue.clear(), items);
          model = [];
        } else if (model.length > 0) {
          takeOne(queue, model.shift()!);
        }
        assert.equal(queue.isEmpty, model.length === 0);
      }
      for (const expected of model) takeOne(queue, expected);
      assert.equal(queue.isEmpty, true);
    }),
    { numRuns: 150, seed: 20_261_126 },
  );
});

function takeOne(queue: PackedQueue<Item>, expected: Uint8Array | Item): void {
  if (!(expected instanceof Uint8Array)) {
    assert.equal(queue.firstItem, expected);
    assert.equal(queue.take(), expected);
    return;
  }
  assert.equal(queue.firstItem, undefined);
  assert.equal(queue.firstBytes, expected.length);
  assert.equal(queue.take(), undefined);
  const { bytes, start, end, alone } = queue;
  assert.deepEqual(bytes.slice(start, end), expected);
  assert.equal((bytes.byteOffset + start) % 8, 0, "any typed array can view it");
  assert.equal(alone, expected.length > 4_096);
  queue.done();
  if (alone) assert.deepEqual(bytes, expected, "what may be kept stays");
  else
    assert.ok(
      bytes.subarray(start, end).every((byte) => byte === 0),
      "what was taken is wiped",
    );
}

test("many short strings cost little more than their bytes", () => {
  const queue = new PackedQueue<Item>();
  const string = stringOf(64, 1);
  const buffers = new Set<ArrayBufferLike>();
  const count = 20_000;
  for (let i = 0; i < count; i++) queue.push(string, 0, 64);
  for (let i = 0; i < count; i++) {
    queue.take();
    buffers.add(queue.bytes.buffer);
    queue.done();
  }
  const held = [...buffers].reduce((sum, { byteLength }) => sum + byteLength, 0);
  assert.ok(held <= count * 72 + 65_536, `${held} bytes for ${count} strings of 64`);
});

test("what nobody keeps is wiped, also where it lies alone", () => {
  for (const bytes of [64, 5_000]) {
    const queue = new PackedQueue<Item>();
    queue.push(stringOf(bytes, 1), 0, bytes);
    queue.take();
    const { bytes: memory, start, end } = queue;
    assert.deepEqual(memory.slice(start, end), stringOf(bytes, 1));
    queue.wipe();
    assert.ok(memory.every((byte, i) => i < start || i >= end || byte === 0));
    assert.equal(queue.bytes.length, 0);
  }
});

test("tells of each string whether it was marked, alone in its page or not", () => {
  const queue = new PackedQueue<Item>();
  const lengths = [0, 1, 8, 4_096, 4_097, 70_000];
  const given = lengths.flatMap((bytes) => [true, false, true].map((isMarked) => ({ bytes, isMarked })));
  for (const [i, { bytes, isMarked }] of given.entries()) {
    queue.push(stringOf(bytes, i), 0, bytes, isMarked);
    queue.pushItem({ number: i });
  }
  for (const [i, { bytes, isMarked }] of given.entries()) {
    assert.equal(queue.take(), undefined);
    assert.deepEqual([queue.isMarked, queue.end - queue.start], [isMarked, bytes]);
    assert.deepEqual(queue.bytes.slice(queue.start, queue.end), stringOf(bytes, i));
    assert.deepEqual(queue.take(), { number: i });
  }
  assert.ok(queue.isEmpty);
});

test("items of a stream: those beyond the first credit wait packed, and all come in order, in memory of their own", () => {
  const items = new ReceivedItems();
  const given: Uint8Array[] = [];
  let cost = 0;
  let packed = 0;
  const push = (bytes: Uint8Array): void => {
    given.push(bytes.slice());
    cost += 64 + bytes.length;
    if (items.packs(bytes.length)) {
      packed++;
      items.pushShort(bytes);
      // The memory in which it arrived is reused.
      bytes.fill(0xee);
    } else items.push({ bytes, cost: 64 + bytes.length });
  };
  const lengths = [0, 1, 7, 8, 100, 512, 513, 4_097];
  for (let i = 0; i < 2_000; i++) push(stringOf(lengths[i % lengths.length]!, i));
  // Of the first 256 none, and of the others those of at most 512 bytes.
  assert.equal(packed, ((2_000 - 256) * 6) / 8);
  const arrays = new Set<ArrayBufferLike>();
  for (const [i, expected] of given.entries()) {
    assert.equal(items.cost, cost);
    const item = items.shift()!;
    assert.deepEqual(item.bytes, expected, `item ${i}`);
    assert.equal(item.cost, 64 + expected.length);
    assert.equal(item.bytes.buffer.byteLength, expected.length);
    arrays.add(item.bytes.buffer);
    cost -= item.cost;
  }
  assert.equal(arrays.size, given.length);
  assert.ok(items.isEmpty && items.cost === 0 && items.shift() === undefined);
  // With all of them taken, the next ones are arrays again.
  assert.ok(!items.packs(0));
});

test("items of a stream that nobody takes are wiped, packed or not", () => {
  const items = new ReceivedItems();
  const arrays: Uint8Array[] = [];
  for (let i = 0; i < 300; i++) {
    const bytes = stringOf(9, i);
    if (items.packs(9)) items.pushShort(bytes);
    else {
      arrays.push(bytes);
      items.push({ bytes, cost: 73 });
    }
  }
  items.forget();
  assert.ok(items.isEmpty && items.cost === 0 && items.shift() === undefined && !items.packs(0));
  assert.ok(arrays.length === 256 && arrays.every((bytes) => bytes.every((byte) => byte === 0)));
  items.push({ bytes: Uint8Array.of(1), cost: 65 });
  assert.deepEqual(items.shift(), { bytes: Uint8Array.of(1), cost: 65 });
});
