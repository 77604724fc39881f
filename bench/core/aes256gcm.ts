// Rows for AES-256-GCM: GcmFrameCipher's engines over batches in linear memory, beside node:crypto, WebCrypto and
// @noble/ciphers with the same messages. libsodium-wrappers is absent, because its AES-256-GCM needs AES instructions,
// which WebAssembly does not have. hash-wasm has no ciphers.

import nodeCrypto from "node:crypto";
import { gcm as noble } from "@noble/ciphers/aes.js";
import { CachedKey } from "../../src/core/cachedKey.ts";
import type { Engine } from "../../src/core/engine.ts";
import { GcmFrameCipher } from "../../src/core/gcmFrameCipher.ts";
import { memory, POOL } from "../../src/core/wasmModule.ts";
import { check, type Row, type RowOptions, sameBytes } from "./rows.ts";

const PRIMITIVE = "AES-256-GCM";
const SIZES = [16, 64, 256, 1404, 4096, 16384, 65536];
const BATCHES = [1, 4, 16, 46];
const QUICK_SIZES = [64, 1404, 65536];
const QUICK_BATCHES = [1, 16, 46];
/** A batch is at most what two slots of the pool hold. */
const MAX_BATCH_BYTES = 2 * 65536;
const ENGINES: Engine[] = ["wasm", "keystream", "native", "auto"];
const OVERHEAD = 20;

/** Where frame i of a batch begins. */
const frameAt = (bytes: number, i: number) => i * (bytes + OVERHEAD);

/** A batch of random frames, tags left 0. */
function plainBatch(bytes: number, batch: number): Uint8Array {
  const frames = new Uint8Array(frameAt(bytes, batch));
  const view = new DataView(frames.buffer);
  for (let i = 0; i < batch; i++) {
    const text = frameAt(bytes, i) + 4;
    frames.set(nodeCrypto.randomBytes(bytes), text);
    view.setUint32(text - 4, bytes + 16);
  }
  return frames;
}

/** Nonce i as GcmFrameCipher's "counter-last" has it. */
function writeNonce(nonce: DataView, i: number): void {
  nonce.setUint32(4, Math.floor(i / 2 ** 32));
  nonce.setUint32(8, i >>> 0);
}

/** The same batch, sealed by node:crypto with counters from 0. */
function sealedBatch(key: Uint8Array, plain: Uint8Array, bytes: number, batch: number): Uint8Array {
  const sealed = plain.slice();
  const nonce = new Uint8Array(12);
  for (let i = 0; i < batch; i++) {
    writeNonce(new DataView(nonce.buffer), i);
    const text = frameAt(bytes, i) + 4;
    const cipher = nodeCrypto.createCipheriv("aes-256-gcm", key, nonce);
    sealed.set(cipher.update(plain.subarray(text, text + bytes)), text);
    cipher.final();
    sealed.set(cipher.getAuthTag(), text + bytes);
  }
  return sealed;
}

function ownRows(engine: Engine, bytes: number, batch: number): Row[] {
  const key = nodeCrypto.randomBytes(32);
  const plain = plainBatch(bytes, batch);
  const sealed = sealedBatch(key, plain, bytes, batch);
  const end = POOL + plain.length;
  const sender = new GcmFrameCipher(key, "counter-last", engine);
  const receiver = new GcmFrameCipher(key, "counter-last", engine);
  const what = `${engine}, ${bytes} B × ${batch}`;
  memory.set(plain, POOL);
  sender.sealFrames(POOL, end, batch);
  check(sameBytes(memory.slice(POOL, end), sealed), `${what}, seal`);
  check(receiver.openFrames(POOL, end, batch) === batch, `${what}, open`);
  for (let i = 0; i < batch; i++) {
    const text = frameAt(bytes, i) + 4;
    const opened = memory.slice(POOL + text, POOL + text + bytes);
    check(sameBytes(opened, plain.subarray(text, text + bytes)), `${what}, opened text`);
  }
  const common = { primitive: PRIMITIVE, implementation: `sealwire, ${engine}`, bytes, batch };
  return [
    {
      ...common,
      operation: "seal",
      prepare: () => memory.set(plain, POOL),
      run: () => sender.sealFrames(POOL, end, batch),
    },
    {
      ...common,
      // Both together, because what is to be opened has to be sealed first.
      operation: "seal and open",
      prepare() {
        memory.set(plain, POOL);
        receiver.counterHigh = sender.counterHigh;
        receiver.counterLow = sender.counterLow;
      },
      run() {
        sender.sealFrames(POOL, end, batch);
        if (receiver.openFrames(POOL, end, batch) !== batch) throw new Error(`${what} did not open`);
      },
    },
  ];
}

