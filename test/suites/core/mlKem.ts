// ML-KEM-768: vectors and comparisons on the build that the runtime chooses; arguments; wiping.

import assert from "node:assert/strict";
import * as module from "../../../src/core/mlKem768.ts";
import * as crypto from "../../../src/core/wasmModule.ts";
import { test } from "../../support/harness.ts";
import { randomBytes, registerMlKemTests } from "../../support/mlKemTests.ts";

const { mlKem768Decapsulate, mlKem768Encapsulate, mlKem768EncapsulateInternal, mlKem768KeyPair } = module;
const { memory, POOL, POOL_SLOT_BYTES, POOL_SLOTS, STAGING } = crypto;

registerMlKemTests(module, crypto);

test("bad arguments are named", () => {
  const { encapsulationKey, decapsulationKey } = mlKem768KeyPair();
  const { ciphertext } = mlKem768Encapsulate(encapsulationKey);
  const bad = (length: number): unknown[] => [
    null,
    "a".repeat(length),
    new Uint8Array(0),
    new Uint8Array(length - 1),
    new Uint8Array(length + 1),
    [],
    new Uint16Array(length),
  ];
  const refused = (name: string, length: number) => ({
    code: "ERR_INVALID_ARGUMENT",
    message: `${name} must be a Uint8Array of ${length} bytes`,
  });
  for (const value of bad(64) as Uint8Array[]) {
    assert.throws(() => mlKem768KeyPair(value), refused("seed", 64));
  }
  for (const value of [undefined, ...bad(1_184)] as Uint8Array[]) {
    assert.throws(() => mlKem768Encapsulate(value), refused("encapsulationKey", 1_184));
  }
  for (const value of bad(32) as Uint8Array[]) {
    assert.throws(() => mlKem768EncapsulateInternal(encapsulationKey, value), refused("m", 32));
  }
  for (const value of [undefined, ...bad(2_400)] as Uint8Array[]) {
    assert.throws(() => mlKem768Decapsulate(value, ciphertext), refused("decapsulationKey", 2_400));
  }
  for (const value of [undefined, ...bad(1_088)] as Uint8Array[]) {
    assert.throws(() => mlKem768Decapsulate(decapsulationKey, value), refused("ciphertext", 1_088));
  }
});

test("every other length of a key or ciphertext is refused", () => {
  const { encapsulationKey, decapsulationKey } = mlKem768KeyPair();
  const { ciphertext } = mlKem768Encapsulate(encapsulationKey);
  const code = { code: "ERR_INVALID_ARGUMENT" };
  for (let length = 0; length <= 2_600; length++) {
    const bytes = new Uint8Array(length);
    if (length !== 64) assert.throws(() => mlKem768KeyPair(bytes), code);
    if (length !== 1_184) assert.throws(() => mlKem768Encapsulate(bytes), code);
    if (length !== 2_400) assert.throws(() => mlKem768Decapsulate(bytes, ciphertext), code);
    if (length !== 1_088) assert.throws(() => mlKem768Decapsulate(decapsulationKey, bytes), code);
  }
});

test("linear memory is after every call what it was before: nothing of a key or secret stays", () => {
  const poolEnd = POOL + POOL_SLOTS * POOL_SLOT_BYTES;
  const regions = [
    [0, STAGING + 0x4000],
    [poolEnd, poolEnd + 0x20000],
  ] as const;
  const before = regions.map(([from, to]) => memory.slice(from, to));
  const same = (what: string) => {
    for (const [i, [from, to]] of regions.entries()) {
      assert.ok(Buffer.from(memory.subarray(from, to)).equals(before[i]!), what);
    }
  };
  for (let i = 0; i < 3; i++) {
    const { encapsulationKey, decapsulationKey } = mlKem768KeyPair();
    same("mlKem768KeyPair");
    const { ciphertext } = mlKem768Encapsulate(encapsulationKey);
    same("mlKem768Encapsulate");
    assert.throws(() => mlKem768Encapsulate(new Uint8Array(1_184).fill(255)), {
      code: "ERR_WEAK_PUBLIC_KEY",
    });
    same("mlKem768Encapsulate of a key that fails the check");
    mlKem768Decapsulate(decapsulationKey, ciphertext);
    same("mlKem768Decapsulate");
    mlKem768Decapsulate(decapsulationKey, randomBytes(1_088));
    same("mlKem768Decapsulate of another ciphertext");
    assert.throws(() => mlKem768Decapsulate(new Uint8Array(2_400), ciphertext), {
      code: "ERR_INVALID_ARGUMENT",
    });
    same("mlKem768Decapsulate with a key that fails the check");
  }
});

test("arguments are only read, results are memory of their own", () => {
  const seed = randomBytes(64);
  const { encapsulationKey, decapsulationKey } = mlKem768KeyPair(seed);
  const { ciphertext, sharedSecret } = mlKem768Encapsulate(encapsulationKey);
  const args = [seed, encapsulationKey, decapsulationKey, ciphertext];
  const copies = args.map((bytes) => bytes.slice());
  const kept = sharedSecret.slice();
  mlKem768Decapsulate(decapsulationKey, ciphertext);
  mlKem768Encapsulate(encapsulationKey);
  mlKem768KeyPair();
  assert.deepEqual(args, copies);
  assert.deepEqual(sharedSecret, kept);
  for (const bytes of [encapsulationKey, decapsulationKey, ciphertext, sharedSecret]) {
    assert.equal(bytes.buffer.byteLength, bytes.length);
  }
  // Views with an offset and Node's Buffer are as good.
  const framed = new Uint8Array(4_000);
  framed.set(decapsulationKey, 7);
  framed.set(ciphertext, 2_500);
  assert.deepEqual(
    mlKem768Decapsulate(framed.subarray(7, 2_407), Buffer.from(framed.buffer, 2_500, 1_088)),
    kept,
  );
});

test("fresh keys and secrets differ", () => {
  const seen = new Set<string>();
  for (let i = 0; i < 50; i++) {
    const { encapsulationKey } = mlKem768KeyPair();
    const { ciphertext, sharedSecret } = mlKem768Encapsulate(encapsulationKey);
    for (const bytes of [encapsulationKey, ciphertext, sharedSecret]) seen.add(bytes.join());
  }
  assert.equal(seen.size, 150);
});
