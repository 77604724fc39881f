// HandshakeState beyond the vectors: every pattern with every psk modifier, turns, consumption, sizes, the keys that
// each side must have, and changed bits, each of which ends the handshake.

import assert from "node:assert/strict";
import { HandshakeState } from "../../../src/protocol/noise/handshakeState.ts";
import type { HandshakeStateOptions } from "../../../src/protocol/noise/handshakeStateOptions.ts";
import { generateKeyPair } from "../../../src/protocol/noise/keys.ts";
import { messageLengths, parsePattern, patternNames } from "../../../src/protocol/noise/patterns.ts";
import { isShared, shared } from "../../support/every.ts";
import { test } from "../../support/harness.ts";

const NO_AD = new Uint8Array(0);
const psk = new Uint8Array(32).fill(0x51);
const initiatorKeys = generateKeyPair();
const responderKeys = generateKeyPair();

/** Both ends of a pattern with the keys that it asks for. */
function optionsOf(name: string): [HandshakeStateOptions, HandshakeStateOptions] {
  const { initiatorStaticKnown, responderStaticKnown, messages, pskCount } = parsePattern(name);
  const sends = (parity: number): boolean =>
    messages.some((tokens, i) => i % 2 === parity && tokens.includes("s"));
  const psks = Array.from({ length: pskCount }, (_, i) => new Uint8Array(32).fill(i + 1));
  return [
    {
      pattern: name,
      initiator: true,
      s: initiatorStaticKnown || sends(0) ? initiatorKeys : undefined,
      rs: responderStaticKnown ? responderKeys.publicKey : undefined,
      psks,
    },
    {
      pattern: name,
      initiator: false,
      s: responderStaticKnown || sends(1) ? responderKeys.privateKey : undefined,
      rs: initiatorStaticKnown ? initiatorKeys.publicKey : undefined,
      psks,
    },
  ];
}

function pair(name: string): [HandshakeState, HandshakeState] {
  const [initiator, responder] = optionsOf(name);
  return [new HandshakeState(initiator), new HandshakeState(responder)];
}

/** Runs messages with empty payloads until `stop`; returns the writer and reader of the next one. */
function runTo(
  stop: number,
  initiator: HandshakeState,
  responder: HandshakeState,
): [HandshakeState, HandshakeState] {
  let [writer, reader] = [initiator, responder];
  for (let i = 0; i < stop; i++) {
    reader.readMessage(writer.writeMessage());
    [writer, reader] = [reader, writer];
  }
  return [writer, reader];
}

test("every pattern alone and with every single psk modifier, and all of them at once", () => {
  for (const base of patternNames) {
    const count = parsePattern(base).messages.length;
    const modifiers = Array.from({ length: count + 1 }, (_, i) => `psk${i}`);
    const hybrid =
      count === 1 ? [] : ["hfs", ...modifiers.map((psk) => `hfs+${psk}`), ["hfs", ...modifiers].join("+")];
    for (const modifier of shared(["", ...modifiers, modifiers.join("+"), ...hybrid])) {
      const [initiator, responder] = pair(base + modifier);
      const messages = messageLengths(initiator.pattern).length;
      runTo(messages, initiator, responder);
      assert.deepEqual(initiator.handshakeHash, responder.handshakeHash);
      const { responderStaticKnown, messages: tokens } = initiator.pattern;
      if (responderStaticKnown || tokens.some((t, i) => i % 2 === 1 && t.includes("s"))) {
        assert.deepEqual(initiator.remoteStaticKey, responderKeys.publicKey);
      } else assert.equal(initiator.remoteStaticKey, undefined);
      const [a, b] = [initiator.split(), responder.split()];
      assert.deepEqual(b.receive.decryptWithAd(NO_AD, a.send.encryptWithAd(NO_AD, psk)), psk);
      assert.deepEqual(a.receive.decryptWithAd(NO_AD, b.send.encryptWithAd(NO_AD, psk)), psk);
    }
  }
});

