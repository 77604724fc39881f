// The primitives as the API offers them, with any bytes of any length, and what must hold whatever they are.

import assert from "node:assert/strict";
import { expandedKeys } from "../../src/core/cachedKey.ts";
import { memory, STAGING, STAGING_BYTES } from "../../src/core/wasmModule.ts";
import {
  aes256gcm,
  Blake2b,
  blake2b,
  chacha20poly1305,
  hkdfBlake2b,
  hmacBlake2b,
  mlKem768Decapsulate,
  mlKem768Encapsulate,
  mlKem768KeyPair,
  x25519,
  x25519PublicKey,
} from "../../src/crypto.ts";
import type { Random } from "../simulation/random.ts";
import { type Level, mutated, outcome, someBytes, split } from "./level.ts";

const bytesOf = (random: Random, length: number) =>
  random.chance(0.9) ? random.bytes(length) : someBytes(random, 2 * length);

const equal = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

const exports: ((random: Random) => void)[] = [
  (random) => {
    const [a, b] = [bytesOf(random, 32), bytesOf(random, 32)];
    const keys = [a, b].map((key) => outcome(() => x25519PublicKey(key)).value);
    if (keys[0] === undefined || keys[1] === undefined) return;
    assert.ok(equal(x25519(a, keys[1]), x25519(b, keys[0])));
    outcome(() => x25519(a, mutated(random, keys[1]!)));
  },
  (random) => {
    const engine = random.pick(["wasm", "native", "auto", "keystream"] as const);
    const aead = random.pick([aes256gcm, chacha20poly1305]);
    const { value: cipher } = outcome(() => aead(bytesOf(random, 32), engine as "auto"));
    if (cipher === undefined) return;
    const [nonce, text, aad] = [
      bytesOf(random, 12),
      someBytes(random, random.pick([40, 3_000])),
      someBytes(random, 50),
    ];
    const { value: sealed } = outcome(() => cipher.seal(nonce, text, aad));
    if (sealed !== undefined) {
      assert.ok(equal(cipher.open(nonce, sealed, aad), text));
      const other = mutated(random, sealed);
      const { code } = outcome(() => cipher.open(nonce, other, aad));
      assert.equal(code === undefined, equal(other, sealed), "a forgery was opened, or the truth refused");
    }
    cipher.destroy();
    assert.equal(
      outcome(() => cipher.seal(nonce, text)).code,
      nonce.length === 12 ? "ERR_CLOSED" : outcome(() => cipher.seal(nonce, text)).code,
    );
  },
  (random) => {
    const [input, key] = [someBytes(random, 700), someBytes(random, 70)];
    const length = random.between(0, 70);
    const whole = outcome(() => blake2b(input, { key, length }));
    const pieces = outcome(() => {
      const hash = new Blake2b({ key, length });
      for (const piece of split(random, input)) hash.update(piece);
      return hash.digest();
    });
    assert.equal(pieces.code, whole.code);
    if (pieces.value !== undefined)
      assert.ok(equal(pieces.value, whole.value!), "pieces have another digest");
  },
  (random) => {
    outcome(() => hmacBlake2b(someBytes(random, 140), someBytes(random, 400)));
    outcome(() => hkdfBlake2b(bytesOf(random, 64), someBytes(random, 400), random.between(0, 4) as 2));
  },
  (random) => {
    const { value: pair } = outcome(() => mlKem768KeyPair(bytesOf(random, 64)));
    if (pair === undefined) return;
    const { sharedSecret, ciphertext } = mlKem768Encapsulate(pair.encapsulationKey);
    assert.ok(equal(mlKem768Decapsulate(pair.decapsulationKey, ciphertext), sharedSecret));
    outcome(() => mlKem768Encapsulate(mutated(random, pair.encapsulationKey)));
    outcome(() => mlKem768Decapsulate(mutated(random, pair.decapsulationKey), ciphertext));
    outcome(() => mlKem768Decapsulate(pair.decapsulationKey, mutated(random, ciphertext)));
  },
];

/** How often each is chosen: the cheap ones more often, for the same time. */
const weighted = exports.flatMap((run, at) => Array.from({ length: [1, 12, 24, 12, 1][at]! }, () => run));
const zeros = Buffer.alloc(STAGING_BYTES);
const staging = Buffer.from(memory.buffer, memory.byteOffset + STAGING, STAGING_BYTES);

/** Looking at what is left costs as much as some calls. */
const ROUND = 10;

export const exportsLevel: Level = {
  name: "exports",
  run(random) {
    for (let i = 0; i < ROUND; i++) random.pick(weighted)(random);
    assert.ok(staging.equals(zeros), "arguments are left");
    assert.equal(expandedKeys(), 0);
    return ROUND;
  },
};
