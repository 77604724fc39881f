// The cases of byteArguments.ts for sealwire/crypto, for the current build.

import assert from "node:assert/strict";
import type { Engine } from "../../src/crypto.ts";
import * as entry from "../../src/crypto.ts";
import {
  type ByteCase,
  type EndCase,
  registerByteArgumentTests,
  registerCoverageTest,
  registerEndTests,
  someBytes,
} from "./byteArguments.ts";
import { frameEnds } from "./frameEnds.ts";

const {
  Blake2b,
  aes256gcm,
  blake2b,
  chacha20poly1305,
  hkdfBlake2b,
  hmacBlake2b,
  x25519,
  x25519KeyPair,
  x25519PublicKey,
} = entry;
const { mlKem768Decapsulate, mlKem768Encapsulate, mlKem768KeyPair } = entry;

/** Below, at and above the pieces in which long inputs go. */
const HASHED = [10, 5_000, 600_000];
const SEALED = [20, 5_000, 200_000];
const engines: Engine[] = ["auto", "wasm", "keystream", "native"];

function sealed(key: Uint8Array, nonce: Uint8Array, text: Uint8Array, aad: Uint8Array): Uint8Array {
  const gcm = aes256gcm(key);
  try {
    return gcm.seal(nonce, text, aad);
  } finally {
    gcm.destroy();
  }
}

/** What is secret of a decapsulation key: s-hat and z; the encapsulation key and its hash stand between them. */
function secretParts({ decapsulationKey }: entry.MlKem768KeyPair): Uint8Array[] {
  return [decapsulationKey.subarray(0, 1_152), decapsulationKey.subarray(2_368)];
}

const cases: ByteCase[] = [];
for (const length of HASHED) {
  const variant = `${length} bytes`;
  cases.push(
    {
      of: "blake2b",
      variant,
      args: { input: someBytes(length), key: someBytes(32) },
      call: ({ input, key }) => blake2b(input!, { key }),
    },
    {
      of: "Blake2b",
      variant,
      args: { bytes: someBytes(length), key: someBytes(64) },
      call: ({ bytes, key }) => new Blake2b({ key }).update(bytes!).digest(),
    },
    {
      of: "hmacBlake2b",
      variant,
      args: { key: someBytes(length < 6_000 ? 32 : 300), data: someBytes(length) },
      call: ({ key, data }) => hmacBlake2b(key!, data!),
    },
  );
}
for (const engine of ["auto", "wasm"] as const) {
  for (const length of SEALED) {
    const variant = `${engine}, ${length} bytes`;
    const args = { key: someBytes(32), nonce: someBytes(12), aad: someBytes(length === 20 ? 70_000 : 40) };
    const plaintext = someBytes(length);
    const call = (run: (cipher: entry.ChaCha20Poly1305) => unknown, key: Uint8Array) => {
      const cipher = chacha20poly1305(key, engine);
      try {
        return run(cipher);
      } finally {
        cipher.destroy();
      }
    };
    const ofSealing = call((cipher) => cipher.seal(args.nonce, plaintext, args.aad), args.key) as Uint8Array;
    cases.push(
      {
        of: "chacha20poly1305(…).seal",
        variant,
        args: { ...args, plaintext },
        call: ({ key, nonce, aad, plaintext }) =>
          call((cipher) => cipher.seal(nonce!, plaintext!, aad!), key!),
      },
      {
        of: "chacha20poly1305(…).open",
        variant,
        args: { ...args, sealed: ofSealing },
        call: ({ key, nonce, aad, sealed }) => call((cipher) => cipher.open(nonce!, sealed!, aad!), key!),
      },
    );
  }
}
for (const engine of engines) {
  for (const length of SEALED) {
    const variant = `${engine}, ${length} bytes`;
    const args = { key: someBytes(32), nonce: someBytes(12), aad: someBytes(length === 20 ? 70_000 : 40) };
    const plaintext = someBytes(length);
    const call = (run: (gcm: entry.Aes256Gcm) => unknown, key: Uint8Array) => {
      const gcm = aes256gcm(key, engine);
      try {
        return run(gcm);
      } finally {
        gcm.destroy();
      }
    };
    cases.push(
      {
        of: "aes256gcm(…).seal",
        variant,
        args: { ...args, plaintext },
        call: ({ key, nonce, aad, plaintext }) => call((gcm) => gcm.seal(nonce!, plaintext!, aad!), key!),
      },
      {
        of: "aes256gcm(…).open",
        variant,
        args: { ...args, sealed: sealed(args.key, args.nonce, plaintext, args.aad) },
        call: ({ key, nonce, aad, sealed }) => call((gcm) => gcm.open(nonce!, sealed!, aad!), key!),
      },
    );
  }
}
cases.push(
  {
    of: "hkdfBlake2b",
    args: { chainingKey: someBytes(64), inputKeyMaterial: someBytes(32) },
    call: ({ chainingKey, inputKeyMaterial }) => hkdfBlake2b(chainingKey!, inputKeyMaterial!, 3),
  },
  {
    of: "x25519",
    args: { privateKey: someBytes(32), publicKey: x25519PublicKey(someBytes(32)) },
    call: ({ privateKey, publicKey }) => x25519(privateKey!, publicKey!),
  },
  {
    of: "x25519PublicKey",
    args: { privateKey: someBytes(32) },
    call: ({ privateKey }) => x25519PublicKey(privateKey!),
  },
  {
    of: "x25519KeyPair",
    args: { privateKey: someBytes(32) },
    call: ({ privateKey }) => x25519KeyPair(privateKey!),
  },
);

