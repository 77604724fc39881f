// JSON with byte segments: every value comes back unchanged or is refused with its path, and bytes of a peer cost no
// more than the limits allow.

import assert from "node:assert/strict";
import vm from "node:vm";
import fc from "fast-check";
import { SealwireError } from "../../../src/base/errors.ts";
import { bodyLenderOf } from "../../../src/typed/codec/bodyLender.ts";
import { jsonCodec } from "../../../src/typed/codec/jsonCodec.ts";
import { anyCharacter, anyValue, carried, refused, same } from "../../support/carriedValues.ts";
import { sharedCount } from "../../support/every.ts";
import { test } from "../../support/harness.ts";

const codec = jsonCodec();
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const u32 = (value: number): number[] => [
  value >>> 24,
  (value >>> 16) & 255,
  (value >>> 8) & 255,
  value & 255,
];

/** A body with marks, made by hand. */
function framed(json: string, ...segments: number[][]): Uint8Array {
  const lengths = segments.flatMap((segment) => u32(segment.length));
  return Uint8Array.from([1, ...u32(segments.length), ...lengths, ...segments.flat(), ...text(json)]);
}

function failure(run: () => unknown): SealwireError {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof SealwireError, String(error));
    return error;
  }
  throw new Error("nothing was refused");
}

test("every kind of value that is carried comes back as it was", () => {
  for (const [name, value] of Object.entries(carried)) {
    const back = codec.decode(codec.encode(value));
    assert.ok(same(value, back), name);
  }
});

test("what JSON has is JSON, byte for byte as JSON.stringify writes it", () => {
  const values = [1, "x", null, [], {}, { a: [1, { b: "c", ü: "\ud800" }], eval: 1 }, [[[]]], "\u2028"];
  for (const value of values) assert.deepEqual(codec.encode(value), text(JSON.stringify(value)));
});

test("what can't be carried is refused, and the error says where", () => {
  for (const [name, [value, path]] of Object.entries(refused)) {
    const error = failure(() => codec.encode(value));
    assert.equal(error.code, "ERR_ENCODE", name);
    assert.equal(error.path, path, `${name}: ${error.message}`);
    assert.ok(error.message.startsWith(path), error.message);
  }
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
  assert.ok(kept > sharedCount(150), `${kept} of ${sharedCount(2_000)} were carried`);
});

test("bytes go beside the JSON as they are, and what comes back lies in memory of its own", () => {
  const data = Uint8Array.from({ length: 1_000 }, (_, i) => i);
  const body = codec.encode({ data, half: data.subarray(500) });
  assert.ok(body.length < 1_600, `${body.length} bytes`);
  assert.ok(Buffer.from(body).includes(Buffer.from(data)));
  const back = codec.decode(body) as { data: Uint8Array; half: Uint8Array };
  body.fill(0);
  assert.deepEqual(back, { data, half: data.slice(500) });
  assert.notEqual(back.data.buffer, body.buffer);
  // A Buffer is bytes.
  assert.ok(same(codec.decode(codec.encode(Buffer.from("abc"))), text("abc")));
});

test("a body that is lent is written over by none, whatever is encoded meanwhile, and is wiped when it is given back", () => {
  const lender = bodyLenderOf(codec);
  const values = Array.from({ length: 1_000 }, (_, i) => ["ä".repeat((i * 37) % 1_100), i]);
  for (const value of values) {
    // A getter that encodes meanwhile changes nothing.
    const nested = {
      get a() {
        codec.encode(value);
        lender.giveBack(lender.encode(value));
        return value;
      },
    };
    const body = lender.encode(nested);
    const others = [lender.encode(value), codec.encode(value), lender.encode(nested)];
    for (const [i, one] of [body, ...others].entries()) {
      const expected = JSON.stringify(i % 3 === 0 ? { a: value } : value);
      assert.equal(new TextDecoder().decode(one), expected);
    }
    for (const one of [...others, body]) lender.giveBack(one);
    assert.ok(body.every((byte) => byte === 0) && others[0]!.every((byte) => byte === 0));
  }
  const [one, again] = ["one", "two"].map((value) => {
    const body = lender.encode(value);
    lender.giveBack(body);
    return body;
  });
  assert.equal(one!.buffer, again!.buffer);
});

