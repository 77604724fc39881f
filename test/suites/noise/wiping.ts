// After a handshake the core's memory contains no secret, however the handshake ended. The independent implementation
// computes the secrets of a handshake with known keys, and the suite searches for them.

import assert from "node:assert/strict";
import { expandedKeys } from "../../../src/core/cachedKey.ts";
import { mlKem768KeyPair } from "../../../src/core/mlKem768.ts";
import { memory } from "../../../src/core/wasmModule.ts";
import { x25519PublicKey } from "../../../src/core/x25519.ts";
import { type NoiseOptions, noise } from "../../../src/index.ts";
import { HandshakeState } from "../../../src/protocol/noise/handshakeState.ts";
import { drive } from "../../support/handshakePair.ts";
import { test } from "../../support/harness.ts";
import { usedMemory } from "../../support/linearMemory.ts";
import { noiseTranscript, vectorKeys } from "../../support/protocolVectors.ts";

const { clientEphemeral, serverEphemeral, clientStatic, serverStatic, psk } = vectorKeys;
const { kemSeed, kemRandomness } = vectorKeys;
const info = { remoteAddress: "" };

/** Whether these bytes are in linear memory. */
function isInMemory(secret: Uint8Array, used = usedMemory()): boolean {
  return used.indexOf(secret) >= 0;
}

/** Every intermediate secret of a pattern: keys, chaining keys, DH results, transport keys. */
function secretsOf(pattern: string): [string, Uint8Array][] {
  const { block, keys } = noiseTranscript(pattern, true);
  const secret = /^(ck|k) after|^(ee|es|se|ss|ekem1)$|private$|^psk$|^client KEM seed$|randomness$/;
  const named = block.filter(
    (line): line is [string, Uint8Array] => secret.test(line[0]) && line[1] instanceof Uint8Array,
  );
  if (pattern.includes("hfs")) {
    const { decapsulationKey } = mlKem768KeyPair(kemSeed);
    named.push(["s-hat", decapsulationKey.subarray(0, 1_152)], ["z", decapsulationKey.subarray(2_368)]);
  }
  return [...named, ["client's sending key", keys[0]], ["server's sending key", keys[1]]];
}

function assertClean(pattern: string): void {
  const used = usedMemory();
  for (const [name, secret] of secretsOf(pattern)) {
    // Half of it would be enough for an attacker.
    assert.equal(isInMemory(secret.subarray(0, 16), used), false, `${pattern}: ${name} is left in memory`);
  }
  assert.equal(expandedKeys(), 0, "expanded keys are left");
}

const credentials: Record<string, [client: NoiseOptions, server: NoiseOptions]> = {
  psk: [{ psk }, { psk }],
  XX: [
    { psk, staticKey: clientStatic },
    { psk, staticKey: serverStatic },
  ],
  IK: [
    { psk, staticKey: clientStatic, remoteStatic: x25519PublicKey(serverStatic) },
    { psk, staticKey: serverStatic },
  ],
};
const cases: Record<string, keyof typeof credentials> = {
  NNpsk0: "psk",
  XXpsk3: "XX",
  IKpsk2: "IK",
  "NNhfs+psk0": "psk",
  "XXhfs+psk3": "XX",
  "IKhfs+psk2": "IK",
};

function ends(pattern: string) {
  const [client, server] = credentials[cases[pattern]!]!;
  const isHybrid = pattern.includes("hfs");
  const form = { postQuantum: isHybrid };
  const [seed, randomness] = isHybrid ? [kemSeed, kemRandomness] : [];
  return [
    noise({ ...client, ...form, unsafeEphemeralForTests: clientEphemeral, unsafeKemForTests: seed }).create(
      "client",
      info,
    ),
    noise({
      ...server,
      ...form,
      unsafeEphemeralForTests: serverEphemeral,
      unsafeKemForTests: randomness,
    }).create("server", info),
  ] as const;
}

test("the search finds what is there", () => {
  const probe = crypto.getRandomValues(new Uint8Array(32));
  assert.equal(isInMemory(probe), false);
  // On both sides of a page's edge, at the end, and in the middle of what is in use.
  for (const at of [9 * 65_536 - 16, memory.length - 32, 65_536 + 8]) {
    const before = memory.slice(at, at + 32);
    memory.set(probe, at);
    assert.equal(isInMemory(probe), true);
    memory.set(before, at);
  }
  assert.equal(isInMemory(probe), false);
  for (const pattern of Object.keys(cases)) assert.ok(secretsOf(pattern).length >= 9);
});

for (const pattern of Object.keys(cases)) {
  test(`${pattern}: nothing is left after success`, () => {
    const [client, server] = ends(pattern);
    const [atClient, atServer] = drive(client, server);
    // It was this handshake, so these are its secrets.
    assert.deepEqual(atClient.sendKey, noiseTranscript(pattern, false).keys[0]);
    assert.deepEqual(atServer.sendKey, noiseTranscript(pattern, false).keys[1]);
    assertClean(pattern);
  });

  test(`${pattern}: nothing is left when it is given up after any message`, () => {
    const count = noiseTranscript(pattern, false).messages.length;
    for (let messages = 0; messages <= count; messages++) {
      const [client, server] = ends(pattern);
      for (let i = 0; i < messages; i++) {
        const [from, to] = i % 2 === 0 ? [client, server] : [server, client];
        const frame = from.send()!;
        to.receive(frame.slice(0, 4));
        to.receive(frame.slice(4));
      }
      client.destroy();
      server.destroy();
      assertClean(pattern);
    }
  });

  test(`${pattern}: nothing is left when a message is not authentic`, () => {
    const { messages } = noiseTranscript(pattern, false);
    for (const [i, message] of messages.entries()) {
      const [client, server] = ends(pattern);
      for (let j = 0; j <= i; j++) {
        const [from, to] = j % 2 === 0 ? [client, server] : [server, client];
        const frame = from.send()!;
        to.receive(frame.slice(0, 4));
        if (j < i) to.receive(frame.slice(4));
        else {
          frame[frame.length - 1]! ^= 1;
          assert.throws(() => to.receive(frame.slice(4)), { code: "ERR_HANDSHAKE" });
          from.destroy();
        }
      }
      assert.ok(message.length > 0);
      assertClean(pattern);
    }
  });
}

test("destroyed transport ciphers leave no key", () => {
  const options = { pattern: "NNpsk0", psks: [psk] };
  const initiator = new HandshakeState({
    ...options,
    initiator: true,
    unsafeEphemeralForTests: clientEphemeral,
  });
  const responder = new HandshakeState({
    ...options,
    initiator: false,
    unsafeEphemeralForTests: serverEphemeral,
  });
  responder.readMessage(initiator.writeMessage());
  initiator.readMessage(responder.writeMessage());
  const [a, b] = [initiator.split(), responder.split()];
  const plaintext = new Uint8Array(5_000).fill(0x5a);
  const empty = new Uint8Array(0);
  assert.deepEqual(b.receive.decryptWithAd(empty, a.send.encryptWithAd(empty, plaintext)), plaintext);
  for (const cipher of [a.send, a.receive, b.send, b.receive]) cipher.destroy();
  assertClean("NNpsk0");
  assert.equal(isInMemory(plaintext.subarray(0, 64)), false, "plaintext is left in memory");
});
