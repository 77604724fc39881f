// The package's own UTF-8 against TextEncoder and TextDecoder.

import assert from "node:assert/strict";
import {
  decodeByHand,
  decodeStrictByHand,
  decodeStrictText,
  decodeText,
  encodeByHand,
  encodeText,
} from "../../../src/core/text.ts";
import { isShared, sharedCount } from "../../support/every.ts";
import { test } from "../../support/harness.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

test("every code point, halves of pairs included, becomes the same bytes and comes back", () => {
  for (let start = 0; start < 0x110000; start += 0x100) {
    if (!isShared(start / 0x100)) continue;
    const text = String.fromCodePoint(...Array.from({ length: 0x100 }, (_, i) => start + i));
    const bytes = encodeByHand(text);
    assert.deepEqual(bytes, encoder.encode(text));
    assert.deepEqual(encodeText(text), bytes);
    assert.equal(decodeByHand(bytes), decoder.decode(bytes));
    assert.equal(decodeText(bytes), decoder.decode(bytes));
  }
  // Halves of pairs, alone, twice and in the wrong order; byte order marks.
  const [high, low, mark] = [0xd83d, 0xde00, 0xfeff].map((unit) => String.fromCharCode(unit)) as [
    string,
    string,
    string,
  ];
  for (const text of ["", `a${high}`, `${low}b`, `${high}${high}${low}`, `${mark}${mark}x`]) {
    assert.deepEqual(encodeByHand(text), encoder.encode(text));
    assert.equal(decodeByHand(encodeByHand(text)), decoder.decode(encoder.encode(text)));
  }
});

test("malformed bytes become the same replacements: every pair, and random ones around the limits", () => {
  for (let pair = 0; pair < 0x10000; pair++) {
    if (!isShared(pair >> 3)) continue;
    const bytes = Uint8Array.of(pair >> 8, pair & 255);
    assert.equal(decodeByHand(bytes), decoder.decode(bytes), pair.toString(16));
  }
  const interesting = [
    0, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbb, 0xbf, 0xc1, 0xc2, 0xdf, 0xe0, 0xed, 0xef,
  ];
  interesting.push(0xf0, 0xf3, 0xf4, 0xf5, 0xff);
  for (let round = 0; round < sharedCount(20_000); round++) {
    const bytes = Uint8Array.from(
      { length: 8 },
      () => interesting[Math.floor(Math.random() * interesting.length)]!,
    );
    assert.equal(decodeByHand(bytes), decoder.decode(bytes), Buffer.from(bytes).toString("hex"));
  }
});

test("strict decoding: the text where bytes are UTF-8, else nothing; by hand and by TextDecoder", () => {
  const cases: [bytes: number[], text: string | undefined][] = [
    [[], ""],
    [[0x41, 0xc3, 0xbc], "Aü"],
    [[0xef, 0xbf, 0xbd], "\ufffd"],
    [[0xef, 0xbb, 0xbf, 0x31], "\ufeff1"],
    [[0xef, 0xbb, 0xbf, 0xef, 0xbb, 0xbf], "\ufeff\ufeff"],
    [[0xef, 0xbb], undefined],
    [[0x41, 0xff], undefined],
    [[0xed, 0xa0, 0x80], undefined],
    [[0xc0, 0x80], undefined],
  ];
  for (const [bytes, expected] of cases) {
    assert.equal(decodeStrictText(Uint8Array.from(bytes)), expected);
    assert.equal(decodeStrictByHand(Uint8Array.from(bytes)), expected);
  }
  for (let pair = 0; pair < 0x10000; pair++) {
    if (!isShared(pair >> 3)) continue;
    const bytes = Uint8Array.of(pair >> 8, pair & 255);
    assert.equal(decodeStrictByHand(bytes), decodeStrictText(bytes), pair.toString(16));
  }
});