test("what was written of a value that turned out not to be plain is wiped, whoever throws", () => {
  const lender = bodyLenderOf(codec);
  const probe = lender.encode("");
  const memory = new Uint8Array(probe.buffer);
  lender.giveBack(probe);
  const thrower = {
    secret: "a secret",
    get a(): never {
      throw new Error("no");
    },
  };
  assert.throws(() => lender.encode(thrower));
  for (const value of [{ secret: "a secret", date: new Date(0) }, ["a secret", "x".repeat(1_024)]])
    lender.giveBack(lender.encode(value));
  assert.ok(memory.every((byte) => byte === 0));
  // It is free again.
  const body = lender.encode([1]);
  assert.equal(body.buffer, memory.buffer);
  lender.giveBack(body);
});

test("encode gives memory of its own; another package's codec keeps its bodies", () => {
  for (const value of ["", "short", "x".repeat(500), "x".repeat(5_000)])
    assert.equal(codec.encode(value).byteLength, codec.encode(value).buffer.byteLength);
  const own = Uint8Array.of(7);
  const lender = bodyLenderOf({ ...codec, encode: () => own });
  lender.giveBack(lender.encode("x"));
  assert.deepEqual(own, Uint8Array.of(7));
});

test("property: plain values have the bytes of JSON.stringify, and are read as JSON.parse does", () => {
  const plain = fc.jsonValue({ depthSize: "small", stringUnit: anyCharacter });
  const dictionaries = fc.dictionary(
    fc.string({ unit: anyCharacter, maxLength: 6 }),
    fc.double({ noNaN: true }),
  );
  let short = 0;
  fc.assert(
    fc.property(fc.oneof(plain, dictionaries), (value) => {
      const json = JSON.stringify(value);
      // Another test's business: no receiver takes it.
      if (json.includes("__proto__")) return;
      const body = codec.encode(value);
      // With a mark: it has -0, or an object without a prototype.
      if (body[0] === 1) return;
      if (body.length <= 1_024) short++;
      assert.equal(new TextDecoder().decode(body), json);
      assert.deepEqual(codec.decode(body), JSON.parse(json));
    }),
    { numRuns: sharedCount(1_000) },
  );
  assert.ok(short > sharedCount(300), `${short}`);
});

test("property: texts of JSON, whole, cut, changed and with spaces, are read as JSON.parse reads them", () => {
  const integer = fc.bigInt({ min: -(10n ** 17n), max: 10n ** 17n }).map(String);
  const number = fc
    .tuple(integer, fc.nat({ max: 10 ** 9 }), fc.constantFrom("", ".", ".0", "e1", "E-5"))
    .map(([whole, part, tail]) => (tail === "." ? `${whole}.${part}` : `${whole}${tail}`));
  const word = fc.constantFrom(
    ...[
      "true",
      "false",
      "null",
      "-0",
      "0.1",
      "1e5",
      "-",
      "01",
      "1.",
      ".5",
      "tru",
      "[]",
      "{}",
      '"a"',
      '"\\u0041"',
      '"ä"',
    ],
    ...[
      '"constructor"',
      '{"toString":1}',
      '{"a":1,"a":2}',
      '{"1":1,"0":0}',
      '{"":0}',
      "[1,]",
      "{,}",
      "[,1]",
      '{"a"}',
    ],
  );
  const leaf = fc.oneof(number, word);
  const text = fc.oneof(
    leaf,
    fc.array(leaf, { maxLength: 5 }).map((items) => `[${items.join(",")}]`),
    fc
      .array(fc.tuple(fc.string({ maxLength: 3 }), leaf), { maxLength: 5 })
      .map((items) => `{${items.map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(",")}}`),
  );
  const outcome = (read: () => unknown): unknown => {
    try {
      return { value: read() };
    } catch {
      return "refused";
    }
  };
  let values = 0;
  const check = (json: string): void => {
    if (json.includes("__proto__")) return;
    const bytes = new TextEncoder().encode(json);
    const ours = outcome(() => codec.decode(bytes));
    const theirs = outcome(() => JSON.parse(json));
    if (typeof theirs === "object") values++;
    assert.ok(same(ours, theirs), `${json}: ${JSON.stringify(ours)}`);
  };
  fc.assert(
    fc.property(text, fc.nat(), fc.nat({ max: 127 }), (json, place, code) => {
      const at = place % (json.length + 1);
      const byte = String.fromCharCode(code);
      const changed = [json, json.slice(0, at), `${json.slice(0, at)}${byte}${json.slice(at + 1)}`];
      for (const one of [...changed, `${json} `, `${json}${byte}`]) check(one);
    }),
    { numRuns: sharedCount(2_000) },
  );
  assert.ok(values > sharedCount(1_000), `${values}`);
});

