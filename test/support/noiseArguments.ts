// The cases of byteArguments.ts for sealwire/noise, for the current build.

import assert from "node:assert/strict";
import * as entry from "../../src/noise.ts";
import {
  type ByteCase,
  type EndCase,
  registerByteArgumentTests,
  registerCoverageTest,
  registerEndTests,
  someBytes,
} from "./byteArguments.ts";
import { drive } from "./handshakePair.ts";

const {
  CipherState,
  HandshakeState,
  SymmetricState,
  decodeKey,
  encodeKey,
  equalKeys,
  generateKeyPair,
  noise,
} = entry;
const { messageLengths } = entry;

const info = { remoteAddress: "" };
const NAME = "Noise_NN_25519_AESGCM_BLAKE2b";
const ephemeral = someBytes(32);
const kemSeed = someBytes(64);
const serverStatic = generateKeyPair();
const clientStatic = generateKeyPair();

/** Uses a state and destroys it, so that its keys leave linear memory. */
function using<T extends { destroy(): void }, R>(state: T, use: (state: T) => R): R {
  try {
    return use(state);
  } finally {
    state.destroy();
  }
}

function keyedCipher(key: Uint8Array): entry.CipherState {
  const cipher = new CipherState();
  cipher.initializeKey(key);
  return cipher;
}

function keyedSymmetric(material: Uint8Array): entry.SymmetricState {
  const state = new SymmetricState(NAME);
  state.mixKey(material);
  return state;
}

/** What NNpsk0's initiator writes first and its responder reads. */
function firstMessage(psk: Uint8Array, payload: Uint8Array): Uint8Array {
  const options = { pattern: "NNpsk0", initiator: true, psks: [psk], unsafeEphemeralForTests: ephemeral };
  return using(new HandshakeState(options), (state) => state.writeMessage(payload));
}

const [material, ad, key, psk] = [someBytes(32), someBytes(40), someBytes(32), someBytes(32)];
const text = someBytes(2_000);

