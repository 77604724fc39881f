// Values for the tests of codecs: carried values, refused values with the place of the refusal, arbitrary values, and
// the equality of two values.

import fc from "fast-check";

/** Values by name that every codec carries unchanged. */
export const carried: Record<string, unknown> = {
  null: null,
  true: true,
  "a number": 1.5,
  "the largest safe integer": Number.MAX_SAFE_INTEGER,
  "the smallest number": Number.MIN_VALUE,
  "the largest number": Number.MAX_VALUE,
  "minus zero": -0,
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  "-Infinity": Number.NEGATIVE_INFINITY,
  undefined: undefined,
  "a property that is undefined": { a: undefined },
  "an element that is undefined": [undefined, 1],
  "a bigint": 2n ** 64n,
  "a negative bigint": -1n,
  "no bigint": 0n,
  "a text": "grün 😀",
  "an empty text": "",
  "a text with zeros and quotes": '\u0000"\\\u2028',
  "a Date": new Date(1_700_000_000_123),
  "an invalid Date": new Date(Number.NaN),
  "a Date before the year 0": new Date(-8.64e15),
  "a Map": new Map<unknown, unknown>([
    ["a", 1],
    [2, "b"],
    [{ key: 1 }, [new Date(5)]],
    [Number.NaN, undefined],
  ]),
  "an empty Map": new Map(),
  "a Set": new Set([1, "1", null, undefined, new Set([1])]),
  bytes: Uint8Array.of(1, 2, 3),
  "no bytes": new Uint8Array(0),
  "a Uint8ClampedArray": Uint8ClampedArray.of(255),
  "an Int8Array": Int8Array.of(-1),
  "a Uint16Array": Uint16Array.of(1, 0xfffe),
  "an Int16Array": Int16Array.of(-2),
  "a Uint32Array": Uint32Array.of(1, 0xfffffffe),
  "an Int32Array": Int32Array.of(-2),
  "a BigUint64Array": BigUint64Array.of(2n ** 63n),
  "a BigInt64Array": BigInt64Array.of(-3n),
  "a Float32Array": Float32Array.of(0.5, Number.NaN),
  "a Float64Array": Float64Array.of(0.1, -0),
  "a DataView": new DataView(Uint8Array.of(9, 8, 7).buffer, 1),
  "an ArrayBuffer": Uint8Array.of(4, 5).buffer,
  "an Error": new Error("what"),
  "a TypeError with a cause": new TypeError("what", { cause: { code: 5 } }),
  "an Error with properties": Object.assign(new RangeError("what"), { code: "ERR_X", name: "Other" }),
  "an AggregateError": new AggregateError([new Error("a"), 1], "both"),
  "an Error without a message": new Error(),
  "an object without a prototype": Object.assign(Object.create(null), { a: 1 }),
  "an object that looks like a mark": { $: "NaN" },
  "one with more": { $: ["Date", 1], a: new Date(2) },
  "one without a prototype": Object.assign(Object.create(null), { $: { $: 1n } }),
  "names that classes have": { constructor: { prototype: { a: 1 } }, toString: 1, toJSON: "x", valueOf: 2 },
  "names that are numbers": { 2: "b", 1: "a", "-1": "c", "01": "d" },
  "an empty name": { "": { "": 0 } },
  nested: { a: [{ b: [{ c: new Map([[new Set([1n]), [Uint8Array.of(1)]]]) }] }] },
  "one object twice": (() => {
    const shared = { a: 1 };
    return [shared, shared];
  })(),
};

class Point {
  x = 1;
}
class Numbers extends Array {}
class Bytes extends Uint8Array {}
class Failure extends Error {}
class Table extends Map {}
const cycle: { inner: { self?: unknown } } = { inner: {} };
cycle.inner.self = cycle;
const ring: unknown[] = [];
ring.push([ring]);

