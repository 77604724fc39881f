// GcmFrameCipher: batches of frames in linear memory, engines against each other and against node:crypto.
// Registered once per build of the core.

import assert from "node:assert/strict";
import nodeCrypto from "node:crypto";
import { RuntimeAes } from "../../src/core/runtimeAes.ts";
import { nodeSeal, randomBytes } from "./gcmTests.ts";
import { test } from "./harness.ts";
import { sealWhole } from "./sealWhole.ts";
import { SearchedBytes } from "./searchedBytes.ts";

type FrameCipherModule = typeof import("../../src/core/gcmFrameCipher.ts");
type CoreModule = typeof import("../../src/core/wasmModule.ts");
type AheadModule = typeof import("../../src/core/keystreamAhead.ts");

const ENGINES = ["wasm", "keystream", "native", "auto"] as const;
const LAYOUTS = ["counter-first", "counter-last"] as const;

function nonceOf(layout: (typeof LAYOUTS)[number], high: number, low: number): Uint8Array {
  const nonce = new Uint8Array(12);
  const view = new DataView(nonce.buffer);
  view.setUint32(layout === "counter-first" ? 0 : 4, high);
  view.setUint32(layout === "counter-first" ? 4 : 8, low);
  return nonce;
}

/** Lays frames side by side in memory of their own, tags left 0. */
function layOut(texts: readonly Uint8Array[]): Uint8Array {
  const batch = new Uint8Array(texts.reduce((sum, text) => sum + text.length + 20, 0));
  const view = new DataView(batch.buffer);
  let at = 0;
  for (const text of texts) {
    view.setUint32(at, text.length + 16);
    batch.set(text, at + 4);
    at += text.length + 20;
  }
  return batch;
}

/** The same batch, sealed by node:crypto. */
function sealedByNode(
  key: Uint8Array,
  layout: (typeof LAYOUTS)[number],
  high: number,
  low: number,
  texts: readonly Uint8Array[],
): Uint8Array {
  const batch = layOut(texts);
  let at = 0;
  texts.forEach((text, i) => {
    const next = low + i;
    const nonce = nonceOf(layout, high + (next > 0xffffffff ? 1 : 0), next >>> 0);
    batch.set(nodeSeal(key, nonce, text), at + 4);
    at += text.length + 20;
  });
  return batch;
}

const same = (a: Uint8Array, b: Uint8Array) => a.length === b.length && Buffer.compare(a, b) === 0;

