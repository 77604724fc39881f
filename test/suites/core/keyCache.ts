// Expanded keys are a bounded cache: thousands of connections in fixed memory.

import assert from "node:assert/strict";
import { CachedKey, expandedKeys, LIVE_CIPHERS, liveCiphers } from "../../../src/core/cachedKey.ts";
import { ClockCache } from "../../../src/core/clockCache.ts";
import type { Engine } from "../../../src/core/engine.ts";
import { GcmFrameCipher } from "../../../src/core/gcmFrameCipher.ts";
import { core, KEY_CACHE, KEY_ENTRIES, KEY_ENTRY_BYTES, memory, POOL } from "../../../src/core/wasmModule.ts";
import { nodeSeal, randomBytes } from "../../support/gcmTests.ts";
import { onAfterEachTest, test } from "../../support/harness.ts";

onAfterEachTest(() => {
  assert.equal(expandedKeys(), 0, "every entry of the key cache was given back");
  assert.equal(liveCiphers(), 0, "every cipher object of the runtime was given back");
});

/** A 12-byte nonce as "counter-last" has it. */
function nonceOf(counter: number): Uint8Array {
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setUint32(8, counter);
  return nonce;
}

/** Has `cipher` seal one frame of `text` at POOL; returns ciphertext and tag. */
function sealOne(cipher: GcmFrameCipher, text: Uint8Array): Uint8Array {
  const end = POOL + text.length + 20;
  new DataView(memory.buffer).setUint32(POOL, text.length + 16);
  memory.set(text, POOL + 4);
  cipher.sealFrames(POOL, end, 1);
  return memory.slice(POOL + 4, end);
}

function manyConnections(count: number, engine: Engine, textLength: number): void {
  const keys = Array.from({ length: count }, () => randomBytes(32));
  const connections = keys.map((key) => ({
    send: new GcmFrameCipher(key, "counter-last", engine),
    receive: new GcmFrameCipher(key, "counter-last", engine),
  }));
  const text = randomBytes(textLength);
  const end = POOL + textLength + 20;
  const bytesBefore = memory.buffer.byteLength;
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < count; i++) {
      const { send, receive } = connections[i]!;
      const sealed = sealOne(send, text);
      if (i % 97 === 0) assert.deepEqual(sealed, nodeSeal(keys[i]!, nonceOf(round), text), `connection ${i}`);
      assert.equal(receive.openFrames(POOL, end, 1), 1, `connection ${i}`);
      assert.ok(expandedKeys() <= KEY_ENTRIES);
      assert.ok(liveCiphers() <= LIVE_CIPHERS);
    }
  }
  assert.ok(2 * count > KEY_ENTRIES, "there are more keys than entries");
  assert.equal(expandedKeys(), KEY_ENTRIES);
  assert.equal(liveCiphers(), engine === "keystream" ? LIVE_CIPHERS : 0);
  assert.equal(memory.buffer.byteLength, bytesBefore);
  for (const { send, receive } of connections) {
    send.destroy();
    receive.destroy();
  }
  const cache = memory.subarray(KEY_CACHE, KEY_CACHE + KEY_ENTRIES * KEY_ENTRY_BYTES);
  // Eight bytes at a time; the cache is 28.5 MiB.
  const words = new BigUint64Array(cache.buffer, cache.byteOffset, cache.length >> 3);
  assert.ok(
    words.every((word) => word === 0n),
    "no expanded key is left",
  );
}

test("10,000 connections, 20,000 keys, in fixed memory", () => manyConnections(10_000, "wasm", 60));

test("10,000 connections whose messages need the larger tables", () => manyConnections(10_000, "wasm", 300));

test("3,000 connections with the runtime's AES", () => manyConnections(3_000, "keystream", 100));

test("a key that loses its entry leaves nothing in it that its successor does not overwrite", () => {
  const marker = randomBytes(32);
  const first = new CachedKey(marker);
  const entry = first.expanded();
  // Long enough for the tables of ghashKaratsuba.ts, which are built on demand.
  core.sealFrames(entry, 0, 0, 0, POOL, prepareFrame(1000));
  const tables = memory.slice(entry, entry + KEY_ENTRY_BYTES);
  // As many again as there are entries: the hand goes round once.
  const others = Array.from({ length: 2 * KEY_ENTRIES }, () => new CachedKey(randomBytes(32)));
  const entries = others.map((other) => other.expanded());
  assert.ok(entries.includes(entry), "somebody else has the entry now");
  // Wherever the first key had something, it is gone. (16 equal bytes may be a repeated round key byte.)
  const now = memory.slice(entry, entry + KEY_ENTRY_BYTES);
  for (let at = 0; at + 64 <= KEY_ENTRY_BYTES; at += 16) {
    const before = tables.subarray(at, at + 64);
    if (before.every((byte) => byte === 0)) continue;
    assert.ok(
      before.some((byte, i) => byte !== now[at + i]),
      `64 bytes at offset ${at} are still there`,
    );
  }
  for (const key of [first, ...others]) key.destroy();
});

function prepareFrame(length: number): number {
  new DataView(memory.buffer).setUint32(POOL, length + 16);
  return POOL + length + 20;
}

test("entries: all are given out before one is taken away", () => {
  const entries = new ClockCache(5);
  const evicted: number[] = [];
  const owner = () => ({ evicted: (entry: number) => void evicted.push(entry) });
  const given = Array.from({ length: 5 }, () => entries.take(owner()));
  assert.deepEqual([...given].sort(), [0, 1, 2, 3, 4]);
  assert.deepEqual(evicted, []);
  entries.giveBack(3);
  assert.equal(entries.inUse, 4);
  assert.equal(entries.take(owner()), 3, "a entry that was given back comes first");
  assert.deepEqual(evicted, []);
  const taken = entries.take(owner());
  assert.deepEqual(evicted, [taken]);
  assert.equal(entries.inUse, 5);
});

test("entries: who is used between any two others keeps its entry", () => {
  const entries = new ClockCache(100);
  let lost = false;
  const hot = entries.take({
    evicted: () => {
      lost = true;
    },
  });
  let evictions = 0;
  for (let i = 0; i < 10_000; i++) {
    entries.touch(hot);
    entries.take({
      evicted: () => {
        evictions++;
      },
    });
  }
  assert.equal(lost, false);
  assert.equal(evictions, 10_000 - 99);
});
