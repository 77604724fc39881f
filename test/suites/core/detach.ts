// Freeing memory that the runtime allocated: it is gone at once, and no other memory is.

import assert from "node:assert/strict";
import { createCipheriv } from "node:crypto";
import { detach, wipeAndDetach } from "../../../src/core/detach.ts";
import { test } from "../../support/harness.ts";

test("a large buffer of its own is detached at once", () => {
  const bytes = new Uint8Array(65_536).fill(7);
  detach(bytes);
  assert.equal(bytes.length, 0);
  assert.equal(bytes.buffer.byteLength, 0);
});

test("so is what the runtime's ciphers return", () => {
  for (const [name, iv] of [
    ["aes-256-gcm", new Uint8Array(12)],
    ["aes-256-ecb", null],
  ] as const) {
    const output = createCipheriv(name, new Uint8Array(32), iv).update(new Uint8Array(65_536));
    assert.equal(output.length, 65_536);
    wipeAndDetach(output);
    assert.equal(output.length, 0, name);
  }
});

test("a part of a larger buffer stays, wiped or as it is", () => {
  const whole = new Uint8Array(100_000).fill(7);
  detach(whole.subarray(0, 65_536));
  assert.ok(whole.every((byte) => byte === 7));
  wipeAndDetach(whole.subarray(0, 65_536));
  assert.equal(whole.length, 100_000);
  assert.ok(whole.every((byte, i) => byte === (i < 65_536 ? 0 : 7)));
});

test("a short one is wiped and left to the collector", () => {
  const bytes = new Uint8Array(100).fill(7);
  wipeAndDetach(bytes);
  assert.deepEqual(bytes, new Uint8Array(100));
});
