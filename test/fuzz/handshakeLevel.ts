// Both ends of a handshake, with somebody between them who changes, drops, doubles or replaces messages. Ends
// with the same keys at both ends or with a typed error, and never finishes where a message was changed.

import assert from "node:assert/strict";
import { expandedKeys } from "../../src/core/cachedKey.ts";
import { generateKeyPair } from "../../src/noise.ts";
import type { Handshake } from "../../src/protocol/handshake.ts";
import { noise } from "../../src/protocol/noise/noiseFactory.ts";
import type { NoiseOptions } from "../../src/protocol/noise/noiseOptions.ts";
import type { Random } from "../simulation/random.ts";
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
];
const factoriesWith = (suite: Suite) =>
  pairsWith(suite).map(([client, server]) => [noise(client!, "client"), noise(server!, "server")] as const);
type Factories = ReturnType<typeof factoriesWith>;
/** ML-KEM costs ten times what the rest does: most handshakes are without. */
const [hybrid, classical] = [true, false].map((postQuantum) =>
  [{ postQuantum }, { postQuantum, cipher: "ChaChaPoly" } as const].flatMap(factoriesWith),
) as [Factories, Factories];

/** First messages of others, for replays. */
const others = [...hybrid, ...classical].map(([client]) => {
  const handshake = client.create("client", info);
  const message = handshake.send()!.slice();
  handshake.destroy();
  return message;
});

async function oneHandshake(random: Random): Promise<number> {
  const [clientFactory, serverFactory] = random.pick(random.chance(0.1) ? hybrid : classical);
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

export const handshakeLevel: Level = {
  name: "handshakes",
  run: oneHandshake,
};
