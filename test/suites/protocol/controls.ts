// The records that control requests: which of them are handed on to be sent, and what state remains.

import assert from "node:assert/strict";
import { controlsFor } from "../../../src/protocol/controls.ts";
import { decodeError, encodeError, Origin } from "../../../src/protocol/errorBody.ts";
import { test } from "../../support/harness.ts";

test("the body of an error is wiped once it was handed on, and what was handed on says everything", () => {
  const handedOn: Uint8Array[] = [];
  const copies: Uint8Array[] = [];
  const to = {
    append: (_sequence: number, _kind: number, body: Uint8Array) => {
      handedOn.push(body);
      copies.push(body.slice());
    },
  };
  const controls = controlsFor(true, to, () => 200_000);
  const data = new Uint8Array(100_000).fill(7);
  assert.equal(controls.error(1, Origin.handler, "E_SECRET", "says why", data), true);
  assert.equal(handedOn.length, 1);
  assert.ok(handedOn[0]!.every((byte) => byte === 0));
  const error = decodeError(copies[0]!);
  assert.deepEqual([error.remoteCode, error.message], ["E_SECRET", "says why"]);
  assert.deepEqual(error.data, data);
  // The caller's own bytes stay.
  assert.ok(data.every((byte) => byte === 7));
});

test("no byte of an error's text stays behind in memory, however long it is", () => {
  const { encode } = TextEncoder.prototype;
  const made: Uint8Array[] = [];
  TextEncoder.prototype.encode = function (text) {
    const bytes = encode.call(this, text);
    if (bytes.length > 1_000) made.push(bytes);
    return bytes;
  };
  try {
    for (const text of ["s".repeat(4_096), "s".repeat(100_000), "世".repeat(4_096)]) {
      const body = encodeError(Origin.handler, "E_SECRET", text);
      assert.equal(body.length, 4 + "E_SECRET".length + 4_096);
    }
  } finally {
    TextEncoder.prototype.encode = encode;
  }
  assert.equal(made.length, 3);
  for (const bytes of made) assert.ok(bytes.every((byte) => byte === 0));
});
