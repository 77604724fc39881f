// Checks what a connection's ciphers leave in linear memory, however their calls end.

import assert from "node:assert/strict";
import { ChaChaFrameCipher } from "../../src/core/chaChaFrameCipher.ts";
import type { Engine } from "../../src/core/engine.ts";
import type { FrameCipher } from "../../src/core/frameCipher.ts";
import { GcmFrameCipher } from "../../src/core/gcmFrameCipher.ts";
import { directionsAhead } from "../../src/core/keystreamAhead.ts";
import { PieceWriter } from "../../src/core/pieceWriter.ts";
import { hasNativeChaCha } from "../../src/core/runtimeChaCha.ts";
import { memory, POOL } from "../../src/core/wasmModule.ts";
import { type EndCase, someBytes } from "./byteArguments.ts";
import { sealWhole } from "./sealWhole.ts";

const TAG_BYTES = 16;
/** Makes the cipher of one direction. */
type Make = (key: Uint8Array) => FrameCipher;
const engines: Engine[] = ["auto", "wasm", "keystream", "native"];
const gcm =
  (engine: Engine): Make =>
  (key) =>
    new GcmFrameCipher(key, "counter-last", engine);
const chaCha =
  (engine: Engine): Make =>
  (key) =>
    new ChaChaFrameCipher(key, engine);

/** Writes frames with these texts to the pool; returns where they end. */
function layFrames(texts: readonly Uint8Array[]): number {
  const view = new DataView(memory.buffer);
  let at = POOL;
  for (const text of texts) {
    view.setUint32(at, text.length + TAG_BYTES);
    memory.set(text, at + 4);
    at += 4 + text.length + TAG_BYTES;
  }
  return at;
}

/** What whoever holds the slot does when it is done with it. */
function wipeFrames(end: number): void {
  memory.fill(0, POOL, end);
}

/** Runs with a cipher for each end, under a key of its own, and destroys both. */
function withCiphers(make: Make, use: (sender: FrameCipher, receiver: FrameCipher) => void): Uint8Array {
  const key = someBytes(32);
  const sender = make(key);
  const receiver = make(key);
  try {
    use(sender, receiver);
  } finally {
    sender.destroy();
    receiver.destroy();
  }
  return key;
}

function batches(make: Make, length: number, count: number): Uint8Array[] {
  const texts = Array.from({ length: count }, () => someBytes(length));
  const key = withCiphers(make, (sender, receiver) => {
    const end = layFrames(texts);
    sender.sealFrames(POOL, end, count);
    assert.equal(receiver.openFrames(POOL, end, count), count);
    wipeFrames(end);
    const again = layFrames(texts);
    sender.sealFrames(POOL, again, count);
    // The last one is forged.
    memory[again - 1]! ^= 1;
    assert.equal(receiver.openFrames(POOL, again, count), count - 1);
    wipeFrames(again);
    sender.rekey();
  });
  return [key, ...texts];
}

/** One frame at a time, so many that keystream is made ahead, and the end in the midst of it. */
function singles(length: number): Uint8Array[] {
  const texts = Array.from({ length: 12 }, () => someBytes(length));
  let ahead = 0;
  const key = withCiphers(gcm("auto"), (sender, receiver) => {
    for (const text of texts) {
      const end = layFrames([text]);
      sender.sealFrames(POOL, end, 1);
      assert.equal(receiver.openFrames(POOL, end, 1), 1);
      wipeFrames(end);
    }
    ahead = directionsAhead();
    sender.destroy();
    // A destroyed one takes no place for keystream, however often it is asked.
    for (let i = 0; i < 20; i++) {
      const end = layFrames([texts[0]!]);
      assert.throws(() => sender.sealFrames(POOL, end, 1), { code: "ERR_CLOSED" });
      assert.throws(() => sender.openFrames(POOL, end, 1), { code: "ERR_CLOSED" });
      wipeFrames(end);
    }
  });
  assert.equal(ahead, 2);
  assert.equal(directionsAhead(), 0);
  return [key, ...texts];
}

function large(make: Make, length: number): Uint8Array[] {
  const [header, body] = [someBytes(5), someBytes(length)];
  const key = withCiphers(make, (sender, receiver) => {
    const sealed = sealWhole(sender, header, body).subarray(4);
    const forged = new Uint8Array(sealed);
    forged[length]! ^= 1;
    const into = new Uint8Array(length + 5).fill(0xa5);
    assert.equal(receiver.openLarge([forged], into), null);
    assert.ok(into.every((byte) => byte === 0) || into.every((byte) => byte === 0xa5));
    assert.equal(receiver.openLarge([forged]), null);
    assert.deepEqual(receiver.openLarge([sealed])?.subarray(5), body);

    // Whoever takes the pieces throws: that counter is used up, or two frames would share a nonce.
    const counter = sender.counterLow;
    const failing = new PieceWriter(() => {
      throw new Error("the socket is gone");
    });
    assert.throws(() => sender.sealPieces(header, body, failing), /the socket is gone/);
    assert.equal(sender.counterLow, counter + 1);
  });
  return [key, body];
}

export const frameEnds: EndCase[] = [];
function addEnds(of: string, engine: Engine, make: Make): void {
  for (const [length, count] of [
    [20, 3],
    [1_404, 16],
    [20_000, 3],
  ] as const) {
    const end = `${engine}, ${count} frames of ${length} bytes, sealed, opened and forged`;
    frameEnds.push({ of, end, run: () => batches(make, length, count) });
  }
  for (const length of [100, 5_000, 200_000]) {
    const end = `${engine}, a frame of ${length} bytes in pieces`;
    frameEnds.push({ of, end, run: () => large(make, length) });
  }
}
for (const engine of engines) addEnds("GcmFrameCipher", engine, gcm(engine));
for (const engine of engines) {
  if (engine === "keystream" || (engine === "native" && !hasNativeChaCha())) continue;
  addEnds("ChaChaFrameCipher", engine, chaCha(engine));
}
frameEnds.push({ of: "GcmFrameCipher", end: "keystream made ahead", run: () => singles(100) });