const states: ByteCase[] = [
  {
    of: "CipherState",
    args: { key, ad, plaintext: text },
    call: ({ key, ad, plaintext }) =>
      using(new CipherState(), (cipher) => {
        cipher.initializeKey(key!);
        return cipher.encryptWithAd(ad!, plaintext!);
      }),
  },
  {
    of: "CipherState",
    variant: "opening",
    args: { ad, ciphertext: using(keyedCipher(key), (cipher) => cipher.encryptWithAd(ad, text)) },
    call: ({ ad, ciphertext }) => using(keyedCipher(key), (cipher) => cipher.decryptWithAd(ad!, ciphertext!)),
  },
  {
    of: "CipherState",
    variant: "before it has a key",
    args: { ad, plaintext: text },
    call: ({ ad, plaintext }) => using(new CipherState(), (cipher) => cipher.encryptWithAd(ad!, plaintext!)),
  },
  {
    of: "CipherState",
    variant: "before it has a key, opening",
    args: { ad, ciphertext: text },
    call: ({ ad, ciphertext }) =>
      using(new CipherState(), (cipher) => cipher.decryptWithAd(ad!, ciphertext!)),
  },
  {
    of: "SymmetricState",
    variant: "mixHash",
    args: { data: text },
    call: ({ data }) =>
      using(new SymmetricState(NAME), (state) => {
        state.mixHash(data!);
        return state.getHandshakeHash();
      }),
  },
  {
    of: "SymmetricState",
    variant: "mixKey",
    args: { inputKeyMaterial: material },
    call: ({ inputKeyMaterial }) =>
      using(new SymmetricState(NAME), (state) => {
        state.mixKey(inputKeyMaterial!);
        return state.splitKeys();
      }),
  },
  {
    of: "SymmetricState",
    variant: "mixKeyAndHash",
    args: { inputKeyMaterial: material },
    call: ({ inputKeyMaterial }) =>
      using(new SymmetricState(NAME), (state) => {
        state.mixKeyAndHash(inputKeyMaterial!);
        return [state.getHandshakeHash(), ...state.splitKeys()];
      }),
  },
  {
    of: "SymmetricState",
    variant: "encryptAndHash",
    args: { plaintext: text },
    call: ({ plaintext }) => using(keyedSymmetric(material), (state) => state.encryptAndHash(plaintext!)),
  },
  {
    of: "SymmetricState",
    variant: "decryptAndHash",
    args: { ciphertext: using(keyedSymmetric(material), (state) => state.encryptAndHash(text)) },
    call: ({ ciphertext }) => using(keyedSymmetric(material), (state) => state.decryptAndHash(ciphertext!)),
  },
  {
    of: "HandshakeState",
    variant: "what NNpsk0 writes",
    args: { prologue: ad, psks: psk, unsafeEphemeralForTests: ephemeral, payload: text },
    call: ({ prologue, psks, unsafeEphemeralForTests, payload }) => {
      const options = { prologue, psks: [psks!], unsafeEphemeralForTests, initiator: true };
      return using(new HandshakeState({ pattern: "NNpsk0", ...options }), (state) =>
        state.writeMessage(payload),
      );
    },
  },
  {
    of: "HandshakeState",
    variant: "what NNhfs+psk0 writes",
    args: { psks: psk, unsafeEphemeralForTests: ephemeral, unsafeKemForTests: kemSeed },
    call: ({ psks, unsafeEphemeralForTests, unsafeKemForTests }) => {
      const options = { psks: [psks!], unsafeEphemeralForTests, unsafeKemForTests, initiator: true };
      return using(new HandshakeState({ pattern: "NNhfs+psk0", ...options }), (state) =>
        state.writeMessage(),
      );
    },
  },
  {
    of: "HandshakeState",
    variant: "what IK writes",
    args: { s: clientStatic.privateKey, rs: serverStatic.publicKey },
    objects: ["s"],
    call: ({ s, rs }) => {
      const options = { s, rs, initiator: true, unsafeEphemeralForTests: ephemeral };
      return using(new HandshakeState({ pattern: "IK", ...options }), (state) => state.writeMessage());
    },
  },
  {
    of: "HandshakeState",
    variant: "what XX writes, with a pair",
    args: { "s.privateKey": serverStatic.privateKey, "s.publicKey": serverStatic.publicKey },
    call: (args) => {
      const s = { privateKey: args["s.privateKey"]!, publicKey: args["s.publicKey"]! };
      const options = { s, initiator: false, unsafeEphemeralForTests: ephemeral };
      return using(new HandshakeState({ pattern: "XX", ...options }), (state) => {
        state.readMessage(serverStatic.publicKey);
        return state.writeMessage();
      });
    },
  },
  {
    of: "HandshakeState",
    variant: "what NNpsk0 reads",
    args: { message: firstMessage(psk, text) },
    call: ({ message }) => {
      const options = { psks: [psk], initiator: false };
      return using(new HandshakeState({ pattern: "NNpsk0", ...options }), (state) =>
        state.readMessage(message!),
      );
    },
  },
];

const keys: ByteCase[] = [
  { of: "encodeKey", args: { key }, call: ({ key }) => encodeKey(key!) },
  { of: "decodeKey", args: { key }, text: ["key"], call: ({ key }) => decodeKey("key", key!) },
  { of: "equalKeys", args: { a: key, b: new Uint8Array(key) }, call: ({ a, b }) => equalKeys(a!, b!) },
];

/** What a client with these options says first. */
function hello(options: entry.NoiseOptions): unknown {
  const factory = noise({ unsafeEphemeralForTests: ephemeral, unsafeKemForTests: kemSeed, ...options });
  return using(factory, () => using(factory.create("client", info), (handshake) => handshake.send()));
}

/** How a hybrid first frame with a psk begins: suite 1, then the length of its message. */
const firstLength = messageLengths(entry.parsePattern("NNhfs+psk0"))[0]!;
const firstPrefix = Uint8Array.of(0, 1, firstLength >> 8, firstLength & 0xff);

