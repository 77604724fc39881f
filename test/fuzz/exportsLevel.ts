// The primitives of the API, with any bytes of any length, and the rules that hold for all of them.

import assert from "node:assert/strict";
import { expandedKeys } from "../../src/core/cachedKey.ts";
import { memory, STAGING, STAGING_BYTES } from "../../src/core/wasmModule.ts";
import {
  type Aes256Gcm,
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

/** The runtime's own ciphers cost ten times what the module's do. */
const engines = ["wasm", "wasm", "wasm", "wasm", "keystream", "keystream", "auto", "native"] as const;

/** A text sealed and opened, and one that somebody changed: an input, with a nonce and additional data of its own. */
function oneText(random: Random, cipher: Aes256Gcm): void {
  const nonce = bytesOf(random, 12);
  const text = someBytes(random, random.pick([40, 40, 300, 3_000]));
  const aad = someBytes(random, 50);
  const { value: sealed, code: refused } = outcome(() => cipher.seal(nonce, text, aad));
  assert.equal(refused === undefined, nonce.length === 12, "a nonce of another length was taken, or refused");
  if (sealed === undefined) return;
  assert.ok(equal(cipher.open(nonce, sealed, aad), text));
  const other = mutated(random, sealed);
  const { code } = outcome(() => cipher.open(nonce, other, aad));
  assert.equal(code === undefined, equal(other, sealed), "a forgery was opened, or the truth refused");
}

/** Each returns how many inputs it tried where that is not one. */
const exports: ((random: Random) => number | undefined)[] = [
  (random) => {
    const [a, b] = [bytesOf(random, 32), bytesOf(random, 32)];
    const keys = [a, b].map((key) => outcome(() => x25519PublicKey(key)).value);
    if (keys[0] === undefined || keys[1] === undefined) return;
    assert.ok(equal(x25519(a, keys[1]), x25519(b, keys[0])));
    outcome(() => x25519(a, mutated(random, keys[1]!)));
  },
  (random) => {
    const engine = random.pick(engines);
    const aead = random.pick([aes256gcm, chacha20poly1305]);
    const { value: cipher } = outcome(() => aead(bytesOf(random, 32), engine as "auto"));
    if (cipher === undefined) return 1;
    // A key costs more than a text.
    const texts = random.between(1, 4);
    for (let i = 0; i < texts; i++) oneText(random, cipher);
    cipher.destroy();
    assert.equal(outcome(() => cipher.seal(new Uint8Array(12), new Uint8Array(1))).code, "ERR_CLOSED");
    return texts;
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
const weighted = exports.flatMap((run, at) => Array.from({ length: [1, 8, 24, 14, 1][at]! }, () => run));
const zeros = Buffer.alloc(STAGING_BYTES);
const staging = Buffer.from(memory.buffer, memory.byteOffset + STAGING, STAGING_BYTES);

/** Calls before what is left is looked at, which costs as much as some of them. */
const ROUND = 20;

export const exportsLevel: Level = {
  name: "exports",
  run(random) {
    let inputs = 0;
    for (let i = 0; i < ROUND; i++) inputs += random.pick(weighted)(random) ?? 1;
    assert.ok(staging.equals(zeros), "arguments are left");
    assert.equal(expandedKeys(), 0);
    return inputs;
  },
};
