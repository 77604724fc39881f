// The hybrid patterns against the independent implementation on @noble's primitives: each of the twelve with every psk
// modifier, byte for byte in both roles. Without the KEM's part the keys of a session can't be computed.

import assert from "node:assert/strict";
import { mlKem768Decapsulate, mlKem768Encapsulate, mlKem768KeyPair } from "../../../src/core/mlKem768.ts";
import { x25519PublicKey } from "../../../src/core/x25519.ts";
import { HandshakeState } from "../../../src/protocol/noise/handshakeState.ts";
import { kemFunctions } from "../../../src/protocol/noise/kem.ts";
import {
  fundamentalPatternNames,
  messageLengths,
  parsePattern,
} from "../../../src/protocol/noise/patterns.ts";
import { shared } from "../../support/every.ts";
import { test } from "../../support/harness.ts";
import { hybridPatterns, noiseTranscript, vectorKeys } from "../../support/protocolVectors.ts";
import { toHex } from "../../support/vectors.ts";

const { clientEphemeral, serverEphemeral, clientStatic, serverStatic, psk, kemSeed, kemRandomness } =
  vectorKeys;
const prologue = new TextEncoder().encode("sealwire/2");

/** One end with the keys of the vectors. */
function end(name: string, initiator: boolean): HandshakeState {
  const pattern = parsePattern(name);
  const parity = initiator ? 0 : 1;
  const known = [pattern.initiatorStaticKnown, pattern.responderStaticKnown] as const;
  const sendsS = pattern.messages.some((tokens, i) => i % 2 === parity && tokens.includes("s"));
  return new HandshakeState({
    pattern: name,
    initiator,
    prologue,
    s: known[parity] || sendsS ? (initiator ? clientStatic : serverStatic) : undefined,
    rs: known[1 - parity] ? x25519PublicKey(initiator ? serverStatic : clientStatic) : undefined,
    psks: Array.from({ length: pattern.pskCount }, () => psk),
    unsafeEphemeralForTests: initiator ? clientEphemeral : serverEphemeral,
    unsafeKemForTests: initiator ? kemSeed : kemRandomness,
  });
}

test("every hybrid pattern with every psk modifier: as the independent implementation, in both roles", () => {
  assert.deepEqual(
    Object.keys(hybridPatterns).sort(),
    fundamentalPatternNames.map((name) => `${name}hfs`).sort(),
  );
  for (const base of Object.keys(hybridPatterns)) {
    const count = parsePattern(base).messages.length;
    const psks = Array.from({ length: count + 1 }, (_, i) => `psk${i}`);
    const names = [base, ...psks.map((modifier) => `${base}+${modifier}`), [base, ...psks].join("+")];
    for (const name of shared(names)) {
      const transcript = noiseTranscript(name, false);
      // Each role against the recorded bytes of the other, so that neither can agree with itself only.
      for (const initiator of [true, false]) {
        const state = end(name, initiator);
        assert.deepEqual(
          messageLengths(state.pattern),
          transcript.messages.map((message) => message.length),
          name,
        );
        for (const message of transcript.messages) {
          if (state.isMyTurn) assert.equal(toHex(state.writeMessage()), toHex(message), name);
          else assert.equal(state.readMessage(message).length, 0);
        }
        assert.equal(toHex(state.handshakeHash), toHex(transcript.handshakeHash), name);
        const { sendKey, receiveKey } = state.splitKeys();
        const [first, second] = transcript.keys;
        assert.deepEqual([sendKey, receiveKey], initiator ? [first, second] : [second, first], name);
      }
    }
  }
});

test("both ends of a session with another KEM secret have other keys, although every DH is the same", () => {
  const keysOf = (secret: number): string => {
    const { decapsulate, encapsulate } = kemFunctions;
    kemFunctions.encapsulate = (key, m) => ({
      ...encapsulate(key, m),
      sharedSecret: new Uint8Array(32).fill(secret),
    });
    kemFunctions.decapsulate = () => new Uint8Array(32).fill(secret);
    try {
      const [initiator, responder] = [end("IKhfs+psk2", true), end("IKhfs+psk2", false)];
      responder.readMessage(initiator.writeMessage());
      initiator.readMessage(responder.writeMessage());
      const keys = initiator.splitKeys();
      assert.deepEqual(responder.splitKeys().receiveKey, keys.sendKey);
      return toHex(keys.sendKey) + toHex(keys.receiveKey);
    } finally {
      Object.assign(kemFunctions, { decapsulate, encapsulate });
    }
  };
  assert.equal(keysOf(1), keysOf(1));
  assert.notEqual(keysOf(1), keysOf(2));
});

test("ends that decapsulate something else fail, which implicit rejection leaves to the next tag", () => {
  const { encapsulationKey } = mlKem768KeyPair();
  const { decapsulate } = kemFunctions;
  const other = mlKem768Encapsulate(encapsulationKey).ciphertext;
  for (const name of ["NNhfs", "NNhfs+psk0", "XXhfs", "IKhfs", "KKhfs"]) {
    const [initiator, responder] = [end(name, true), end(name, false)];
    responder.readMessage(initiator.writeMessage());
    kemFunctions.decapsulate = (key) => mlKem768Decapsulate(key, other);
    try {
      const answer = responder.writeMessage();
      assert.throws(() => initiator.readMessage(answer), { code: "ERR_DECRYPT" }, name);
    } finally {
      kemFunctions.decapsulate = decapsulate;
    }
  }
});

test("the KEM's key is fresh in every handshake, and gone after its ciphertext", () => {
  const seen = new Set<string>();
  const secrets: Uint8Array[] = [];
  const { generateKeyPair } = kemFunctions;
  kemFunctions.generateKeyPair = (seed) => {
    const pair = generateKeyPair(seed);
    secrets.push(pair.decapsulationKey);
    return pair;
  };
  try {
    for (let i = 0; i < 5; i++) {
      const initiator = new HandshakeState({ pattern: "NNhfs", initiator: true });
      const responder = new HandshakeState({ pattern: "NNhfs", initiator: false });
      const message = initiator.writeMessage();
      seen.add(toHex(message.subarray(32)));
      responder.readMessage(message);
      const answer = responder.writeMessage();
      seen.add(toHex(answer));
      assert.ok(secrets[i]!.some((byte) => byte !== 0));
      initiator.readMessage(answer);
      assert.ok(secrets[i]!.every((byte) => byte === 0));
    }
    // Given up before the ciphertext came.
    const initiator = new HandshakeState({ pattern: "XXhfs", initiator: true, s: clientStatic });
    initiator.writeMessage();
    initiator.destroy();
    assert.ok(secrets[5]!.every((byte) => byte === 0));
  } finally {
    kemFunctions.generateKeyPair = generateKeyPair;
  }
  assert.equal(seen.size, 10);
});
