// A side that accepts several keys tries all of them, whichever fits. The suite counts the primitives of a handshake,
// and the counts do not depend on the key that the peer has. It counts, because the times of a busy machine show
// nothing.

import assert from "node:assert/strict";
import { dhFunctions } from "../../../src/protocol/noise/dh.ts";
import { kemFunctions } from "../../../src/protocol/noise/kem.ts";
import { generateKeyPair } from "../../../src/protocol/noise/keys.ts";
import { noise } from "../../../src/protocol/noise/noiseFactory.ts";
import type { NoiseOptions } from "../../../src/protocol/noise/noiseOptions.ts";
import { type OtherKeys, serverKeys } from "../../../src/protocol/noise/severalKeys.ts";
import { SymmetricState } from "../../../src/protocol/noise/symmetricState.ts";
import { drive, driveUntilError } from "../../support/handshakePair.ts";
import { test } from "../../support/harness.ts";

const info = { remoteAddress: "192.0.2.1:7000" };
const psks = [1, 2, 3, 4, 5].map((byte) => new Uint8Array(32).fill(byte));
const [firstPsk, ...morePsks] = psks.slice(0, 4) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
const pairs = Array.from({ length: 5 }, () => generateKeyPair());
const [firstPair, ...morePairs] = pairs.slice(0, 4) as [(typeof pairs)[0], ...typeof pairs];
const own = generateKeyPair();
const otherPsks = morePsks;
const otherStaticKeys = morePairs.map(({ privateKey }) => privateKey);

type Tally = Record<string, number>;

const counted: [object, string][] = [
  [dhFunctions, "dh"],
  [dhFunctions, "generateKeyPair"],
  [kemFunctions, "encapsulate"],
  [kemFunctions, "decapsulate"],
  ...["mixKey", "mixHash", "mixKeyAndHash", "encryptAndHash", "decryptAndHash", "wouldOpen"].map(
    (name): [object, string] => [SymmetricState.prototype, name],
  ),
];

/** How often each primitive was called while `run` ran. */
function tally(run: () => void): Tally {
  const counts: Tally = {};
  const restore = counted.map(([owner, name]) => {
    const methods = owner as Record<string, (...args: unknown[]) => unknown>;
    const descriptor = Object.getOwnPropertyDescriptor(owner, name)!;
    const original = methods[name]!;
    Object.defineProperty(owner, name, {
      ...descriptor,
      value(this: unknown, ...args: unknown[]) {
        counts[name] = (counts[name] ?? 0) + 1;
        return original.apply(this, args);
      },
    });
    return () => Object.defineProperty(owner, name, descriptor);
  });
  try {
    run();
  } finally {
    for (const undo of restore) undo();
  }
  return counts;
}

interface Case {
  readonly what: string;
  readonly server: NoiseOptions;
  readonly others: OtherKeys;
  /** A client of each kind that fits, the keys in turn, and one that does not. */
  readonly clients: readonly NoiseOptions[];
  readonly stranger: NoiseOptions;
  /** How often the costly step of a trial happens, by counter. */
  readonly trials: Tally;
}

const pinning = (pair: (typeof pairs)[0]) => ({ staticKey: own, remoteStatic: pair.publicKey });

const cases: Case[] = [
  {
    what: "psk0: four psks",
    server: { psk: firstPsk },
    others: { otherPsks },
    clients: psks.slice(0, 4).map((psk) => ({ psk })),
    stranger: { psk: psks[4]! },
    // Three trials end with the ephemeral, and one is the handshake: one at the client, one at the server.
    trials: { dh: 2 },
  },
  {
    what: "XXpsk3: four psks",
    server: { psk: firstPsk, staticKey: firstPair },
    others: { otherPsks },
    clients: psks.slice(0, 4).map((psk) => ({ psk, staticKey: own })),
    stranger: { psk: psks[4]!, staticKey: own },
    trials: { wouldOpen: 4 },
  },
  {
    what: "IK: four static keys",
    server: { staticKey: firstPair },
    others: { otherStaticKeys },
    clients: pairs.slice(0, 4).map(pinning),
    stranger: pinning(pairs[4]!),
    // es for each of four keys, then ss, ee and se; four of the client.
    trials: { dh: 4 + 3 + 4 },
  },
  {
    what: "IKpsk1: four static keys and four psks, tried one by one",
    server: { pattern: "IKpsk1", psk: firstPsk, staticKey: firstPair },
    others: { otherPsks, otherStaticKeys },
    clients: pairs
      .slice(0, 4)
      .flatMap((pair) => psks.slice(0, 4).map((psk) => ({ ...pinning(pair), psk, pattern: "IKpsk1" }))),
    stranger: { ...pinning(firstPair), psk: psks[4]!, pattern: "IKpsk1" },
    // es for each of 16, ss for the four with the right static key, then ee and se; four of the client.
    trials: { dh: 16 + 4 + 2 + 4 },
  },
];

