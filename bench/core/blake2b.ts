// Rows for BLAKE2b-512 and Noise's HKDF over it: functions on byte arrays, and the form in linear memory that the
// handshake uses, beside node:crypto, @noble/hashes, libsodium-wrappers and hash-wasm. WebCrypto has no BLAKE2.

import nodeCrypto from "node:crypto";
import { blake2b as nobleBlake2b } from "@noble/hashes/blake2.js";
import { hmac as nobleHmac } from "@noble/hashes/hmac.js";
import { createBLAKE2b } from "hash-wasm";
import sodium from "libsodium-wrappers";
import { blake2b, hkdfBlake2b } from "../../src/core/blake2b.ts";
import { core, memory, STAGING } from "../../src/core/wasmModule.ts";
import { check, type Row, type RowOptions, sameBytes } from "./rows.ts";

const SIZES = [64, 1024, 65536];
const IN = STAGING + 1024;

type Hash = { implementation: string; run: () => Uint8Array };

async function hashRows(bytes: number): Promise<Row[]> {
  const input = new Uint8Array(nodeCrypto.randomBytes(bytes));
  const hashWasm = await createBLAKE2b(512);
  const rows: Hash[] = [
    { implementation: "sealwire", run: () => blake2b(input) },
    {
      implementation: "node:crypto",
      run: () => nodeCrypto.createHash("blake2b512").update(input).digest(),
    },
    { implementation: "libsodium-wrappers", run: () => sodium.crypto_generichash(64, input, null) },
    { implementation: "hash-wasm", run: () => hashWasm.init().update(input).digest("binary") },
    { implementation: "@noble/hashes", run: () => nobleBlake2b(input) },
  ];
  const expected = nobleBlake2b(input);
  for (const { implementation, run } of rows) check(sameBytes(run(), expected), `BLAKE2b, ${implementation}`);

  const inPlace = {
    implementation: "sealwire, in linear memory",
    prepare: () => memory.set(input, IN),
    run: () => core.blake2b(STAGING, 64, IN, bytes, 0, 0),
  };
  inPlace.prepare();
  inPlace.run();
  check(sameBytes(memory.slice(STAGING, STAGING + 64), expected), "BLAKE2b, in linear memory");
  return [inPlace, ...rows].map((row) => ({
    primitive: "BLAKE2b-512",
    operation: "hash",
    bytes,
    batch: 1,
    ...row,
  }));
}

/** Noise revision 34, section 4.3, with two outputs over some HMAC. */
function hkdfOver(hmac: (key: Uint8Array, data: Uint8Array) => Uint8Array) {
  const counter = Uint8Array.of(1);
  return (chainingKey: Uint8Array, material: Uint8Array) => {
    const tempKey = hmac(chainingKey, material);
    const first = hmac(tempKey, counter);
    const data = new Uint8Array(65);
    data.set(first);
    data[64] = 2;
    return [first, hmac(tempKey, data)];
  };
}

function hkdfRows(): Row[] {
  const chainingKey = new Uint8Array(nodeCrypto.randomBytes(64));
  const material = new Uint8Array(nodeCrypto.randomBytes(32));
  const noble = hkdfOver((key, data) => nobleHmac(nobleBlake2b, key, data));
  const node = hkdfOver((key, data) => nodeCrypto.createHmac("blake2b512", key).update(data).digest());
  const expected = noble(chainingKey, material);
  const rows = [
    { implementation: "sealwire", run: () => hkdfBlake2b(chainingKey, material, 2) },
    { implementation: "@noble/hashes", run: () => noble(chainingKey, material) },
  ];
  // Bun's createHmac knows no BLAKE2b.
  if (process.versions.bun === undefined) {
    rows.push({ implementation: "node:crypto", run: () => node(chainingKey, material) });
  }
  for (const { implementation, run } of rows) {
    check(
      run().every((key, i) => sameBytes(key, expected[i]!)),
      `HKDF, ${implementation}`,
    );
  }
  const inPlace = {
    implementation: "sealwire, in linear memory",
    prepare() {
      memory.set(chainingKey, STAGING);
      memory.set(material, STAGING + 64);
    },
    run: () => core.hkdfBlake2b(IN, STAGING, STAGING + 64, 32, 2),
  };
  inPlace.prepare();
  inPlace.run();
  check(sameBytes(memory.slice(IN + 64, IN + 128), expected[1]!), "HKDF, in linear memory");
  return [inPlace, ...rows].map((row) => ({
    primitive: "BLAKE2b-512",
    operation: "Noise HKDF, 2 outputs",
    batch: 1,
    ...row,
  }));
}

export async function blake2bRows({ quick }: RowOptions): Promise<Row[]> {
  await sodium.ready;
  const rows: Row[] = [];
  for (const bytes of quick ? [64, 65536] : SIZES) rows.push(...(await hashRows(bytes)));
  return [...rows, ...hkdfRows()];
}
