// A view of linear memory that serves again.

import assert from "node:assert/strict";
import { lastView } from "../../../src/core/lastView.ts";
import { memory, STAGING } from "../../../src/core/wasmModule.ts";
import { test } from "../../support/harness.ts";

test("the same bytes give the same view, other bytes another one", () => {
  const view = lastView();
  const other = lastView();
  let last: Uint8Array = new Uint8Array(0);
  for (const [start, end] of [
    [0, 10],
    [5, 10],
    [5, 12],
    [0, 10],
    [0, 0],
    [3, 3],
  ] as const) {
    const found = view(STAGING + start, STAGING + end);
    assert.notEqual(found, last);
    last = found;
    assert.deepEqual(
      [found.buffer, found.byteOffset, found.length],
      [memory.buffer, STAGING + start, end - start],
    );
    assert.equal(view(STAGING + start, STAGING + end), found);
    assert.notEqual(other(STAGING + start, STAGING + end), found);
  }
});
