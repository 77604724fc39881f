// ML-KEM-768 against public vectors and independent implementations. Registered once per build of the core.

import assert from "node:assert/strict";
import * as nodeCrypto from "node:crypto";
import { sha3_256, sha3_512, shake128, shake256 } from "@noble/hashes/sha3.js";
import { ml_kem768 as noble } from "@noble/post-quantum/ml-kem.js";
import { isShared, runsEvery, shared, sharedCount, sharedStep } from "./every.ts";
import { runtimeId, test } from "./harness.ts";
import { fromHex, readVectors, toHex } from "./vectors.ts";

type MlKemModule = typeof import("../../src/core/mlKem768.ts");
type CryptoModule = typeof import("../../src/core/wasmModule.ts");

interface Wycheproof {
  encaps: { tcId: number; flags?: string[]; m: string; ek: string; c: string; K: string; result: string }[];
  decaps: { tcId: number; seed: string; ek?: string; c: string; K: string; result: string }[];
  keygen: { tcId: number; seed: string; ek: string; dk: string; result: string }[];
  semiExpandedDecaps: { tcId: number; flags: string[]; dk: string; c: string; K?: string; result: string }[];
}

const EK_OFFSET = 1_152;
const Z_OFFSET = 2_368;
const Q = 3_329;

export function randomBytes(length: number): Uint8Array<ArrayBuffer> {
  return crypto.getRandomValues(new Uint8Array(length));
}

function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = bytes.slice();
  copy[bit >> 3]! ^= 1 << (bit & 7);
  return copy;
}

/** Coefficient n of an encoded key (ByteEncode_12), and the key with another one there. */
function coefficient(key: Uint8Array, n: number): number {
  const at = 3 * (n >> 1);
  return n % 2 === 0 ? key[at]! | ((key[at + 1]! & 15) << 8) : (key[at + 1]! >> 4) | (key[at + 2]! << 4);
}
function withCoefficient(key: Uint8Array, n: number, value: number): Uint8Array {
  const copy = key.slice();
  const at = 3 * (n >> 1);
  if (n % 2 === 0) {
    copy[at] = value & 255;
    copy[at + 1] = (copy[at + 1]! & 0xf0) | (value >> 8);
  } else {
    copy[at + 1] = (copy[at + 1]! & 15) | ((value & 15) << 4);
    copy[at + 2] = value >> 4;
  }
  return copy;
}

/** One seed and one m through all three operations and two bad ciphertexts, compared with @noble/post-quantum. */
function compareWithNoble(module: MlKemModule): void {
  const seed = randomBytes(64);
  const m = randomBytes(32);
  const pair = module.mlKem768KeyPair(seed);
  const expected = noble.keygen(seed);
  assert.ok(Buffer.from(pair.encapsulationKey).equals(expected.publicKey), toHex(seed));
  assert.ok(Buffer.from(pair.decapsulationKey).equals(expected.secretKey), toHex(seed));
  const { ciphertext, sharedSecret } = module.mlKem768EncapsulateInternal(pair.encapsulationKey, m);
  const encapsulated = noble.encapsulate(expected.publicKey, m);
  assert.ok(Buffer.from(ciphertext).equals(encapsulated.cipherText), `${toHex(seed)} ${toHex(m)}`);
  assert.deepEqual(sharedSecret, encapsulated.sharedSecret);
  assert.deepEqual(module.mlKem768Decapsulate(pair.decapsulationKey, ciphertext), sharedSecret);
  for (const bad of [randomBytes(1_088), flipped(ciphertext, Math.floor(Math.random() * 8_704))]) {
    assert.deepEqual(
      toHex(module.mlKem768Decapsulate(pair.decapsulationKey, bad)),
      toHex(noble.decapsulate(bad, expected.secretKey)),
      `${toHex(seed)} ${toHex(bad)}`,
    );
  }
}