const kem = mlKem768KeyPair(someBytes(64));
const encapsulated = mlKem768Encapsulate(kem.encapsulationKey);
cases.push(
  {
    of: "mlKem768KeyPair",
    args: { seed: someBytes(64) },
    call: ({ seed }) => mlKem768KeyPair(seed!),
  },
  {
    // Its result is fresh each time: what is compared is that the pair's owner gets the same secret.
    of: "mlKem768Encapsulate",
    args: { encapsulationKey: kem.encapsulationKey },
    call: ({ encapsulationKey }) => {
      const { ciphertext, sharedSecret } = mlKem768Encapsulate(encapsulationKey!);
      assert.deepEqual(mlKem768Decapsulate(kem.decapsulationKey, ciphertext), sharedSecret);
      return [ciphertext.length, sharedSecret.length];
    },
  },
  {
    of: "mlKem768Decapsulate",
    args: { decapsulationKey: kem.decapsulationKey, ciphertext: encapsulated.ciphertext },
    call: ({ decapsulationKey, ciphertext }) => mlKem768Decapsulate(decapsulationKey!, ciphertext!),
  },
  {
    of: "mlKem768Decapsulate",
    variant: "a ciphertext that is nobody's",
    args: { decapsulationKey: kem.decapsulationKey, ciphertext: someBytes(1_088) },
    call: ({ decapsulationKey, ciphertext }) => mlKem768Decapsulate(decapsulationKey!, ciphertext!),
  },
);

