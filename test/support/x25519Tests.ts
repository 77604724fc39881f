// X25519 against public vectors and independent implementations. Registered once per build of the core.

import assert from "node:assert/strict";
import nodeCrypto from "node:crypto";
import { x25519 as noble } from "@noble/curves/ed25519.js";
import { shared, sharedCount } from "./every.ts";
import { test } from "./harness.ts";
import { fromHex, readVectors, toHex } from "./vectors.ts";

type X25519Module = typeof import("../../src/core/x25519.ts");

interface Wycheproof {
  testGroups: { tests: { tcId: number; public: string; private: string; shared: string }[] }[];
}

const ZERO = "00".repeat(32);

export function randomBytes(length: number): Uint8Array<ArrayBuffer> {
  return crypto.getRandomValues(new Uint8Array(length));
}

/** RFC 7748 section 5.2: k and u start as 9; each round k becomes X25519(k, u) and u the old k. */
function iterate({ x25519 }: X25519Module, rounds: number): string {
  let k = fromHex("09".padEnd(64, "0"));
  let u = k;
  for (let i = 0; i < rounds; i++) {
    const next = x25519(k, u);
    u = k;
    k = next;
  }
  return toHex(k);
}

/** What node:crypto says; undefined where it refuses (an all-zero secret). */
function nodeSharedSecret(privateKey: Uint8Array, publicKey: Uint8Array): string {
  const pkcs8 = Buffer.concat([Buffer.from("302e020100300506032b656e04220420", "hex"), privateKey]);
  const spki = Buffer.concat([Buffer.from("302a300506032b656e032100", "hex"), publicKey]);
  return nodeCrypto
    .diffieHellman({
      privateKey: nodeCrypto.createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" }),
      publicKey: nodeCrypto.createPublicKey({ key: spki, format: "der", type: "spki" }),
    })
    .toString("hex");
}