const factories: ByteCase[] = [
  {
    of: "noise",
    variant: "psk",
    args: { psk, prologue: ad, unsafeEphemeralForTests: ephemeral, unsafeKemForTests: kemSeed },
    text: ["prologue"],
    call: (args) => hello(args),
  },
  {
    of: "noise",
    variant: "IK",
    args: { staticKey: clientStatic.privateKey, remoteStatic: serverStatic.publicKey },
    objects: ["staticKey", "remoteStatic"],
    call: (args) => hello(args),
  },
  {
    of: "noise",
    variant: "a pair and a list",
    args: { "staticKey.privateKey": clientStatic.privateKey, "remoteStatic[0]": serverStatic.publicKey },
    call: (args) => {
      const staticKey = { privateKey: args["staticKey.privateKey"]! };
      return hello({ staticKey, remoteStatic: [args["remoteStatic[0]"]!] });
    },
  },
  {
    of: "noise(…).create(…).receive",
    args: { bytes: firstPrefix },
    call: ({ bytes }) => {
      const factory = noise({ psk }, "server");
      return using(factory, () =>
        using(factory.create("server", info), (handshake) => {
          handshake.receive(bytes!);
          return handshake.expects;
        }),
      );
    },
  },
];

const cases = [...states, ...keys, ...factories];

/** Every method of a destroyed object, with arguments that are right otherwise. */
function assertClosed(calls: readonly (() => unknown)[]): void {
  for (const [i, call] of calls.entries()) assert.throws(call, { code: "ERR_CLOSED" }, `call ${i}`);
}

function assertCipherClosed(cipher: entry.CipherState): void {
  cipher.destroy();
  cipher.destroy();
  assert.equal(cipher.hasKey, false);
  assertClosed([
    () => cipher.encryptWithAd(ad, text),
    () => cipher.decryptWithAd(ad, text),
    () => cipher.rekey(),
    () => cipher.initializeKey(key),
    () => cipher.setNonce(0, 0),
  ]);
}

function assertSymmetricClosed(state: entry.SymmetricState): void {
  const hash = state.getHandshakeHash();
  state.destroy();
  state.destroy();
  assertClosed([
    () => state.mixKey(material),
    () => state.mixHash(ad),
    () => state.mixKeyAndHash(material),
    () => state.encryptAndHash(text),
    () => state.decryptAndHash(text),
    () => state.splitKeys(),
    () => state.split(),
  ]);
  assert.deepEqual(state.getHandshakeHash(), hash);
}

