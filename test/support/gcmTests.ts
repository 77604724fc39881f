// AES-256-GCM on byte arrays against public vectors and independent implementations. Registered once per
// build of the core.

import assert from "node:assert/strict";
import nodeCrypto from "node:crypto";
import { gcm as noble } from "@noble/ciphers/aes.js";
import { test } from "./harness.ts";
import { fromHex, readVectors, toHex } from "./vectors.ts";

type GcmModule = typeof import("../../src/core/gcm.ts");

const ENGINES = ["wasm", "keystream", "native", "auto"] as const;

interface Wycheproof {
  testGroups: {
    tests: {
      tcId: number;
      key: string;
      iv: string;
      aad: string;
      msg: string;
      ct: string;
      tag: string;
      result: "valid" | "invalid";
    }[];
  }[];
}

export function randomBytes(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i += 65536) crypto.getRandomValues(bytes.subarray(i, i + 65536));
  return bytes;
}

export function nodeSeal(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, aad = new Uint8Array()) {
  const cipher = nodeCrypto.createCipheriv("aes-256-gcm", key, nonce);
  if (aad.length > 0) cipher.setAAD(aad);
  const body = cipher.update(plaintext);
  cipher.final();
  const sealed = new Uint8Array(plaintext.length + 16);
  sealed.set(body);
  sealed.set(cipher.getAuthTag(), plaintext.length);
  return sealed;
}

/** Around one and two pieces of core/aeadPieces.ts. */
const aroundPieces = [64_512, 129_024].flatMap((end) => [end - 1, end, end + 1]);

