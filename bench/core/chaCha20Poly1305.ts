// Rows for ChaCha20-Poly1305: ChaChaFrameCipher's engines over frames in linear memory, beside @noble/ciphers and
// node:crypto. Bun's node:crypto does not have the cipher.

import nodeCrypto from "node:crypto";
import { chacha20poly1305 as noble } from "@noble/ciphers/chacha.js";
import { ChaChaFrameCipher } from "../../src/core/chaChaFrameCipher.ts";
import { hasNativeChaCha } from "../../src/core/runtimeChaCha.ts";
import { memory, POOL } from "../../src/core/wasmModule.ts";
import { check, type Row, type RowOptions, sameBytes } from "./rows.ts";

const PRIMITIVE = "ChaCha20-Poly1305";
const SIZES = [16, 64, 256, 1_404, 4_096, 16_384, 65_536];
const QUICK_SIZES = [64, 1_404, 65_536];

function ownRows(engine: "wasm" | "native" | "auto", bytes: number): Row[] {
  const key = nodeCrypto.randomBytes(32);
  const text = nodeCrypto.randomBytes(bytes);
  const end = POOL + bytes + 20;
  const sender = new ChaChaFrameCipher(key, engine);
  const receiver = new ChaChaFrameCipher(key, engine);
  const prepare = () => {
    new DataView(memory.buffer).setUint32(POOL, bytes + 16);
    memory.set(text, POOL + 4);
    receiver.counterHigh = sender.counterHigh;
    receiver.counterLow = sender.counterLow;
  };
  prepare();
  sender.sealFrames(POOL, end, 1);
  const expected = noble(key, new Uint8Array(12)).encrypt(text);
  check(sameBytes(memory.slice(POOL + 4, end), expected), `${engine}, ${bytes} B, seal`);
  check(receiver.openFrames(POOL, end, 1) === 1, `${engine}, ${bytes} B, open`);
  check(sameBytes(memory.slice(POOL + 4, POOL + 4 + bytes), text), `${engine}, ${bytes} B, opened text`);
  const common = { primitive: PRIMITIVE, implementation: `sealwire, ${engine}`, bytes, batch: 1, prepare };
  return [
    { ...common, operation: "seal", run: () => sender.sealFrames(POOL, end, 1) },
    {
      ...common,
      // Both together, because what is to be opened has to be sealed first.
      operation: "seal and open",
      run() {
        sender.sealFrames(POOL, end, 1);
        if (receiver.openFrames(POOL, end, 1) !== 1) throw new Error(`${engine}, ${bytes} B did not open`);
      },
    },
  ];
}

function controlRow(implementation: string, bytes: number): Row {
  const key = nodeCrypto.randomBytes(32);
  const text = nodeCrypto.randomBytes(bytes);
  const nonce = new Uint8Array(12);
  const seal =
    implementation === "@noble/ciphers"
      ? () => noble(key, nonce).encrypt(text)
      : () => {
          const cipher = nodeCrypto.createCipheriv("chacha20-poly1305", key, nonce, { authTagLength: 16 });
          const ciphertext = cipher.update(text);
          cipher.final();
          return Buffer.concat([ciphertext, cipher.getAuthTag()]);
        };
  check(sameBytes(seal(), noble(key, nonce).encrypt(text)), `${implementation}, seal`);
  return { primitive: PRIMITIVE, operation: "seal", implementation, bytes, batch: 1, run: seal };
}

export function chaCha20Poly1305Rows({ quick }: RowOptions): Row[] {
  const engines = hasNativeChaCha() ? (["wasm", "native", "auto"] as const) : (["wasm", "auto"] as const);
  return (quick ? QUICK_SIZES : SIZES).flatMap((bytes) => [
    ...(hasNativeChaCha() ? [controlRow("node:crypto", bytes)] : []),
    controlRow("@noble/ciphers", bytes),
    ...engines.flatMap((engine) => ownRows(engine, bytes)),
  ]);
}