test("two runs with the same static keys share no handshake hash and no transport key", () => {
  const seen = new Set<string>();
  for (let run = 0; run < 4; run++) {
    const [initiator, responder] = pair("KKpsk0");
    runTo(2, initiator, responder);
    seen.add(initiator.handshakeHash.join());
    const { sendKey, receiveKey } = initiator.splitKeys();
    const other = responder.splitKeys();
    assert.deepEqual(sendKey, other.receiveKey);
    assert.deepEqual(receiveKey, other.sendKey);
    seen.add(sendKey.join()).add(receiveKey.join());
  }
  assert.equal(seen.size, 12);
});

test("a flipped bit in any byte of any message ends the handshake at once or at the next message", () => {
  const classical = ["NN", "NNpsk0", "XX", "XXpsk3", "IK", "IKpsk2", "KK", "KKpsk0", "NX", "K1X1"];
  let flips = 0;
  const hybrid = ["NNhfs", "NNhfs+psk0", "XXhfs", "IKhfs", "KKhfs+psk0", "INhfs", "K1X1hfs"];
  for (const name of [...classical, ...hybrid]) {
    const lengths = messageLengths(parsePattern(name));
    for (const [i, length] of lengths.entries()) {
      // Around the parts of a long message every byte, within the KEM's parts some.
      const step = (at: number): number => (at > 100 && at < length - 100 ? 37 : i === 0 ? 1 : 5);
      for (let at = 0; at < length; at += step(at)) {
        if (!isShared(flips++)) continue;
        const [initiator, responder] = pair(name);
        let [writer, reader] = runTo(i, initiator, responder);
        const message = writer.writeMessage();
        message[at]! ^= 1 << (at % 8);
        let failed = false;
        let acting = reader;
        try {
          reader.readMessage(message);
          // An unauthenticated first message is accepted as it comes; the next one must then fail, or can't be
          // written because what came is no encapsulation key.
          [writer, reader] = [reader, writer];
          while (!writer.isFinished || !reader.isFinished) {
            acting = writer;
            const next = writer.writeMessage();
            acting = reader;
            reader.readMessage(next);
            [writer, reader] = [reader, writer];
          }
        } catch (error) {
          assert.match((error as { code: string }).code, /^ERR_(DECRYPT|WEAK_PUBLIC_KEY)$/);
          failed = true;
        }
        // X25519 ignores the top bit of a public key, the transcript hash does not.
        assert.ok(failed, `${name}, message ${i + 1}, byte ${at}`);
        assert.throws(() => acting.readMessage(message), { code: "ERR_HANDSHAKE", message: /consumed/ });
      }
    }
  }
});

test("different psk, prologue, static key or pattern: the first authenticated message fails", () => {
  const differences: [string, (options: HandshakeStateOptions) => HandshakeStateOptions][] = [
    ["NNpsk0", (o) => ({ ...o, psks: [psk] })],
    ["XXpsk3", (o) => ({ ...o, psks: [psk] })],
    ["IKpsk2", (o) => ({ ...o, psks: [psk] })],
    ["NN", (o) => ({ ...o, prologue: new Uint8Array(1) })],
    ["XX", (o) => ({ ...o, prologue: new Uint8Array(1) })],
    ["IK", (o) => ({ ...o, s: generateKeyPair() })],
    ["KK", (o) => ({ ...o, rs: generateKeyPair().publicKey })],
    ["NNpsk0", (o) => ({ ...o, pattern: "NNpsk1" })],
  ];
  for (const [name, change] of differences) {
    const [first, second] = optionsOf(name);
    const initiator = new HandshakeState(first);
    const responder = new HandshakeState(change(second));
    assert.throws(
      () => runTo(messageLengths(initiator.pattern).length, initiator, responder),
      { code: "ERR_DECRYPT" },
      name,
    );
  }
});