const ends: EndCase[] = [
  {
    of: "CipherState",
    end: "destroyed before and after it had a key",
    run: () => {
      assertCipherClosed(new CipherState());
      const own = someBytes(32);
      const cipher = keyedCipher(own);
      cipher.encryptWithAd(ad, text);
      cipher.rekey();
      cipher.encryptWithAd(ad, text);
      assertCipherClosed(cipher);
      return [own, text];
    },
  },
  {
    of: "CipherState",
    end: "a forgery, and the last nonce",
    run: () => {
      const own = someBytes(32);
      const cipher = keyedCipher(own);
      const sealed = cipher.encryptWithAd(ad, text);
      sealed[0]! ^= 1;
      cipher.setNonce(0, 0);
      assert.throws(() => cipher.decryptWithAd(ad, sealed), { code: "ERR_DECRYPT" });
      cipher.setNonce(0xffffffff, 0xffffffff);
      assert.throws(() => cipher.encryptWithAd(ad, text), { code: "ERR_COUNTER_EXHAUSTED" });
      cipher.destroy();
      return [own, text];
    },
  },
  {
    of: "SymmetricState",
    end: "destroyed without a key, with one, and split",
    run: () => {
      assertSymmetricClosed(new SymmetricState(NAME));
      const own = someBytes(32);
      assertSymmetricClosed(keyedSymmetric(own));
      const split = keyedSymmetric(own);
      const keys = split.splitKeys();
      assertSymmetricClosed(split);
      const halves = keyedSymmetric(own);
      const ciphers = halves.split();
      assertSymmetricClosed(halves);
      for (const cipher of ciphers) {
        cipher.encryptWithAd(ad, text);
        assertCipherClosed(cipher);
      }
      return [own, text, ...keys];
    },
  },
  {
    of: "SymmetricState",
    end: "what is too long, or forged, changes nothing",
    run: () => {
      const own = someBytes(32);
      const [one, other] = [keyedSymmetric(own), keyedSymmetric(own)];
      const tooLong = new Uint8Array(600_000);
      assert.throws(() => one.encryptAndHash(tooLong), {
        code: "ERR_INVALID_ARGUMENT",
        message: /^plaintext /,
      });
      assert.throws(() => one.decryptAndHash(tooLong), {
        code: "ERR_INVALID_ARGUMENT",
        message: /^ciphertext /,
      });
      assert.throws(() => one.decryptAndHash(text), { code: "ERR_DECRYPT" });
      const longest = tooLong.subarray(0, 524_016);
      const sealed = one.encryptAndHash(longest);
      assert.deepEqual(other.decryptAndHash(sealed), longest);
      assert.deepEqual(one.getHandshakeHash(), other.getHandshakeHash());
      const [keys, same] = [one.splitKeys(), other.splitKeys()];
      assert.deepEqual(keys, same);
      return [own, ...keys];
    },
  },
  {
    of: "HandshakeState",
    end: "destroyed at every step, and failed",
    run: () => {
      const [s, own] = [generateKeyPair().privateKey, someBytes(32)];
      for (let steps = 0; steps <= 3; steps++) {
        const options = { pattern: "XXpsk3", psks: [own] };
        const initiator = new HandshakeState({ ...options, initiator: true, s });
        const responder = new HandshakeState({ ...options, initiator: false, s: serverStatic });
        for (let i = 0; i < steps; i++) {
          const [from, to] = i % 2 === 0 ? [initiator, responder] : [responder, initiator];
          to.readMessage(from.writeMessage(text));
        }
        for (const state of [initiator, responder]) {
          state.destroy();
          assert.equal(state.isMyTurn, false);
          assertClosed([
            () => state.writeMessage(),
            () => state.readMessage(text),
            () => state.split(),
            () => state.splitKeys(),
          ]);
        }
      }
      const failed = new HandshakeState({ pattern: "NNpsk0", psks: [own], initiator: false });
      assert.throws(() => failed.readMessage(text), { code: "ERR_DECRYPT" });
      assert.throws(() => failed.readMessage(text), { code: "ERR_HANDSHAKE", message: /consumed/ });
      return [s, own, text, serverStatic.privateKey];
    },
  },
  {
    of: "noise",
    end: "a whole handshake, and options of which the last is wrong",
    run: () => {
      const own = someBytes(32);
      const [client, server] = [noise({ psk: own }, "client"), noise({ psk: own }, "server")];
      const results = drive(client.create("client", info), server.create("server", info));
      for (const factory of [client, server]) factory.destroy();
      assertClosed([() => client.create("client", info), () => server.create("server", info)]);
      const wrong = { psk: own, staticKey: clientStatic, unsafeEphemeralForTests: new Uint8Array(1) };
      assert.throws(() => noise(wrong), { code: "ERR_INVALID_ARGUMENT" });
      return [own, ...results.flatMap(({ sendKey, receiveKey }) => [sendKey, receiveKey])];
    },
  },
  {
    of: "generateKeyPair",
    end: "a fresh pair",
    run: () => [generateKeyPair().privateKey],
  },
];

/** Registers all of it. */
export function registerNoiseArgumentTests(): void {
  registerByteArgumentTests(cases);
  registerEndTests(ends);
  const withoutBytes = [
    "SealwireError",
    "checkPattern",
    "messageLengths",
    "parsePattern",
    "patternNames",
    "protocolName",
  ];
  registerCoverageTest(entry, [...cases, ...ends], withoutBytes);
}
