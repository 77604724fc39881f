// MessagePack: values that the library would change are refused, and bytes of a peer are measured before the library
// reads them.

import assert from "node:assert/strict";
import * as msgpack from "@msgpack/msgpack";
import fc from "fast-check";
import { SealwireError } from "../../../src/base/errors.ts";
import { msgpackCodec } from "../../../src/typed/codec/msgpackCodec.ts";
import { anyValue, carried, refused, same } from "../../support/carriedValues.ts";
import { sharedCount } from "../../support/every.ts";
import { test } from "../../support/harness.ts";

const codec = msgpackCodec(msgpack);

function failure(run: () => unknown): SealwireError {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof SealwireError, String(error));
    return error;
  }
  throw new Error("nothing was refused");
}

/** Of the values that JSON with byte segments carries, those that MessagePack has no form for. */
const without = [
  /undefined/,
  /minus zero/,
  /Map|Set/,
  /Error|AggregateError/,
  /^an? (Uint8Clamped|Int|Uint16|Uint32|Big|Float)\w*$/,
  /DataView|ArrayBuffer/,
  /invalid Date/,
  /without a prototype/,
  /nested/,
];

test("every kind of value that is carried comes back as it was, the others are refused", () => {
  let kept = 0;
  for (const [name, value] of Object.entries(carried)) {
    if (without.some((kind) => kind.test(name)) && name !== "names that classes have") {
      assert.equal(failure(() => codec.encode(value)).code, "ERR_ENCODE", name);
      continue;
    }
    const expected = name === "a bigint" ? 2n ** 63n : value;
    assert.ok(same(codec.decode(codec.encode(expected)), expected), name);
    kept++;
  }
  assert.ok(kept >= 20, `${kept}`);
});

test("what no codec carries is refused, and the error says where", () => {
  for (const [name, [value, path]] of Object.entries(refused)) {
    if (/Map|Set|cause/.test(name)) continue;
    const error = failure(() => codec.encode(value));
    assert.equal(error.code, "ERR_ENCODE", name);
    assert.equal(error.path, path, `${name}: ${error.message}`);
  }
  assert.equal(failure(() => codec.encode({ a: [undefined] })).path, "$.a[0]");
  assert.equal(failure(() => codec.encode({ a: 2n ** 64n })).path, "$.a");
  assert.equal(failure(() => codec.encode([-(2n ** 63n) - 1n])).path, "$[0]");
  assert.equal(failure(() => codec.encode(["\ud800"])).path, "$[0]");
  assert.equal(failure(() => codec.encode({ a: { "\ud800": 1 } })).path, "$.a");
});

test("any value comes back as it was, or is refused", () => {
  let kept = 0;
  fc.assert(
    fc.property(anyValue, (value) => {
      let bytes: Uint8Array;
      try {
        bytes = codec.encode(value);
      } catch (error) {
        assert.equal((error as SealwireError).code, "ERR_ENCODE");
        return;
      }
      kept++;
      assert.ok(same(value, codec.decode(bytes)));
    }),
    { numRuns: sharedCount(2_000) },
  );
  assert.ok(kept > sharedCount(50), `${kept} of ${sharedCount(2_000)} were carried`);
});

test("numbers, bigints and Dates at the borders of their forms", () => {
  const borders = [7, 8, 15, 16, 31, 32, 33, 52].flatMap((bits) => [2 ** bits - 1, 2 ** bits, 2 ** bits + 1]);
  const numbers = [...borders, ...borders.map((value) => -value), Number.MAX_SAFE_INTEGER, 0.1, 1e300];
  for (const value of numbers) assert.ok(same(codec.decode(codec.encode(value)), value), `${value}`);
  for (const value of [0n, 1n, -1n, 2n ** 64n - 1n, -(2n ** 63n)])
    assert.equal(codec.decode(codec.encode(value)), value);
  const seconds = [0, 1, 2 ** 32 - 1, 2 ** 32, 2 ** 34 - 1, 2 ** 34, -1, -(2 ** 32), 8.64e12, -8.64e12];
  for (const time of seconds
    .flatMap((value) => [value * 1_000, value * 1_000 + 1])
    .filter((t) => t <= 8.64e15))
    assert.ok(same(codec.decode(codec.encode(new Date(time))), new Date(time)), `${time}`);
});

test("bytes of another implementation are read as the specification has them", () => {
  const cases: [hex: string, value: unknown][] = [
    ["82a7636f6d70616374c3a6736368656d6100", { compact: true, schema: 0 }],
    ["93c0c2d1fc18", [null, false, -1_000]],
    ["cf0000000000000005", 5n],
    ["d3ffffffffffffffff", -1n],
    ["ca3f000000", 0.5],
    ["d903616263", "abc"],
    ["c50003010203", Uint8Array.of(1, 2, 3)],
    ["dc000101", [1]],
    ["df00000001a16101", { a: 1 }],
    ["d6ff00000001", new Date(1_000)],
    ["d7ff3b9ac7fc00000001", new Date(1_250)],
    ["c70cff00000000ffffffffffffffff", new Date(-1_000)],
  ];
  for (const [hex, value] of cases) {
    const body = Uint8Array.from(Buffer.from(hex, "hex"));
    if (hex.startsWith("d7ff")) body.set([0x3b, 0x9a, 0xca, 0x00], 2); // 250,000,000 ns in 30 bits
    assert.ok(same(codec.decode(body), value), hex);
  }
});

