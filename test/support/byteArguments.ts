// Every argument that is bytes, in every form of bytes and in every form that only looks like bytes, for every function
// that an entry point exports. It also checks that a call leaves nothing in linear memory, however the call ends.

import assert from "node:assert/strict";
import vm from "node:vm";
import { SealwireError } from "../../src/base/errors.ts";
import { memory, STAGING } from "../../src/core/wasmModule.ts";
import { test } from "./harness.ts";
import { MemorySnapshot, usedMemory } from "./linearMemory.ts";
import { toHex } from "./vectors.ts";

/** Bytes by the name that errors have for the argument. */
export type ByteArguments = Record<string, Uint8Array>;

/** One way to call one exported function. */
export interface ByteCase {
  /** The export that it is about. */
  of: string;
  /** What is particular about this call, e.g. a size. */
  variant?: string;
  /** Right arguments. The same bytes every time. */
  args: ByteArguments;
  /** Calls with these. The same result for the same bytes. */
  call(args: ByteArguments): unknown;
  /** Arguments that may be text, too. */
  text?: readonly string[];
  /** Arguments that may be an object with a key in it, too. */
  objects?: readonly string[];
}

/** A call that fails for another reason than its arguments' type, or ends in another way that leaves by its own door. */
export interface EndCase {
  of: string;
  end: string;
  /** The secrets and plaintexts that it is given or makes; at least 16 bytes each. */
  run(): Uint8Array[];
}

/** Deterministic bytes that no two cases share. */
let filled = 0;
export function someBytes(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = Math.imul(++filled, 0x9e3779b1) >>> 0;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

interface ResizableBuffer extends ArrayBuffer {
  resize(bytes: number): void;
}

function resizable(bytes: number, longest: number): ResizableBuffer {
  const Constructor = ArrayBuffer as unknown as new (bytes: number, options: object) => ResizableBuffer;
  return new Constructor(bytes, { maxByteLength: longest });
}

function filledWith(target: Uint8Array, bytes: Uint8Array): Uint8Array {
  target.set(bytes);
  return target;
}

class Strange extends Uint8Array {
  // What `subarray` and `slice` would call: somebody else's code, that fails.
  static get [Symbol.species](): Uint8ArrayConstructor {
    throw new Error("somebody else's code ran");
  }
}

const otherRealm = vm.runInNewContext("(length) => new Uint8Array(length)") as (length: number) => Uint8Array;

/** The forms in which the same bytes must give the same result. */
const goodForms: Record<string, (bytes: Uint8Array) => Uint8Array> = {
  "a Buffer": (bytes) => Buffer.from(bytes),
  "a view of a larger buffer": (bytes) =>
    filledWith(new Uint8Array(new ArrayBuffer(bytes.length + 99), 33, bytes.length), bytes),
  "a subclass with a constructor that throws": (bytes) => filledWith(new Strange(bytes.length), bytes),
  "shared memory": (bytes) => filledWith(new Uint8Array(new SharedArrayBuffer(bytes.length)), bytes),
  "a resizable buffer": (bytes) =>
    filledWith(new Uint8Array(resizable(bytes.length, 2 * bytes.length + 1), 0, bytes.length), bytes),
  "a resizable buffer, as long as it is": (bytes) =>
    filledWith(new Uint8Array(resizable(bytes.length, 2 * bytes.length + 1)), bytes),
  "another realm's Uint8Array": (bytes) => filledWith(otherRealm(bytes.length), bytes),
};

/** Bytes whose `length` is another one than that of their memory, as a subclass can have it that counts bits. */
export function sayingLength(bytes: Uint8Array, length: number): Uint8Array {
  return Object.defineProperty(new Uint8Array(bytes), "length", { value: length });
}

/** Forms of the same bytes whose memory is gone, or that say another length. */
const goneForms: Record<string, (bytes: Uint8Array) => Uint8Array> = {
  "detached bytes": (bytes) => {
    const given = new Uint8Array(bytes);
    structuredClone(given, { transfer: [given.buffer] });
    return given;
  },
  "another realm's detached bytes": (bytes) => {
    const given = filledWith(otherRealm(bytes.length), bytes);
    structuredClone(given, { transfer: [given.buffer as ArrayBuffer] });
    return given;
  },
  "bytes beyond the end of their buffer": (bytes) => {
    const buffer = resizable(bytes.length, bytes.length + 1);
    const given = filledWith(new Uint8Array(buffer, 0, bytes.length), bytes);
    buffer.resize(bytes.length - 1);
    return given;
  },
  "bytes that say one more": (bytes) => sayingLength(bytes, bytes.length + 1),
  "bytes that say eight times as many": (bytes) => sayingLength(bytes, 8 * bytes.length + 8),
  "long bytes that say as many as are wanted": (bytes) =>
    sayingLength(new Uint8Array(bytes.length + 4_096), bytes.length),
  "bytes that say less than nothing": (bytes) => sayingLength(bytes, -1),
  "bytes that begin behind the end of their buffer": (bytes) => {
    const buffer = resizable(bytes.length + 8, bytes.length + 8);
    const given = filledWith(new Uint8Array(buffer, 8), bytes);
    buffer.resize(4);
    return given;
  },
};

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable(new Uint8Array(32), {});
  revoke();
  return proxy;
}

/** As a reactive framework or a membrane makes them: every property is that of the target. */
function transparentProxy(bytes: Uint8Array): Uint8Array {
  return new Proxy(bytes, { get: (target, name) => Reflect.get(target, name, target) });
}