export function registerGcmFrameCipherTests(
  { GcmFrameCipher }: FrameCipherModule,
  core: CoreModule,
  { directionsAhead }: AheadModule,
): void {
  const { memory, POOL, KEYSTREAM, KEYSTREAM_BYTES } = core;

  test("batches of mixed sizes: every engine, both layouts, as node:crypto says", () => {
    const sizes = [0, 1, 16, 44, 64, 100, 176, 177, 255, 1400, 1404, 3000, 8144, 8145, 16384, 65000];
    for (let round = 0; round < 24; round++) {
      const count = [1, 2, 3, 5, 8, 16, 46, 64][round % 8]!;
      const limit = count > 16 ? 12 : sizes.length;
      const texts = Array.from({ length: count }, () =>
        randomBytes(sizes[nodeCrypto.randomInt(limit)]! + nodeCrypto.randomInt(3)),
      );
      const layout = LAYOUTS[round & 1]!;
      const key = randomBytes(32);
      // Every third batch crosses the carry between the two halves of the counter.
      const low = round % 3 === 0 ? 2 ** 32 - 1 - (count >> 1) : nodeCrypto.randomInt(2 ** 31);
      const expected = sealedByNode(key, layout, 7, low, texts);
      const address = POOL + nodeCrypto.randomInt(16);
      const end = address + expected.length;
      for (const engine of ENGINES) {
        const what = `${engine}, ${count} frames, ${expected.length} bytes, round ${round}`;
        const sender = new GcmFrameCipher(key, layout, engine);
        const receiver = new GcmFrameCipher(key, layout, engine);
        sender.counterHigh = receiver.counterHigh = 7;
        sender.counterLow = receiver.counterLow = low;
        memory[end] = 0xa5;
        memory.set(layOut(texts), address);
        sender.sealFrames(address, end, count);
        assert.ok(same(memory.subarray(address, end), expected), what);
        assert.equal(memory[end], 0xa5, "nothing is written after the end");
        assert.equal(sender.counterLow, (low + count) >>> 0);
        assert.equal(sender.counterHigh, low + count > 0xffffffff ? 8 : 7);
        assert.equal(receiver.openFrames(address, end, count), count, what);
        assert.deepEqual(
          [receiver.counterHigh, receiver.counterLow],
          [sender.counterHigh, sender.counterLow],
        );
        const opened = memory.slice(address, end);
        let at = 0;
        for (const text of texts) {
          assert.ok(same(opened.subarray(at + 4, at + 4 + text.length), text), what);
          at += text.length + 20;
        }
        sender.destroy();
        receiver.destroy();
      }
    }
  });

  test("every length 0-300 at every offset 0-15, in place", () => {
    const key = randomBytes(32);
    const cipher = new GcmFrameCipher(key, "counter-last", "wasm");
    const back = new GcmFrameCipher(key, "counter-last", "wasm");
    const text = randomBytes(300);
    for (let length = 0; length <= 300; length++) {
      // One reference per length: the counter is set back for each offset.
      const expected = sealedByNode(key, "counter-last", 0, length, [text.subarray(0, length)]);
      for (let offset = 0; offset < 16; offset++) {
        const address = POOL + 64 + offset;
        const end = address + length + 20;
        memory.fill(0x5c, address - 16, end + 16);
        memory.set(layOut([text.subarray(0, length)]), address);
        cipher.counterLow = back.counterLow = length;
        cipher.sealFrames(address, end, 1);
        assert.ok(same(memory.subarray(address, end), expected), `${length} bytes at ${offset}`);
        assert.equal(back.openFrames(address, end, 1), 1);
        assert.ok(same(memory.subarray(address + 4, address + 4 + length), text.subarray(0, length)));
        for (let i = 1; i <= 16; i++) {
          assert.equal(memory[address - i], 0x5c);
          assert.equal(memory[end + i - 1], 0x5c);
        }
      }
    }
    cipher.destroy();
    back.destroy();
  });

  for (const engine of ENGINES) {
    test(`a frame that does not authenticate stops the batch with nothing of it written (${engine})`, () => {
      const key = randomBytes(32);
      const texts = [5, 0, 1404, 64, 700].map((length) => randomBytes(length));
      const sealed = sealedByNode(key, "counter-first", 0, 0, texts);
      const starts: number[] = [];
      let total = 0;
      for (const text of texts) {
        starts.push(total);
        total += text.length + 20;
      }
      for (let bad = 0; bad < texts.length; bad++) {
        const length = texts[bad]!.length + 16;
        // First and last byte of the ciphertext, and every byte of the tag.
        const spots = [0, texts[bad]!.length - 1, ...Array.from({ length: 16 }, (_, i) => length - 16 + i)];
        for (const spot of spots.filter((s) => s >= 0)) {
          const damaged = sealed.slice();
          damaged[starts[bad]! + 4 + spot]! ^= 1 << (spot & 7);
          const cipher = new GcmFrameCipher(key, "counter-first", engine);
          memory.set(damaged, POOL);
          assert.equal(cipher.openFrames(POOL, POOL + damaged.length, texts.length), bad);
          assert.equal(cipher.counterLow, bad, "the counter stays at the frame that failed");
          const from = starts[bad]!;
          assert.ok(
            same(memory.slice(POOL + from, POOL + damaged.length), damaged.subarray(from)),
            "the frame and all after it are as they arrived",
          );
          // The cipher still works: the undamaged frame opens.
          memory.set(sealed, POOL);
          assert.equal(
            cipher.openFrames(POOL + from, POOL + sealed.length, texts.length - bad),
            texts.length - bad,
          );
          cipher.destroy();
        }
      }
    });

    test(`one large frame, sealed and opened in JavaScript memory (${engine})`, () => {
      const key = randomBytes(32);
      for (const [headerLength, bodyLength, padding] of [
        [5, 0, 0],
        [5, 1400, 3],
        [0, 65536, 0],
        [5, 65531, 0],
        [4, 65533, 65536],
        [5, 262144, 0],
        [5, 1048576, 11],
      ] as const) {
        const header = randomBytes(headerLength);
        const body = randomBytes(bodyLength);
        const cipher = new GcmFrameCipher(key, "counter-last", engine);
        const other = new GcmFrameCipher(key, "counter-last", engine);
        cipher.counterLow = other.counterLow = 41;
        const text = Buffer.concat([header, body, new Uint8Array(padding)]);
        const frame = sealWhole(cipher, header, text.subarray(header.length));
        assert.ok(same(frame, sealedByNode(key, "counter-last", 0, 41, [text])), `${bodyLength} bytes`);
        assert.equal(cipher.counterLow, 42);
        const sealed = frame.slice(4);
        sealed[sealed.length - 1]! ^= 0x80;
        const before = sealed.slice();
        assert.equal(other.openLarge([sealed]), null);
        assert.ok(same(sealed, before), "a frame that does not authenticate is left alone");
        assert.equal(other.counterLow, 41);
        sealed[sealed.length - 1]! ^= 0x80;
        assert.ok(same(other.openLarge([sealed])!, text));
        assert.equal(other.counterLow, 42);
        cipher.destroy();
        other.destroy();
      }
      const cipher = new GcmFrameCipher(key, "counter-last", engine);
      assert.equal(cipher.openLarge([new Uint8Array(15)]), null);
      cipher.destroy();
    });
  }

  test("rekey is Noise section 11.3", () => {
    const key = randomBytes(32);
    const nonce = nonceOf("counter-last", 0xffffffff, 0xffffffff);
    const next = nodeSeal(key, nonce, new Uint8Array(32)).subarray(0, 32);
    for (const engine of ENGINES) {
      const cipher = new GcmFrameCipher(key, "counter-last", engine);
      sealWhole(cipher, new Uint8Array(4), new Uint8Array(10));
      cipher.rekey();
      assert.equal(cipher.counterLow, 1, "the counter goes on");
      const text = randomBytes(100);
      const sealed = sealWhole(cipher, new Uint8Array(0), text);
      assert.deepEqual(sealed.subarray(4), nodeSeal(next, nonceOf("counter-last", 0, 1), text));
      cipher.destroy();
    }
  });

  test("counter 2^64 - 1 is never used", () => {
    const last = 0xffffffff;
    for (const engine of ENGINES) {
      const cipher = new GcmFrameCipher(randomBytes(32), "counter-last", engine);
      const batch = layOut([randomBytes(30), randomBytes(30)]);
      cipher.counterHigh = last;
      cipher.counterLow = last - 1;
      memory.set(batch, POOL);
      const exhausted = { code: "ERR_COUNTER_EXHAUSTED" };
      assert.throws(() => cipher.sealFrames(POOL, POOL + batch.length, 2), exhausted);
      assert.throws(() => cipher.openFrames(POOL, POOL + batch.length, 2), exhausted);
      assert.ok(same(memory.subarray(POOL, POOL + batch.length), batch), "nothing was touched");
      cipher.sealFrames(POOL, POOL + 50, 1);
      assert.deepEqual([cipher.counterHigh, cipher.counterLow], [last, last]);
      assert.throws(() => cipher.sealFrames(POOL, POOL + 50, 1), exhausted);
      assert.throws(() => cipher.openFrames(POOL, POOL + 50, 1), exhausted);
      assert.throws(() => sealWhole(cipher, new Uint8Array(4), new Uint8Array(4)), exhausted);
      assert.throws(() => cipher.openLarge([new Uint8Array(40)]), exhausted);
      assert.deepEqual([cipher.counterHigh, cipher.counterLow], [last, last]);
      cipher.destroy();
    }
  });

  test("a batch whose keystream does not fit at once is done in parts", () => {
    // 6,000 one-byte frames are 126,000 bytes, but 192,000 of keystream; with 9,000 it is 288,000.
    const key = randomBytes(32);
    const texts = Array.from({ length: 9000 }, (_, i) => Uint8Array.of(i));
    const expected = sealedByNode(key, "counter-last", 0, 0, texts);
    assert.ok(texts.length * 32 > KEYSTREAM_BYTES);
    const cipher = new GcmFrameCipher(key, "counter-last", "keystream");
    const receiver = new GcmFrameCipher(key, "counter-last", "keystream");
    memory.set(layOut(texts), POOL);
    cipher.sealFrames(POOL, POOL + expected.length, texts.length);
    assert.ok(same(memory.subarray(POOL, POOL + expected.length), expected));
    memory[POOL + 21 * 8990 + 4]! ^= 1;
    assert.equal(receiver.openFrames(POOL, POOL + expected.length, texts.length), 8990);
    assert.equal(receiver.counterLow, 8990);
    cipher.destroy();
    receiver.destroy();
  });

  test("frames of 256 KiB and more in a batch, between small ones", () => {
    const key = randomBytes(32);
    // 262,128 bytes of text are the most whose keystream fits at once.
    const texts = [70, 262128, 262129, 0, 300000, 1404, 65536].map((length) => randomBytes(length));
    const expected = sealedByNode(key, "counter-last", 0, 0, texts);
    const end = POOL + expected.length;
    for (const engine of ENGINES) {
      const sender = new GcmFrameCipher(key, "counter-last", engine);
      const receiver = new GcmFrameCipher(key, "counter-last", engine);
      memory.set(layOut(texts), POOL);
      sender.sealFrames(POOL, end, texts.length);
      assert.ok(same(memory.subarray(POOL, end), expected), engine);
      assert.equal(sender.counterLow, texts.length);
      assert.equal(receiver.openFrames(POOL, end, texts.length), texts.length, engine);
      assert.equal(receiver.counterLow, texts.length);
      assert.ok(same(memory.subarray(end - 16 - 65536, end - 16), texts.at(-1)!), engine);
      sender.destroy();
      receiver.destroy();
    }
  });

  test("a destroyed cipher leaves no key, keystream or state behind and can't be used", () => {
    for (const engine of ENGINES) {
      const key = randomBytes(32);
      const cipher = new GcmFrameCipher(key, "counter-last", engine);
      const receiver = new GcmFrameCipher(key, "counter-last", engine);
      for (const length of [0, 20, 64, 1404, 5000, 20000]) {
        const batch = layOut([randomBytes(length), randomBytes(length)]);
        memory.set(batch, POOL);
        cipher.sealFrames(POOL, POOL + batch.length, 2);
        assert.equal(receiver.openFrames(POOL, POOL + batch.length, 2), 2);
        receiver.openLarge([sealWhole(cipher, batch.subarray(0, 5), batch).subarray(4)]);
      }
      cipher.rekey();
      receiver.rekey();
      const nonce = nonceOf("counter-last", 0xffffffff, 0xffffffff);
      const next = nodeSeal(key, nonce, new Uint8Array(32)).subarray(0, 32);
      cipher.destroy();
      cipher.destroy();
      receiver.destroy();
      assert.throws(() => cipher.sealFrames(POOL, POOL + 36, 1), { code: "ERR_CLOSED" });
      assert.throws(() => sealWhole(cipher, new Uint8Array(4), new Uint8Array(4)), { code: "ERR_CLOSED" });
      assert.throws(() => cipher.rekey(), { code: "ERR_CLOSED" });

      const whole = Buffer.from(memory.buffer);
      const searched = new SearchedBytes(whole);
      assert.equal(searched.indexOf(key), -1, `the key is gone (${engine})`);
      assert.equal(searched.indexOf(next), -1, `the key after rekey is gone (${engine})`);
      const hashKey = nodeCrypto.createCipheriv("aes-256-ecb", key, null).update(new Uint8Array(16));
      assert.equal(searched.indexOf(hashKey), -1, `H is gone (${engine})`);
      // All that depends on keys lies below the pool: nothing but the static tables may be left there.
      assert.ok(
        whole.subarray(KEYSTREAM, KEYSTREAM + KEYSTREAM_BYTES).every((byte) => byte === 0),
        `keystream is gone (${engine})`,
      );
      const { GCM_SCRATCH, GCM_SCRATCH_BYTES, KEY_CACHE } = core;
      assert.ok(
        // The two results of writeCounters, an address and a count, may stay.
        whole.subarray(GCM_SCRATCH + 8, GCM_SCRATCH + GCM_SCRATCH_BYTES).every((byte) => byte === 0),
        `scratch memory is wiped (${engine})`,
      );
      assert.ok(
        whole.subarray(KEY_CACHE, KEY_CACHE + 4 * core.KEY_ENTRY_BYTES).every((byte) => byte === 0),
        `expanded keys are gone (${engine})`,
      );
    }
  });

  test("single frames: keystream made ahead gives the same bytes, across batches, rekeys and failures", () => {
    const key = randomBytes(32);
    const keys = [key];
    const sender = new GcmFrameCipher(key, "counter-last");
    const receiver = new GcmFrameCipher(key, "counter-last");
    // Close to the end of the low half, so that the sequence crosses it.
    sender.counterLow = receiver.counterLow = 2 ** 32 - 300;
    let usedAhead = 0;
    for (let i = 0; i < 600; i++) {
      const count = i % 53 === 52 ? 5 : 1;
      const spread = i % 100 < 60 ? 8 : 2900;
      const texts = Array.from({ length: count }, () => randomBytes(1000 + nodeCrypto.randomInt(spread)));
      const { counterHigh, counterLow } = sender;
      const expected = sealedByNode(keys[0]!, "counter-last", counterHigh, counterLow, texts);
      const end = POOL + expected.length;
      memory.set(layOut(texts), POOL);
      sender.sealFrames(POOL, end, count);
      assert.ok(same(memory.subarray(POOL, end), expected), `frame ${i}`);
      if (directionsAhead() > 0) usedAhead++;
      if (i % 7 === 3) {
        // A forgery with an all-zero tag and one with a flipped bit are refused; then the real one opens.
        const forged = layOut([new Uint8Array(0)]);
        memory.set(forged, POOL);
        assert.equal(receiver.openFrames(POOL, POOL + forged.length, 1), 0);
        memory.set(expected, POOL);
        memory[POOL + 10]! ^= 4;
        assert.equal(receiver.openFrames(POOL, end, count), 0);
        memory.set(layOut(texts.map((text) => new Uint8Array(text.length))), POOL);
        assert.equal(receiver.openFrames(POOL, end, count), 0);
        memory.set(expected, POOL);
      }
      assert.equal(receiver.openFrames(POOL, end, count), count, `frame ${i}`);
      assert.ok(same(memory.subarray(POOL + 4, POOL + 4 + texts[0]!.length), texts[0]!), `frame ${i}`);
      if (i === 200 || i === 450) {
        const nonce = nonceOf("counter-last", 0xffffffff, 0xffffffff);
        keys[0] = nodeSeal(keys[0]!, nonce, new Uint8Array(32)).slice(0, 32);
        sender.rekey();
        receiver.rekey();
      }
      if (i === 500) {
        // A counter that is set back must not meet keystream that was used and wiped.
        const before = sender.counterLow;
        sender.counterLow = before - 2;
        const again = sealedByNode(keys[0]!, "counter-last", sender.counterHigh, before - 2, [texts[0]!]);
        memory.set(layOut([texts[0]!]), POOL);
        sender.sealFrames(POOL, POOL + again.length, 1);
        assert.ok(same(memory.subarray(POOL, POOL + again.length), again));
        sender.counterLow = before;
      }
    }
    assert.ok(usedAhead > 300, "keystream really was made ahead");
    sender.destroy();
    receiver.destroy();
    assert.equal(directionsAhead(), 0);
    const { AHEAD, AHEAD_ENTRIES, AHEAD_ENTRY_BYTES } = core;
    const left = memory.subarray(AHEAD, AHEAD + AHEAD_ENTRIES * AHEAD_ENTRY_BYTES);
    assert.equal(Buffer.compare(left, new Uint8Array(left.length)), 0, "no keystream is left");
  });

  test("keystream is made ahead for four times as many frames as used the last", () => {
    const { AHEAD, AHEAD_ENTRIES, AHEAD_ENTRY_BYTES } = core;
    const cipher = new GcmFrameCipher(randomBytes(32), "counter-last");
    const batch = layOut([randomBytes(64)]);
    const frameBytes = 16 * (64 / 16 + 1);
    /** Frames that have their keystream. */
    const ready = () => {
      const entries = memory.subarray(AHEAD, AHEAD + AHEAD_ENTRIES * AHEAD_ENTRY_BYTES);
      const last = entries.findLastIndex((byte) => byte !== 0);
      return Math.ceil(((last % AHEAD_ENTRY_BYTES) + 1) / frameBytes);
    };
    const seal = (count: number) => {
      memory.set(new Uint8Array(Buffer.concat(new Array(count).fill(batch))), POOL);
      cipher.sealFrames(POOL, POOL + count * batch.length, count);
    };
    const most = Math.floor(AHEAD_ENTRY_BYTES / frameBytes);
    for (let i = 0; i < 3; i++) seal(1);
    for (const made of [12, 48, 192, most, most]) {
      seal(1);
      assert.equal(ready(), made);
      for (let i = 1; i < made; i++) seal(1);
    }
    seal(1);
    assert.equal(ready(), most);
    // Frames of a batch leave their keystream unused, and it is gone when the next is made.
    for (let i = 0; i < 9; i++) seal(1);
    seal(500);
    for (let i = 0; i < 3; i++) seal(1);
    seal(1);
    assert.equal(ready(), 40);
    cipher.destroy();
    assert.equal(ready(), 0);
  });

  test("AES that throws leaves no keystream that another frame would use", () => {
    const { encryptBlocks } = RuntimeAes.prototype;
    const key = randomBytes(32);
    const cipher = new GcmFrameCipher(key, "counter-last");
    const failure = new Error("from the runtime");
    const seal = (text: Uint8Array) => {
      const { counterHigh, counterLow } = cipher;
      memory.set(layOut([text]), POOL);
      cipher.sealFrames(POOL, POOL + text.length + 20, 1);
      const expected = sealedByNode(key, "counter-last", counterHigh, counterLow, [text]);
      assert.ok(same(memory.subarray(POOL, POOL + expected.length), expected));
    };
    let longest = 1_000;
    for (const throwsLate of [false, true]) {
      for (let i = 0; i < 20; i++) {
        // Keystream is there for more frames of this length.
        for (let single = 0; single < 9; single++) seal(randomBytes(700));
        assert.equal(directionsAhead(), 1);
        RuntimeAes.prototype.encryptBlocks = function (blocks) {
          if (throwsLate) encryptBlocks.call(this, blocks);
          throw failure;
        };
        try {
          // A frame that is longer than any before needs other keystream.
          assert.throws(() => seal(randomBytes(longest)), failure);
          longest += 20;
        } finally {
          RuntimeAes.prototype.encryptBlocks = encryptBlocks;
        }
        seal(randomBytes(600));
      }
    }
    cipher.destroy();
    const { AHEAD, AHEAD_ENTRIES, AHEAD_ENTRY_BYTES } = core;
    assert.ok(memory.subarray(AHEAD, AHEAD + AHEAD_ENTRIES * AHEAD_ENTRY_BYTES).every((byte) => byte === 0));
  });

  test("more directions than keystream slots", () => {
    const { AHEAD_ENTRIES } = core;
    const key = randomBytes(32);
    const ciphers = Array.from(
      { length: AHEAD_ENTRIES + 20 },
      () => new GcmFrameCipher(key, "counter-first"),
    );
    const text = randomBytes(700);
    const batch = layOut([text]);
    for (let round = 0; round < 30; round++) {
      const expected = sealedByNode(key, "counter-first", 0, round, [text]);
      for (const cipher of ciphers) {
        memory.set(batch, POOL);
        cipher.sealFrames(POOL, POOL + batch.length, 1);
        assert.ok(same(memory.subarray(POOL, POOL + batch.length), expected), `round ${round}`);
        assert.ok(directionsAhead() <= AHEAD_ENTRIES);
      }
    }
    assert.equal(directionsAhead(), AHEAD_ENTRIES);
    for (const cipher of ciphers) cipher.destroy();
    assert.equal(directionsAhead(), 0);
  });
}
