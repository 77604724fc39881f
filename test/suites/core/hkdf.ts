// HMAC-BLAKE2b and Noise's HKDF against @noble/hashes and node:crypto; arguments; wiping.

import assert from "node:assert/strict";
import nodeCrypto from "node:crypto";
import { blake2b as nobleBlake2b } from "@noble/hashes/blake2.js";
import { hmac as nobleHmac } from "@noble/hashes/hmac.js";
import { hkdfBlake2b, hmacBlake2b } from "../../../src/core/blake2b.ts";
import { memory, STAGING, STAGING_BYTES } from "../../../src/core/wasmModule.ts";
import { test } from "../../support/harness.ts";
import { randomBytes } from "../../support/x25519Tests.ts";

const reference = (key: Uint8Array, data: Uint8Array) => Uint8Array.from(nobleHmac(nobleBlake2b, key, data));

/** Noise revision 34, section 4.3, written out over the reference HMAC. */
function referenceHkdf(chainingKey: Uint8Array, material: Uint8Array, outputs: number): Uint8Array[] {
  const tempKey = reference(chainingKey, material);
  const result: Uint8Array[] = [];
  let previous = new Uint8Array(0);
  for (let i = 1; i <= outputs; i++) {
    previous = reference(tempKey, Uint8Array.from([...previous, i]));
    result.push(previous);
  }
  return result;
}

test("HMAC: keys of every length around the block, data of many lengths, as @noble/hashes says", () => {
  for (const keyLength of [0, 1, 31, 32, 63, 64, 65, 127, 128, 129, 200, 256, 1000]) {
    for (const dataLength of [0, 1, 32, 64, 127, 128, 129, 256, 257, 1000]) {
      const key = randomBytes(keyLength);
      const data = randomBytes(dataLength);
      assert.deepEqual(hmacBlake2b(key, data), reference(key, data), `key ${keyLength}, data ${dataLength}`);
    }
  }
});

test("HMAC of data around and above the staging window, as node:crypto says", () => {
  for (const length of [STAGING_BYTES - 1024, STAGING_BYTES - 1023, 2 * STAGING_BYTES + 9]) {
    const data = new Uint8Array(length).fill(3);
    for (const key of [randomBytes(64), randomBytes(300)]) {
      // Bun's createHmac knows no BLAKE2b: the two hashes are written out.
      const block = new Uint8Array(128);
      block.set(key.length > 128 ? nodeCrypto.createHash("blake2b512").update(key).digest() : key);
      const hash = (pad: number, rest: Uint8Array) =>
        nodeCrypto
          .createHash("blake2b512")
          .update(block.map((byte) => byte ^ pad))
          .update(rest)
          .digest();
      assert.deepEqual(hmacBlake2b(key, data), Uint8Array.from(hash(0x5c, hash(0x36, data))));
    }
  }
});

test("HKDF: two and three outputs of empty, 32-byte, 64-byte and longer material", () => {
  for (const length of [0, 1, 32, 64, 127, 128, 129, 300, 65_536]) {
    for (const outputs of [2, 3] as const) {
      const chainingKey = randomBytes(64);
      const material = randomBytes(length);
      assert.deepEqual(
        hkdfBlake2b(chainingKey, material, outputs),
        referenceHkdf(chainingKey, material, outputs),
        `${length} bytes, ${outputs} outputs`,
      );
    }
  }
});

test("bad arguments are named", () => {
  const code = "ERR_INVALID_ARGUMENT";
  const bytes = new Uint8Array(64);
  for (const bad of [undefined, null, "text", [1]] as unknown as Uint8Array[]) {
    assert.throws(() => hmacBlake2b(bad, bytes), { code, message: /^key / });
    assert.throws(() => hmacBlake2b(bytes, bad), { code, message: /^data / });
    assert.throws(() => hkdfBlake2b(bad, bytes, 2), { code, message: /^chainingKey / });
    assert.throws(() => hkdfBlake2b(bytes, bad, 2), { code, message: /^inputKeyMaterial / });
  }
  for (const length of [0, 63, 65]) {
    assert.throws(() => hkdfBlake2b(new Uint8Array(length), bytes, 2), { code, message: /^chainingKey / });
  }
  assert.throws(() => hkdfBlake2b(bytes, new Uint8Array(65_537), 2), { code, message: /^inputKeyMaterial / });
  for (const outputs of [0, 1, 4, undefined, "2"] as unknown as 2[]) {
    assert.throws(() => hkdfBlake2b(bytes, bytes, outputs), { code, message: "outputs must be 2 or 3" });
  }
});

test("linear memory is after every call what it was before: no key, data or output stays", () => {
  const end = STAGING + STAGING_BYTES;
  const before = memory.slice(0, end);
  const same = (what: string) => {
    assert.equal(Buffer.compare(memory.subarray(0, end), before), 0, what);
  };
  for (const length of [0, 32, 64, 200, STAGING_BYTES + 5]) {
    const data = new Uint8Array(length).fill(0x5a);
    for (const keyLength of [0, 64, 128, 129]) {
      hmacBlake2b(randomBytes(keyLength), data);
      same(`HMAC, key ${keyLength}, data ${length}`);
    }
    if (length > 65_536) continue;
    hkdfBlake2b(randomBytes(64), data, 2);
    hkdfBlake2b(randomBytes(64), data, 3);
    same(`HKDF, ${length}`);
  }
});
