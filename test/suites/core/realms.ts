// Which values count as bytes and as an AbortSignal, of this realm and others.

import assert from "node:assert/strict";
import vm from "node:vm";
import { isAbortSignal } from "../../../src/core/abortSignal.ts";
import {
  isBytes,
  isShared,
  requireBytes,
  requireBytesOf,
  requireBytesUpTo,
  viewOf,
} from "../../../src/core/bytes.ts";
import { test } from "../../support/harness.ts";

const expected = { code: "ERR_INVALID_ARGUMENT" };

test("a Uint8Array is one in every realm, and nothing else is", () => {
  for (const bytes of [new Uint8Array(2), Buffer.from("x"), vm.runInNewContext("new Uint8Array(2)")]) {
    assert.equal(isBytes(bytes), true);
    requireBytes("body", bytes);
  }
  const others = ["new Int8Array(2)", "[]", "'text'", "null", "({ length: 2 })", "new ArrayBuffer(2)"];
  for (const source of others) {
    for (const value of [vm.runInNewContext(source), vm.runInThisContext(source)]) {
      assert.equal(isBytes(value), false, source);
      assert.throws(() => requireBytes("body", value), { ...expected, message: "body must be a Uint8Array" });
    }
  }
});

test("an empty array is bytes, a detached one is a mistake that says what happened", () => {
  requireBytes("body", new Uint8Array(0));
  requireBytes("body", new Uint8Array(new ArrayBuffer(8), 8));
  requireBytesUpTo("body", vm.runInNewContext("new Uint8Array(0)"), 5);
  for (const detached of [new Uint8Array(5), new Uint8Array(0)]) {
    structuredClone(detached, { transfer: [detached.buffer] });
    const message = "body must be a Uint8Array; its memory was transferred or cut off";
    assert.throws(() => requireBytes("body", detached), { ...expected, message });
    assert.throws(() => requireBytesUpTo("body", detached, 5), { ...expected, message: /transferred/ });
    assert.throws(() => requireBytesOf("body", detached, 0), expected);
  }
});

test("a length that is not that of the memory is a mistake that says so", () => {
  const message = "body must be a Uint8Array; its class says another length than that of its memory";
  for (const length of [0, 3, 5, 32, -4, Number.NaN, 2 ** 53]) {
    const bits = Object.defineProperty(new Uint8Array(4), "length", { value: length });
    assert.throws(() => requireBytes("body", bits), { ...expected, message });
    assert.throws(() => requireBytesUpTo("body", bits, 100), expected);
    assert.throws(() => requireBytesOf("body", bits, length), expected);
  }
});

test("a place that is not that of the memory is a mistake that says so, in every realm", () => {
  const message = "body must be a Uint8Array; its class says another place than that of its memory";
  const classes = `
    class PlaceInFile extends Uint8Array { byteOffset = 7; }
    class Offset extends Uint8Array { get byteOffset() { return 0; } }
    class Queue extends Uint8Array { buffer = []; }
    class Copying extends Uint8Array { get buffer() { return new ArrayBuffer(this.length); } }
    class Inheriting extends Offset {}
    class Harmless extends Uint8Array { offset = 7; get parent() { return this.buffer; } }
    [Harmless, PlaceInFile, Offset, Queue, Copying, Inheriting]`;
  for (const inRealm of [vm.runInThisContext(classes), vm.runInNewContext(classes)]) {
    const [Harmless, ...wrong] = inRealm as { new (bytes: number[]): Uint8Array }[];
    requireBytes("body", new Harmless!([1, 2]));
    for (const Class of wrong) {
      const bytes = new Class([1, 2, 3]);
      assert.throws(() => requireBytes("body", bytes), { ...expected, message }, Class.name);
      assert.throws(() => requireBytesUpTo("body", bytes, 100), expected);
      assert.throws(() => requireBytesOf("body", bytes, 3), expected);
    }
  }
});

test("lengths are named with the argument", () => {
  requireBytesOf("key", new Uint8Array(32), 32);
  requireBytesUpTo("data", new Uint8Array(65_536), 65_536);
  assert.throws(() => requireBytesOf("key", new Uint8Array(31), 32), {
    ...expected,
    message: "key must be a Uint8Array of 32 bytes",
  });
  assert.throws(() => requireBytesUpTo("data", new Uint8Array(65_537), 65_536), {
    ...expected,
    message: "data must be a Uint8Array of at most 65,536 bytes",
  });
});

test("shared memory is told from other memory, also resizable and foreign", () => {
  assert.equal(isShared(new Uint8Array(new SharedArrayBuffer(4))), true);
  assert.equal(isShared(vm.runInNewContext("new Uint8Array(new SharedArrayBuffer(4))")), true);
  assert.equal(isShared(new Uint8Array(4)), false);
  assert.equal(isShared(Buffer.alloc(4)), false);
  assert.equal(isShared(vm.runInNewContext("new Uint8Array(4)")), false);
});

test("a view is a plain Uint8Array over the same memory", () => {
  const buffer = Buffer.from("abcdef");
  const view = viewOf(buffer, 2, 4);
  assert.equal(Object.getPrototypeOf(view), Uint8Array.prototype);
  assert.deepEqual([...view], [99, 100]);
  view[0] = 1;
  assert.equal(buffer[2], 1);
});

test("a signal is what behaves as one", () => {
  assert.equal(isAbortSignal(new AbortController().signal), true);
  assert.equal(isAbortSignal(AbortSignal.abort()), true);
  class ForeignSignal extends EventTarget {
    aborted = false;
  }
  assert.equal(isAbortSignal(new ForeignSignal()), true);
  const throwing = {
    get aborted(): boolean {
      throw new Error("a getter");
    },
  };
  const wrong = [null, undefined, 5, "abort", {}, { aborted: false }, new EventTarget(), throwing, () => {}];
  for (const value of wrong) assert.equal(isAbortSignal(value), false, String(value));
});
