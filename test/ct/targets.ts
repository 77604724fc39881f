// The targets of `npm run ct`. Each takes inputs of two classes that differ in secrets only, in the form that the API
// takes. Class 0 is always the same input; class 1 is a fresh random one (or the other verdict).

import { blake2b, hkdfBlake2b, hmacBlake2b } from "../../src/core/blake2b.ts";
import { type ChaChaEngine, chacha20poly1305 } from "../../src/core/chaCha20Poly1305.ts";
import type { Engine } from "../../src/core/engine.ts";
import { aes256gcm } from "../../src/core/gcm.ts";
import { mlKem768Decapsulate, mlKem768Encapsulate, mlKem768KeyPair } from "../../src/core/mlKem768.ts";
import { x25519, x25519KeyPair, x25519PublicKey } from "../../src/core/x25519.ts";
import { sessionTargets } from "./sessionTargets.ts";
import { fixedOrRandom, random, type Target } from "./target.ts";

const aeads = { "aes-256-gcm": aes256gcm, "chacha20-poly1305": chacha20poly1305 };

function aeadTargets(aead: keyof typeof aeads, engine: Engine & ChaChaEngine): Target[] {
  const nonce = random(12);
  const make = aeads[aead];
  const cipher = make(random(32), engine);
  const sealed = cipher.seal(nonce, random(1_024));
  const wrong = (at: number): Uint8Array => {
    const copy = new Uint8Array(sealed);
    copy[at]! ^= 0xff;
    return copy;
  };
  const refuse = (input: Uint8Array): void => {
    try {
      cipher.open(nonce, input);
    } catch {
      return;
    }
    throw new Error("a wrong tag was taken");
  };
  return [
    {
      name: `${aead}: seal, text (${engine})`,
      calls: 4,
      prepare: fixedOrRandom(new Uint8Array(1_024)),
      run: (text) => cipher.seal(nonce, text),
    },
    {
      name: `${aead}: seal, key (${engine})`,
      calls: aead === "chacha20-poly1305" ? 10 : 1,
      prepare: fixedOrRandom(new Uint8Array(32)),
      run(key) {
        const one = make(key, engine);
        one.seal(nonce, nonce);
        one.destroy();
      },
    },
    {
      // Which byte of the tag is wrong, the first or the last.
      name: `${aead}: open, place of the first wrong byte of the tag (${engine})`,
      calls: 2,
      prepare: (which) => wrong(which === 0 ? 1_024 : 1_039),
      run: refuse,
    },
  ];
}

export function targets(): Target[] {
  const { publicKey } = x25519KeyPair();
  const zero = new Uint8Array(32);
  const pair = mlKem768KeyPair();
  const { ciphertext } = mlKem768Encapsulate(pair.encapsulationKey);
  const forged = (): Uint8Array => {
    const copy = new Uint8Array(ciphertext);
    copy[random(1)[0]!]! ^= 1 + (random(1)[0]! & 0x7f);
    return copy;
  };
  return [
    {
      name: "x25519, private key",
      calls: 1,
      prepare: fixedOrRandom(zero),
      run: (key) => x25519(key, publicKey),
    },
    { name: "x25519PublicKey, private key", calls: 1, prepare: fixedOrRandom(zero), run: x25519PublicKey },
    ...aeadTargets("aes-256-gcm", "wasm"),
    ...aeadTargets("aes-256-gcm", "auto"),
    ...aeadTargets("chacha20-poly1305", "wasm"),
    ...aeadTargets("chacha20-poly1305", "auto"),
    {
      name: "blake2b, input",
      calls: 20,
      prepare: fixedOrRandom(new Uint8Array(256)),
      run: (input) => blake2b(input),
    },
    {
      name: "hmacBlake2b, key (the psk's way in)",
      calls: 10,
      prepare: fixedOrRandom(zero),
      run: (key) => hmacBlake2b(key, publicKey),
    },
    {
      name: "hkdfBlake2b, input",
      calls: 5,
      prepare: fixedOrRandom(zero),
      run: (ikm) => hkdfBlake2b(new Uint8Array(64), ikm, 3),
    },
    { name: "mlKem768KeyPair, z of the seed", calls: 1, prepare: kemSeeds(), run: mlKem768KeyPair },
    {
      name: "mlKem768Decapsulate, right or wrong ciphertext",
      calls: 1,
      prepare: (which) => (which === 0 ? ciphertext : forged()),
      run: (c) => mlKem768Decapsulate(pair.decapsulationKey, c),
    },
    ...sessionTargets(),
    ...planted(),
  ];
}

/** Seeds of the same d: another one has another rho, which is public and takes its own time to sample from. */
function kemSeeds(): (which: 0 | 1) => Uint8Array {
  const seed = random(64);
  return (which) => {
    const copy = new Uint8Array(seed);
    if (which === 1) copy.set(random(32), 32);
    return copy;
  };
}

/** A comparison that stops at the first difference, and some hashes more for a bit that is set: a few hundredths of the time. */
function planted(): Target[] {
  const expected = random(4_096);
  const nearly = (which: 0 | 1): Uint8Array => {
    const copy = new Uint8Array(expected);
    copy[which === 0 ? 0 : 4_095]! ^= 1;
    return copy;
  };
  const equal = (input: Uint8Array): boolean => input.every((byte, i) => byte === expected[i]);
  const { publicKey } = x25519KeyPair();
  return [
    { name: "planted: a comparison that stops early", calls: 4, prepare: nearly, run: equal, leaks: true },
    {
      name: "planted: x25519 with twelve hashes more where the key's low bit is set",
      calls: 1,
      prepare: (which) => {
        const key = random(32);
        key[0] = (key[0]! & 0xfe) | which;
        return key;
      },
      run(key) {
        if ((key[0]! & 1) === 1) for (let i = 0; i < 12; i++) blake2b(publicKey);
        return x25519(key, publicKey);
      },
      leaks: true,
    },
  ];
}