for (const postQuantum of [true, false]) {
  const form = postQuantum ? "hybrid" : "classical";
  for (const { what, server, others, clients, stranger, trials } of cases) {
    test(`${what}: what the server does is the same whichever key the client has (${form})`, () => {
      const accepting = serverKeys({ ...server, postQuantum }, others);
      const tallies = clients.map((options) => {
        const factory = noise({ ...options, postQuantum }, "client");
        const [client, serving] = [factory.create("client", info), accepting.create("server", info)];
        const counts = tally(() => drive(client, serving));
        factory.destroy();
        return counts;
      });
      for (const [i, counts] of tallies.entries()) assert.deepEqual(counts, tallies[0], `key ${i}`);
      for (const [name, count] of Object.entries(trials)) assert.equal(tallies[0]![name], count, name);
      const { side } = driveUntilError(
        noise({ ...stranger, postQuantum }, "client").create("client", info),
        accepting.create("server", info),
      );
      assert.equal(side, "server");
      accepting.destroy();
    });
  }

  test(`IKpsk2: a client with four psks does the same whichever the server has (${form})`, () => {
    const factory = noise({ ...pinning(firstPair), psk: firstPsk, otherPsks, postQuantum }, "client");
    const tallies = psks.slice(0, 4).map((psk) => {
      const accepting = serverKeys({ psk, staticKey: firstPair, postQuantum });
      const [client, serving] = [factory.create("client", info), accepting.create("server", info)];
      return tally(() => drive(client, serving));
    });
    for (const [i, counts] of tallies.entries()) assert.deepEqual(counts, tallies[0], `psk ${i}`);
    assert.equal(tallies[0]!.wouldOpen, 4);
    const strange = serverKeys({ psk: psks[4]!, staticKey: firstPair, postQuantum });
    const { side } = driveUntilError(factory.create("client", info), strange.create("server", info));
    assert.equal(side, "client");
    factory.destroy();
  });
}

test("a static key in the clear fits every key of the server: the application is asked once, and every answer is awaited", async () => {
  const answers: [() => boolean | Promise<boolean>, code: string | undefined][] = [
    [() => true, undefined],
    [() => false, "ERR_UNAUTHORIZED"],
    [
      () => {
        throw new Error("no list of clients");
      },
      "ERR_UNAUTHORIZED",
    ],
    [async () => true, undefined],
    [async () => false, "ERR_UNAUTHORIZED"],
    [() => Promise.reject(new Error("no list of clients")), "ERR_UNAUTHORIZED"],
  ];
  for (const [i, [answer, code]] of answers.entries()) {
    let asked = 0;
    const authorize = (): boolean | Promise<boolean> => {
      asked++;
      return answer();
    };
    const accepting = serverKeys({ pattern: "IX", staticKey: firstPair, authorize }, { otherStaticKeys });
    const factory = noise({ pattern: "IX", staticKey: own, remoteStatic: firstPair.publicKey }, "client");
    const [client, serving] = [factory.create("client", info), accepting.create("server", info)];
    const first = client.send()!;
    serving.receive(first.slice(0, 4));
    let error: unknown;
    try {
      await serving.receive(first.slice(4));
    } catch (thrown) {
      error = thrown;
    }
    assert.equal((error as { code?: string } | undefined)?.code, code, `answer ${i}`);
    assert.equal(asked, 1, `answer ${i}`);
    if (code === undefined) drive(client, serving);
    client.destroy();
    serving.destroy();
    factory.destroy();
    accepting.destroy();
  }
});
