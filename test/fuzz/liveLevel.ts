// A live server, fed by a live attacker who holds the psk, or does not: any records in any order, bundles,
// numbers that are used twice, floods of controls, bytes that are no frames, streams that end anywhere. A good client
// is served meanwhile, on the connection that it has had from the beginning.

import assert from "node:assert/strict";
import { expandedKeys } from "../../src/core/cachedKey.ts";
import { slotsInUse } from "../../src/core/slotPool.ts";
import { type Client, connect, listen, type Message, type Server } from "../../src/index.ts";
import { Kind } from "../../src/protocol/wire.ts";
import { timers } from "../../src/rpc/timers.ts";
import type { Random } from "../simulation/random.ts";
import { RawSession, record } from "../support/rawSession.ts";
import { type Level, mutated, someBytes } from "./level.ts";
import { rawAttacker } from "./rawAttacker.ts";

const psk = new Uint8Array(32).fill(3);
const pskText = Buffer.from(psk).toString("hex");
const GOOD = "good";
const ATTACKERS = 4;
const RECORDS = 60;

let server: Server;
let client: Client;
let started: Promise<void> | undefined;
let depth = 0;
let nested = 0;

function onMessage(message: Message): unknown {
  if (depth > 0) nested++;
  depth++;
  try {
    const { body } = message;
    const first = body[0] ?? 0;
    if (message.expectsReply && first % 5 !== 1) message.reply(body);
    if (first % 5 === 2) throw new Error("on purpose");
    if (first % 5 === 3) for (let i = 0; i < 20; i++) message.connection.sendNoWait(body);
    if (first % 5 === 4) {
      const { signal } = message;
      return new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        signal.addEventListener("abort", () => resolve());
        setTimeout(resolve, 20);
      });
    }
    return undefined;
  } finally {
    depth--;
  }
}

async function start(): Promise<void> {
  server = await listen({
    port: 0,
    psk,
    onMessage,
    onHandlerError() {},
    maxConcurrentHandlers: 8,
    maxFrameBytes: 70_000,
  });
  client = connect({ port: server.port, psk, maxConnections: 1 });
  await client.connected();
}

/** Records of an attacker who holds the keys. */
function attack(random: Random, session: RawSession): Uint8Array {
  const sequence = () => random.pick([0, 1, 1, 3, 5, 2, 4, 0xffffffff, random.between(0, 0xffffffff)]);
  const kind = () =>
    random.pick([0, 0, 0, 1, 2, 3, 4, 5, random.between(0, Kind.blocked), random.between(0, 127)]);
  const body = () => someBytes(random, random.pick([0, 8, 300, 20_000]));
  if (random.chance(0.01)) return session.sealPlaintext(mutated(random, someBytes(random, 40)));
  if (random.chance(0.3)) {
    return session.sealBundle(
      ...Array.from({ length: random.between(1, 30) }, () =>
        record(sequence(), kind(), someBytes(random, 30)),
      ),
    );
  }
  const frame = session.seal(sequence(), body(), kind());
  return random.chance(0.01) ? mutated(random, frame) : frame;
}

function oneAttacker(random: Random): Promise<number> {
  return rawAttacker(random, server.port, async (peer, sent) => {
    if (random.chance(0.2)) {
      peer.write(someBytes(random, 2_000));
      sent.inputs = 1;
      return;
    }
    const session = await RawSession.v2(peer, "client", pskText, random.chance(0.9));
    for (; sent.inputs < RECORDS && !peer.socket.destroyed; sent.inputs++) {
      const bytes = attack(random, session);
      if (random.chance(0.1)) {
        const at = random.between(0, bytes.length);
        peer.write(bytes.subarray(0, at));
        await new Promise((resolve) => setImmediate(resolve));
        peer.write(bytes.subarray(at));
      } else peer.write(bytes);
      if (random.chance(0.1)) await new Promise((resolve) => setImmediate(resolve));
    }
    session.destroy();
  });
}

export const liveLevel: Level = {
  name: "live server",
  async run(random) {
    started ??= start();
    await started;
    const before = client.connections[0];
    const attackers = Array.from({ length: ATTACKERS }, () => oneAttacker(random));
    const call = new TextEncoder().encode(`\0${GOOD}${random.next()}`);
    const answer = await client.request(call, { timeoutMs: 10_000 });
    assert.deepEqual(new Uint8Array(answer), call);
    const inputs = await Promise.all(attackers);
    assert.equal(client.connections[0], before, "the good client's connection was lost");
    assert.equal(nested, 0, "a handler ran inside another");
    return inputs.reduce((sum, count) => sum + count, 0);
  },
  async end() {
    if (started === undefined) return;
    await client.close();
    await server.close();
    started = undefined;
    assert.equal(slotsInUse(), 0, "slots are left");
    assert.equal(timers.size, 0, "deadlines are left");
    assert.equal(expandedKeys(), 0, "expanded keys are left");
  },
};