const ends: EndCase[] = [
  {
    of: "mlKem768KeyPair",
    end: "a fresh pair, and one of a seed",
    run: () => {
      const seed = someBytes(64);
      return [seed, ...[mlKem768KeyPair(), mlKem768KeyPair(seed)].flatMap(secretParts)];
    },
  },
  {
    of: "mlKem768Encapsulate",
    end: "a fresh secret",
    run: () => [mlKem768Encapsulate(kem.encapsulationKey).sharedSecret],
  },
  {
    of: "mlKem768Encapsulate",
    end: "a key with a coefficient that is too large",
    run: () => {
      const wrong = new Uint8Array(kem.encapsulationKey).fill(255, 0, 3);
      assert.throws(() => mlKem768Encapsulate(wrong), { code: "ERR_WEAK_PUBLIC_KEY" });
      return [wrong];
    },
  },
  {
    of: "mlKem768Decapsulate",
    end: "a ciphertext that was changed (implicit rejection)",
    run: () => {
      const changed = new Uint8Array(encapsulated.ciphertext);
      changed[500]! ^= 1;
      const rejected = mlKem768Decapsulate(kem.decapsulationKey, changed);
      assert.notDeepEqual(rejected, encapsulated.sharedSecret);
      return [...secretParts(kem), encapsulated.sharedSecret, rejected];
    },
  },
  {
    of: "mlKem768Decapsulate",
    end: "a key whose hash is wrong",
    run: () => {
      const wrong = new Uint8Array(kem.decapsulationKey);
      wrong[2_336]! ^= 1;
      assert.throws(() => mlKem768Decapsulate(wrong, encapsulated.ciphertext), {
        code: "ERR_INVALID_ARGUMENT",
        message: /^decapsulationKey /,
      });
      return [...secretParts(kem), encapsulated.sharedSecret];
    },
  },
  {
    of: "x25519",
    end: "a public key of low order",
    run: () => {
      const privateKey = someBytes(32);
      assert.throws(() => x25519(privateKey, new Uint8Array(32)), { code: "ERR_WEAK_PUBLIC_KEY" });
      return [privateKey];
    },
  },
  {
    of: "mlKem768KeyPair",
    end: "a fresh pair, and a secret for it",
    run: () => {
      const { decapsulationKey, encapsulationKey } = mlKem768KeyPair();
      const { sharedSecret } = mlKem768Encapsulate(encapsulationKey);
      return [decapsulationKey.subarray(0, 1_152), decapsulationKey.subarray(2_368), sharedSecret];
    },
  },
  {
    of: "mlKem768Encapsulate",
    end: "a key that fails the modulus check",
    run: () => {
      const bad = new Uint8Array(kem.encapsulationKey).fill(0xff, 0, 3);
      assert.throws(() => mlKem768Encapsulate(bad), { code: "ERR_WEAK_PUBLIC_KEY" });
      return [bad.subarray(3)];
    },
  },
  {
    of: "mlKem768Decapsulate",
    end: "a key that fails the hash check, and a ciphertext for another key",
    run: () => {
      const { decapsulationKey } = mlKem768KeyPair();
      const ciphertext = someBytes(1_088);
      const implicit = mlKem768Decapsulate(decapsulationKey, ciphertext);
      const secret = new Uint8Array(decapsulationKey.subarray(0, 1_152));
      decapsulationKey[1_152]! ^= 1;
      assert.throws(() => mlKem768Decapsulate(decapsulationKey, ciphertext), {
        code: "ERR_INVALID_ARGUMENT",
      });
      return [secret, decapsulationKey.subarray(2_368), implicit];
    },
  },
  {
    of: "x25519KeyPair",
    end: "a fresh pair",
    run: () => [x25519KeyPair().privateKey],
  },
  {
    of: "Blake2b",
    end: "destroyed half-way",
    run: () => {
      const [key, input] = [someBytes(32), someBytes(700)];
      const hash = new Blake2b({ key }).update(input);
      hash.destroy();
      assert.throws(() => hash.update(input), { code: "ERR_CLOSED" });
      assert.throws(() => hash.digest(), { code: "ERR_CLOSED" });
      return [key, input.subarray(512)];
    },
  },
  {
    of: "blake2b",
    end: "an option whose getter transfers the input away",
    run: () => {
      const [key, input] = [someBytes(32), someBytes(5_000)];
      const options = {
        get key() {
          if (input.length > 0) structuredClone(input, { transfer: [input.buffer as ArrayBuffer] });
          return key;
        },
      };
      assert.throws(() => blake2b(input, options), { code: "ERR_INVALID_ARGUMENT" });
      return [key];
    },
  },
];
for (const engine of ["auto", "wasm"] as const) {
  for (const length of SEALED) {
    ends.push({
      of: "chacha20poly1305(…).open",
      end: `${engine}, a forged message of ${length} bytes`,
      run: () => {
        const [key, nonce, text, aad] = [someBytes(32), someBytes(12), someBytes(length), someBytes(300)];
        const cipher = chacha20poly1305(key, engine);
        const message = cipher.seal(nonce, text, aad);
        for (const at of [0, length - 1, length, length + 15]) {
          const forged = new Uint8Array(message);
          forged[at]! ^= 1;
          assert.throws(() => cipher.open(nonce, forged, aad), { code: "ERR_DECRYPT" });
        }
        cipher.destroy();
        assert.throws(() => cipher.open(nonce, message, aad), { code: "ERR_CLOSED" });
        assert.throws(() => cipher.seal(nonce, text, aad), { code: "ERR_CLOSED" });
        return [key, text];
      },
    });
  }
}
for (const engine of engines) {
  for (const length of SEALED) {
    ends.push({
      of: "aes256gcm(…).open",
      end: `${engine}, a forged message of ${length} bytes`,
      run: () => {
        const [key, nonce, text, aad] = [someBytes(32), someBytes(12), someBytes(length), someBytes(300)];
        const message = sealed(key, nonce, text, aad);
        const gcm = aes256gcm(key, engine);
        for (const at of [0, length - 1, length, length + 15]) {
          const forged = new Uint8Array(message);
          forged[at]! ^= 1;
          assert.throws(() => gcm.open(nonce, forged, aad), { code: "ERR_DECRYPT" });
        }
        assert.throws(() => gcm.open(nonce, message.subarray(0, 15), aad), { code: "ERR_DECRYPT" });
        gcm.destroy();
        assert.throws(() => gcm.open(nonce, message, aad), { code: "ERR_CLOSED" });
        assert.throws(() => gcm.seal(nonce, text, aad), { code: "ERR_CLOSED" });
        return [key, text];
      },
    });
  }
}

/** Registers all of it. */
export function registerCryptoArgumentTests(): void {
  registerByteArgumentTests(cases);
  registerEndTests([...ends, ...frameEnds]);
  registerCoverageTest(entry, cases, ["SealwireError"]);
}