test("a getter or a proxy is read once, and what it said then is sent", () => {
  let reads = 0;
  const changing = {
    get a() {
      return reads++ === 0 ? 1 : () => 2;
    },
  };
  assert.deepEqual(codec.decode(codec.encode(changing)), { a: 1 });
  const seen: string[] = [];
  const proxy = new Proxy([1, 2], {
    get(target, name) {
      if (typeof name === "string") seen.push(name);
      return Reflect.get(target, name);
    },
  });
  assert.deepEqual(codec.decode(codec.encode(proxy)), [1, 2]);
  assert.deepEqual(seen.sort(), ["0", "1", "length"]);
  const error = failure(() =>
    codec.encode([
      new Proxy(
        {},
        {
          ownKeys() {
            throw new Error("no");
          },
        },
      ),
    ]),
  );
  assert.equal(error.path, "$[0]");
  assert.equal((error.cause as Error).message, "no");
  const { proxy: revoked, revoke } = Proxy.revocable({}, {});
  revoke();
  assert.equal(failure(() => codec.encode({ revoked })).path, "$.revoked");
});

test("a getter that calls the codec again changes no count", () => {
  const tight = jsonCodec({ maxValues: 6 });
  const nested = (): unknown => {
    tight.encode([1, 2, 3]);
    return 1;
  };
  const value = {
    get a() {
      return nested();
    },
    b: [1, 2],
  };
  assert.deepEqual(tight.decode(tight.encode(value)), { a: 1, b: [1, 2] });
  const more = {
    get a() {
      return nested();
    },
    b: [1, 2, 3, 4],
  };
  assert.match(failure(() => tight.encode(more)).message, /maxValues/);
});

test("a proxy that lies about its length, and memory that goes away meanwhile", () => {
  for (const length of [-1, 1.5, "2", Number.NaN, 2 ** 40, undefined]) {
    const liar = new Proxy([], {
      get: (target, name) => (name === "length" ? length : Reflect.get(target, name)),
    });
    assert.equal(failure(() => codec.encode(liar)).code, "ERR_ENCODE");
  }
  const data = new Uint8Array(100);
  const value = {
    data,
    get gone() {
      structuredClone(data.buffer, { transfer: [data.buffer] });
      return 1;
    },
  };
  assert.equal(failure(() => codec.encode(value)).code, "ERR_ENCODE");
  assert.match(failure(() => codec.encode({ data })).message, /transferred/);
});

test("a Map that grows while it is read is refused, not followed for ever", () => {
  const map = new Map<unknown, unknown>();
  const grow = {
    get a() {
      map.set(`key ${map.size}`, grow);
      return 1;
    },
  };
  map.set("first", grow);
  assert.match(failure(() => codec.encode(map)).message, /maxEntries/);
});

test("values of another realm are what they are", () => {
  const other = vm.runInNewContext(
    '({ a: [1], m: new Map([["k", new Set([1])]]), d: new Date(5), b: Uint8Array.of(1), e: new TypeError("x"), v: new ArrayBuffer(2) })',
  );
  const back = codec.decode(codec.encode(other));
  const own = {
    a: [1],
    m: new Map([["k", new Set([1])]]),
    d: new Date(5),
    b: Uint8Array.of(1),
    e: new TypeError("x"),
    v: new ArrayBuffer(2),
  };
  assert.ok(same(own, back));
  const foreign = vm.runInNewContext("class A { x = 1 }; ({ a: new A() })");
  assert.equal(failure(() => codec.encode(foreign)).path, "$.a");
});

test("a body with a property __proto__ is refused, however it is written, and changes no prototype", () => {
  const bodies = [
    text('{"a":[{"__proto__":{"polluted":1}}]}'),
    text('{"a":[{"\\u005f_proto__":{"polluted":1}}]}'),
    framed('{"a":[{"__proto__":{"polluted":1}}]}'),
    framed('{"a":[{"$":["object",{"__proto__":{"polluted":1}}]}]}'),
    framed('{"a":[{"$":["null",{"__proto__":{"polluted":1}}]}]}'),
    framed('{"a":[{"$":["Error","Error","x",{"__proto__":{"polluted":1}},{}]}]}'),
  ];
  for (const body of bodies) {
    const error = failure(() => codec.decode(body));
    assert.equal(error.code, "ERR_DECODE");
    assert.equal(error.path, "$.a[0].__proto__");
  }
  assert.equal(({} as { polluted?: unknown }).polluted, undefined);
  // As a text it is a text.
  assert.deepEqual(codec.decode(text('["__proto__","\\u005f"]')), ["__proto__", "_"]);
});

