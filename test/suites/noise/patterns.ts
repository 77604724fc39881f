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

test("hfs puts its tokens where section 5 of the extension says, in all twelve fundamental patterns", () => {
  const orders: Record<string, string> = {
    NN: "e e1, e ee ekem1",
    NK: "e es e1, e ee ekem1",
    NX: "e e1, e ee ekem1 s es",
    XN: "e e1, e ee ekem1, s se",
    XK: "e es e1, e ee ekem1, s se",
    XX: "e e1, e ee ekem1 s es, s se",
    KN: "e e1, e ee ekem1 se",
    KK: "e es e1 ss, e ee ekem1 se",
    KX: "e e1, e ee ekem1 se s es",
    IN: "e e1 s, e ee ekem1 se",
    IK: "e es e1 s ss, e ee ekem1 se",
    IX: "e e1 s, e ee ekem1 se s es",
  };
  assert.deepEqual(Object.keys(orders).sort(), [...fundamentalPatternNames].sort());
  const text = (name: string): string =>
    parsePattern(name)
      .messages.map((tokens) => tokens.join(" "))
      .join(", ");
  for (const [name, order] of Object.entries(orders)) {
    assert.equal(text(`${name}hfs`), order);
    assert.equal(text(`${name}hfs+psk0`), `psk ${order}`);
    const [first, ...rest] = order.split(", ");
    assert.equal(text(`${name}hfs+psk1`), [`${first} psk`, ...rest].join(", "));
    const count = rest.length + 1;
    assert.equal(text(`${name}hfs+psk${count}`), `${order} psk`);
    assert.throws(() => parsePattern(`${name}hfs+psk${count + 1}`), /no message/);
  }
  assert.equal(protocolName(parsePattern("NNhfs")), "Noise_NNhfs_25519+MLKEM768_AESGCM_BLAKE2b");
  assert.equal(
    protocolName(parsePattern("XXhfs+psk0+psk3")),
    "Noise_XXhfs+psk0+psk3_25519+MLKEM768_AESGCM_BLAKE2b",
  );
});

test("hfs in every pattern that answers with an ephemeral key, and in no other", () => {
  for (const name of patternNames) {
    if (parsePattern(name).messages.length === 1) {
      assert.throws(() => parsePattern(`${name}hfs`), /without hfs/, name);
      continue;
    }
    const { messages } = parsePattern(`${name}hfs`);
    const [first, second, ...rest] = messages as [Token[], Token[], ...Token[][]];
    assert.equal(first.filter((token) => token === "e1").length, 1, name);
    assert.equal(second[second.indexOf("ee") + 1], "ekem1", name);
    assert.equal(
      rest.flat().some((token) => token === "e1" || token === "ekem1"),
      false,
      name,
    );
    const bare = messages.map((tokens) => tokens.filter((token) => token !== "e1" && token !== "ekem1"));
    assert.deepEqual(bare, parsePattern(name).messages, name);
  }
});

test("the extension's tokens: once each, e1 behind the initiator's e, ekem1 behind the responder's ee", () => {
  checkPattern(pattern("e e1, e ee ekem1"));
  for (const messages of [
    "e e1, e ee",
    "e, e ee ekem1, e1",
    "e1 e, e ee ekem1",
    "e e1 e1, e ee ekem1",
    "e e1, e ee ekem1 ekem1",
    "e e1, e ekem1 ee",
    "e, e e1 ee, ekem1",
    "e e1, e ee, ekem1",
  ]) {
    assert.throws(() => checkPattern(pattern(messages)), /HFS section 5/, messages);
  }
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
    "NNhfspsk0",
    "NNpsk0+hfs",
    "NNhfs+",
    "NNhfs+hfs",
    "NN+hfs",
    "hfs",
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

test("a name that could end before the protocol's name does is refused", () => {
  const own = pattern("e, e ee");
  // The protocol would be called as one with another cipher, and something behind it.
  const wrong = [
    "NN_25519_ChaChaPoly_BLAKE2b",
    "_",
    "my pattern",
    "N\0",
    "NN\n",
    "",
    "é",
    "x".repeat(201),
    5,
  ];
  for (const name of wrong) {
    const message = /^pattern\.name must be of 1 to 200 letters, digits, "\/" and "\+"$/;
    for (const use of [checkPattern, protocolName, messageLengths])
      assert.throws(() => use({ ...own, name } as HandshakePattern), { ...invalid, message }, String(name));
  }
  for (const name of ["custom", "X/1", "NNhfs+psk0+9", "x".repeat(200)]) {
    checkPattern({ ...own, name });
    assert.equal(protocolName({ ...own, name }), `Noise_${name}_25519_AESGCM_BLAKE2b`);
    assert.ok(protocolName({ ...own, name }, "ChaChaPoly").length <= 255);
  }
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
    NNhfs: [1216, 1152],
    "NNhfs+psk0": [1248, 1152],
    XXhfs: [1216, 1200, 64],
    "XXhfs+psk3": [1248, 1200, 64],
    IKhfs: [1296, 1152],
    "IKhfs+psk2": [1296, 1152],
    KKhfs: [1248, 1152],
    IXhfs: [1248, 1200],
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
