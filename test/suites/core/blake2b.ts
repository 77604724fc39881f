// BLAKE2b against its known answers and @noble/hashes; every two-part split; arguments; wiping.

import assert from "node:assert/strict";
import nodeCrypto from "node:crypto";
import { blake2b as noble } from "@noble/hashes/blake2.js";
import { Blake2b, blake2b } from "../../../src/core/blake2b.ts";
import { memory, STAGING, STAGING_BYTES } from "../../../src/core/wasmModule.ts";
import { test } from "../../support/harness.ts";
import { fromHex, readVectors, toHex } from "../../support/vectors.ts";
import { randomBytes } from "../../support/x25519Tests.ts";

interface KnownAnswer {
  in: string;
  key: string;
  out: string;
}

test("the 512 known answers, one-shot and byte by byte", () => {
  const cases = readVectors<KnownAnswer[]>("blake2b-kat.json");
  for (const { in: input, key, out } of cases) {
    const options = { key: fromHex(key) };
    assert.equal(toHex(blake2b(fromHex(input), options)), out);
    const hash = new Blake2b(options);
    for (const byte of fromHex(input)) hash.update(Uint8Array.of(byte));
    assert.equal(toHex(hash.digest()), out);
  }
  assert.equal(cases.length, 512);
  assert.equal(cases.filter(({ key }) => key !== "").length, 256);
});

test("RFC 7693 appendix A: abc", () => {
  assert.equal(
    toHex(blake2b(new TextEncoder().encode("abc"))),
    "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1" +
      "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923",
  );
});

test("RFC 7693 appendix E: the self-test over digest lengths, input lengths and keys", () => {
  // Deterministic sequence of appendix E (selftest_seq).
  const sequence = (length: number, seed: number) => {
    const out = new Uint8Array(length);
    let a = Math.imul(0xdead4bad, seed) >>> 0;
    let b = 1;
    for (let i = 0; i < length; i++) {
      const t = (a + b) >>> 0;
      a = b;
      b = t;
      out[i] = t >>> 24;
    }
    return out;
  };
  const total = new Blake2b({ length: 32 });
  for (const length of [20, 32, 48, 64]) {
    for (const inputLength of [0, 3, 128, 129, 255, 1024]) {
      const input = sequence(inputLength, inputLength);
      total.update(blake2b(input, { length }));
      total.update(blake2b(input, { length, key: sequence(length, length) }));
    }
  }
  assert.equal(toHex(total.digest()), "c23a7800d98123bd10f506c61e29da5603d763b8bbad2e737f5e765a7bccd475");
});

test("every digest length, with keys of every length, as @noble/hashes says", () => {
  for (let length = 1; length <= 64; length++) {
    const input = randomBytes((length * 37) % 400);
    assert.deepEqual(blake2b(input, { length }), Uint8Array.from(noble(input, { dkLen: length })));
    const key = randomBytes(length);
    const keyed = blake2b(input, { length, key });
    assert.deepEqual(keyed, Uint8Array.from(noble(input, { dkLen: length, key })));
    assert.deepEqual(new Blake2b({ length, key }).update(input).digest(), keyed);
  }
  assert.deepEqual(blake2b(new Uint8Array(3), { key: new Uint8Array(0) }), blake2b(new Uint8Array(3)));
});

test("every input length up to 3 blocks and 1, as @noble/hashes says", () => {
  const input = randomBytes(385);
  for (let length = 0; length <= 385; length++) {
    const part = input.subarray(0, length);
    assert.deepEqual(blake2b(part), Uint8Array.from(noble(part)));
  }
});

test("every two-part split of every length up to 3 blocks and 1 equals the one-shot digest", {
  timeoutMs: 120_000,
}, () => {
  const input = randomBytes(385);
  for (let length = 0; length <= 385; length++) {
    const whole = input.subarray(0, length);
    const expected = toHex(blake2b(whole));
    for (let split = 0; split <= length; split++) {
      const digest = new Blake2b().update(whole.subarray(0, split)).update(whole.subarray(split)).digest();
      if (toHex(digest) !== expected) assert.fail(`length ${length} split at ${split}`);
    }
  }
});