test("out of turn: an error that changes nothing", () => {
  const [initiator, responder] = pair("XX");
  const ahead = (write: string) => ({ code: "ERR_HANDSHAKE", message: new RegExp(write) });
  assert.throws(() => responder.writeMessage(), ahead("the peer's turn to write"));
  assert.throws(() => initiator.readMessage(new Uint8Array(96)), ahead("this side's turn to write"));
  assert.throws(() => initiator.split(), ahead("not finished"));
  assert.throws(() => initiator.handshakeHash, ahead("not finished"));
  runTo(3, initiator, responder);
  assert.throws(() => initiator.writeMessage(), ahead("finished"));
  assert.throws(() => responder.readMessage(new Uint8Array(64)), ahead("finished"));
  assert.deepEqual(initiator.handshakeHash, responder.handshakeHash);
});

test("a finished handshake is consumed by split", () => {
  const [initiator, responder] = pair("NN");
  runTo(2, initiator, responder);
  const hash = initiator.handshakeHash;
  initiator.split();
  assert.throws(() => initiator.split(), { code: "ERR_HANDSHAKE", message: /consumed/ });
  assert.throws(() => initiator.splitKeys(), { code: "ERR_HANDSHAKE", message: /consumed/ });
  assert.throws(() => initiator.writeMessage(), { code: "ERR_HANDSHAKE", message: /consumed/ });
  assert.deepEqual(initiator.handshakeHash, hash);
  responder.destroy();
  assert.throws(() => responder.split(), { code: "ERR_CLOSED", message: /destroyed/ });
});

test("a message that is too short or longer than 65,535 bytes is refused", () => {
  for (const length of [0, 1, 31, 65_536]) {
    const [, responder] = pair("XX");
    assert.throws(() => responder.readMessage(new Uint8Array(length)), { code: "ERR_HANDSHAKE" });
    assert.throws(() => responder.readMessage(new Uint8Array(32)), {
      code: "ERR_HANDSHAKE",
      message: /consumed/,
    });
  }
  const [initiator, responder] = pair("NN");
  assert.throws(() => initiator.writeMessage(new Uint8Array(65_504)), { code: "ERR_MESSAGE_TOO_LARGE" });
  const longest = new Uint8Array(65_503).fill(3);
  assert.deepEqual(responder.readMessage(initiator.writeMessage(longest)), longest);
});

test("public keys of low order are refused", () => {
  // Orders 1, 2, 4 and 8, and non-canonical forms (RFC 7748 section 6.1 and errata).
  const lowOrder = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  ];
  for (const hex of lowOrder) {
    const point = Uint8Array.from(hex.match(/../g)!, (byte) => Number.parseInt(byte, 16));
    const [, responder] = pair("NN");
    responder.readMessage(point);
    assert.throws(() => responder.writeMessage(), { code: "ERR_WEAK_PUBLIC_KEY" });
    assert.throws(() => responder.writeMessage(), { code: "ERR_HANDSHAKE", message: /consumed/ });
    const [options] = optionsOf("IK");
    const initiator = new HandshakeState({ ...options, rs: point });
    assert.throws(() => initiator.writeMessage(), { code: "ERR_WEAK_PUBLIC_KEY" });
  }
});

test("an encapsulation key that fails the modulus check is refused by the responder", () => {
  for (const name of ["NNhfs", "XXhfs"]) {
    const [initiator, responder] = pair(name);
    const message = initiator.writeMessage();
    message.fill(0xff, 32, 35);
    responder.readMessage(message);
    assert.throws(() => responder.writeMessage(), { code: "ERR_WEAK_PUBLIC_KEY" });
    assert.throws(() => responder.writeMessage(), { code: "ERR_HANDSHAKE", message: /consumed/ });
  }
});

