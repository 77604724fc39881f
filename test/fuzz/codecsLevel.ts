// The codecs. Any value comes back unchanged or is refused. Any bytes give a value that can be encoded again, or are
// refused. Neither changes a prototype.

import assert from "node:assert/strict";
import * as msgpack from "@msgpack/msgpack";
import fc from "fast-check";
import type { Codec } from "../../src/typed/codec/codec.ts";
import { jsonCodec } from "../../src/typed/codec/jsonCodec.ts";
import { msgpackCodec } from "../../src/typed/codec/msgpackCodec.ts";
import type { Random } from "../simulation/random.ts";
import { anyValue, same } from "../support/carriedValues.ts";
import { type Level, mutated, outcome, someBytes } from "./level.ts";

const limits = {
  maxBytes: 4_096,
  maxDepth: 40,
  maxValues: 500,
  maxSegments: 8,
  maxEntries: 20,
  maxNumberKeys: 10,
  maxBigIntBytes: 40,
};
const codecs: readonly Codec[] = [jsonCodec(limits), msgpackCodec(msgpack, limits)];

/** What the format is made of, to be put anywhere. */
const pieces = [
  '{"$":',
  '{"$":["Map",',
  '{"$":["Set",[',
  '{"$":["Error","TypeError",null,{',
  '{"$":["null",{',
  '"__proto__":',
  '"\\u005f_proto__":',
  '"constructor":',
  '["Uint8Array",0]',
  '["bigint","-',
  "}",
  "]]",
  ",",
  "1e999",
  "-0",
  "\u0001\u0000\u0000\u0000\u0001",
  "\xff\xff\xff\xff",
  "\x81\xa9__proto__",
  "\xdd\x7f\xff\xff\xff",
  "\xd6\xff",
].map((text) => Uint8Array.from(text, (character) => character.charCodeAt(0)));

/** JSON with another key somewhere, which mutation hardly ever leaves valid. */
function renamed(random: Random, bytes: Uint8Array): Uint8Array {
  const text = Buffer.from(bytes).toString("latin1");
  const keys = [...text.matchAll(/"[^"\\]*":/g)];
  if (keys.length === 0) return bytes;
  const { index, 0: key } = random.pick(keys);
  const name = random.pick(['"__proto__":', '"\\u005f_proto__":', '"$":', '"cause":']);
  return Uint8Array.from(Buffer.from(text.slice(0, index) + name + text.slice(index + key.length), "latin1"));
}

function changed(random: Random, bytes: Uint8Array): Uint8Array {
  if (random.chance(0.25)) return renamed(random, bytes);
  if (random.chance(0.5)) return mutated(random, bytes);
  const at = random.between(0, bytes.length);
  const end = random.chance(0.5) ? at : random.between(at, bytes.length);
  return Uint8Array.from([...bytes.subarray(0, at), ...random.pick(pieces), ...bytes.subarray(end)]);
}

/** What is decoded is within the limits, and carried again. */
function readBytes(codec: Codec, bytes: Uint8Array): void {
  const lent = bytes.slice();
  const { value, code } = outcome(() => codec.decode(lent));
  if (code !== undefined) {
    assert.equal(code, "ERR_DECODE");
    return;
  }
  const again = outcome(() => {
    try {
      return codec.encode(value);
    } catch (error) {
      // MessagePack has -0 and this package does not write it; what is written again may be longer than what was read.
      assert.match(String(error), /-0|\(max/);
      throw error;
    }
  });
  if (again.value === undefined) return;
  lent.fill(0xee);
  assert.ok(same(codec.decode(again.value), value), `${codec.name}: ${Buffer.from(bytes).toString("hex")}`);
}

function oneValue(random: Random, value: unknown): number {
  let inputs = 0;
  for (const codec of codecs) {
    const written = outcome(() => codec.encode(value));
    inputs++;
    if (written.value === undefined) {
      assert.equal(written.code, "ERR_ENCODE");
      continue;
    }
    assert.ok(
      same(codec.decode(written.value), value),
      `${codec.name}: ${Buffer.from(written.value).toString("hex")}`,
    );
    let bytes = written.value;
    for (let i = 0; i < 10; i++) {
      bytes = changed(random, random.chance(0.3) ? written.value : bytes);
      readBytes(codec, bytes);
      inputs++;
    }
  }
  return inputs;
}

/** Also what JSON has, which is read by another way than what it has not. */
const anyOrPlain = fc.oneof(anyValue, fc.dictionary(fc.string(), fc.jsonValue(), { noNullPrototype: true }));
const emptyNames = Reflect.ownKeys(Object.prototype).length;

export const codecsLevel: Level = {
  name: "codecs",
  run(random) {
    let inputs = 0;
    const seed = random.between(0, 0x7fffffff);
    for (const value of fc.sample(anyOrPlain, { seed, numRuns: 4 })) inputs += oneValue(random, value);
    for (let i = 0; i < 10; i++) {
      for (const codec of codecs) readBytes(codec, someBytes(random, 80));
      inputs += codecs.length;
    }
    assert.equal(Reflect.ownKeys(Object.prototype).length, emptyNames, "a prototype was changed");
    return inputs;
  },
};
