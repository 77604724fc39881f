// The inflater against zlib, and the inlined modules against the files they were made from.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { constants, deflateRawSync } from "node:zlib";
import { inflateRaw } from "../../../src/core/inflate.ts";
import { plainModuleBytes, relaxedModuleBytes } from "../../../src/core/wasmBytes.ts";
import { test } from "../../support/harness.ts";

/** Bytes of a linear congruential generator; `symbols` of them differ, so that fewer compress better. */
function noise(length: number, symbols: number, seed = 1): Uint8Array {
  let state = seed;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 16) % symbols;
  });
}

test("the inlined builds are the files of dist, byte for byte", () => {
  const plain = plainModuleBytes();
  const file = (name: string) => new Uint8Array(readFileSync(`dist/${name}`));
  assert.deepEqual(plain, file("sealwire.wasm"));
  assert.deepEqual(relaxedModuleBytes(plain), file("sealwire.relaxed.wasm"));
});

test("inflates what zlib deflated, at every level and strategy, with every type of block", () => {
  const inputs = [
    new Uint8Array(0),
    new Uint8Array(1),
    new Uint8Array(70_000),
    noise(300, 3),
    noise(70_000, 256),
    noise(40_000, 4),
    Uint8Array.from([...noise(33_000, 90), ...noise(33_000, 90)]),
  ];
  const strategies = [
    constants.Z_DEFAULT_STRATEGY,
    constants.Z_FIXED,
    constants.Z_HUFFMAN_ONLY,
    constants.Z_RLE,
  ];
  for (const [i, input] of inputs.entries()) {
    for (const strategy of strategies) {
      for (const level of [0, 1, 9]) {
        const deflated = deflateRawSync(input, { level, strategy });
        const name = `input ${i}, strategy ${strategy}, level ${level}`;
        assert.ok(Buffer.from(inflateRaw(deflated, input.length)).equals(input), name);
      }
    }
  }
});

test("a stream that is cut, or holds another length than said, throws and never loops", () => {
  const input = noise(500, 9);
  const deflated = deflateRawSync(input, { level: 9 });
  for (let length = 0; length < deflated.length; length++) {
    assert.throws(
      () => inflateRaw(deflated.subarray(0, length), input.length),
      RangeError,
      `${length} bytes`,
    );
  }
  for (const length of [0, input.length - 1, input.length + 1]) {
    assert.throws(() => inflateRaw(deflated, length), RangeError);
  }
});

test("a stream with any bit flipped throws or gives as many bytes as said", () => {
  const input = noise(400, 20, 7);
  const deflated = deflateRawSync(input, { level: 9 });
  for (let bit = 0; bit < deflated.length * 8; bit++) {
    const flipped = new Uint8Array(deflated);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    try {
      assert.equal(inflateRaw(flipped, input.length).length, input.length);
    } catch (error) {
      assert.ok(error instanceof RangeError, `bit ${bit}: ${error}`);
    }
  }
});
