// Both ends of a handshake, with an attacker between them who changes, drops, doubles or replaces messages. The
// handshake ends with the same keys at both ends or with a typed error, and never finishes if a message was changed.
// Servers alone are tried as well, each with a first message that was made, changed or replayed, as any stranger can
// send it.

import assert from "node:assert/strict";
import { expandedKeys } from "../../src/core/cachedKey.ts";
import { generateKeyPair } from "../../src/noise.ts";
import type { Handshake } from "../../src/protocol/handshake.ts";
import { noise } from "../../src/protocol/noise/noiseFactory.ts";
import type { NoiseOptions } from "../../src/protocol/noise/noiseOptions.ts";
import { Random } from "../simulation/random.ts";
import { chooseKeysBy, rememberExchanges } from "./knownExchanges.ts";
import { codeOf, type Level, mutated, outcome, someBytes } from "./level.ts";

const psk = new Uint8Array(32).fill(7);
const [clientKeys, serverKeys] = [generateKeyPair(), generateKeyPair()];
const info = { remoteAddress: "" };
const authorize = () => true;

type Suite = Pick<NoiseOptions, "postQuantum" | "cipher">;
const pairsWith = (suite: Suite) => [
  [
    { psk, ...suite },
    { psk, ...suite },
  ],
  [{ ...suite }, { ...suite }],
  [
    { staticKey: clientKeys.privateKey, remoteStatic: serverKeys.publicKey, ...suite },
    { staticKey: serverKeys.privateKey, remoteStatic: clientKeys.publicKey, ...suite },
  ],
  [
    { staticKey: clientKeys.privateKey, remoteStatic: serverKeys.publicKey, psk, ...suite },
    { staticKey: serverKeys.privateKey, authorize, psk, ...suite },
  ],
  [
    { staticKey: clientKeys.privateKey, authorize, ...suite },
    { staticKey: serverKeys.privateKey, authorize, ...suite },
  ],
  [
    { staticKey: clientKeys.privateKey, authorize, psk, ...suite },
    { staticKey: serverKeys.privateKey, authorize, psk, ...suite },
  ],
  [
    { staticKey: clientKeys.privateKey, remoteStatic: serverKeys.publicKey, pattern: "KK", ...suite },
    { staticKey: serverKeys.privateKey, remoteStatic: clientKeys.publicKey, pattern: "KK", ...suite },
  ],
];
/** In this order: NNpsk0, NN, IK, IKpsk2, XX, XXpsk3, KK. In NN and XX nothing protects the first message. */
const isFirstOpen = (name: string): boolean => /^Noise_(NN|XX)(hfs)?_/.test(name);
const factoriesWith = (suite: Suite) =>
  pairsWith(suite).map(([client, server]) => [noise(client!, "client"), noise(server!, "server")] as const);
type Factories = ReturnType<typeof factoriesWith>;
/** ML-KEM costs ten times what the rest does: most handshakes are without. */
const [hybrid, classical] = [true, false].map((postQuantum) =>
  [{ postQuantum }, { postQuantum, cipher: "ChaChaPoly" } as const].flatMap(factoriesWith),
) as [Factories, Factories];

rememberExchanges();
const FIRST_MESSAGES = 8;
/** First messages of each kind of client, for replays. */
const firstOf = new Map(
  [...hybrid, ...classical].map(([client]) => {
    const messages = Array.from({ length: FIRST_MESSAGES }, (_, seed) => {
      chooseKeysBy(new Random(seed));
      const handshake = client.create("client", info);
      const message = Buffer.from(handshake.send()!);
      handshake.destroy();
      return message;
    });
    return [client, messages] as const;
  }),
);
const others = [...firstOf.values()].flat();

const anyFactories = (random: Random, hybrids: number) =>
  random.pick(random.chance(hybrids) ? hybrid : classical);