export function registerMlKemTests(module: MlKemModule, { core, memory, STAGING }: CryptoModule): void {
  const { mlKem768Decapsulate, mlKem768Encapsulate, mlKem768EncapsulateInternal, mlKem768KeyPair } = module;

  const sponge = (rate: number, suffix: number, length: number, data: Uint8Array): string => {
    memory.set(data, STAGING);
    const out = STAGING + 0x4000;
    core.sponge(rate, suffix, out, length, STAGING, data.length);
    return toHex(memory.subarray(out, out + length));
  };

  test("FIPS 202: the published digests of nothing and of abc", () => {
    const abc = new TextEncoder().encode("abc");
    const nothing = new Uint8Array(0);
    assert.equal(
      sponge(136, 0x06, 32, nothing),
      "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a",
    );
    assert.equal(
      sponge(136, 0x06, 32, abc),
      "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
    );
    assert.equal(
      sponge(72, 0x06, 64, nothing),
      "a69f73cca23a9ac5c8b567dc185a756e97c982164fe25859e0d1dcc1475c80a6" +
        "15b2123af1f5f94c11e3e9402c3ac558f500199d95b6d3e301758586281dcd26",
    );
    assert.equal(
      sponge(168, 0x1f, 32, nothing),
      "7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26",
    );
    assert.equal(
      sponge(136, 0x1f, 32, nothing),
      "46b9dd2b0ba88d13233b3feb743eeb243fcd52ea62b81b82b50c27646ed5762f",
    );
  });

  test("SHA-3 and SHAKE: every length around the blocks, as @noble/hashes says", () => {
    for (let length = 0; length <= 420; length++) {
      const data = randomBytes(length);
      assert.equal(sponge(136, 0x06, 32, data), toHex(sha3_256(data)), `SHA3-256, ${length}`);
      assert.equal(sponge(72, 0x06, 64, data), toHex(sha3_512(data)), `SHA3-512, ${length}`);
      const dkLen = 1 + ((length * 7) % 600);
      assert.equal(sponge(168, 0x1f, dkLen, data), toHex(shake128(data, { dkLen })), `SHAKE128, ${length}`);
      assert.equal(sponge(136, 0x1f, dkLen, data), toHex(shake256(data, { dkLen })), `SHAKE256, ${length}`);
    }
  });

  test("Wycheproof: key generation", () => {
    const { keygen } = readVectors<Wycheproof>("wycheproof-mlkem-768.json");
    assert.equal(keygen.length, 67);
    for (const { tcId, seed, ek, dk } of keygen) {
      const pair = mlKem768KeyPair(fromHex(seed));
      assert.equal(toHex(pair.encapsulationKey), ek, `case ${tcId}`);
      assert.equal(toHex(pair.decapsulationKey), dk, `case ${tcId}`);
    }
  });

  test("Wycheproof: encapsulation; bad keys are refused", () => {
    const { encaps } = readVectors<Wycheproof>("wycheproof-mlkem-768.json");
    const counts = { valid: 0, weak: 0, length: 0 };
    for (const { tcId, ek, m, c, K, result } of encaps) {
      const key = fromHex(ek);
      if (result === "valid") {
        const { ciphertext, sharedSecret } = mlKem768EncapsulateInternal(key, fromHex(m));
        assert.equal(toHex(ciphertext), c, `case ${tcId}`);
        assert.equal(toHex(sharedSecret), K, `case ${tcId}`);
        counts.valid++;
      } else {
        const hasLength = key.length === 1_184;
        const code = hasLength ? "ERR_WEAK_PUBLIC_KEY" : "ERR_INVALID_ARGUMENT";
        assert.throws(() => mlKem768EncapsulateInternal(key, fromHex(m)), { code }, `case ${tcId}`);
        assert.throws(() => mlKem768Encapsulate(key), { code }, `case ${tcId}`);
        counts[hasLength ? "weak" : "length"]++;
      }
    }
    assert.deepEqual(counts, { valid: 89, weak: 75, length: 13 });
  });

  test("Wycheproof: decapsulation; bad seeds, keys and ciphertexts are refused", () => {
    const { decaps, semiExpandedDecaps } = readVectors<Wycheproof>("wycheproof-mlkem-768.json");
    let refused = 0;
    for (const { tcId, seed, ek, c, K, result } of decaps) {
      const run = () => {
        const pair = mlKem768KeyPair(fromHex(seed));
        if (ek !== undefined) assert.equal(toHex(pair.encapsulationKey), ek, `case ${tcId}`);
        return toHex(mlKem768Decapsulate(pair.decapsulationKey, fromHex(c)));
      };
      if (result === "valid") assert.equal(run(), K, `case ${tcId}`);
      else {
        assert.throws(run, { code: "ERR_INVALID_ARGUMENT" }, `case ${tcId}`);
        refused++;
      }
    }
    for (const { tcId, dk, c, K, result } of semiExpandedDecaps) {
      const run = () => toHex(mlKem768Decapsulate(fromHex(dk), fromHex(c)));
      if (result === "valid") assert.equal(run(), K, `expanded case ${tcId}`);
      else {
        assert.throws(run, { code: "ERR_INVALID_ARGUMENT" }, `expanded case ${tcId}`);
        refused++;
      }
    }
    assert.equal(decaps.length + semiExpandedDecaps.length, 138);
    assert.equal(refused, 32);
  });

  test("random cases: as @noble/post-quantum says, implicit rejection too", () => {
    for (let i = 0; i < sharedCount(300); i++) compareWithNoble(module);
  });

  const many = process.env.SEALWIRE_TEST_MILLION === "1";
  test(
    "25,000 random cases: as @noble/post-quantum says",
    many ? { timeoutMs: 280_000 } : { skip: "set SEALWIRE_TEST_MILLION=1 to run it" },
    () => {
      for (let i = 0; i < 25_000; i++) compareWithNoble(module);
    },
  );

  test("random cases: as node:crypto says", { only: ["node26"], timeoutMs: 240_000 }, () => {
    for (let i = 0; i < (many ? 50_000 : 200); i++) compareWithNode(module);
    assert.equal(runtimeId, "node26");
  });

  test("the bits of a ciphertext: the secret is SHAKE256(z ‖ c), as implicit rejection has it", () => {
    const { encapsulationKey, decapsulationKey } = mlKem768KeyPair();
    const { ciphertext } = mlKem768Encapsulate(encapsulationKey);
    const z = decapsulationKey.subarray(Z_OFFSET);
    // Steps of seven bits come by every byte, and by each of its bits in turn; every run begins at another.
    const step = sharedStep(runsEvery ? 1 : 7);
    for (let bit = Math.floor(Math.random() * step); bit < 8 * ciphertext.length; bit += step) {
      const bad = flipped(ciphertext, bit);
      const message = new Uint8Array([...z, ...bad]);
      assert.deepEqual(
        mlKem768Decapsulate(decapsulationKey, bad),
        new Uint8Array(shake256(message, { dkLen: 32 })),
        `bit ${bit}`,
      );
    }
  });

  test("every bit of a decapsulation key", () => {
    const { encapsulationKey, decapsulationKey } = mlKem768KeyPair();
    const { ciphertext, sharedSecret } = mlKem768Encapsulate(encapsulationKey);
    for (let bit = 0; bit < 8 * decapsulationKey.length; bit++) {
      if (!isShared(bit)) continue;
      const bad = flipped(decapsulationKey, bit);
      if (bit >= 8 * Z_OFFSET) {
        assert.deepEqual(mlKem768Decapsulate(bad, ciphertext), sharedSecret, `z, bit ${bit}`);
      } else if (bit >= 8 * EK_OFFSET) {
        const message = /^decapsulationKey must be whole/;
        assert.throws(() => mlKem768Decapsulate(bad, ciphertext), { code: "ERR_INVALID_ARGUMENT", message });
      } else if (bit % 61 === 0) {
        assert.deepEqual(
          mlKem768Decapsulate(bad, ciphertext),
          new Uint8Array(noble.decapsulate(ciphertext, bad)),
          `s-hat, bit ${bit}`,
        );
      }
    }
  });

  test("the modulus check: every coefficient at q - 1, at q and at 4095", () => {
    const { encapsulationKey } = mlKem768KeyPair();
    for (const n of shared(Array.from({ length: 768 }, (_, i) => i))) {
      mlKem768Encapsulate(withCoefficient(encapsulationKey, n, Q - 1));
      for (const value of [Q, Q + 1, 4_095]) {
        const bad = withCoefficient(encapsulationKey, n, value);
        assert.equal(coefficient(bad, n), value);
        assert.throws(() => mlKem768Encapsulate(bad), { code: "ERR_WEAK_PUBLIC_KEY" }, `${n}: ${value}`);
      }
    }
  });

  test("keys and messages of extremes: as @noble/post-quantum says", () => {
    const fills = [0, 0xff, 0x55, 0xaa];
    for (const seedByte of fills) {
      const seed = new Uint8Array(64).fill(seedByte);
      const { encapsulationKey, decapsulationKey } = mlKem768KeyPair(seed);
      assert.deepEqual(encapsulationKey, new Uint8Array(noble.keygen(seed).publicKey));
      for (const byte of fills) {
        const m = new Uint8Array(32).fill(byte);
        const { ciphertext, sharedSecret } = mlKem768EncapsulateInternal(encapsulationKey, m);
        assert.deepEqual(ciphertext, new Uint8Array(noble.encapsulate(encapsulationKey, m).cipherText));
        assert.deepEqual(mlKem768Decapsulate(decapsulationKey, ciphertext), sharedSecret);
        const bad = new Uint8Array(1_088).fill(byte);
        assert.deepEqual(
          mlKem768Decapsulate(decapsulationKey, bad),
          new Uint8Array(noble.decapsulate(bad, decapsulationKey)),
        );
      }
    }
    // Coefficients that are as large as they may be, in the key and, for s-hat, larger than a key generator writes.
    const { encapsulationKey, decapsulationKey } = mlKem768KeyPair();
    let ek: Uint8Array = encapsulationKey;
    for (let n = 0; n < 768; n++) ek = withCoefficient(ek, n, Q - 1);
    const m = randomBytes(32);
    assert.deepEqual(
      mlKem768EncapsulateInternal(ek, m).ciphertext,
      new Uint8Array(noble.encapsulate(ek, m).cipherText),
    );
    const dk = decapsulationKey.slice();
    dk.fill(0xff, 0, EK_OFFSET);
    const ciphertext = randomBytes(1_088);
    assert.deepEqual(mlKem768Decapsulate(dk, ciphertext), new Uint8Array(noble.decapsulate(ciphertext, dk)));
  });
}

