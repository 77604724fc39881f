// Base64 and base64url against Node's, every character, every length.

import assert from "node:assert/strict";
import { decodeBase64, encodeBase64 } from "../../../src/core/base64.ts";
import { test } from "../../support/harness.ts";
import { randomBytes } from "../../support/x25519Tests.ts";

test("bytes of every length up to 200 become the text that Buffer makes of them, and back", () => {
  for (let length = 0; length <= 200; length++) {
    const bytes = randomBytes(length);
    const text = Buffer.from(bytes).toString("base64url");
    assert.equal(encodeBase64(bytes), text);
    assert.deepEqual(decodeBase64(text), bytes);
    assert.deepEqual(decodeBase64(Buffer.from(bytes).toString("base64").replace(/=+$/, "")), bytes);
  }
});

test("every pair of bytes has one text, every other last character is refused", () => {
  const alphabet = encodeBase64(Uint8Array.from({ length: 48 }, (_, i) => [0x00, 0x10, 0x83][i % 3]! + i));
  assert.equal(alphabet.length, 64);
  const characters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  for (const last of characters) {
    for (const before of ["AA", "A"]) {
      const decoded = decodeBase64(before + last);
      const unused = before === "AA" ? 3 : 15;
      const isOne = (characters.indexOf(last) & unused) === 0;
      assert.equal(decoded !== undefined, isOne, before + last);
      if (decoded !== undefined) assert.equal(encodeBase64(decoded), before + last);
    }
  }
});

test("of all characters, those of both alphabets are taken and no other", () => {
  for (let code = 0; code < 0x10000; code++) {
    const character = String.fromCharCode(code);
    const expected = /[A-Za-z0-9+/_-]/.test(character);
    for (const text of [`AAA${character}`, `${character}AAA`]) {
      assert.equal(decodeBase64(text) !== undefined, expected, `U+${code.toString(16)}`);
    }
  }
  for (const length of [1, 5, 41]) assert.equal(decodeBase64("A".repeat(length)), undefined);
});