test("malformed bodies are refused before the library sees them", () => {
  const bodies: Record<string, string> = {
    nothing: "",
    "a byte that is never used": "c1",
    "two values": "0101",
    "half a number": "cd01",
    "half a text": "a36162",
    "a text of 4 GiB": "dbffffffff61",
    "an array of 2^32 - 1": "ddffffffff01",
    "a map of 2^32 - 1": "dfffffffff01",
    "bytes beyond the end": "c6ffffffff00",
    "a key that is a number": "810101",
    "a key that is nil": "81c001",
    "a key that is an array": "819001",
    "the key __proto__": "81a95f5f70726f746f5f5f80",
    "the key __proto__, long form": "81d9095f5f70726f746f5f5f80",
    "a text that is not UTF-8": "a1ff",
    "half a surrogate": "a3eda080",
    "a key that is not UTF-8": "81a1ff01",
    "an extension": "d40100",
    "a timestamp of 1 byte": "d4ff00",
    "a timestamp with a second of nanoseconds": "d7ffee6b280000000001",
    "a timestamp in 300,000 years": "c70cff000000007fffffffffffffff",
  };
  for (const [name, hex] of Object.entries(bodies)) {
    const error = failure(() => codec.decode(Uint8Array.from(Buffer.from(hex, "hex"))));
    assert.equal(error.code, "ERR_DECODE", name);
  }
  assert.equal(({} as { polluted?: unknown }).polluted, undefined);
});

test("limits hold on both sides, at their value and one above", () => {
  const cases: [option: string, limit: number, fits: unknown, breaks: unknown][] = [
    ["maxDepth", 3, [{ a: [] }], [{ a: [[]] }]],
    ["maxValues", 5, [1, 2, { a: 1 }], [1, 2, { a: 1 }, 3]],
    ["maxBytes", 4, [1, 2, 3], [1, 2, 3, 4]],
    ["maxSegments", 2, [new Uint8Array(1), new Uint8Array(0)], [0, 1, 2].map((n) => new Uint8Array(n))],
  ];
  for (const [option, limit, fits, breaks] of cases) {
    const tight = msgpackCodec(msgpack, { [option]: limit });
    assert.ok(same(tight.decode(tight.encode(fits)), fits), option);
    for (const run of [() => tight.encode(breaks), () => tight.decode(codec.encode(breaks))])
      assert.match(failure(run).message, new RegExp(option));
  }
  assert.match(failure(() => codec.decode(new Uint8Array(1_000_000).fill(0x91))).message, /maxDepth/);
});

test("any bytes give a value or ERR_DECODE, and what is taken comes back the same", () => {
  const body = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc
      .tuple(anyValue, fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 3 }))
      .map(([value, edits]) => {
        let bytes: Uint8Array;
        try {
          bytes = codec.encode(value);
        } catch {
          return new Uint8Array(0);
        }
        for (const [at, byte] of edits) if (at < bytes.length) bytes[at] = byte;
        return bytes;
      }),
  );
  fc.assert(
    fc.property(body, (bytes) => {
      let value: unknown;
      try {
        value = codec.decode(bytes);
      } catch (error) {
        assert.equal((error as SealwireError).code, "ERR_DECODE", String(error));
        return;
      }
      assert.doesNotThrow(() => msgpack.decode(bytes, { useBigInt64: true }));
      let again: Uint8Array;
      try {
        again = codec.encode(value);
      } catch (error) {
        // A float may be -0, which is read and not written.
        assert.match(String(error), /-0/);
        return;
      }
      assert.ok(same(codec.decode(again), value));
    }),
    { numRuns: sharedCount(3_000) },
  );
});

test("bytes come back in memory of their own", () => {
  const body = codec.encode([Uint8Array.of(1, 2), { b: Uint8Array.of(3) }]);
  const back = codec.decode(body) as [Uint8Array, { b: Uint8Array }];
  body.fill(0);
  assert.deepEqual(back, [Uint8Array.of(1, 2), { b: Uint8Array.of(3) }]);
  assert.equal(back[0].buffer.byteLength, 2);
});

test("the library is checked, and its failures have a code", () => {
  for (const library of [undefined, null, {}, { encode() {} }])
    assert.equal(failure(() => msgpackCodec(library as never)).code, "ERR_INVALID_ARGUMENT");
  const broken = msgpackCodec({
    encode() {
      throw new Error("no");
    },
    decode() {
      throw new Error("no");
    },
  });
  assert.equal(failure(() => broken.encode(1)).code, "ERR_ENCODE");
  assert.equal(failure(() => broken.decode(Uint8Array.of(1))).code, "ERR_DECODE");
});
