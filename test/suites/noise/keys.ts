import assert from "node:assert/strict";
import { x25519PublicKey } from "../../../src/core/x25519.ts";
import {
  decodeKey,
  encodeKey,
  equalKeys,
  generateKeyPair,
  keyPairOf,
} from "../../../src/protocol/noise/keys.ts";
import { test } from "../../support/harness.ts";
import { toHex } from "../../support/vectors.ts";

test("generateKeyPair makes a matching pair, a new one each time", () => {
  const seen = new Set<string>();
  for (let i = 0; i < 20; i++) {
    const { privateKey, publicKey } = generateKeyPair();
    assert.deepEqual(publicKey, x25519PublicKey(privateKey));
    seen.add(toHex(privateKey));
  }
  assert.equal(seen.size, 20);
});

test("a key reads back from base64url, base64 and hex", () => {
  for (let fill = 0; fill < 256; fill++) {
    const key = Uint8Array.from({ length: 32 }, (_, i) => (fill + 37 * i) & 0xff);
    const base64 = btoa(String.fromCharCode(...key));
    const texts = [encodeKey(key), base64, base64.slice(0, -1), toHex(key), toHex(key).toUpperCase()];
    assert.match(texts[0]!, /^[A-Za-z0-9_-]{43}$/);
    for (const text of texts) assert.deepEqual(decodeKey("key", text), key);
    const copy = decodeKey("key", key);
    assert.deepEqual(copy, key);
    assert.notEqual(copy.buffer, key.buffer);
  }
});

test("anything else is refused by the option's name and never shown", () => {
  const good = encodeKey(new Uint8Array(32).fill(0xa5));
  const bad: unknown[] = [
    "",
    "password",
    good.slice(1),
    good + "A",
    `${good}==`,
    ` ${good}`,
    `${good}\n`,
    good.replace(/.$/, "B"), // the two spare bits are not zero
    good.replace(/^./, "é"),
    "g".repeat(64),
    new Uint8Array(31),
    new Uint8Array(33),
    new ArrayBuffer(32),
    32,
    null,
    undefined,
    {},
  ];
  for (const key of bad) {
    assert.throws(
      () => decodeKey("psk", key as string),
      (error: Error) =>
        (error as { code?: string } & Error).code === "ERR_INVALID_ARGUMENT" &&
        error.message.startsWith("psk must be 32 bytes") &&
        !(typeof key === "string" && key.length > 3 && error.message.includes(key)),
    );
  }
});

test("a static key may be given as bytes, text or pair", () => {
  const pair = generateKeyPair();
  for (const key of [pair.privateKey, encodeKey(pair.privateKey), pair, { privateKey: pair.privateKey }]) {
    assert.deepEqual(keyPairOf("staticKey", key), pair);
  }
  assert.throws(
    () => keyPairOf("staticKey", { privateKey: new Uint8Array(3) }),
    /staticKey\.privateKey must be/,
  );
  assert.throws(() => keyPairOf("staticKey", null as unknown as string), /staticKey must be/);
});

test("equalKeys sees every bit and the length", () => {
  const key = Uint8Array.from({ length: 32 }, (_, i) => i);
  assert.equal(equalKeys(key, new Uint8Array(key)), true);
  for (let bit = 0; bit < 256; bit++) {
    const other = new Uint8Array(key);
    other[bit >> 3]! ^= 1 << (bit & 7);
    assert.equal(equalKeys(key, other), false);
  }
  assert.equal(equalKeys(key, key.subarray(0, 31)), false);
});