const SPKI_PREFIX = Buffer.from("308204b2300b0609608648016503040402038204a100", "hex");
const PKCS8_SEED_PREFIX = Buffer.from("3054020100300b060960864801650304040204428040", "hex");

/** Encapsulated here and decapsulated by node:crypto, and the other way round. */
function compareWithNode(module: MlKemModule): void {
  const { decapsulate, encapsulate } = nodeCrypto as unknown as {
    decapsulate(key: nodeCrypto.KeyObject, ciphertext: Uint8Array): Buffer;
    encapsulate(key: nodeCrypto.KeyObject): { sharedKey: Buffer; ciphertext: Buffer };
  };
  const seed = randomBytes(64);
  const pair = module.mlKem768KeyPair(seed);
  const key = Buffer.concat([PKCS8_SEED_PREFIX, seed]);
  const privateKey = nodeCrypto.createPrivateKey({ key, format: "der", type: "pkcs8" });
  const spki = nodeCrypto.createPublicKey(privateKey).export({ format: "der", type: "spki" });
  assert.deepEqual(spki, Buffer.concat([SPKI_PREFIX, pair.encapsulationKey]));
  const ours = module.mlKem768Encapsulate(pair.encapsulationKey);
  assert.equal(toHex(decapsulate(privateKey, ours.ciphertext)), toHex(ours.sharedSecret));
  const theirs = encapsulate(nodeCrypto.createPublicKey(privateKey));
  assert.equal(
    toHex(module.mlKem768Decapsulate(pair.decapsulationKey, theirs.ciphertext)),
    toHex(theirs.sharedKey),
  );
  const bad = flipped(ours.ciphertext, Math.floor(Math.random() * 8_704));
  assert.equal(
    toHex(module.mlKem768Decapsulate(pair.decapsulationKey, bad)),
    toHex(decapsulate(privateKey, bad)),
  );
}