/** Values that no codec carries, and the path of what is refused. */
export const refused: Record<string, [value: unknown, path: string]> = {
  "a function": [{ a: [() => 1] }, "$.a[0]"],
  "a symbol": [[1, Symbol("x")], "$[1]"],
  "a symbol for a key": [{ a: { [Symbol("x")]: 1 } }, "$.a"],
  "a hole": [{ a: Object.assign([], { 0: 1, 2: 3 }) }, "$.a[1]"],
  "a long array of holes": [new Array(1_000), "$[0]"],
  "an array with a name": [{ found: "abc".match(/b/) }, "$.found"],
  "a long array with a name": [[Object.assign(new Array(100).fill(1), { index: 1 })], "$[0]"],
  "an array with any name": [{ list: Object.assign([1, 2], { page: 3 }) }, "$.list"],
  "an empty array with a name": [[Object.assign([], { more: true })], "$[0]"],
  ...Object.fromEntries(
    ["-1", "1.5", "01", "1e0", "4294967295", "", " 0", "length2"].map((name) => [
      `an array with the name ${JSON.stringify(name)}`,
      [{ list: Object.assign([1, 2], { [name]: 1 }) }, "$.list"] as [unknown, string],
    ]),
  ),
  "an array with a symbol": [{ list: Object.assign([1], { [Symbol("x")]: 1 }) }, "$.list"],
  "a name in the place of an element that is not enumerable": [
    [Object.assign(Object.defineProperty([1, 2], 0, { value: 1, enumerable: false }), { a: 1 })],
    "$[0]",
  ],
  "short bytes with a name": [{ data: Object.assign(new Uint8Array(4), { mime: "x" }) }, "$.data"],
  "short bytes with a symbol": [[Object.assign(new Uint8Array(64), { [Symbol("x")]: 1 })], "$[0]"],
  "short bytes that lie about their length": [
    Object.defineProperty(new Uint8Array(4), "length", { value: 1_000, enumerable: true }),
    "$",
  ],
  "a class instance": [{ at: new Point() }, "$.at"],
  "an array of a subclass": [Numbers.of(1), "$"],
  "bytes of a subclass": [[new Bytes(1)], "$[0]"],
  "an error of a subclass": [{ e: new Failure("x") }, "$.e"],
  "a Map of a subclass": [new Table(), "$"],
  "a Map with a property": [Object.assign(new Map(), { a: 1 }), "$"],
  "a Date with a property": [[Object.assign(new Date(0), { a: 1 })], "$[0]"],
  "a cycle of objects": [cycle, "$.inner.self"],
  "a cycle of arrays": [ring, "$[0][0]"],
  "a RegExp": [{ r: /x/ }, "$.r"],
  "a URL": [new URL("http://a/"), "$"],
  "a promise": [Promise.resolve(1), "$"],
  "a WeakMap": [new WeakMap(), "$"],
  "a boxed number": [Object(1), "$"],
  "a boxed text": [Object("x"), "$"],
  "what a Date's prototype is": [Object.create(Date.prototype), "$"],
  "what has a Map's prototype": [Object.create(Map.prototype), "$"],
  "what has an Error's prototype": [Object.create(Error.prototype), "$"],
  "a Date in a proxy": [new Proxy(new Date(0), {}), "$"],
  toJSON: [{ a: { toJSON: () => 1 } }, "$.a.toJSON"],
  "a name that changes prototypes": [JSON.parse('{"a":{"__proto__":{"b":1}}}'), "$.a.__proto__"],
  "the value of a Map": [new Map([["k", () => 1]]), '$.get("k")'],
  "the key of a Map": [new Map([[() => 1, 1]]), "$.keys()[0]"],
  "a member of a Set": [new Set([1, Symbol("x")]), "$.values()[1]"],
  "the cause of an error": [new Error("x", { cause: () => 1 }), "$.cause"],
  "a name that is no word": [{ "a b": { "": [() => 1] } }, '$["a b"][""][0]'],
  "a getter that throws": [
    {
      get a() {
        throw new Error("no");
      },
    },
    "$",
  ],
  "what the language calls Math": [{ m: Math }, "$.m"],
  "an arguments object": [
    (function () {
      // biome-ignore lint/complexity/noArguments: it is what is tested
      return arguments;
    })(),
    "$",
  ],
};