test("malformed bodies are refused with a code, and never with what the peer wrote", () => {
  const bodies: Record<string, Uint8Array> = {
    nothing: new Uint8Array(0),
    "no JSON": text("secret"),
    "JSON and more": text("1 secret"),
    "no UTF-8": Uint8Array.of(0x22, 0xff, 0x22),
    "half a surrogate in UTF-8": Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22),
    "a byte order mark": Uint8Array.of(0xef, 0xbb, 0xbf, 0x31),
    "another framing": Uint8Array.of(2, 0, 0, 0, 0, 0x31),
    "half a header": Uint8Array.of(1, 0, 0),
    "more segments than bytes": Uint8Array.from([1, ...u32(100), 0x31]),
    "too many segments": Uint8Array.from([1, ...u32(0xffffffff), 0x31]),
    "a segment beyond the end": Uint8Array.from([1, ...u32(1), ...u32(100), 0x31]),
    "a segment that is not named": framed("1", [1]),
    "a segment that is not there": framed('{"$":["Uint8Array",0]}'),
    "a segment by half": framed('{"$":["Uint8Array",0.5]}', [1]),
    "a segment by a name": framed('{"$":["Uint8Array","0"]}', [1]),
    "a segment by length": framed('{"$":["Uint8Array","length"]}', [1]),
    "a segment twice": framed('[{"$":["Uint8Array",0]},{"$":["Uint8Array",0]}]', [1]),
    "half an element": framed('{"$":["Uint16Array",0]}', [1, 2, 3]),
    "an unknown word": framed('{"$":"secret"}'),
    "an unknown tag": framed('{"$":["secret",1]}'),
    "a tag of Object's": framed('{"$":["constructor",0]}', [1]),
    "an empty mark": framed('{"$":[]}'),
    "a mark that is an object": framed('{"$":{}}'),
    "a mark with more": framed('{"$":"NaN","a":1}'),
    "a Date that is a text": framed('{"$":["Date","2020"]}'),
    "a Date out of range": framed('{"$":["Date",8640000000000001]}'),
    "a Date by half": framed('{"$":["Date",0.5]}'),
    "a bigint with zeros in front": framed('{"$":["bigint","00"]}'),
    "a bigint that is minus zero": framed('{"$":["bigint","-0"]}'),
    "a bigint that is none": framed('{"$":["bigint","0x1"]}'),
    "half an entry": framed('{"$":["Map",1]}'),
    "a key twice": framed('{"$":["Map",1,2,1,3]}'),
    "a member twice": framed('{"$":["Set",1,1]}'),
    "an error of no class": framed('{"$":["Error","Object","x",{},{}]}'),
    "an error with a hidden part": framed('{"$":["Error","Error","x",{},{"stack":1}]}'),
    "an error with a list": framed('{"$":["Error","Error","x",[],{}]}'),
    "an object that is a list": framed('{"$":["object",[]]}'),
    "an object that is null": framed('{"$":["null",null]}'),
  };
  for (const [name, body] of Object.entries(bodies)) {
    const error = failure(() => codec.decode(body));
    assert.equal(error.code, "ERR_DECODE", name);
    assert.doesNotMatch(error.message, /secret/, name);
  }
  for (const bytes of ["text", undefined, [1], new ArrayBuffer(2)])
    assert.equal(failure(() => codec.decode(bytes as never)).code, "ERR_INVALID_ARGUMENT");
});

test("limits hold on both sides, at their value and one above", () => {
  const deep = (levels: number): unknown => {
    let value: unknown = [];
    for (let i = 1; i < levels; i++) value = i % 2 === 0 ? [value] : { a: value };
    return value;
  };
  const cases: [option: string, limit: number, fits: unknown, breaks: unknown][] = [
    ["maxDepth", 4, deep(4), deep(5)],
    ["maxDepth", 3, new Map([[1, []]]), new Map([[1, [[]]]])],
    ["maxValues", 7, [1, 2, { a: 1, b: 2 }, 4], [1, 2, { a: 1, b: 2 }, 4, 5]],
    ["maxBytes", 7, [1, 2, 3], [1, 2, 34]],
    ["maxBytes", 38, Uint8Array.of(1, 2, 3, 4, 5, 6, 7), new Uint8Array(8)],
    ["maxSegments", 2, [new Uint8Array(1), new ArrayBuffer(1)], [0, 1, 2].map((n) => new Int8Array(n))],
    ["maxEntries", 3, [new Map([[1, 2]]), new Set([1, 2])], [new Map([[1, 2]]), new Set([1, 2, 3])]],
    ["maxNumberKeys", 2, [new Map([[1, 2]]), new Set([1n, "2"])], [new Map([[1, 2]]), new Set([1n, 2])]],
    ["maxBigIntBytes", 2, [0xffffn, -0xffffn], [0x10000n]],
  ];
  for (const [option, limit, fits, breaks] of cases) {
    const tight = jsonCodec({ [option]: limit });
    assert.ok(same(tight.decode(tight.encode(fits)), fits), option);
    const refusal = failure(() => tight.encode(breaks));
    assert.equal(refusal.code, "ERR_ENCODE");
    assert.match(refusal.message, new RegExp(option));
    const broken = failure(() => tight.decode(codec.encode(breaks)));
    assert.equal(broken.code, "ERR_DECODE");
    assert.match(broken.message, new RegExp(option));
  }
});

