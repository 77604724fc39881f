// A live server under a live attacker who has the psk or does not: any records in any order, bundles, numbers that are
// used twice, floods of controls, bytes that are no frames, streams that end anywhere. A good client is served
// meanwhile, on the connection that it has had from the beginning.

import assert from "node:assert/strict";
import { expandedKeys } from "../../src/core/cachedKey.ts";
import { slotsInUse } from "../../src/core/slotPool.ts";
import { type Client, connect, listen, type Message, type Server } from "../../src/index.ts";
import { u32Value } from "../../src/protocol/fields.ts";
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
/** Of one attacker, at most: a tape of many is too long to be kept, and nothing would be learnt of it. */
const FRAMES = [4, 15, 60];
/** Kinds that a client may send at any time after its first frame. */
const PATIENT_KINDS = [
  ...[Kind.message, Kind.message, Kind.call, Kind.call, Kind.cancel, Kind.ping, Kind.pong],
  ...[Kind.chunk, Kind.end, Kind.stop, Kind.credit, Kind.blocked],
];

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
    postQuantum: "accept",
    onMessage,
    onHandlerError() {},
    maxConcurrentHandlers: 8,
    maxFrameBytes: 70_000,
  });
  client = connect({ port: server.port, psk, maxConnections: 1 });
  await client.connected();
}

/** An attacker who holds the keys, and what it counts. */
class Attacker {
  readonly #random: Random;
  readonly #session: RawSession;
  /** Keeps to the kinds that there are, and mostly to numbers of its own in their order, so that its connection lasts. */
  readonly #patient: boolean;
  #last = -1;

  constructor(random: Random, session: RawSession) {
    this.#random = random;
    this.#session = session;
    this.#patient = random.chance(0.5);
  }

  #sequence(kind: number): number {
    const random = this.#random;
    if (!this.#patient || random.chance(0.01))
      return random.pick([0, 1, 1, 3, 5, 2, 4, 0xffffffff, random.between(0, 0xffffffff)]);
    if (kind !== Kind.message && kind !== Kind.call)
      return Math.max(this.#last - 2 * random.between(0, 5), 1);
    if (random.chance(0.3)) return 0;
    this.#last += 2;
    return this.#last;
  }

  #kind(): number {
    const random = this.#random;
    if (this.#patient && random.chance(0.99)) return random.pick(PATIENT_KINDS);
    return random.pick([0, 0, 0, 1, 2, 3, 4, 5, random.between(0, Kind.blocked), random.between(0, 127)]);
  }

  #record(most: number): [number, Uint8Array, number] {
    const random = this.#random;
    const kind = this.#kind();
    const body =
      kind === Kind.credit && this.#patient ? u32Value(random.between(0, 70_000)) : someBytes(random, most);
    return [this.#sequence(kind), body, kind];
  }

  /** The next frame, and how many records are in it. */
  next(): { bytes: Uint8Array; records: number } {
    const random = this.#random;
    const session = this.#session;
    if (random.chance(0.01))
      return { bytes: session.sealPlaintext(mutated(random, someBytes(random, 40))), records: 1 };
    if (random.chance(0.3)) {
      const records = Array.from({ length: random.between(2, 30) }, () => {
        const [sequence, body, kind] = this.#record(30);
        return record(sequence, kind, body);
      });
      return { bytes: session.sealBundle(...records), records: records.length };
    }
    const frame = session.seal(...this.#record(random.pick([0, 8, 300, this.#patient ? 3_000 : 20_000])));
    return { bytes: random.chance(0.01) ? mutated(random, frame) : frame, records: 1 };
  }
}

function oneAttacker(random: Random): Promise<number> {
  return rawAttacker(server.port, random.chance(0.5), async (peer, sent) => {
    if (random.chance(0.2)) {
      peer.write(someBytes(random, 2_000));
      sent.inputs = 1;
      return;
    }
    // ML-KEM costs more than everything else here.
    const options = { psk: pskText, postQuantum: random.chance(0.05) };
    const session = await RawSession.v2(peer, "client", options, random.chance(0.9));
    try {
      const attacker = new Attacker(random, session);
      const frames = random.between(1, random.pick(FRAMES));
      for (let frame = 0; frame < frames && !peer.socket.destroyed; frame++) {
        const { bytes, records } = attacker.next();
        sent.inputs += records;
        if (random.chance(0.1)) {
          const at = random.between(0, bytes.length);
          peer.write(bytes.subarray(0, at));
          await new Promise((resolve) => setImmediate(resolve));
          peer.write(bytes.subarray(at));
        } else peer.write(bytes);
        if (random.chance(0.1)) await new Promise((resolve) => setImmediate(resolve));
      }
    } finally {
      session.destroy();
    }
  });
}

export const liveLevel: Level = {
  name: "live server",
  isRepeatable: false,
  async run(random) {
    started ??= start();
    await started;
    const before = client.connections[0];
    const attackers = Array.from({ length: random.between(1, ATTACKERS) }, () => oneAttacker(random));
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
