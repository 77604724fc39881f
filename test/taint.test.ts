// No secret reaches a branch, a select, an address, a length or a division in either build of the module. The module
// runs with a taint for every value (scripts/taint). docs/SECURITY.md states what that proves, and what it does not
// prove.
import { createCipheriv, createPrivateKey, createPublicKey, diffieHellman, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import v8 from "node:v8";
import binaryen from "binaryen";
import { beforeAll, describe, expect, test } from "vitest";
import { Tracer } from "../scripts/taint/tracer.js";
import { parseWat, printWat } from "../scripts/taint/wat.js";

// Node 20 has relaxed SIMD behind this flag.
v8.setFlagsFromString("--experimental-wasm-relaxed-simd");

const build = (name: string) =>
  new Uint8Array(readFileSync(new URL(`../build/${name}.wasm`, import.meta.url)));

/** Lengths around the borders of blocks, groups, windows and ways of AES and GHASH. */
const TEXT_LENGTHS = [0, 1, 15, 16, 17, 100, 175, 176, 177, 192, 768, 1_400, 8_160, 8_192, 20_000];
/** Those around the borders of blocks, groups and windows of ChaCha20-Poly1305. */
const CHACHA_LENGTHS = [
  0, 1, 15, 16, 17, 63, 64, 65, 191, 192, 193, 448, 449, 704, 1_400, 4_096, 4_097, 20_000,
];
const HASH_LENGTHS = [0, 1, 63, 64, 65, 127, 128, 129, 255, 256, 300];
/** Where K-PKE.KeyGen has rho, which is a part of the public key, between G and the sampling of the matrix. */
const RHO: [number, number] = [0x3b00840, 0x3b00860];
const TAG = 16;

describe.each(["sealwire", "sealwire.relaxed"])("%s.wasm", (name) => {
  let tracer: Tracer;
  let staging: number;
  let slot: number;
  let pool: number;

  beforeAll(() => {
    tracer = new Tracer(build(name));
    staging = tracer.region("STAGING");
    slot = tracer.region("KEY_CACHE");
    pool = tracer.region("POOL");
  });

  function leaksOf(call: string, args: number[], declassified: [number, number][] = []) {
    return tracer.trace(call, args, declassified).leaks;
  }

  /** Puts the frame of `text` where frames are sealed; the text is secret. Returns the end. */
  function putFrame(text: Uint8Array): number {
    const prefix = Buffer.alloc(4);
    prefix.writeUInt32BE(text.length + TAG);
    tracer.put(pool, prefix, false);
    tracer.put(pool + 4, text, true);
    tracer.put(pool + 4 + text.length, new Uint8Array(TAG), false);
    return pool + 4 + text.length + TAG;
  }

  function setKey(key: Uint8Array): void {
    tracer.put(staging, key, true);
    expect(leaksOf("keySetup", [slot, staging])).toEqual([]);
    expect(tracer.taintedBytes(slot, 240)).toBe(240);
  }

  test("X25519, with each ladder and with the base point", () => {
    for (const fused of [0, 1]) {
      tracer.call("x25519AllowFused", fused);
      const keys = [randomBytes(32), randomBytes(32)] as const;
      tracer.put(staging, keys[0], true);
      tracer.put(staging + 32, publicKeyOf(keys[1]), false);
      expect(leaksOf("x25519", [staging + 64, staging, staging + 32])).toEqual([]);
      expect(tracer.taintedBytes(staging + 64, 32)).toBe(32);
      expect(Buffer.from(tracer.memory.slice(staging + 64, staging + 96))).toEqual(sharedSecret(...keys));
      for (let run = 0; run < 2; run++) {
        expect(leaksOf("x25519Base", [staging + 64, staging])).toEqual([]);
        expect(tracer.taintedBytes(staging + 64, 32)).toBe(32);
      }
    }
  });

  test("BLAKE2b, HMAC and HKDF of secrets of every kind of length", () => {
    for (const length of HASH_LENGTHS) {
      tracer.put(staging, randomBytes(512), true);
      tracer.put(staging + 1_024, randomBytes(128), true);
      const [out, key] = [staging + 2_048, staging + 1_024];
      expect(leaksOf("blake2b", [out, 64, staging, length, key, 32])).toEqual([]);
      expect(leaksOf("hmacBlake2b", [out, key, length % 129, staging, length])).toEqual([]);
      for (const outputs of [2, 3]) {
        expect(leaksOf("hkdfBlake2b", [out, key, staging, length, outputs])).toEqual([]);
        expect(tracer.taintedBytes(out, 64 * outputs)).toBe(64 * outputs);
      }
      expect(leaksOf("mixHash", [key, staging, length])).toEqual([]);
      expect(leaksOf("blake2bInit", [staging + 4_096, 64, key, 64])).toEqual([]);
      expect(leaksOf("blake2bUpdate", [staging + 4_096, staging, length])).toEqual([]);
      expect(leaksOf("blake2bFinal", [staging + 4_096, out])).toEqual([]);
    }
  });

  test("AES-GCM: expanding keys, sealing, opening; only whether the tag is right becomes known", () => {
    const key = randomBytes(32);
    setKey(key);
    for (const length of TEXT_LENGTHS) {
      const text = randomBytes(length);
      const end = putFrame(text);
      expect(leaksOf("sealFrames", [slot, 1, 0, 7, pool, end])).toEqual([]);
      expect(tracer.taintedBytes(pool + 4, length + TAG)).toBe(length + TAG);
      const sealed = Buffer.from(tracer.memory.slice(pool + 4, end));
      expect(sealed.equals(sealedByNode(key, 7, text))).toBe(true);
      for (const right of [false, true]) {
        tracer.put(pool + 4, sealed, false);
        if (!right) tracer.memory[end - 1]! ^= 1;
        const { result, leaks } = tracer.trace("openFrames", [slot, 1, 0, 7, pool, end]);
        expect(result).toBe(right ? 1 : 0);
        // The one branch on the verdict.
        expect(leaks.map(({ kind }) => kind)).toEqual(["branch"]);
        expect(tracer.taintedBytes(pool + 4, length)).toBe(right ? length : 0);
      }
    }
  });

  test("AES-GCM with keystream of the runtime, and in pieces", () => {
    setKey(randomBytes(32));
    const [ahead, keystream] = [tracer.region("AHEAD"), tracer.region("KEYSTREAM")];
    for (const length of TEXT_LENGTHS.filter((bytes) => bytes <= 8_192)) {
      const end = putFrame(randomBytes(length));
      tracer.put(ahead, randomBytes(16_384), true);
      expect(leaksOf("sealPrepared", [slot, pool, end, ahead])).toEqual([]);
      tracer.put(ahead, randomBytes(16_384), true);
      tracer.mark(pool + 4, length + TAG, false);
      expect(leaksOf("openPrepared", [slot, pool, end, ahead]).length).toBeLessThanOrEqual(1);
      const [iv, tag] = [staging + 64, staging + 128];
      tracer.put(iv, randomBytes(16), false);
      tracer.put(pool, randomBytes(length), true);
      expect(leaksOf("streamBegin", [slot, iv])).toEqual([]);
      expect(leaksOf("streamCrypt", [slot, pool, length])).toEqual([]);
      tracer.put(keystream, randomBytes(8_192), true);
      expect(leaksOf("streamXor", [pool, length])).toEqual([]);
      expect(leaksOf("streamHash", [slot, pool, length])).toEqual([]);
      expect(leaksOf("streamTag", [slot, 0, length, tag])).toEqual([]);
      expect(tracer.taintedBytes(tag, TAG)).toBe(TAG);
      // The comparison itself has no branch: the verdict is returned.
      expect(tracer.trace("streamVerify", [slot, 0, length, tag])).toEqual({ result: 1, leaks: [] });
      expect(leaksOf("streamEnd", [])).toEqual([]);
    }
  });

  test("ChaCha20-Poly1305: sealing, opening, in pieces; only whether the tag is right becomes known", () => {
    const key = randomBytes(32);
    tracer.put(staging, key, true);
    for (const length of CHACHA_LENGTHS) {
      const text = randomBytes(length);
      const end = putFrame(text);
      expect(leaksOf("chachaSealFrames", [staging, 3, 7, pool, end])).toEqual([]);
      expect(tracer.taintedBytes(pool + 4, length + TAG)).toBe(length + TAG);
      const sealed = Buffer.from(tracer.memory.slice(pool + 4, end));
      expect(sealed.equals(sealedByNodeChaCha(key, 3, 7, text))).toBe(true);
      for (const right of [false, true]) {
        tracer.put(pool + 4, sealed, false);
        if (!right) tracer.memory[end - 1]! ^= 1;
        const { result, leaks } = tracer.trace("chachaOpenFrames", [staging, 3, 7, pool, end]);
        expect(result).toBe(right ? 1 : 0);
        // The one branch on the verdict.
        expect(leaks.map(({ kind }) => kind)).toEqual(["branch"]);
        expect(tracer.taintedBytes(pool + 4, length)).toBe(right ? length : 0);
      }
      const [nonce, tag] = [staging + 32, staging + 128];
      tracer.put(nonce, randomBytes(12), false);
      tracer.put(pool, text, true);
      expect(leaksOf("chachaBegin", [staging])).toEqual([]);
      expect(leaksOf("chachaCrypt", [pool, length])).toEqual([]);
      expect(leaksOf("chachaHash", [pool, length])).toEqual([]);
      expect(leaksOf("chachaTag", [0, length, tag])).toEqual([]);
      expect(tracer.taintedBytes(tag, TAG)).toBe(TAG);
      expect(leaksOf("chachaEnd", [])).toEqual([]);
      // The comparison itself has no branch: the verdict is returned.
      tracer.mark(pool, length, false);
      expect(leaksOf("chachaBegin", [staging])).toEqual([]);
      expect(leaksOf("chachaHash", [pool, length])).toEqual([]);
      expect(tracer.trace("chachaVerify", [0, length, tag])).toEqual({ result: 1, leaks: [] });
      expect(leaksOf("chachaEnd", [])).toEqual([]);
    }
  });

  test("ML-KEM-768: keys, encapsulation, decapsulation and its implicit rejection", () => {
    const [ek, dk, c, secret] = [staging, staging + 0x600, staging + 0x1000, staging + 0x1600];
    const random = secret + 32;
    tracer.put(random, randomBytes(64), true);
    expect(leaksOf("mlKem768KeyGen", [ek, dk, random], [RHO])).toEqual([]);
    expect(tracer.taintedBytes(dk, 1_152)).toBe(1_152);
    // Public by definition: the key to encapsulate with, and its hash.
    tracer.mark(ek, 1_184, false);
    tracer.mark(dk + 1_152, 1_184 + 32, false);
    tracer.put(random, randomBytes(32), true);
    expect(tracer.trace("mlKem768Encaps", [secret, c, ek, random])).toEqual({ result: 1, leaks: [] });
    expect(tracer.taintedBytes(c, 1_088)).toBe(1_088);
    tracer.mark(c, 1_088, false);
    const shared = Buffer.from(tracer.memory.slice(secret, secret + 32));
    for (const right of [true, false]) {
      if (!right) tracer.memory[c + 5]! ^= 1;
      expect(tracer.trace("mlKem768Decaps", [secret, dk, c])).toEqual({ result: 1, leaks: [] });
      expect(tracer.taintedBytes(secret, 32)).toBe(32);
      expect(Buffer.from(tracer.memory.slice(secret, secret + 32)).equals(shared)).toBe(right);
    }
  });
});

describe("planted leaks", () => {
  // Of keySetup(slot, key): the first byte of the key, and one of the round keys that it made of it.
  const given = "(i32.load8_u (i32.const 0x80000))";
  const derived = "(i32.load8_u (i32.const 0x100065))";
  const plants = (secret: string): [string, string][] => [
    ["branch", `(if ${secret} (then (nop)))`],
    ["branch", `(block $leak (br_if $leak (i32.gt_u ${secret} (i32.const 100))))`],
    ["select", `(drop (select (i32.const 1) (i32.const 2) ${secret}))`],
    ["address", `(drop (i32.load8_u offset=1024 ${secret}))`],
    ["address", `(drop (v128.load offset=1024 (i32.shl ${secret} (i32.const 4))))`],
    ["address", `(i32.store8 offset=0x80000 ${secret} (i32.const 0))`],
    ["length", `(memory.fill (i32.const 0x80100) (i32.const 0) ${secret})`],
    ["division", `(drop (i32.rem_u ${secret} (i32.const 7)))`],
    ["division", `(drop (f64.div (f64.const 1) (f64.convert_i32_u ${secret})))`],
    ["branch", `(if (v128.any_true (i8x16.splat ${secret})) (then (nop)))`],
    ["branch", `(if (i32.wrap_i64 (i64.trunc_sat_f64_u (f64.convert_i32_u ${secret}))) (then (nop)))`],
  ];

  test("each is found, of what was given and of what was computed from it, and nothing else", () => {
    const all = [...plants(given), ...plants(derived)];
    const tracer = new Tracer(
      planted(
        "keySetup",
        all.map(([, statement]) => statement),
      ),
    );
    const [slot, staging] = [tracer.region("KEY_CACHE"), tracer.region("STAGING")];
    tracer.put(staging, randomBytes(32), true);
    expect([slot, staging]).toEqual([0x100000, 0x80000]);
    const kinds = tracer.trace("keySetup", [slot, staging]).leaks.map(({ kind }) => kind);
    // Whatever the key is: a branch is looked at whether it is taken or not.
    expect(kinds).toEqual(all.map(([kind]) => kind));
    // Of a key that is public, nothing can leak.
    tracer.put(staging, randomBytes(32), false);
    expect(tracer.trace("keySetup", [slot, staging]).leaks).toEqual([]);
  });
});

/** The plain build with these statements at the end of the function that is exported under `name`. */
function planted(name: string, statements: string[]): Uint8Array {
  const source = binaryen.readBinary(build("sealwire"));
  const list = parseWat(source.emitText()) as unknown[][];
  source.dispose();
  const exported = list.find((item) => item[0] === "export" && item[1] === `"${name}"`)!;
  const target = (exported[2] as string[])[1]!;
  const text = printWat(
    list.map((item) =>
      item[0] === "func" && item[1] === target ? [...item, ...statements.map(parseWat)] : item,
    ),
  );
  const module = binaryen.parseText(text);
  module.setFeatures(
    binaryen.Features.SIMD128 | binaryen.Features.BulkMemory | binaryen.Features.NontrappingFPToInt,
  );
  const bytes = module.emitBinary();
  module.dispose();
  return bytes;
}

const PKCS8 = Buffer.from("302e020100300506032b656e04220420", "hex");

function privateKeyObject(key: Uint8Array) {
  return createPrivateKey({ key: Buffer.concat([PKCS8, key]), format: "der", type: "pkcs8" });
}

function publicKeyOf(key: Uint8Array): Buffer {
  return createPublicKey(privateKeyObject(key)).export({ format: "der", type: "spki" }).subarray(-32);
}

function sharedSecret(own: Uint8Array, other: Uint8Array): Buffer {
  return diffieHellman({
    privateKey: privateKeyObject(own),
    publicKey: createPublicKey(privateKeyObject(other)),
  });
}

/** Ciphertext and tag under the IV of Noise's counter. */
function sealedByNode(key: Uint8Array, counter: number, text: Uint8Array): Buffer {
  const iv = Buffer.alloc(12);
  iv.writeUInt32BE(counter, 8);
  const cipher = createCipheriv("aes-256-gcm", key, iv);
  return Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()]);
}

/** The same for ChaCha20-Poly1305, whose counter is little-endian; given in halves. */
function sealedByNodeChaCha(key: Uint8Array, high: number, low: number, text: Uint8Array): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32LE(low, 4);
  nonce.writeUInt32LE(high, 8);
  const cipher = createCipheriv("chacha20-poly1305", key, nonce, { authTagLength: TAG });
  return Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()]);
}
