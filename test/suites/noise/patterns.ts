// Names, modifiers, lengths and the validity rules of handshake patterns.

import assert from "node:assert/strict";
import { checkPattern, type HandshakePattern, type Token } from "../../../src/protocol/noise/pattern.ts";
import {
  fundamentalPatternNames,
  messageLengths,
  parsePattern,
  patternNames,
  protocolName,
} from "../../../src/protocol/noise/patterns.ts";
import { test } from "../../support/harness.ts";

const invalid = { name: "SealwireError", code: "ERR_INVALID_ARGUMENT" };

/** A pattern of one's own; psk tokens are counted. */
function pattern(
  messages: string,
  initiatorStaticKnown = false,
  responderStaticKnown = false,
): HandshakePattern {
  const tokens = messages.split(", ").map((message) => message.split(" ") as Token[]);
  return {
    name: "custom",
    initiatorStaticKnown,
    responderStaticKnown,
    messages: tokens,
    pskCount: tokens.flat().filter((token) => token === "psk").length,
  };
}

test("the table holds 3 one-way, 12 fundamental and 23 deferred patterns, all valid", () => {
  assert.equal(patternNames.length, 38);
  assert.deepEqual(
    [...fundamentalPatternNames].sort(),
    ["IK", "IN", "IX", "KK", "KN", "KX", "NK", "NN", "NX", "XK", "XN", "XX"].sort(),
  );
  assert.equal(patternNames.filter((name) => name.includes("1")).length, 23);
  for (const name of patternNames) checkPattern(parsePattern(name));
});

test("the letters of a name say what the pattern does", () => {
  for (const name of patternNames.filter((name) => name.length > 1)) {
    const [initiator, responder] = name.replaceAll("1", "");
    const { initiatorStaticKnown, responderStaticKnown, messages } = parsePattern(name);
    const sends = (parity: number): boolean =>
      messages.some((tokens, i) => i % 2 === parity && tokens.includes("s"));
    assert.equal(initiatorStaticKnown, initiator === "K", name);
    assert.equal(responderStaticKnown, responder === "K", name);
    assert.equal(sends(0), initiator === "X" || initiator === "I", name);
    assert.equal(messages[0]!.includes("s"), initiator === "I", name);
    assert.equal(sends(1), responder === "X", name);
    const dh = messages.flat().filter((token) => token.length === 2);
    assert.equal(dh.includes("ee"), true, name);
    assert.equal(dh.includes("se"), initiator !== "N", name);
    assert.equal(dh.includes("es"), responder !== "N", name);
  }
});

test("psk modifiers put a token where section 9.4 says", () => {
  assert.deepEqual(parsePattern("XXpsk0").messages[0], ["psk", "e"]);
  assert.deepEqual(parsePattern("XXpsk1").messages[0], ["e", "psk"]);
  assert.deepEqual(parsePattern("XXpsk3").messages[2], ["s", "se", "psk"]);
  const both = parsePattern("NNpsk0+psk2");
  assert.deepEqual(both.messages, [
    ["psk", "e"],
    ["e", "ee", "psk"],
  ]);
  assert.equal(both.pskCount, 2);
  assert.equal(protocolName(both), "Noise_NNpsk0+psk2_25519_AESGCM_BLAKE2b");
});

test("names that are no pattern are refused", () => {
  for (const name of [
    "",
    "xx",
    "XY",
    "XXX",
    "XX ",
    "XXfallback",
    "NNpsk",
    "NNpsk10",
    "NNpsk0psk2",
    "NNpsk0+",
    "+psk0",
  ]) {
    assert.throws(() => parsePattern(name), invalid, name);
  }
  assert.throws(() => parsePattern("NNpsk3"), /no message 3/);
  assert.throws(() => parsePattern("Npsk2"), /no message 2/);
  assert.throws(() => parsePattern("NNpsk0+psk0"), /ascending order/);
  assert.throws(() => parsePattern("NNpsk2+psk0"), /ascending order/);
  assert.throws(() => parsePattern("constructor"), invalid);
  assert.throws(() => parsePattern("toString"), invalid);
});

test("lengths with empty payloads", () => {
  const lengths: Record<string, number[]> = {
    NN: [32, 48],
    NNpsk0: [48, 48],
    XX: [32, 96, 64],
    XXpsk3: [48, 96, 64],
    IK: [96, 48],
    IKpsk2: [96, 48],
    KK: [48, 48],
    KKpsk0: [48, 48],
    N: [48],
    X: [96],
    IX: [64, 96],
    K1X1: [32, 96, 16],
  };
  for (const [name, expected] of Object.entries(lengths)) {
    assert.deepEqual(messageLengths(parsePattern(name)), expected, name);
  }
});

test("rule 1: no DH before both keys are known", () => {
  assert.throws(() => checkPattern(pattern("e ee")), /rule 1/);
  assert.throws(() => checkPattern(pattern("e es, e ee")), /rule 1/);
  assert.throws(() => checkPattern(pattern("e, e ee se")), /rule 1/);
  assert.throws(() => checkPattern(pattern("e ss", false, true)), /rule 1/);
});

test("rule 2: no key is sent twice, nor one that is known", () => {
  assert.throws(() => checkPattern(pattern("e, e ee, e")), /rule 2/);
  assert.throws(() => checkPattern(pattern("e s s, e ee se")), /rule 2/);
  assert.throws(() => checkPattern(pattern("e s, e ee se", true)), /rule 2/);
});

test("rule 3: no DH twice", () => {
  assert.throws(() => checkPattern(pattern("e, e ee ee")), /rule 3/);
  assert.throws(() => checkPattern(pattern("e es, e ee es", false, true)), /rule 3/);
});

test("rule 4: a static key is used only together with the own ephemeral", () => {
  // se without ee, ss without es: the initiator; es without ee, ss without se: the responder.
  assert.throws(() => checkPattern(pattern("e, e se, s", true)), /initiator encrypt after se without ee/);
  assert.throws(() => checkPattern(pattern("e ss", true, true)), /initiator encrypt after ss without es/);
  assert.throws(() => checkPattern(pattern("e es, e", false, true)), /responder encrypt after es without ee/);
  assert.throws(
    () => checkPattern(pattern("e es ss, e ee", true, true)),
    /responder encrypt after ss without se/,
  );
  // Transport messages count as well: here no handshake message follows the "se".
  assert.throws(() => checkPattern(pattern("e, e se", true)), /initiator encrypt after se without ee/);
});

test("section 9.3: no encryption after psk before an ephemeral of one's own", () => {
  assert.throws(() => checkPattern(pattern("psk, e")), /section 9.3/);
  assert.throws(() => checkPattern(pattern("psk s, e", false, true)), /section 9.3/);
  checkPattern(pattern("psk e, e ee"));
  checkPattern(pattern("e psk, e ee"));
});

test("an empty pattern, an empty message and a wrong psk count are refused", () => {
  assert.throws(() => checkPattern({ ...pattern("e"), messages: [] }), invalid);
  assert.throws(() => checkPattern({ ...pattern("e"), messages: [["e"], []] }), invalid);
  assert.throws(() => checkPattern({ ...pattern("psk e, e ee"), pskCount: 0 }), invalid);
});