/** What node:crypto needs, one call after the other, results left where it puts them. */
function nodeCryptoRows(bytes: number): Row[] {
  const key = nodeCrypto.randomBytes(32);
  const text = nodeCrypto.randomBytes(bytes);
  const nonce = new Uint8Array(12);
  const view = new DataView(nonce.buffer);
  let counter = 0;
  const seal = () => {
    writeNonce(view, counter++);
    const cipher = nodeCrypto.createCipheriv("aes-256-gcm", key, nonce);
    const ciphertext = cipher.update(text);
    cipher.final();
    return { ciphertext, tag: cipher.getAuthTag() };
  };
  const sealAndOpen = () => {
    const { ciphertext, tag } = seal();
    const decipher = nodeCrypto.createDecipheriv("aes-256-gcm", key, nonce);
    decipher.setAuthTag(tag);
    const plaintext = decipher.update(ciphertext);
    decipher.final();
    return plaintext;
  };
  check(sameBytes(sealAndOpen(), text), "node:crypto, seal and open");
  const common = { primitive: PRIMITIVE, implementation: "node:crypto", bytes, batch: 1 };
  return [
    { ...common, operation: "seal", run: seal },
    { ...common, operation: "seal and open", run: sealAndOpen },
  ];
}

async function webCryptoRow(bytes: number): Promise<Row> {
  const raw = nodeCrypto.randomBytes(32);
  const text = nodeCrypto.randomBytes(bytes);
  const key = await crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt"]);
  const iv = new Uint8Array(12);
  const view = new DataView(iv.buffer);
  let counter = 0;
  const run = () => {
    writeNonce(view, counter++);
    return crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, text);
  };
  const first = new Uint8Array(await run());
  writeNonce(view, 0);
  check(sameBytes(noble(raw, iv).decrypt(first), text), "WebCrypto, seal");
  return { primitive: PRIMITIVE, operation: "seal", implementation: "WebCrypto", bytes, batch: 1, run };
}

function nobleRow(bytes: number): Row {
  const key = nodeCrypto.randomBytes(32);
  const text = nodeCrypto.randomBytes(bytes);
  const nonce = new Uint8Array(12);
  const view = new DataView(nonce.buffer);
  let counter = 0;
  const run = () => {
    writeNonce(view, counter++);
    return noble(key, nonce).encrypt(text);
  };
  const first = run();
  const decipher = nodeCrypto.createDecipheriv("aes-256-gcm", key, new Uint8Array(12));
  decipher.setAuthTag(first.subarray(bytes));
  check(sameBytes(decipher.update(first.subarray(0, bytes)), text), "noble, seal");
  return { primitive: PRIMITIVE, operation: "seal", implementation: "@noble/ciphers", bytes, batch: 1, run };
}

/** From 32 bytes of key to an expansion that can seal. */
function keySetupRow(): Row {
  const key = new CachedKey(nodeCrypto.randomBytes(32));
  const bytes = nodeCrypto.randomBytes(32);
  return {
    primitive: PRIMITIVE,
    operation: "key set-up",
    implementation: "sealwire, wasm",
    batch: 1,
    run() {
      key.replace(bytes);
      return key.expanded();
    },
  };
}

export async function aes256gcmRows({ quick }: RowOptions): Promise<Row[]> {
  const rows: Row[] = [keySetupRow()];
  for (const bytes of quick ? QUICK_SIZES : SIZES) {
    rows.push(...nodeCryptoRows(bytes), await webCryptoRow(bytes), nobleRow(bytes));
    for (const batch of quick ? QUICK_BATCHES : BATCHES) {
      if (frameAt(bytes, batch) > MAX_BATCH_BYTES) continue;
      for (const engine of ENGINES) {
        // The runtime's GCM takes messages one by one, so its batches cost what single ones do.
        if (engine === "native" && batch > 1) continue;
        const [seal, both] = ownRows(engine, bytes, batch);
        rows.push(seal!);
        if (engine === "wasm" || engine === "auto") rows.push(both!);
      }
    }
  }
  return rows;
}
