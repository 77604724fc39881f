// Bytes in every form, every end of a call, and values of wrong types, for all exports of sealwire/noise.

import assert from "node:assert/strict";
import { SealwireError } from "../../../src/base/errors.ts";
import {
  CipherState,
  checkPattern,
  decodeKey,
  type HandshakePattern,
  HandshakeState,
  messageLengths,
  noise,
  parsePattern,
  patternNames,
  protocolName,
  SymmetricState,
} from "../../../src/noise.ts";
import { test } from "../../support/harness.ts";
import { registerNoiseArgumentTests } from "../../support/noiseArguments.ts";

registerNoiseArgumentTests();

// biome-ignore lint/suspicious/noExplicitAny: the values are wrong on purpose
const nonsense: any[] = [null, 5, 1n, true, Symbol("x"), "text", [], {}, () => {}, new Uint8Array(3), NaN];

function assertTyped(call: () => unknown, what: string): void {
  try {
    call();
  } catch (error) {
    assert.ok(error instanceof SealwireError, `${what} gave ${String(error)}`);
    assert.equal(error.code, "ERR_INVALID_ARGUMENT", what);
    return;
  }
  assert.fail(`${what} was taken`);
}

/** `call` with each of these values throws ERR_INVALID_ARGUMENT; `legal` are right there. */
function refuses(
  name: string,
  call: (value: never) => unknown,
  legal: (value: unknown) => boolean = () => false,
): void {
  for (const value of nonsense) {
    if (!legal(value)) assertTyped(() => call(value as never), `${name} with ${String(value)}`);
  }
}

const isObject = (value: unknown) => typeof value === "object" && value !== null;

test("arguments that are no bytes are typed errors, too", () => {
  refuses("new CipherState", (engine) => new CipherState(engine));
  refuses(
    "setNonce, high",
    (high) => new CipherState().setNonce(high, 0),
    (value) => value === 5,
  );
  refuses(
    "setNonce, low",
    (low) => new CipherState().setNonce(0, low),
    (value) => value === 5,
  );
  refuses(
    "new SymmetricState",
    (name) => new SymmetricState(name),
    (value) => typeof value === "string",
  );
  refuses(
    "decodeKey's name",
    (name) => decodeKey(name, new Uint8Array(32)),
    (value) => typeof value === "string",
  );
  refuses("new HandshakeState", (options) => new HandshakeState(options));
  refuses(
    "initiator",
    (initiator) => new HandshakeState({ pattern: "NN", initiator }),
    (value) => value === true,
  );
  refuses("psks", (psks) => new HandshakeState({ pattern: "NNpsk0", initiator: true, psks }));
  refuses("an unneeded s", (s) => new HandshakeState({ pattern: "NN", initiator: true, s }));
  refuses("s", (s) => new HandshakeState({ pattern: "XX", initiator: true, s }));
  refuses(
    "noise",
    (options) => noise(options),
    (value) => isObject(value) && Object.keys(value as object).length === 0,
  );
  refuses("noise's role", (role) => noise({}, role));
  refuses("create's role", (role) => noise().create(role, { remoteAddress: "" }));
  refuses("create's info", (value) => noise().create("client", value));
  for (const option of ["psk", "staticKey", "remoteStatic", "unsafeRekeyAfterFramesForTests"]) {
    refuses(
      option,
      (value) => noise({ [option]: value }),
      (value) => option.startsWith("unsafe") && value === 5,
    );
  }
  refuses(
    "prologue",
    (prologue) => noise({ prologue }),
    (value) => typeof value === "string" || value instanceof Uint8Array,
  );
  refuses("unsafeEphemeralForTests", (unsafeEphemeralForTests) => noise({ unsafeEphemeralForTests }));
  refuses(
    "authorize",
    (authorize) => noise({ staticKey: new Uint8Array(32), authorize }),
    (value) => typeof value === "function",
  );
});

test("an option that does not exist is not taken for one that was left out", () => {
  const misspelt = { Psk: new Uint8Array(32) } as object;
  assert.throws(() => noise(misspelt), {
    code: "ERR_INVALID_ARGUMENT",
    message: /^option "Psk" is unknown: psk was probably meant$/,
  });
});

test("whatever is no pattern is a typed error", () => {
  for (const [name, use] of Object.entries({ checkPattern, messageLengths, protocolName })) {
    refuses(name, use);
  }
  refuses("parsePattern", parsePattern);
  refuses("HandshakeState's pattern", (pattern) => new HandshakeState({ pattern, initiator: true }));
  const good = parsePattern("XX");
  for (const part of ["name", "initiatorStaticKnown", "responderStaticKnown", "messages", "pskCount"]) {
    const legal: Record<string, (value: unknown) => boolean> = {
      name: (value) => typeof value === "string",
      initiatorStaticKnown: (value) => typeof value === "boolean",
      responderStaticKnown: (value) => typeof value === "boolean",
    };
    refuses(`checkPattern, ${part}`, (value) => checkPattern({ ...good, [part]: value }), legal[part]);
  }
  for (const messages of [[null], [["e"], 5], [["x"]], [["e", null]], [["toString"]], [[["e"]]]]) {
    const pattern = { ...good, messages } as unknown as HandshakePattern;
    for (const use of [checkPattern, messageLengths, protocolName]) {
      assertTyped(() => use(pattern), `messages ${JSON.stringify(messages)}`);
    }
  }
});

test("a pattern stays what was checked, whoever holds the original", () => {
  const good = parsePattern("NN");
  const mine = { ...good, messages: good.messages.map((tokens) => [...tokens]) };
  const state = new HandshakeState({ pattern: mine, initiator: true });
  mine.messages[0]!.push("psk");
  mine.messages.push(["e"]);
  assert.deepEqual(state.pattern.messages, [["e"], ["e", "ee"]]);
  assert.equal(state.writeMessage().length, 32);
  for (const name of patternNames) {
    const shared = parsePattern(name);
    assert.throws(() => (shared.messages as string[][]).push([]), TypeError);
    assert.throws(() => (shared.messages[0] as string[]).push("psk"), TypeError);
    assert.throws(() => ((shared as { pskCount: number }).pskCount = 1), TypeError);
  }
});