/** What is no Uint8Array, though some of it looks like one. */
const wrongValues: [what: string, value: unknown, kind?: "text" | "object"][] = [
  ["null", null],
  ["a number", 32],
  ["a bigint", 32n],
  ["true", true],
  ["a symbol", Symbol("bytes")],
  ["text", "not a key", "text"],
  ["a function", () => new Uint8Array(32)],
  ["an object", {}, "object"],
  ["a list", [1, 2, 3], "object"],
  ["an ArrayBuffer", new ArrayBuffer(32), "object"],
  ["a DataView", new DataView(new ArrayBuffer(32)), "object"],
  ["a Uint16Array", new Uint16Array(16), "object"],
  ["a Uint8ClampedArray", new Uint8ClampedArray(32), "object"],
  ["a heir of Uint8Array.prototype", Object.create(Uint8Array.prototype)],
  [
    "a heir of Uint8Array.prototype with a length",
    Object.create(Uint8Array.prototype, { length: { value: 32 } }),
  ],
  ["a proxy of a Uint8Array", new Proxy(new Uint8Array(32), {})],
  ["a proxy that passes on everything", transparentProxy(new Uint8Array(32))],
  ["a revoked proxy", revoked(), "object"],
];

/** A result as something that can be compared: bytes as hex, whatever their class and realm. */
function comparable(result: unknown): unknown {
  if (result instanceof Uint8Array) return toHex(new Uint8Array(result));
  if (Array.isArray(result)) return result.map(comparable);
  if (typeof result === "object" && result !== null) {
    return Object.fromEntries(Object.entries(result).map(([name, value]) => [name, comparable(value)]));
  }
  return result;
}

function assertRefused(call: () => unknown, argument: string, what: string): void {
  let result: unknown;
  try {
    result = call();
  } catch (error) {
    const about = `${what} as ${argument}: ${String(error)}`;
    assert.ok(error instanceof SealwireError, `not a SealwireError: ${about}`);
    assert.equal(error.code, "ERR_INVALID_ARGUMENT", about);
    assert.ok(error.message.startsWith(argument), `names another argument: ${about}`);
    return;
  }
  assert.fail(`${what} was taken as ${argument}: ${String(result)}`);
}

/** Linear memory before the first test: what lives on (the public table of X25519) was built by then. */
let clean: MemorySnapshot | undefined;

function assertClean(what: string): void {
  clean!.assertUnchanged(what);
}

function assertAbsent(secrets: readonly Uint8Array[], what: string): void {
  const used = usedMemory();
  for (const [i, secret] of secrets.entries()) {
    assert.ok(secret.length >= 16, `${what}: secret ${i} is too short to be looked for`);
    // Half a key would be enough for an attacker, and a block of a plaintext is enough to show.
    for (let at = 0; at + 16 <= secret.length; at += 4096) {
      assert.equal(
        used.indexOf(secret.subarray(at, at + 16)),
        -1,
        `${what}: byte ${at} of secret ${i} is left`,
      );
    }
  }
}

/** Registers the tests of these cases: one for each. */
export function registerByteArgumentTests(cases: readonly ByteCase[]): void {
  for (const { of, variant, args, call, text = [], objects = [] } of cases) {
    const name = variant === undefined ? of : `${of}, ${variant}`;
    test(`${name}: bytes in every form, and what is none`, () => {
      clean ??= new MemorySnapshot();
      const expected = comparable(call(args));
      assertClean(name);
      for (const argument of Object.keys(args)) {
        const bytes = args[argument]!;
        for (const [form, make] of Object.entries(goodForms)) {
          const result = comparable(call({ ...args, [argument]: make(bytes) }));
          assert.deepEqual(result, expected, `${form} as ${argument}`);
        }
        for (const [form, make] of Object.entries(goneForms)) {
          assertRefused(() => call({ ...args, [argument]: make(bytes) }), argument, form);
        }
        for (const [what, value, kind] of wrongValues) {
          if (kind === "text" && text.includes(argument)) continue;
          if (kind === "object" && objects.includes(argument)) continue;
          assertRefused(() => call({ ...args, [argument]: value as Uint8Array }), argument, what);
        }
      }
      assertClean(name);
      const secrets = Object.values(args).filter((bytes) => bytes.length >= 16);
      assertAbsent(secrets, name);
    });
  }
}

/** Registers a test for each of these ends: nothing is left in linear memory. */
export function registerEndTests(ends: readonly EndCase[]): void {
  test("the search in linear memory finds what is there", () => {
    clean ??= new MemorySnapshot();
    const [secret, at] = [someBytes(32), STAGING + 4_096];
    memory.set(secret, at);
    assert.throws(() => assertClean("a secret"), new RegExp(`first at 0x${at.toString(16)}`));
    assert.throws(() => assertAbsent([secret], "a secret"), /byte 0 of secret 0 is left/);
    memory.fill(0, at, at + secret.length);
    assertClean("nothing");
    assertAbsent([secret], "nothing");
  });
  for (const { of, end, run } of ends) {
    test(`${of}, ${end}: nothing is left in linear memory`, () => {
      clean ??= new MemorySnapshot();
      const secrets = run();
      assertClean(`${of}, ${end}`);
      assertAbsent(secrets, `${of}, ${end}`);
    });
  }
}

/** Every value that these modules export is the subject of a case, or named here as one that takes no bytes. */
export function registerCoverageTest(
  exported: Record<string, unknown>,
  cases: readonly { of: string }[],
  withoutBytes: readonly string[],
): void {
  test("every exported function and class has its cases", () => {
    const covered = new Set([...cases.map(({ of }) => of.replace(/[.(].*$/, "")), ...withoutBytes]);
    const missing = Object.keys(exported).filter((name) => !covered.has(name));
    assert.deepEqual(missing, []);
  });
}
