// Expanded keys are a bounded cache: thousands of connections in fixed memory.

import assert from "node:assert/strict";
import { CachedKey, expandedKeys, LIVE_CIPHERS, liveCiphers } from "../../../src/core/cachedKey.ts";
import { type Engine, FrameCipher } from "../../../src/core/frameCipher.ts";
import { Slots } from "../../../src/core/slots.ts";
import { core, KEY_CACHE, KEY_SLOT_BYTES, KEY_SLOTS, memory, POOL } from "../../../src/core/wasmModule.ts";
import { nodeSeal, randomBytes } from "../../support/gcmTests.ts";
import { onAfterEachTest, test } from "../../support/harness.ts";

onAfterEachTest(() => {
  assert.equal(expandedKeys(), 0, "every slot of the key cache was given back");
  assert.equal(liveCiphers(), 0, "every cipher object of the runtime was given back");
});

/** A 12-byte nonce as "counter-last" has it. */
function nonceOf(counter: number): Uint8Array {
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setUint32(8, counter);
  return nonce;
}

/** Has `cipher` seal one frame of `text` at POOL; returns ciphertext and tag. */
function sealOne(cipher: FrameCipher, text: Uint8Array): Uint8Array {
  const end = POOL + text.length + 20;
  new DataView(memory.buffer).setUint32(POOL, text.length + 16);
  memory.set(text, POOL + 4);
  cipher.sealFrames(POOL, end, 1);
  return memory.slice(POOL + 4, end);
}

function manyConnections(count: number, engine: Engine, textLength: number): void {
  const keys = Array.from({ length: count }, () => randomBytes(32));
  const connections = keys.map((key) => ({
    send: new FrameCipher(key, "counter-last", engine),
    receive: new FrameCipher(key, "counter-last", engine),
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
      assert.ok(expandedKeys() <= KEY_SLOTS);
      assert.ok(liveCiphers() <= LIVE_CIPHERS);
    }
  }
  assert.ok(2 * count > KEY_SLOTS, "there are more keys than slots");
  assert.equal(expandedKeys(), KEY_SLOTS);
  assert.equal(liveCiphers(), engine === "keystream" ? LIVE_CIPHERS : 0);
  assert.equal(memory.buffer.byteLength, bytesBefore);
  for (const { send, receive } of connections) {
    send.destroy();
    receive.destroy();
  }
  const cache = memory.subarray(KEY_CACHE, KEY_CACHE + KEY_SLOTS * KEY_SLOT_BYTES);
  // Eight bytes at a time; the cache is 29 MiB.
  const words = new BigUint64Array(cache.buffer, cache.byteOffset, cache.length >> 3);
  assert.ok(
    words.every((word) => word === 0n),
    "no expanded key is left",
  );
}

test("10,000 connections, 20,000 keys, in fixed memory", () => manyConnections(10_000, "wasm", 60));

test("10,000 connections whose messages need the larger tables", () => manyConnections(10_000, "wasm", 300));

test("3,000 connections with the runtime's AES", () => manyConnections(3_000, "keystream", 100));

test("a key that loses its slot leaves nothing in it that its successor does not overwrite", () => {
  const marker = randomBytes(32);
  const first = new CachedKey(marker);
  const slot = first.expanded();
  // Long enough for the tables of ghashKaratsuba.ts, which are built on demand.
  core.sealFrames(slot, 0, 0, 0, POOL, prepareFrame(1000));
  const tables = memory.slice(slot, slot + KEY_SLOT_BYTES);
  // As many again as there are slots: the hand goes round once.
  const others = Array.from({ length: 2 * KEY_SLOTS }, () => new CachedKey(randomBytes(32)));
  const slots = others.map((other) => other.expanded());
  assert.ok(slots.includes(slot), "somebody else has the slot now");
  // Wherever the first key had something, it is gone. (16 equal bytes may be a repeated round key byte.)
  const now = memory.slice(slot, slot + KEY_SLOT_BYTES);
  for (let at = 0; at + 64 <= KEY_SLOT_BYTES; at += 16) {
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

test("slots: all are given out before one is taken away", () => {
  const slots = new Slots(5);
  const evicted: number[] = [];
  const owner = () => ({ evicted: (slot: number) => void evicted.push(slot) });
  const given = Array.from({ length: 5 }, () => slots.acquire(owner()));
  assert.deepEqual([...given].sort(), [0, 1, 2, 3, 4]);
  assert.deepEqual(evicted, []);
  slots.release(3);
  assert.equal(slots.inUse, 4);
  assert.equal(slots.acquire(owner()), 3, "a slot that was given back comes first");
  assert.deepEqual(evicted, []);
  const taken = slots.acquire(owner());
  assert.deepEqual(evicted, [taken]);
  assert.equal(slots.inUse, 5);
});

test("slots: who is used between any two others keeps its slot", () => {
  const slots = new Slots(100);
  let lost = false;
  const hot = slots.acquire({
    evicted: () => {
      lost = true;
    },
  });
  let evictions = 0;
  for (let i = 0; i < 10_000; i++) {
    slots.touch(hot);
    slots.acquire({
      evicted: () => {
        evictions++;
      },
    });
  }
  assert.equal(lost, false);
  assert.equal(evictions, 10_000 - 99);
});
