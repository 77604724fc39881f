// The 59 sessions each of test/vectors/noise-25519-aesgcm-blake2b.json and noise-25519-chachapoly-blake2b.json, byte for
// byte and from both sides.

import assert from "node:assert/strict";
import type { CipherName } from "../../../src/protocol/handshake.ts";
import type { CipherState } from "../../../src/protocol/noise/cipherState.ts";
import { HandshakeState } from "../../../src/protocol/noise/handshakeState.ts";
import { messageLengths, protocolName } from "../../../src/protocol/noise/patterns.ts";
import { test } from "../../support/harness.ts";
import { fromHex, readVectors, toHex } from "../../support/vectors.ts";

interface Side {
  prologue: string;
  ephemeral?: string;
  s?: string;
  rs?: string;
  psks?: string[];
}

interface Vector {
  protocol_name: string;
  init_prologue: string;
  init_ephemeral: string;
  init_static?: string;
  init_remote_static?: string;
  init_psks?: string[];
  resp_prologue: string;
  resp_ephemeral?: string;
  resp_static?: string;
  resp_remote_static?: string;
  resp_psks?: string[];
  handshake_hash: string;
  messages: { payload: string; ciphertext: string }[];
}

const files = ["noise-25519-aesgcm-blake2b.json", "noise-25519-chachapoly-blake2b.json"];
const vectors = files.flatMap((file) => readVectors<{ vectors: Vector[] }>(file).vectors);
const cipherOf = (vector: Vector) => vector.protocol_name.split("_")[3] as CipherName;
const NO_AD = new Uint8Array(0);

function handshake(vector: Vector, initiator: boolean): HandshakeState {
  const side: Side = initiator
    ? {
        prologue: vector.init_prologue,
        ephemeral: vector.init_ephemeral,
        s: vector.init_static,
        rs: vector.init_remote_static,
        psks: vector.init_psks,
      }
    : {
        prologue: vector.resp_prologue,
        ephemeral: vector.resp_ephemeral,
        s: vector.resp_static,
        rs: vector.resp_remote_static,
        psks: vector.resp_psks,
      };
  return new HandshakeState({
    pattern: vector.protocol_name.split("_")[1]!,
    initiator,
    cipher: cipherOf(vector),
    prologue: fromHex(side.prologue),
    s: side.s === undefined ? undefined : fromHex(side.s),
    rs: side.rs === undefined ? undefined : fromHex(side.rs),
    psks: side.psks?.map(fromHex),
    unsafeEphemeralForTests: side.ephemeral === undefined ? undefined : fromHex(side.ephemeral),
  });
}

test("the vectors are the 59 sessions of each suite", () => {
  assert.equal(vectors.length, 118);
  assert.equal(new Set(vectors.map((vector) => vector.protocol_name)).size, 118);
  assert.equal(vectors.filter((vector) => cipherOf(vector) === "ChaChaPoly").length, 59);
});

for (const vector of vectors) {
  test(`a session of ${vector.protocol_name}`, () => {
    const initiator = handshake(vector, true);
    const responder = handshake(vector, false);
    assert.equal(protocolName(initiator.pattern, cipherOf(vector)), vector.protocol_name);
    const lengths = messageLengths(initiator.pattern);
    const handshakeMessages = vector.messages.slice(0, lengths.length);
    const transportMessages = vector.messages.slice(lengths.length);
    assert.ok(transportMessages.length >= 2);

    for (const [i, { payload, ciphertext }] of handshakeMessages.entries()) {
      const [writer, reader] = i % 2 === 0 ? [initiator, responder] : [responder, initiator];
      assert.equal(writer.isMyTurn, true);
      assert.equal(reader.isMyTurn, false);
      assert.equal(lengths[i]! + payload.length / 2, ciphertext.length / 2);
      assert.equal(toHex(writer.writeMessage(fromHex(payload))), ciphertext);
      assert.equal(toHex(reader.readMessage(fromHex(ciphertext))), payload);
    }
    assert.ok(initiator.isFinished && responder.isFinished);
    assert.equal(toHex(initiator.handshakeHash), vector.handshake_hash);
    assert.equal(toHex(responder.handshakeHash), vector.handshake_hash);

    const ends = { initiator: initiator.split(), responder: responder.split() };
    const oneWay = lengths.length === 1;
    for (const [i, { payload, ciphertext }] of transportMessages.entries()) {
      const fromInitiator = oneWay || (lengths.length + i) % 2 === 0;
      const writer: CipherState = fromInitiator ? ends.initiator.send : ends.responder.send;
      const reader: CipherState = fromInitiator ? ends.responder.receive : ends.initiator.receive;
      assert.equal(toHex(writer.encryptWithAd(NO_AD, fromHex(payload))), ciphertext);
      assert.equal(toHex(reader.decryptWithAd(NO_AD, fromHex(ciphertext))), payload);
    }
  });
}
