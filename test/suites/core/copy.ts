// Copies: the bytes are the same at every distance of source and target, and some distances are copied in pieces.

import assert from "node:assert/strict";
import {
  COPY_HAZARD_BYTES,
  COPY_PAGE_BYTES,
  COPY_STEP_BYTES,
  copyInSteps,
  copyInto,
  isSlowDistance,
} from "../../../src/core/copy.ts";
import { POOL, POOL_SLOT_BYTES } from "../../../src/core/wasmModule.ts";
import { FIRST_FRAME_AT } from "../../../src/protocol/segment.ts";
import { LENGTH_BYTES } from "../../../src/protocol/wire.ts";
import { test } from "../../support/harness.ts";

test("a target just behind its source, page for page, is at the slow distance; the first text of a slot is not", () => {
  for (let distance = 0; distance < COPY_PAGE_BYTES; distance++) {
    const expected = distance > 0 && distance < COPY_HAZARD_BYTES;
    for (const source of [0, 5, 4_095, 3 * COPY_PAGE_BYTES + 64]) {
      assert.equal(isSlowDistance(source + distance, source), expected, `${distance}`);
      assert.equal(isSlowDistance(source + distance + 7 * COPY_PAGE_BYTES, source), expected);
      assert.equal(isSlowDistance(source + distance, source + 5 * COPY_PAGE_BYTES), expected);
    }
  }
  assert.equal(POOL % COPY_PAGE_BYTES, 0);
  assert.equal(POOL_SLOT_BYTES % COPY_PAGE_BYTES, 0);
  assert.equal(isSlowDistance(POOL + FIRST_FRAME_AT + LENGTH_BYTES, 0), false);
});

test("copies at any distance and of any length around a piece are whole, and write nothing beside", () => {
  const from = crypto.getRandomValues(new Uint8Array(3 * COPY_STEP_BYTES + 200));
  const to = new Uint8Array(from.length + 300);
  const lengths = [0, 1, 1, 2, 3].flatMap((pieces) =>
    [-1, 0, 1].map((more) => pieces * COPY_STEP_BYTES + more).filter((length) => length >= 0),
  );
  for (const copy of [copyInto, copyInSteps]) {
    for (const distance of [0, 1, 16, 31, 63, 64, 65]) {
      for (const length of lengths) {
        const start = length % 100;
        to.fill(0x5c);
        copy(to, start + distance, from.subarray(start, start + length));
        const expected = new Uint8Array(to.length).fill(0x5c);
        expected.set(from.subarray(start, start + length), start + distance);
        assert.ok(Buffer.compare(to, expected) === 0, `${length} bytes at distance ${distance}`);
      }
    }
  }
});