test("the options must be what the pattern needs", () => {
  const [initiator] = optionsOf("IKpsk2");
  const bad: [string, Record<string, unknown>][] = [
    ["initiator", { initiator: "yes" }],
    ["prologue", { prologue: "text" }],
    ["pattern", { pattern: "ZZ" }],
    ["s", { s: undefined }],
    ["s", { s: new Uint8Array(31) }],
    ["s.publicKey", { s: { privateKey: new Uint8Array(32) } }],
    ["rs", { rs: undefined }],
    ["rs", { rs: new Uint8Array(33) }],
    ["psks", { psks: [] }],
    ["psks", { psks: [psk, psk] }],
    ["psks", { psks: [new Uint8Array(16)] }],
    ["unsafeEphemeralForTests", { unsafeEphemeralForTests: new Uint8Array(5) }],
    ["unsafeKemForTests", { unsafeKemForTests: new Uint8Array(64) }],
    ["unsafeKemForTests", { pattern: "IKhfs+psk2", unsafeKemForTests: new Uint8Array(32) }],
  ];
  for (const [name, change] of bad) {
    assert.throws(() => new HandshakeState({ ...initiator, ...change } as HandshakeStateOptions), {
      code: "ERR_INVALID_ARGUMENT",
      message: new RegExp(`^${name} must`),
    });
  }
  const [plain] = optionsOf("NN");
  assert.throws(
    () => new HandshakeState({ ...plain, s: initiatorKeys }),
    /^SealwireError: s must be left out/,
  );
  assert.throws(() => new HandshakeState({ ...plain, rs: psk }), /^SealwireError: rs must be left out/);
});

test("the caller's keys are copied: they may be wiped after construction and stay intact", () => {
  const [first, second] = optionsOf("XXpsk3");
  const s = {
    privateKey: new Uint8Array(initiatorKeys.privateKey),
    publicKey: new Uint8Array(initiatorKeys.publicKey),
  };
  const mine = new Uint8Array(first.psks![0]!);
  const initiator = new HandshakeState({ ...first, s, psks: [mine] });
  const responder = new HandshakeState(second);
  s.privateKey.fill(0);
  s.publicKey.fill(0);
  mine.fill(0);
  runTo(3, initiator, responder);
  assert.deepEqual(initiator.handshakeHash, responder.handshakeHash);
  initiator.split();
  assert.notDeepEqual(initiatorKeys.privateKey, new Uint8Array(32));
});

test("whoever reads a psk at a message's end may have several: each fits, no other does, and nothing else differs", () => {
  const psks = [1, 2, 3, 4, 5].map((byte) => new Uint8Array(32).fill(byte));
  for (const name of ["XXpsk3", "XXhfs+psk3", "IKpsk2", "NNpsk0", "NXpsk2", "KKhfs+psk2"]) {
    const [initiatorOptions, responderOptions] = optionsOf(name);
    const { messages } = parsePattern(name);
    const last = messages.findIndex((tokens) => tokens.at(-1) === "psk");
    const several = [psks[0]!, psks.slice(1, 4)] as const;
    const cipher = name.startsWith("N") || name === "XXhfs+psk3" ? "ChaChaPoly" : "AESGCM";
    const make = (options: HandshakeStateOptions, reads: boolean, own: Uint8Array) =>
      new HandshakeState(
        reads
          ? { ...options, cipher, psks: [several[0]], otherPsks: several[1] }
          : { ...options, cipher, psks: [own] },
      );
    if (last < 0) {
      for (const options of [initiatorOptions, responderOptions])
        assert.throws(() => make(options, true, psks[0]!), /otherPsks/, name);
      continue;
    }
    const initiatorReads = last % 2 === 1;
    assert.throws(
      () => make(initiatorReads ? responderOptions : initiatorOptions, true, psks[0]!),
      /otherPsks/,
    );
    for (const [i, own] of psks.entries()) {
      const initiator = make(initiatorOptions, initiatorReads, own);
      const responder = make(responderOptions, !initiatorReads, own);
      const run = () => {
        for (let turn = 0; turn < messages.length; turn++) {
          const [writer, reader] = turn % 2 === 0 ? [initiator, responder] : [responder, initiator];
          reader.readMessage(writer.writeMessage());
        }
      };
      if (i === 4) {
        assert.throws(run, (error) => (error as { code: string }).code === "ERR_DECRYPT", name);
        continue;
      }
      run();
      assert.equal((initiatorReads ? initiator : responder).usedPsk, i, name);
      assert.deepEqual(initiator.handshakeHash, responder.handshakeHash);
      const [one, other] = [initiator.splitKeys(), responder.splitKeys()];
      assert.deepEqual(one.sendKey, other.receiveKey);
      assert.deepEqual(one.receiveKey, other.sendKey);
    }
  }
});
