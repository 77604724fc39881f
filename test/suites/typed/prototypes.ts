// Bodies in a program that changes the prototypes of objects and arrays. Engines never fully recover from such a
// change, so this suite has a process of its own.

import assert from "node:assert/strict";
import { jsonCodec } from "../../../src/rpc.ts";
import { test } from "../../support/harness.ts";

test("what somebody puts into every object or array later is not run by a body, and takes no value's place", () => {
  const codec = jsonCodec();
  const value = { careless: 1, list: [1, [2], 3, [4, 5], 6], other: { careless: "text" } };
  const short = codec.encode(value);
  const long = codec.encode({ ...value, long: "x".repeat(2_000) });
  for (let i = 0; i < 3; i++) for (const body of [short, long]) codec.decode(body);
  let ran = 0;
  const setter = { get: () => "not sent", set: () => void ran++, configurable: true };
  const fixed = { value: "not sent", writable: false, configurable: true };
  for (const [prototype, name] of [
    [Object.prototype, "careless"],
    ...["0", "1", "2", "4"].flatMap((index) => [
      [Object.prototype, index],
      [Array.prototype, index],
    ]),
  ] as [object, string][]) {
    for (const property of [setter, fixed]) {
      let first: unknown;
      let second: unknown;
      let encoded: Uint8Array;
      Object.defineProperty(prototype, name, property);
      try {
        first = codec.decode(short);
        second = codec.decode(long);
        // Elements in every array are no case for a writer: a walk of its own has arrays, too.
        encoded = name === "careless" ? codec.encode(value) : short;
      } finally {
        Reflect.deleteProperty(prototype, name);
        Array.prototype.length = 0;
      }
      assert.deepEqual(first, value);
      assert.deepEqual(second, { ...value, long: "x".repeat(2_000) });
      assert.deepEqual(encoded, short);
    }
  }
  assert.equal(ran, 0);
});
