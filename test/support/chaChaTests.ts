// ChaCha20-Poly1305, on byte arrays and over frames, against public vectors and @noble/ciphers. The runtime's own
// cipher is one of the engines, if there is one. Registered once per build of the core.

import assert from "node:assert/strict";
import { chacha20poly1305 as noble } from "@noble/ciphers/chacha.js";
import { randomBytes } from "./gcmTests.ts";
import { test } from "./harness.ts";
import { sealWhole } from "./sealWhole.ts";
import { isZero } from "./searchedBytes.ts";
import { fromHex, readVectors, toHex } from "./vectors.ts";

interface Modules {
  aead: typeof import("../../src/core/chaCha20Poly1305.ts");
  frames: typeof import("../../src/core/chaChaFrameCipher.ts");
  runtime: typeof import("../../src/core/runtimeChaCha.ts");
  core: typeof import("../../src/core/wasmModule.ts");
}

interface Wycheproof {
  testGroups: {
    tests: Record<"key" | "iv" | "aad" | "msg" | "ct" | "tag" | "result", string>[];
  }[];
}

const LARGE = 64_512;
/** Where the code takes another way: blocks of 16 and 64, groups of 256 behind block 0, and what is hashed two groups back. */
const BOUNDARIES = [16, 64, 128, 192, 256, 448, 512, 704, 768, 960, 1_024, 4_096, 8_000, 12_000, 16_384];
const around = (lengths: readonly number[], reach: number) =>
  lengths.flatMap((at) => Array.from({ length: 2 * reach + 1 }, (_, i) => at - reach + i));

const same = (a: Uint8Array, b: Uint8Array) => a.length === b.length && Buffer.compare(a, b) === 0;

/** Noise section 12.3. */
function nonceOf(high: number, low: number): Uint8Array {
  const nonce = new Uint8Array(12);
  const view = new DataView(nonce.buffer);
  view.setUint32(4, low, true);
  view.setUint32(8, high, true);
  return nonce;
}

/** Frames side by side: tags left 0 without a key, else sealed by @noble/ciphers with counters from (high, low) on. */
function layOut(texts: readonly Uint8Array[], key?: Uint8Array, high = 0, low = 0): Uint8Array {
  const batch = new Uint8Array(texts.reduce((sum, text) => sum + text.length + 20, 0));
  const view = new DataView(batch.buffer);
  let at = 0;
  for (const [i, text] of texts.entries()) {
    view.setUint32(at, text.length + 16);
    const next = low + i;
    const nonce = nonceOf(high + (next > 0xffffffff ? 1 : 0), next >>> 0);
    batch.set(key === undefined ? text : noble(key, nonce).encrypt(text), at + 4);
    at += text.length + 20;
  }
  return batch;
}