test("many parts of random lengths, keyed and not, and several hashes open at a time", () => {
  const hashes: { hash: Blake2b; key: Uint8Array; parts: Uint8Array[] }[] = [];
  for (let i = 0; i < 40; i++) {
    const key = randomBytes(i % 3 === 0 ? 0 : i);
    hashes.push({ hash: new Blake2b({ key, length: i + 1 }), key, parts: [] });
  }
  for (let round = 0; round < 30; round++) {
    for (const { hash, parts } of hashes) {
      const part = randomBytes(Math.floor(Math.random() * 300));
      parts.push(part);
      assert.equal(hash.update(part), hash);
    }
  }
  hashes.forEach(({ hash, key, parts }, i) => {
    const input = Uint8Array.from(Buffer.concat(parts));
    const expected = noble(input, { dkLen: i + 1, ...(key.length > 0 ? { key } : {}) });
    assert.deepEqual(hash.digest(), Uint8Array.from(expected));
  });
});

test("inputs around and above the staging window", () => {
  for (const length of [
    STAGING_BYTES - 1025,
    STAGING_BYTES - 1024,
    STAGING_BYTES - 1023,
    2 * STAGING_BYTES + 5,
  ]) {
    const input = new Uint8Array(length);
    for (let i = 0; i < length; i += 997) input[i] = i;
    const key = randomBytes(32);
    const expected = nodeCrypto.createHash("blake2b512").update(input).digest();
    assert.deepEqual(blake2b(input), Uint8Array.from(expected));
    assert.deepEqual(
      new Blake2b().update(input.subarray(0, 77)).update(input.subarray(77)).digest(),
      blake2b(input),
    );
    assert.deepEqual(new Blake2b({ key }).update(input).digest(), blake2b(input, { key }));
  }
});

test("bad arguments are named", () => {
  const code = "ERR_INVALID_ARGUMENT";
  const bytes = new Uint8Array(8);
  for (const input of [undefined, null, "text", [1, 2], new ArrayBuffer(8), 5] as unknown as Uint8Array[]) {
    assert.throws(() => blake2b(input), { code, message: "input must be a Uint8Array" });
    assert.throws(() => new Blake2b().update(input), { code, message: "bytes must be a Uint8Array" });
  }
  for (const length of [0, 65, -1, 1.5, Number.NaN, "32", null] as number[]) {
    assert.throws(() => blake2b(bytes, { length }), {
      code,
      message: "length must be an integer from 1 to 64",
    });
    assert.throws(() => new Blake2b({ length }), { code, message: /^length / });
  }
  for (const key of [new Uint8Array(65), "key", null, [1]] as Uint8Array[]) {
    assert.throws(() => blake2b(bytes, { key }), { code, message: /^key / });
    assert.throws(() => new Blake2b({ key }), { code, message: /^key / });
  }
  for (const options of [null, 64, "x"] as unknown as object[]) {
    assert.throws(() => blake2b(bytes, options), { code, message: /^options / });
  }
});

test("a finished or destroyed hash refuses to go on", () => {
  const code = "ERR_CLOSED";
  const finished = new Blake2b().update(new Uint8Array(3));
  finished.digest();
  const destroyed = new Blake2b({ key: randomBytes(32) });
  destroyed.destroy();
  destroyed.destroy();
  for (const hash of [finished, destroyed]) {
    assert.throws(() => hash.update(new Uint8Array(1)), { code });
    assert.throws(() => hash.digest(), { code });
    hash.destroy();
  }
});

test("linear memory is after every call what it was before: no key, input or digest stays", () => {
  const end = STAGING + STAGING_BYTES;
  const before = memory.slice(0, end);
  const same = (what: string) => {
    assert.equal(Buffer.compare(memory.subarray(0, end), before), 0, what);
  };
  const key = randomBytes(64);
  for (const length of [0, 1, 128, 129, 5000, STAGING_BYTES + 77]) {
    const input = new Uint8Array(length).fill(0xa5);
    blake2b(input, { key, length: 33 });
    same(`one-shot, ${length} bytes`);
    const hash = new Blake2b({ key });
    same("constructor");
    hash.update(input).update(key);
    same(`update, ${length} bytes`);
    hash.digest();
    same("digest");
    const dropped = new Blake2b({ key }).update(input);
    dropped.destroy();
    same("destroy");
    assert.throws(() => hash.update(input), { code: "ERR_CLOSED" });
    same("update after digest");
  }
});