/** Whether `b` is what `a` is, in every way that assert.deepStrictEqual does not look at as well. */
export function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  const proto = Object.getPrototypeOf(a);
  if (proto !== Object.getPrototypeOf(b)) return false;
  if (a instanceof Date) return Object.is(a.getTime(), (b as Date).getTime());
  if (a instanceof Map) return same([...a], [...(b as Map<unknown, unknown>)]);
  if (a instanceof Set) return same([...a], [...(b as Set<unknown>)]);
  if (a instanceof ArrayBuffer) return same(new Uint8Array(a), new Uint8Array(b as ArrayBuffer));
  if (a instanceof DataView) {
    const bytes = (view: DataView) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    return same(bytes(a), bytes(b as DataView));
  }
  if (a instanceof Error) {
    const parts = (error: Error) =>
      ["message", "cause", "errors"].map((name) => Object.getOwnPropertyDescriptor(error, name)?.value);
    if (!same(parts(a), parts(b as Error))) return false;
  }
  const keys = Reflect.ownKeys(a).filter((key) => Object.prototype.propertyIsEnumerable.call(a, key));
  const others = Reflect.ownKeys(b).filter((key) => Object.prototype.propertyIsEnumerable.call(b, key));
  if (Array.isArray(a) && a.length !== (b as unknown[]).length) return false;
  return (
    keys.length === others.length &&
    keys.every(
      (key) =>
        Object.hasOwn(b, key) &&
        same((a as Record<PropertyKey, unknown>)[key], (b as Record<PropertyKey, unknown>)[key]),
    )
  );
}

const SURROGATES = 0x800;
const FIRST_SURROGATE = 0xd800;

/**
 * Any code point but halves of pairs: what fast-check's unit "binary" is, which takes seconds to write a million characters
 * down before the first one comes.
 */
export const anyCharacter: fc.Arbitrary<string> = fc.integer({ min: 0, max: 0x10ffff - SURROGATES }).map(
  (place) => String.fromCodePoint(place < FIRST_SURROGATE ? place : place + SURROGATES),
  (character) => {
    const code = typeof character === "string" ? character.codePointAt(0) : undefined;
    if (code === undefined || String.fromCodePoint(code) !== character) throw new Error("not one character");
    if (code >= FIRST_SURROGATE && code < FIRST_SURROGATE + SURROGATES) throw new Error("half of a pair");
    return code < FIRST_SURROGATE ? code : code - SURROGATES;
  },
);

/** Anything at all: what is carried, what is refused, one in the other. */
export const anyValue: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.oneof(
      fc.constantFrom<unknown>(undefined, null, true, false, -0, Number.NaN, Number.POSITIVE_INFINITY),
      fc.double(),
      fc.integer(),
      fc.bigInt(),
      fc.string({ unit: anyCharacter }),
      fc.string({ unit: fc.constantFrom("\ud800", "\udc00", "a", '"', "\\", "$") }),
      fc.date({ noInvalidDate: false }),
      fc.uint8Array(),
      fc.float64Array(),
      fc.bigInt64Array(),
      fc.constantFrom<unknown>(...Object.values(carried)),
      fc.constantFrom<unknown>(...Object.values(refused).map(([value]) => value)),
    ),
    fc.array(tie("value")),
    fc.dictionary(fc.oneof(fc.string(), fc.constantFrom("$", "__proto__", "0")), tie("value"), {
      noNullPrototype: false,
    }),
    fc.array(fc.tuple(tie("value"), tie("value"))).map((entries) => new Map(entries)),
    fc.array(tie("value")).map((members) => new Set(members)),
    fc.tuple(fc.string(), tie("value")).map(([message, cause]) => new SyntaxError(message, { cause })),
    fc.array(tie("value"), { minLength: 1 }).map((items) => {
      const sparse = [...items];
      delete sparse[items.length >> 1];
      return sparse;
    }),
  ),
})).value;
