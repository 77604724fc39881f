// X25519: vectors and comparisons on the build that the runtime chooses; arguments; wiping.

import assert from "node:assert/strict";
import { wasmBuild } from "../../../src/core/instantiate.ts";
import { core, memory, STAGING } from "../../../src/core/wasmModule.ts";
import * as module from "../../../src/core/x25519.ts";
import { sharedCount } from "../../support/every.ts";
import { runtimeId, test } from "../../support/harness.ts";
import { randomBytes, registerX25519Tests } from "../../support/x25519Tests.ts";

const { x25519, x25519KeyPair, x25519PublicKey } = module;

registerX25519Tests(module);

test("bad arguments are named", () => {
  const key = randomBytes(32);
  const bad: unknown[] = [
    undefined,
    null,
    "a".repeat(32),
    new Uint8Array(31),
    new Uint8Array(33),
    [],
    new Uint16Array(32),
  ];
  for (const value of bad as Uint8Array[]) {
    const refused = (name: string) => ({
      code: "ERR_INVALID_ARGUMENT",
      message: `${name} must be a Uint8Array of 32 bytes`,
    });
    assert.throws(() => x25519(value, key), refused("privateKey"));
    assert.throws(() => x25519(key, value), refused("publicKey"));
    assert.throws(() => x25519PublicKey(value), refused("privateKey"));
    if (value !== undefined) assert.throws(() => x25519KeyPair(value), refused("privateKey"));
  }
});

test("linear memory is after every call what it was before: nothing of a key or secret stays", () => {
  x25519PublicKey(randomBytes(32)); // builds the table of public multiples of the base point
  x25519(randomBytes(32), x25519PublicKey(randomBytes(32)));
  const below = STAGING + 4096;
  const before = memory.slice(0, below);
  const same = (what: string) => {
    const now = memory.subarray(0, below);
    assert.ok(
      now.every((byte, i) => byte === before[i]),
      what,
    );
  };
  for (let i = 0; i < 3; i++) {
    const pair = x25519KeyPair();
    same("x25519KeyPair");
    x25519(pair.privateKey, randomBytes(32));
    same("x25519");
    assert.throws(() => x25519(pair.privateKey, new Uint8Array(32)), { code: "ERR_WEAK_PUBLIC_KEY" });
    same("x25519 with a weak public key");
    assert.throws(() => x25519(pair.privateKey, new Uint8Array(31)), { code: "ERR_INVALID_ARGUMENT" });
    same("x25519 with a bad argument");
  }
});

test("arguments are only read, results are memory of their own", () => {
  const privateKey = randomBytes(32);
  const publicKey = x25519PublicKey(randomBytes(32));
  const copies = [privateKey.slice(), publicKey.slice()];
  const first = x25519(privateKey, publicKey);
  const kept = first.slice();
  x25519(randomBytes(32), publicKey);
  assert.deepEqual([privateKey, publicKey], copies);
  assert.deepEqual(first, kept);
  assert.equal(first.buffer.byteLength, 32);
  // Views with an offset and Node's Buffer are as good.
  const framed = new Uint8Array(100);
  framed.set(privateKey, 7);
  framed.set(publicKey, 50);
  assert.deepEqual(x25519(framed.subarray(7, 39), Buffer.from(framed.buffer, 50, 32)), kept);
});

test("the fused ladder runs where multiply-add is fused, and nowhere else", () => {
  // Node 20 has only the plain build. On x64 JavaScriptCore validates relaxed SIMD but rounds twice.
  if (runtimeId === "node20") assert.equal(wasmBuild(), "plain");
  const roundsTwice = runtimeId === "bun" && process.arch === "x64";
  if (runtimeId === "node20" || roundsTwice) assert.equal(core.x25519Fused(), 0);
  core.x25519AllowFused(0);
  assert.equal(core.x25519Fused(), 0);
  core.x25519AllowFused(1);
});

test("both ladders give the same secrets, on random and on extreme keys", () => {
  const before = core.x25519Fused();
  const extremes = [
    new Uint8Array(32).fill(255),
    new Uint8Array(32).fill(0xaa),
    new Uint8Array(32).fill(0x55),
  ];
  for (let i = 0; i < sharedCount(400); i++) {
    const privateKey = extremes[i] ?? randomBytes(32);
    const publicKey = extremes[(i + 1) % 5] ?? randomBytes(32);
    core.x25519AllowFused(1);
    const shared = x25519(privateKey, publicKey);
    core.x25519AllowFused(0);
    assert.deepEqual(x25519(privateKey, publicKey), shared);
  }
  core.x25519AllowFused(1);
  assert.equal(core.x25519Fused(), before);
});

test("both forms of the fixed-base table give the same public keys", () => {
  for (let i = 0; i < 20; i++) {
    const privateKey = randomBytes(32);
    core.x25519AllowFused(1);
    const publicKey = x25519PublicKey(privateKey);
    core.x25519AllowFused(0);
    assert.deepEqual(x25519PublicKey(privateKey), publicKey);
  }
  core.x25519AllowFused(1);
});