test("numbers as keys are few, since a peer can choose some that collide: the work for each byte has an end", () => {
  const most = 2_048;
  const numbers = (count: number) => Array.from({ length: count }, (_, i) => i + 0.5);
  const free = jsonCodec({ maxNumberKeys: 100_000 });
  const makes: ((count: number) => unknown)[] = [
    (count) => new Set(numbers(count)),
    (count) => new Map(numbers(count).map((n) => [n, 0])),
    (count) => new Set(numbers(count).map((n) => BigInt(Math.trunc(n)))),
    // Of all Maps and Sets together.
    (count) => [new Set(numbers(count - 1_000)), { a: new Map(numbers(1_000).map((n) => [n, 0])) }],
  ];
  for (const make of makes) {
    const body = codec.encode(make(most));
    assert.ok(same(codec.decode(body), make(most)));
    // Each key is compared with all before it at worst.
    assert.ok((most * most) / 2 / body.length < 256, `${body.length} bytes`);
    assert.match(failure(() => codec.encode(make(most + 1))).message, /maxNumberKeys/);
    const refusal = failure(() => codec.decode(free.encode(make(most + 1))));
    assert.equal(refusal.code, "ERR_DECODE");
    assert.match(refusal.message, /maxNumberKeys/);
  }
  // Texts are hashed with a seed that no peer knows.
  const texts = new Set(numbers(10_000).map(String));
  assert.ok(same(codec.decode(codec.encode(texts)), texts));
});

test("what is encoded within limits is decoded within the same", () => {
  fc.assert(
    fc.property(
      anyValue,
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 1, max: 40 }),
      (value, depth, values) => {
        const tight = jsonCodec({ maxDepth: depth, maxValues: values, maxSegments: 2, maxEntries: 3 });
        let bytes: Uint8Array;
        try {
          bytes = tight.encode(value);
        } catch {
          return;
        }
        assert.ok(same(value, tight.decode(bytes)));
      },
    ),
    { numRuns: sharedCount(1_000) },
  );
});

test("depth and count are refused before anything is built of them", () => {
  const deep = text(`${"[".repeat(1_000_000)}`);
  assert.match(failure(() => codec.decode(deep)).message, /maxDepth/);
  const wide = text(`[${"[],".repeat(300_000)}1]`);
  assert.match(failure(() => codec.decode(wide)).message, /maxValues/);
  // Brackets and commas in texts are none.
  const quoted = `${"[".repeat(500)},${'\\"['.repeat(500)}`;
  assert.deepEqual(codec.decode(text(`["${quoted}"]`)), [quoted.replaceAll('\\"', '"')]);
  let nested: unknown = 1;
  for (let i = 0; i < 100_000; i++) nested = [nested];
  assert.match(failure(() => codec.encode(nested)).message, /maxDepth/);
  let doubled: unknown = 1;
  for (let i = 0; i < 100; i++) doubled = [doubled, doubled];
  assert.match(failure(() => codec.encode(doubled)).message, /maxValues/);
});

test("any bytes give a value or ERR_DECODE", () => {
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
      assert.ok(same(codec.decode(codec.encode(value)), value));
    }),
    { numRuns: sharedCount(2_000) },
  );
});

test("options are checked", () => {
  for (const options of [{ maxDepth: 0 }, { maxDepth: 1_001 }, { maxBytes: "1" }, { depth: 1 }, null])
    assert.equal(failure(() => jsonCodec(options as never)).code, "ERR_INVALID_ARGUMENT");
  const { contentType, name, version } = codec;
  assert.deepEqual({ contentType, name, version }, { contentType: 1, name: "json", version: 1 });
});
