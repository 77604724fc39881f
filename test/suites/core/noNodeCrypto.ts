// Everything works without node:crypto, which this suite hides before the core is imported.

import assert from "node:assert/strict";
import { nodeSeal, randomBytes } from "../../support/gcmTests.ts";
import { test } from "../../support/harness.ts";
import { sealWhole } from "../../support/sealWhole.ts";

Object.defineProperty(process, "getBuiltinModule", { value: undefined, configurable: true });
const { nodeCrypto } = await import("../../../src/core/runtimeAes.ts");
const { GcmFrameCipher } = await import("../../../src/core/gcmFrameCipher.ts");
const { aes256gcm } = await import("../../../src/core/gcm.ts");
const { memory, POOL } = await import("../../../src/core/wasmModule.ts");

test("node:crypto is really hidden", () => {
  assert.equal(nodeCrypto(), undefined);
});

test("the automatic engine does everything in the module", () => {
  const key = randomBytes(32);
  const sender = new GcmFrameCipher(key, "counter-last");
  const receiver = new GcmFrameCipher(key, "counter-last");
  const gcm = aes256gcm(key);
  for (const length of [0, 100, 1404, 20_000, 65_000]) {
    const text = randomBytes(length);
    const nonce = new Uint8Array(12);
    nonce[11] = sender.counterLow;
    const expected = nodeSeal(key, nonce, text);
    const end = POOL + length + 20;
    new DataView(memory.buffer).setUint32(POOL, length + 16);
    memory.set(text, POOL + 4);
    sender.sealFrames(POOL, end, 1);
    assert.deepEqual(memory.slice(POOL + 4, end), expected);
    assert.equal(receiver.openFrames(POOL, end, 1), 1);
    assert.deepEqual(gcm.seal(nonce, text), expected);
    assert.deepEqual(gcm.open(nonce, expected), text);
  }
  const large = sealWhole(sender, new Uint8Array(5), randomBytes(200_000));
  assert.equal(receiver.openLarge([large.subarray(4)])?.length, 200_005);
  sender.rekey();
  receiver.rekey();
  assert.equal(
    receiver.openLarge([sealWhole(sender, new Uint8Array(5), new Uint8Array(0)).subarray(4)])?.length,
    5,
  );
  gcm.destroy();
  sender.destroy();
  receiver.destroy();
});

test("an engine that needs it says so", () => {
  const key = new Uint8Array(32);
  for (const engine of ["keystream", "native"] as const) {
    assert.throws(() => new GcmFrameCipher(key, "counter-last", engine), { code: "ERR_UNSUPPORTED" });
    assert.throws(() => aes256gcm(key, engine), { code: "ERR_UNSUPPORTED" });
  }
});