async function oneHandshake(random: Random): Promise<number> {
  const [clientFactory, serverFactory] = anyFactories(random, 0.1);
  const ends = [clientFactory.create("client", info), serverFactory.create("server", info)] as const;
  outcome(() => serverFactory.firstMessageBytes?.(someBytes(random, 80)));
  const touches = random.chance(0.8);
  const recorded: Uint8Array[] = [random.pick(others)];
  let touched = false;
  let messages = 0;
  let failed = false;
  let [from, to]: [Handshake, Handshake] = [ends[0], ends[1]];
  for (let step = 0; step < 8 && !failed; step++) {
    const sent = outcome(() => from.send());
    if (sent.code !== undefined) failed = true;
    if (sent.value === undefined) {
      if (ends[0].done && ends[1].done) break;
    } else {
      messages++;
      let bytes: Uint8Array = sent.value.slice();
      recorded.push(bytes);
      if (touches && random.chance(0.5)) {
        const other = random.chance(0.8) ? mutated(random, bytes) : random.pick(recorded);
        touched ||= !Buffer.from(other).equals(Buffer.from(bytes));
        bytes = other;
      }
      for (let at = 0; at < bytes.length && !failed; ) {
        const { expects } = to;
        if (expects === 0 || at + expects > bytes.length) {
          failed ||= expects !== 0;
          break;
        }
        const piece = bytes.subarray(at, at + expects);
        at += expects;
        try {
          await to.receive(piece);
        } catch (error) {
          codeOf(error);
          failed = true;
        }
      }
    }
    [from, to] = [to, from];
  }
  if (!touched) assert.ok(!failed && ends[0].done && ends[1].done, "an untouched handshake did not finish");
  if (ends[0].done && ends[1].done && !failed) {
    const [client, server] = ends.map((end) => outcome(() => end.finish()).value);
    if (client !== undefined && server !== undefined) {
      const agree = Buffer.from(client.sendKey).equals(server.receiveKey);
      assert.equal(agree, Buffer.from(client.receiveKey).equals(server.sendKey));
      if (!touched) assert.ok(agree);
      // What was left over behind a message, or cut, is not a part of it: otherwise nothing may have been touched.
      if (agree) assert.deepEqual(client.identity.handshakeHash, server.identity.handshakeHash);
    }
  }
  for (const end of ends) {
    end.destroy();
    assert.notEqual(outcome(() => end.finish()).code, undefined, "a handshake that is over gave keys");
  }
  assert.equal(expandedKeys(), 0);
  return Math.max(messages, 1);
}

/** A first message that somebody sends who recorded `own`, and others. */
function anyFirst(random: Random, own: Uint8Array): Uint8Array {
  const kind = random.between(0, 19);
  if (kind === 0) return own;
  if (kind === 1) return random.pick(others);
  if (kind === 2) return someBytes(random, 200);
  if (kind < 6) return mutated(random, mutated(random, own));
  // Behind its prefix: a prefix that is wrong costs the server nothing.
  const changed = new Uint8Array(own);
  const somewhere = () => random.between(4, own.length - 1);
  if (kind < 8) {
    const at = somewhere();
    changed.fill(random.pick([0, 1, 0x7f, 0xff]), at, at + random.pick([1, 32, own.length]));
  } else if (kind < 10) changed[somewhere()]! ^= 1 << random.between(0, 7);
  // So many that hardly any comes again.
  else for (let i = random.between(2, 4); i > 0; i--) changed[somewhere()]! ^= random.between(1, 255);
  return changed;
}

/** A server takes what its client wrote, and nothing that was changed wherever the pattern protects it. */
async function oneFirstMessage(random: Random, [client, server]: Factories[number]): Promise<void> {
  const own = random.pick(firstOf.get(client)!);
  const bytes = anyFirst(random, own);
  const wanted = server.firstMessageBytes!(bytes.subarray(0, random.between(0, bytes.length)));
  assert.ok(wanted > 0 && wanted < 4_096, `a first message of ${wanted} bytes`);
  const end = server.create("server", info);
  let at = 0;
  let code: string | undefined;
  while (code === undefined && end.expects > 0 && at + end.expects <= bytes.length) {
    const piece = bytes.subarray(at, at + end.expects);
    at += piece.length;
    try {
      // An application that is asked about a peer may take its time: only then is there something to wait for.
      const asked = end.receive(piece);
      if (asked !== undefined) await asked;
    } catch (error) {
      code = codeOf(error);
    }
  }
  const taken = code === undefined && end.expects === 0;
  const isOwn = firstOf.get(client)!.some((first) => first.equals(bytes.subarray(0, own.length)));
  if (isOwn) assert.ok(taken, `${client.name}: an honest first message was refused with ${code}`);
  const isOfItsKind = Buffer.from(own.subarray(0, 4)).equals(bytes.subarray(0, 4));
  if (!isOwn && isOfItsKind && !isFirstOpen(client.name))
    assert.ok(!taken, "a changed first message was taken");
  assert.equal(end.done, false, "a server has keys that wrote nothing");
  // A key of low order that nothing protects is found where it is used.
  if (taken && random.chance(0.1)) {
    const answer = outcome(() => end.send());
    assert.ok(
      answer.value !== undefined || (!isOwn && answer.code === "ERR_HANDSHAKE"),
      "no answer, and no error",
    );
  }
  end.destroy();
  assert.notEqual(outcome(() => end.finish()).code, undefined, "a handshake that is over gave keys");
}

async function firstMessages(random: Random): Promise<number> {
  const factories = anyFactories(random, 0.05);
  const count = random.between(1, 60);
  for (let i = 0; i < count; i++) await oneFirstMessage(random, factories);
  assert.equal(expandedKeys(), 0);
  return count;
}

export const handshakeLevel: Level = {
  name: "handshakes",
  run(random) {
    chooseKeysBy(random);
    return random.chance(0.5) ? oneHandshake(random) : firstMessages(random);
  },
};
