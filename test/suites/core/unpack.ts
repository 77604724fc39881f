// The inlined builds against the files of dist, and what unpacks them against what packs: other bytes than those of the
// builds take other decisions.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { packed } from "../../../scripts/packing/packed.js";
import { decodeBase64 } from "../../../src/core/base64.ts";
import { packedBuilds, unpacker } from "../../../src/core/wasmBinary.ts";
import { moduleBuilds } from "../../../src/core/wasmBytes.ts";
import { test } from "../../support/harness.ts";
import { plainModule, relaxedModule } from "../../support/inlinedBuilds.ts";

/** Bytes of a linear congruential generator; `symbols` of them differ, so that fewer pack better. */
function noise(length: number, symbols: number, seed = 1): Uint8Array {
  let state = seed;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 16) % symbols;
  });
}

const compiled = new WebAssembly.Module(decodeBase64(unpacker)!);

/** What a text becomes, asked for in pieces of these lengths. */
function unpacked(text: string, lengths: readonly number[]): Uint8Array {
  const { memory, input, output, unpack } = new WebAssembly.Instance(compiled).exports as unknown as {
    memory: WebAssembly.Memory;
    input: WebAssembly.Global;
    output: WebAssembly.Global;
    unpack(bytes: number): void;
  };
  new TextEncoder().encodeInto(text, new Uint8Array(memory.buffer, input.value));
  for (const length of lengths) unpack(length);
  const total = lengths.reduce((sum, length) => sum + length, 0);
  return new Uint8Array(memory.buffer, output.value, total);
}

test("the inlined builds are the files of dist, byte for byte", () => {
  const file = (name: string) => new Uint8Array(readFileSync(`dist/${name}`));
  assert.deepEqual(plainModule, file("sealwire.wasm"));
  assert.deepEqual(relaxedModule, file("sealwire.relaxed.wasm"));
});

test("the relaxed build comes first, and alone if nobody asks for the other", () => {
  const builds = moduleBuilds();
  const { value } = builds.next();
  assert.equal(value![0], "relaxed");
  assert.deepEqual(value![1], relaxedModule);
  // The rest of the memory that holds it is still empty.
  assert.ok(
    new Uint8Array(value![1].buffer, value![1].byteOffset + value![1].length).every((byte) => byte === 0),
  );
  builds.return(undefined);
});

test("the packed text needs no escape in a string of any kind that a minifier may choose", () => {
  assert.match(packedBuilds, /^[!-~]+$/);
  assert.doesNotMatch(packedBuilds, /["\\]/);
});

test("gives back what was packed: one byte, runs, noise, copies near and far, and what was nearly a copy", () => {
  const far = noise(9_000, 90);
  const changed = far.map((byte, i) => (i % 97 === 0 ? byte ^ 1 : byte));
  const inputs = [
    Uint8Array.of(0),
    Uint8Array.of(255),
    new Uint8Array(20_000),
    Uint8Array.from({ length: 5_000 }, (_, i) => i % 3),
    noise(3_000, 256),
    noise(3_000, 4),
    Uint8Array.from([...far, ...far, ...changed]),
    // All four last distances, in turn.
    Uint8Array.from(
      { length: 4_000 },
      (_, i) => [far[i], far[i - 100], far[i + 7], far[i - 200]][i % 4] ?? i,
    ),
  ];
  for (const [i, bytes] of inputs.entries()) {
    const text = packed(bytes);
    assert.match(text, /^[!-~]+$/);
    assert.ok(text.length < bytes.length * 1.3 + 16, `input ${i} became ${text.length} digits`);
    assert.deepEqual(unpacked(text, [bytes.length]), bytes, `input ${i}`);
    // A copy may reach over the end of what was asked for; the next call counts from that end all the same.
    const pieces = [Math.floor(bytes.length / 3), bytes.length - Math.floor(bytes.length / 3)];
    assert.deepEqual(unpacked(text, pieces), bytes, `input ${i} in two pieces`);
  }
});

test("every length around the pieces in which lengths and distances are written", () => {
  for (let length = 1; length < 140; length++) {
    const bytes = Uint8Array.from([
      ...noise(40, 256, length),
      ...new Uint8Array(length),
      ...noise(40, 256, length),
    ]);
    assert.deepEqual(unpacked(packed(bytes), [bytes.length]), bytes, `${length} zeros`);
  }
});