export function registerX25519Tests(module: X25519Module): void {
  const { x25519, x25519PublicKey } = module;

  test("Wycheproof: all 518 cases, the 31 all-zero secrets refused", () => {
    const { testGroups } = readVectors<Wycheproof>("wycheproof-x25519.json");
    const cases = testGroups.flatMap((group) => group.tests);
    let refused = 0;
    for (const { tcId, public: publicKey, private: privateKey, shared } of cases) {
      if (shared === ZERO) {
        refused++;
        assert.throws(
          () => x25519(fromHex(privateKey), fromHex(publicKey)),
          { code: "ERR_WEAK_PUBLIC_KEY" },
          `case ${tcId}`,
        );
      } else {
        assert.equal(toHex(x25519(fromHex(privateKey), fromHex(publicKey))), shared, `case ${tcId}`);
      }
    }
    assert.equal(cases.length, 518);
    assert.equal(refused, 31);
  });

  test("RFC 7748 section 5.2: the two vectors", () => {
    assert.equal(
      toHex(
        x25519(
          fromHex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"),
          fromHex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"),
        ),
      ),
      "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
    );
    assert.equal(
      toHex(
        x25519(
          fromHex("4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d"),
          fromHex("e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493"),
        ),
      ),
      "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
    );
  });

  test("RFC 7748 section 5.2: 1 and 1,000 iterations", () => {
    assert.equal(iterate(module, 1), "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
    assert.equal(iterate(module, 1000), "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
  });

  const million = process.env.SEALWIRE_TEST_MILLION === "1";
  test(
    "RFC 7748 section 5.2: 1,000,000 iterations",
    million ? { timeoutMs: 600_000 } : { skip: "set SEALWIRE_TEST_MILLION=1 to run it" },
    () => {
      assert.equal(
        iterate(module, 1_000_000),
        "7c3911e0ab2586fd864497297e575e6f3bc601c0883c30df5f4dd2d24f665424",
      );
    },
  );

  test("RFC 7748 section 6.1: Diffie-Hellman", () => {
    const a = fromHex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
    const b = fromHex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
    assert.equal(
      toHex(x25519PublicKey(a)),
      "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
    );
    assert.equal(
      toHex(x25519PublicKey(b)),
      "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
    );
    const shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
    assert.equal(toHex(x25519(a, x25519PublicKey(b))), shared);
    assert.equal(toHex(x25519(b, x25519PublicKey(a))), shared);
  });

  test("random keys: as @noble/curves and node:crypto say", () => {
    for (let i = 0; i < sharedCount(100); i++) {
      const privateKey = randomBytes(32);
      const publicKey = randomBytes(32);
      const shared = toHex(x25519(privateKey, publicKey));
      assert.equal(shared, toHex(noble.getSharedSecret(privateKey, publicKey)));
      if (i < 20) assert.equal(shared, nodeSharedSecret(privateKey, publicKey));
    }
  });

  test("public keys from the fixed-base table are those of the ladder, and noble's", () => {
    const base = fromHex("09".padEnd(64, "0"));
    // Every digit value at every position of the signed radix-16 recoding, then random.
    const patterns = Array.from({ length: 16 }, (_, n) =>
      fromHex((n.toString(16) + n.toString(16)).repeat(32)),
    );
    const mixed = Array.from({ length: 15 }, (_, n) => fromHex((n.toString(16) + "f").repeat(32)));
    const single = Array.from({ length: 256 }, (_, bit) => {
      const key = new Uint8Array(32);
      key[bit >> 3] = 1 << (bit & 7);
      return key;
    });
    const random = Array.from({ length: 200 }, () => randomBytes(32));
    for (const privateKey of shared([...patterns, ...mixed, ...single, ...random])) {
      const publicKey = toHex(x25519PublicKey(privateKey));
      assert.equal(publicKey, toHex(x25519(privateKey, base)), toHex(privateKey));
    }
    for (const privateKey of random.slice(0, sharedCount(50))) {
      assert.equal(toHex(x25519PublicKey(privateKey)), toHex(noble.getPublicKey(privateKey)));
    }
  });

  test("edge values of u: around 0, p, 2^255 and limb borders, top bit ignored", () => {
    const p = 2n ** 255n - 19n;
    const values = new Set<bigint>();
    for (let i = -20n; i <= 20n; i++) {
      for (const centre of [p, 2n ** 255n, 2n * p, 2n ** 256n - 21n]) {
        if (centre + i >= 0n && centre + i < 2n ** 256n) values.add(centre + i);
      }
    }
    for (let bit = 1n; bit < 256n; bit++) {
      values.add(2n ** bit);
      values.add(2n ** bit - 1n);
    }
    const privateKey = randomBytes(32);
    let compared = 0;
    for (const value of shared([...values])) {
      const u = fromHex(value.toString(16).padStart(64, "0")).reverse();
      const reduced = (value & (2n ** 255n - 1n)) % p;
      const canonical = fromHex(reduced.toString(16).padStart(64, "0")).reverse();
      let expected: string;
      try {
        expected = toHex(noble.getSharedSecret(privateKey, canonical));
      } catch {
        assert.throws(() => x25519(privateKey, u), { code: "ERR_WEAK_PUBLIC_KEY" });
        continue;
      }
      compared++;
      assert.equal(toHex(x25519(privateKey, u)), expected, value.toString(16));
    }
    assert.ok(compared > sharedCount(500));
  });

  test("random key pairs agree on a secret; clamping is done on use, not on the key", () => {
    for (let i = 0; i < 20; i++) {
      const a = module.x25519KeyPair();
      const b = module.x25519KeyPair();
      assert.equal(a.privateKey.length, 32);
      assert.equal(toHex(x25519(a.privateKey, b.publicKey)), toHex(x25519(b.privateKey, a.publicKey)));
      const clamped = a.privateKey.slice();
      clamped[0]! &= 248;
      clamped[31] = (clamped[31]! & 127) | 64;
      assert.equal(toHex(x25519PublicKey(clamped)), toHex(a.publicKey));
    }
    const given = randomBytes(32);
    const pair = module.x25519KeyPair(given);
    assert.equal(toHex(pair.privateKey), toHex(given));
    given.fill(0);
    assert.notEqual(toHex(pair.privateKey), ZERO, "the private key is copied");
  });
}