export function registerChaChaTests({ aead, frames, runtime, core }: Modules): void {
  const { chacha20poly1305 } = aead;
  const { ChaChaFrameCipher } = frames;
  const { memory, POOL, KEYSTREAM, KEYSTREAM_BYTES, STAGING, STAGING_BYTES } = core;
  const { CHACHA_SCRATCH, CHACHA_SCRATCH_BYTES } = core;
  const engines = (["auto", "wasm", "native"] as const).filter(
    (engine) => engine !== "native" || runtime.hasNativeChaCha(),
  );

  /** Nothing secret is left where the module and the host work. */
  function assertWiped(): void {
    for (const [from, bytes] of [
      [CHACHA_SCRATCH, CHACHA_SCRATCH_BYTES],
      [KEYSTREAM, KEYSTREAM_BYTES],
      [STAGING, STAGING_BYTES],
    ] as const) {
      const region = memory.subarray(from, from + bytes);
      assert.equal(Buffer.compare(region, new Uint8Array(bytes)), 0, "a working region is not wiped");
    }
  }

  test("RFC 8439 section 2.8.2, and the one-time key of section 2.6.2 through an empty message", () => {
    const key = Uint8Array.from({ length: 32 }, (_, i) => 0x80 + i);
    const aad = fromHex("50515253c0c1c2c3c4c5c6c7");
    const text = new TextEncoder().encode(
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
    );
    const cipher = chacha20poly1305(key, "wasm");
    const sealed = cipher.seal(fromHex("070000004041424344454647"), text, aad);
    assert.equal(toHex(sealed.subarray(0, 16)), "d31a8d34648e60db7b86afbc53ef7ec2");
    assert.equal(toHex(sealed.subarray(-16)), "1ae10b594f09e26a7e902ecbd0600691");
    cipher.destroy();
  });

  for (const engine of engines) {
    test(`Wycheproof: all 316 cases, modified ones refused (${engine})`, () => {
      const cases = readVectors<Wycheproof>("wycheproof-chacha20-poly1305.json").testGroups.flatMap(
        (group) => group.tests,
      );
      let refused = 0;
      for (const [i, { key, iv, aad, msg, ct, tag, result }] of cases.entries()) {
        const cipher = chacha20poly1305(fromHex(key!), engine);
        const sealed = fromHex(ct! + tag!);
        if (result === "valid") {
          assert.equal(toHex(cipher.seal(fromHex(iv!), fromHex(msg!), fromHex(aad!))), ct! + tag!, `${i}`);
          assert.equal(toHex(cipher.open(fromHex(iv!), sealed, fromHex(aad!))), msg, `${i}`);
        } else {
          refused++;
          const open = () => cipher.open(fromHex(iv!), sealed, fromHex(aad!));
          assert.throws(open, { code: "ERR_DECRYPT" }, `${i}`);
        }
        cipher.destroy();
        assertWiped();
      }
      assert.equal(cases.length, 316);
      assert.ok(refused > 0 && refused < 316);
    });

    test(`every length around blocks and groups, with and without AAD: as @noble/ciphers says (${engine})`, () => {
      const lengths = [...Array(300).keys(), ...around(BOUNDARIES.slice(7), 2), LARGE - 1, LARGE, LARGE + 1];
      const key = randomBytes(32);
      const cipher = chacha20poly1305(key, engine);
      for (const [i, length] of lengths.entries()) {
        const nonce = randomBytes(12);
        const text = randomBytes(length);
        const aad = randomBytes([0, 1, 15, 16, 17, 300][i % 6]!);
        const sealed = cipher.seal(nonce, text, aad);
        assert.ok(same(sealed, noble(key, nonce, aad).encrypt(text)), `${length} bytes`);
        assert.ok(same(cipher.open(nonce, sealed, aad), text), `${length} bytes`);
      }
      for (const [length, aadLength] of [
        [300_001, LARGE + 1],
        [0, 2 * LARGE],
      ] as const) {
        const [nonce, text, aad] = [randomBytes(12), randomBytes(length), randomBytes(aadLength)];
        const sealed = cipher.seal(nonce, text, aad);
        assert.ok(same(sealed, noble(key, nonce, aad).encrypt(text)), `${length} bytes`);
        assert.ok(same(cipher.open(nonce, sealed, aad), text), `${length} bytes`);
      }
      cipher.destroy();
      assertWiped();
    });

    test(`every flipped bit of tag, ciphertext, nonce and AAD is refused (${engine})`, () => {
      const cipher = chacha20poly1305(randomBytes(32), engine);
      const [nonce, aad] = [randomBytes(12), randomBytes(7)];
      const sealed = cipher.seal(nonce, randomBytes(37), aad);
      for (const input of [sealed, nonce, aad]) {
        for (let bit = 0; bit < 8 * input.length; bit++) {
          input[bit >> 3]! ^= 1 << (bit & 7);
          assert.throws(() => cipher.open(nonce, sealed, aad), { code: "ERR_DECRYPT" });
          input[bit >> 3]! ^= 1 << (bit & 7);
        }
      }
      for (let length = 0; length < sealed.length; length++) {
        assert.throws(() => cipher.open(nonce, sealed.subarray(0, length), aad), { code: "ERR_DECRYPT" });
      }
      assert.equal(cipher.open(nonce, sealed, aad).length, 37);
      cipher.destroy();
    });

    test(`frames of every length around the boundaries, at any address (${engine})`, () => {
      const key = randomBytes(32);
      const sender = new ChaChaFrameCipher(key, engine);
      const receiver = new ChaChaFrameCipher(key, engine);
      const lengths = [
        ...Array(80).keys(),
        ...around(BOUNDARIES, 2),
        65_000,
        100_000,
        262_080,
        262_081,
        300_000,
      ];
      for (const [i, length] of lengths.entries()) {
        const text = randomBytes(length);
        const expected = layOut([text], key, 0, i);
        const address = POOL + 64 + (i % 17);
        const end = address + expected.length;
        memory.fill(0x5c, address - 16, end + 16);
        memory.set(layOut([text]), address);
        sender.sealFrames(address, end, 1);
        assert.ok(same(memory.subarray(address, end), expected), `${length} bytes`);
        assert.equal(receiver.openFrames(address, end, 1), 1);
        assert.ok(same(memory.subarray(address + 4, address + 4 + length), text), `${length} bytes, opened`);
        for (let beside = 0; beside < 16; beside++) {
          assert.equal(memory[address - 1 - beside], 0x5c);
          assert.equal(memory[end + beside], 0x5c);
        }
        if (i % 16 === 0) assertWiped();
      }
      for (const cipher of [sender, receiver]) cipher.destroy();
      assertWiped();
    });

    test(`batches across the carry of the counter; one that does not authenticate stops them (${engine})`, () => {
      const key = randomBytes(32);
      const texts = [5, 0, 1_404, 64, 700, 9_000].map((length) => randomBytes(length));
      const low = 2 ** 32 - 3;
      const sealed = layOut(texts, key, 7, low);
      const sender = new ChaChaFrameCipher(key, engine);
      sender.counterHigh = 7;
      sender.counterLow = low;
      memory.set(layOut(texts), POOL);
      sender.sealFrames(POOL, POOL + sealed.length, texts.length);
      assert.ok(same(memory.subarray(POOL, POOL + sealed.length), sealed));
      assert.deepEqual([sender.counterHigh, sender.counterLow], [8, 3]);
      let start = 0;
      for (const [bad, text] of texts.entries()) {
        const tag = start + 4 + text.length;
        const spots = [...(text.length > 0 ? [start + 4, tag - 1] : []), tag, tag + 7, tag + 15];
        for (const spot of spots) {
          const damaged = sealed.slice();
          damaged[spot]! ^= 1 << (spot & 7);
          memory.set(damaged, POOL);
          const receiver = new ChaChaFrameCipher(key, engine);
          receiver.counterHigh = 7;
          receiver.counterLow = low;
          assert.equal(receiver.openFrames(POOL, POOL + sealed.length, texts.length), bad);
          assert.equal(receiver.counterLow, (low + bad) >>> 0, "the counter stays at the frame that failed");
          const rest = memory.slice(POOL + start, POOL + sealed.length);
          assert.ok(same(rest, damaged.subarray(start)), "the frame and all after it are as they arrived");
          receiver.destroy();
        }
        start += text.length + 20;
      }
      sender.destroy();
      assertWiped();
    });

    test(`large frames in pieces, single ones in memory of their own, rekey, exhaustion (${engine})`, () => {
      const key = randomBytes(32);
      const sender = new ChaChaFrameCipher(key, engine);
      const receiver = new ChaChaFrameCipher(key, engine);
      const header = randomBytes(5);
      let counter = 0;
      for (const length of [
        0,
        1,
        1_400,
        ...around([LARGE - 25, LARGE - 9, LARGE, 2 * LARGE - 9], 1),
        300_000,
      ]) {
        const body = randomBytes(length);
        const text = Buffer.concat([header, body]);
        const frame = sealWhole(sender, header, body);
        assert.ok(same(frame, layOut([text], key, 0, counter++)), `${length} bytes`);
        const chunks = [frame.slice(4, 4 + (length >> 1)), frame.slice(4 + (length >> 1))];
        const damaged = chunks.map((chunk) => chunk.slice());
        damaged[1]![damaged[1]!.length - 1]! ^= 1;
        const lent = new Uint8Array(text.length + 9);
        assert.equal(receiver.openLarge(damaged, lent), null);
        assert.ok(isZero(lent), "no plaintext of a frame that does not authenticate");
        assert.ok(same(receiver.openLarge(chunks, lent)!, text));
      }
      assertWiped();
      if (runtime.hasNativeChaCha()) {
        const frame = layOut([header], key, 0, counter);
        memory.set(frame, POOL);
        for (const [bytes, start] of [
          [memory, POOL + 4],
          [frame, 4],
        ] as const) {
          const end = start + frame.length - 4;
          bytes[end - 1]! ^= 1;
          assert.equal(receiver.openAlone(bytes, start, end), undefined);
          bytes[end - 1]! ^= 1;
          assert.deepEqual([...receiver.openAlone(bytes, start, end)!], [...header]);
          receiver.counterLow = counter;
        }
      }

      const next = noble(key, nonceOf(0xffffffff, 0xffffffff)).encrypt(new Uint8Array(32)).subarray(0, 32);
      sender.rekey();
      assert.equal(sender.counterLow, counter, "the counter goes on");
      const text = randomBytes(100);
      assert.ok(same(sealWhole(sender, new Uint8Array(0), text), layOut([text], next, 0, counter)));

      sender.counterHigh = 0xffffffff;
      sender.counterLow = 0xfffffffe;
      const batch = layOut([text, text]);
      memory.set(batch, POOL);
      const exhausted = { code: "ERR_COUNTER_EXHAUSTED" };
      assert.throws(() => sender.sealFrames(POOL, POOL + batch.length, 2), exhausted);
      assert.throws(() => sender.openFrames(POOL, POOL + batch.length, 2), exhausted);
      assert.ok(same(memory.subarray(POOL, POOL + batch.length), batch), "nothing was touched");
      sender.destroy();
      receiver.destroy();
      assert.throws(() => receiver.sealFrames(POOL, POOL + batch.length, 2), { code: "ERR_CLOSED" });
      assert.throws(() => receiver.openLarge([new Uint8Array(40)]), { code: "ERR_CLOSED" });
      assertWiped();
    });
  }

  test("the largest blocks that Poly1305 can meet, under many keys", () => {
    for (let round = 0; round < 300; round++) {
      const key = randomBytes(32);
      const text = new Uint8Array(64 + (round % 64)).fill(0xff);
      const cipher = chacha20poly1305(key, "wasm");
      const nonce = randomBytes(12);
      const stream = noble(key, nonce).encrypt(text);
      // A ciphertext of all ones: the largest blocks there are.
      const inverse = text.map((byte, i) => byte ^ stream[i]! ^ 0xff);
      assert.ok(same(cipher.seal(nonce, inverse), noble(key, nonce).encrypt(inverse)));
      cipher.destroy();
    }
  });

  test("arguments are checked, by name", () => {
    const wrong = (body: () => unknown, name: string, code = "ERR_INVALID_ARGUMENT") =>
      assert.throws(body, (error: Error & { code?: string }) => {
        assert.equal(error.code, code);
        assert.ok(error.message.includes(name), error.message);
        return true;
      });
    for (const key of [new Uint8Array(31), new Uint8Array(33), "x".repeat(32), undefined]) {
      wrong(() => chacha20poly1305(key as Uint8Array), "key");
    }
    const key = new Uint8Array(32);
    for (const engine of ["fast", "keystream"])
      wrong(() => chacha20poly1305(key, engine as "auto"), "engine");
    wrong(() => new ChaChaFrameCipher(key, "keystream"), "keystream", "ERR_UNSUPPORTED");
    if (!runtime.hasNativeChaCha()) {
      wrong(() => chacha20poly1305(key, "native"), "native", "ERR_UNSUPPORTED");
      wrong(() => new ChaChaFrameCipher(key, "native"), "native", "ERR_UNSUPPORTED");
    }
    const cipher = chacha20poly1305(key);
    const bytes = new Uint8Array(20);
    for (const bad of [new Uint8Array(11), new Uint8Array(13), null, [1, 2]]) {
      wrong(() => cipher.seal(bad as Uint8Array, bytes), "nonce");
      wrong(() => cipher.open(bad as Uint8Array, bytes), "nonce");
    }
    const nonce = new Uint8Array(12);
    wrong(() => cipher.seal(nonce, "text" as unknown as Uint8Array), "plaintext");
    wrong(() => cipher.open(nonce, new Uint16Array(20) as unknown as Uint8Array), "sealed");
    wrong(() => cipher.seal(nonce, bytes, "aad" as unknown as Uint8Array), "aad");
    cipher.destroy();
    cipher.destroy();
    assert.throws(() => cipher.seal(nonce, bytes), { code: "ERR_CLOSED" });
    assert.throws(() => cipher.open(nonce, bytes), { code: "ERR_CLOSED" });
  });
}