export function registerGcmTests({ aes256gcm }: GcmModule): void {
  for (const engine of ENGINES) {
    test(`Wycheproof: all 66 cases, modified ones refused (${engine})`, () => {
      const cases = readVectors<Wycheproof>("wycheproof-aes-256-gcm.json").testGroups.flatMap(
        (group) => group.tests,
      );
      let refused = 0;
      for (const { tcId, key, iv, aad, msg, ct, tag, result } of cases) {
        const gcm = aes256gcm(fromHex(key), engine);
        const sealed = fromHex(ct + tag);
        if (result === "valid") {
          assert.equal(toHex(gcm.seal(fromHex(iv), fromHex(msg), fromHex(aad))), ct + tag, `case ${tcId}`);
          assert.equal(toHex(gcm.open(fromHex(iv), sealed, fromHex(aad))), msg, `case ${tcId}`);
        } else {
          refused++;
          assert.throws(
            () => gcm.open(fromHex(iv), sealed, fromHex(aad)),
            { code: "ERR_DECRYPT" },
            `case ${tcId}`,
          );
        }
        assert.equal(toHex(sealed), ct + tag, "what is opened is only read");
        gcm.destroy();
      }
      assert.equal(cases.length, 66);
      assert.ok(refused > 0 && refused < 66);
    });

    test(`random messages and AAD: as node:crypto and @noble/ciphers say (${engine})`, () => {
      const lengths = [0, 1, 15, 16, 17, 63, 64, 191, 192, 193, 255, 256, 257, 1404, 4095, 8160, 8161, 20000];
      for (const length of lengths) {
        for (const aadLength of [0, 1, 16, 20, 300]) {
          const key = randomBytes(32);
          const nonce = randomBytes(12);
          const plaintext = randomBytes(length);
          const aad = randomBytes(aadLength);
          const gcm = aes256gcm(key, engine);
          const sealed = gcm.seal(nonce, plaintext, aad);
          const what = `${length} bytes, AAD of ${aadLength}`;
          assert.deepEqual(sealed, nodeSeal(key, nonce, plaintext, aad), what);
          if (length <= 1404) assert.deepEqual(sealed, noble(key, nonce, aad).encrypt(plaintext), what);
          assert.deepEqual(gcm.open(nonce, sealed, aad), plaintext, what);
          gcm.destroy();
        }
      }
    });

    test(`every length 0-300 (${engine})`, () => {
      const key = randomBytes(32);
      const gcm = aes256gcm(key, engine);
      for (let length = 0; length <= 300; length++) {
        const nonce = randomBytes(12);
        const plaintext = randomBytes(length);
        const sealed = gcm.seal(nonce, plaintext);
        assert.deepEqual(sealed, nodeSeal(key, nonce, plaintext), `${length} bytes`);
        assert.deepEqual(gcm.open(nonce, sealed), plaintext, `${length} bytes`);
      }
      gcm.destroy();
    });

    test(`messages of several pieces (${engine})`, () => {
      const key = randomBytes(32);
      const gcm = aes256gcm(key, engine);
      for (const length of [...aroundPieces, 65535, 65536, 65537, 131072, 300001, 1048576]) {
        const nonce = randomBytes(12);
        const plaintext = randomBytes(length);
        const aad = randomBytes(length === 300001 ? 70000 : 5);
        const sealed = gcm.seal(nonce, plaintext, aad);
        // deepEqual of large arrays is slow in some runtimes.
        assert.ok(Buffer.compare(sealed, nodeSeal(key, nonce, plaintext, aad)) === 0, `${length} bytes`);
        assert.ok(Buffer.compare(gcm.open(nonce, sealed, aad), plaintext) === 0, `${length} bytes`);
        sealed[length - 1]! ^= 1;
        assert.throws(() => gcm.open(nonce, sealed, aad), { code: "ERR_DECRYPT" });
      }
      gcm.destroy();
    });

    test(`every flipped bit of tag, ciphertext, nonce and AAD is refused (${engine})`, () => {
      const gcm = aes256gcm(randomBytes(32), engine);
      const nonce = randomBytes(12);
      const aad = randomBytes(7);
      const sealed = gcm.seal(nonce, randomBytes(37), aad);
      for (const input of [sealed, nonce, aad]) {
        for (let bit = 0; bit < 8 * input.length; bit++) {
          input[bit >> 3]! ^= 1 << (bit & 7);
          assert.throws(() => gcm.open(nonce, sealed, aad), { code: "ERR_DECRYPT" });
          input[bit >> 3]! ^= 1 << (bit & 7);
        }
      }
      for (let length = 0; length < sealed.length; length++) {
        assert.throws(() => gcm.open(nonce, sealed.subarray(0, length), aad), { code: "ERR_DECRYPT" });
      }
      assert.equal(gcm.open(nonce, sealed, aad).length, 37);
      gcm.destroy();
    });
  }

  test("the block counter carries through all of its bytes that a message reaches", () => {
    const key = randomBytes(32);
    const nonce = randomBytes(12);
    // 65,536 blocks and more, so that the third byte of the counter changes.
    const plaintext = randomBytes(16 * 65536 + 100);
    const gcm = aes256gcm(key, "wasm");
    assert.ok(Buffer.compare(gcm.seal(nonce, plaintext), nodeSeal(key, nonce, plaintext)) === 0);
    gcm.destroy();
  });

  test("arguments are checked, by name", () => {
    const gcm = aes256gcm(new Uint8Array(32));
    const nonce = new Uint8Array(12);
    const bytes = new Uint8Array(20);
    const wrong = (body: () => unknown, name: string) =>
      assert.throws(body, (error: Error & { code?: string }) => {
        assert.equal(error.code, "ERR_INVALID_ARGUMENT");
        assert.ok(error.message.startsWith(name), error.message);
        return true;
      });
    for (const key of [
      new Uint8Array(31),
      new Uint8Array(33),
      "x".repeat(32),
      undefined,
      new ArrayBuffer(32),
    ]) {
      wrong(() => aes256gcm(key as Uint8Array), "key");
    }
    wrong(() => aes256gcm(new Uint8Array(32), "fast" as "auto"), "engine");
    for (const bad of [new Uint8Array(11), new Uint8Array(13), null, [1, 2]]) {
      wrong(() => gcm.seal(bad as Uint8Array, bytes), "nonce");
      wrong(() => gcm.open(bad as Uint8Array, bytes), "nonce");
    }
    wrong(() => gcm.seal(nonce, "text" as unknown as Uint8Array), "plaintext");
    wrong(() => gcm.open(nonce, new Uint16Array(20) as unknown as Uint8Array), "sealed");
    wrong(() => gcm.seal(nonce, bytes, "aad" as unknown as Uint8Array), "aad");
    wrong(() => gcm.open(nonce, bytes, 5 as unknown as Uint8Array), "aad");
    gcm.destroy();
    gcm.destroy();
    assert.throws(() => gcm.seal(nonce, bytes), { code: "ERR_CLOSED" });
    assert.throws(() => gcm.open(nonce, bytes), { code: "ERR_CLOSED" });
  });
}
