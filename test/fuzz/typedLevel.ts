// Typed calls at a live server: an attacker who holds the psk sends heads and bodies that nearly are typed calls. Methods that
// nobody named, codecs cut off, bodies nested without end, streams that nobody offered, in any order. Whatever it sends, only
// the API's own functions run, each with what belongs to it, nothing of the library throws, and a good client is served.

import assert from "node:assert/strict";
import { slotsInUse } from "../../src/core/slotPool.ts";
import { type Client, connect, listen, type Server } from "../../src/index.ts";
import { encodeWithHead } from "../../src/protocol/head.ts";
import { Kind } from "../../src/protocol/wire.ts";
import { timers } from "../../src/rpc/timers.ts";
import { method, type Remote, RpcError, serve, typed } from "../../src/rpc.ts";
import { jsonCodec } from "../../src/typed/codec/jsonCodec.ts";
import type { Random } from "../simulation/random.ts";
import { RawSession } from "../support/rawSession.ts";
import { joined, type Level, mutated, someBytes } from "./level.ts";
import { rawAttacker } from "./rawAttacker.ts";

const psk = Buffer.alloc(32, 5).toString("hex");
const ATTACKERS = 3;
/** Of one attacker, at most: a tape of many is too long to be kept, and nothing would be learnt of it. */
const RECORDS = [4, 15, 50];
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** What went wrong where a throw would be an error of the call. */
const faults: string[] = [];
const emptyNames = Reflect.ownKeys(Object.prototype).length;

function check(holds: boolean, what: string): void {
  if (!holds) faults.push(what);
}

async function drained(items: unknown): Promise<number> {
  let count = 0;
  for await (const _ of items as AsyncIterable<unknown>) if (++count === 20) break;
  return count;
}

const api = {
  echo: (...args: unknown[]) => args[0],
  group: {
    who: method((input: unknown, context) => {
      check(context.method === "group.who", "another method's context");
      check(context.connection.authenticated, "a context of no connection");
      check(context !== input, "the caller's context");
      context.state.mark = 1;
      return context.remainingMs;
    }),
    fail: () => {
      throw new RpcError("FAILED", "on purpose", { at: new Date(0) });
    },
    wait: method((_: unknown, { signal }) => {
      return new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        signal.addEventListener("abort", () => resolve());
        setTimeout(resolve, 10);
      });
    }),
  },
  take: (items: unknown, more: unknown) => {
    const isStream = (value: unknown) => Object(value)[Symbol.asyncIterator] !== undefined;
    return [items, more].find(isStream) === undefined ? "none" : drained(isStream(items) ? items : more);
  },
  give: async function* () {
    for (let i = 0; i < 30; i++) yield { i };
  },
};

let server: Server;
let client: Client;
let remote: Remote<typeof api>;
let started: Promise<void> | undefined;

async function start(): Promise<void> {
  const codec = jsonCodec({
    maxDepth: 30,
    maxValues: 500,
    maxSegments: 8,
    maxEntries: 40,
    maxNumberKeys: 20,
  });
  server = await listen({
    port: 0,
    psk,
    onMessage: serve(api, { codec }),
    onHandlerError: (error) => {
      const { name, message, stack } = error as Error;
      if (name !== "SealwireError") faults.push(`${message} ${stack}`);
    },
    maxConcurrentHandlers: 16,
    maxFrameBytes: 70_000,
  });
  client = connect({ port: server.port, psk, maxConnections: 1 });
  await client.connected();
  remote = typed<typeof api>(client);
}

const names = [
  ...["echo", "group.who", "group.fail", "group.wait", "take", "give"],
  ...[
    "group",
    "__proto__",
    "echo.constructor",
    "constructor.constructor",
    "then",
    "toString",
    "group.__proto__.x",
  ],
  ...["", ".", "group..who", "echo\u0000", "e".repeat(1_024), "\ud800"],
];
const bodies = [
  ...[
    "",
    "[]",
    "[1]",
    '["text",null]',
    "[null,{}]",
    '[{"timeoutMs":5}]',
    '[null,{"signal":{}}]',
    "{}",
    "1",
    "[",
  ],
  ...[
    '[{"__proto__":{"a":1}}]',
    '[{"constructor":{"prototype":{"a":1}}}]',
    '[{"then":1,"toJSON":2}]',
    "[null,null]",
  ],
  ...["[".repeat(29) + "]".repeat(29), "[".repeat(5_000), '{"a":'.repeat(2_000), `[${"1,".repeat(600)}1]`],
].map(text);
const framedTexts = [
  '[{"$":["Uint8Array",0]}]',
  '[{"$":["Map",[1],2,{"$":"NaN"},3]}]',
  '[{"$":["Error","Error","x",{},{"cause":{"$":"-0"}}]}]',
  '{"$":'.repeat(100),
  '[{"$":["Set",1,1]}]',
  '[{"$":["__proto__",0]}]',
].map(text);

function someBody(random: Random): Uint8Array {
  if (random.chance(0.05)) return someBytes(random, 60);
  if (random.chance(0.7)) {
    const body = random.pick(bodies);
    return random.chance(0.2) ? mutated(random, body) : body;
  }
  const count = random.pick([0, 1, 1, 2, 255]);
  const header = Uint8Array.of(1, 0, 0, 0, count, ...(count === 1 ? [0, 0, 0, 4, 1, 2, 3, 4] : []));
  const body = joined(header, random.pick(framedTexts));
  return random.chance(0.2) ? mutated(random, body) : body;
}

/** Paths of streams: numbers that were announced or not, at keys that are there or not. */
function streamPaths(random: Random): Uint8Array {
  const entries = Array.from({ length: random.pick([0, 1, 1, 2, 17]) }, () => {
    const keys = Array.from({ length: random.pick([0, 1, 1, 1, 2, 17]) }, () =>
      text(random.pick(["0", "0", "1", "__proto__", "length", "a", ""])),
    );
    const path = keys.flatMap((key) => [0, key.length, ...key]);
    return Uint8Array.of(0, 0, 0, random.between(0, 4), keys.length, ...path);
  });
  const bytes = joined(...entries);
  return random.chance(0.1) ? mutated(random, bytes) : bytes;
}

function someCall(random: Random): Uint8Array {
  const what = random.pick([1, 1, 1, 2, 3, 4, 4, 16, 18, 0, 255]);
  const field: number[] = [random.chance(0.95) ? 1 : 2, what, random.chance(0.95) ? 1 : 9];
  if (what === 3 || what === 4) field.push(0, 0, 0, random.between(0, 4));
  const bytes = Uint8Array.from(field);
  const fields = new Map<number, Uint8Array>([[255, random.chance(0.03) ? mutated(random, bytes) : bytes]]);
  if (random.chance(0.3)) fields.set(254, streamPaths(random));
  const head = {
    method: random.pick(names),
    contentType: random.chance(0.95) ? 1 : random.between(0, 255),
    fields,
    streams: random.chance(0.5),
    deadlineMs: random.chance(0.2) ? random.pick([0, 1, 5, 0xffffffff]) : undefined,
  };
  const body = what === 3 || what === 4 ? text("") : someBody(random);
  const record = encodeWithHead(head, body);
  return random.chance(0.03) ? mutated(random, record) : record;
}

/** One record of an attacker. */
interface Step {
  readonly sequence: number;
  readonly body: Uint8Array;
  readonly kind: number;
  /** Others run afterwards. */
  readonly waits: boolean;
}

/** What an attacker sends, decided before it connects: the same decisions send the same bytes, whoever is served first. */
function stepsOf(random: Random): Step[] {
  let last = -1;
  return Array.from({ length: random.between(1, random.pick(RECORDS)) }, () => {
    let sequence: number;
    let body: Uint8Array;
    let kind: number = Kind.call;
    if (random.chance(0.75) || last < 0) {
      const isOneWay = random.chance(0.05);
      if (!isOneWay) last += 2;
      sequence = isOneWay ? 0 : last;
      body = someCall(random);
    } else {
      sequence = Math.max(last - 2 * random.between(0, 8), 1);
      const item = joined(Uint8Array.of(random.pick([0, 0, 1])), someBody(random));
      [kind, body] = random.pick([
        [Kind.chunk, item],
        [Kind.chunk, item],
        [Kind.end, text("")],
        [Kind.stop, text("")],
        [Kind.cancel, text("")],
        [Kind.credit, Uint8Array.of(0, 0, 64, 0)],
      ] as const);
    }
    return { sequence, body, kind, waits: random.chance(0.1) };
  });
}

function oneAttacker(random: Random): Promise<number> {
  const steps = stepsOf(random);
  return rawAttacker(server.port, random.chance(0.5), async (peer, sent) => {
    const session = await RawSession.v2(peer, "client", psk);
    try {
      for (const { sequence, body, kind, waits } of steps) {
        if (peer.socket.destroyed) break;
        peer.write(session.seal(sequence, body, kind));
        sent.inputs++;
        if (waits) await new Promise((resolve) => setImmediate(resolve));
      }
    } finally {
      session.destroy();
    }
  });
}

export const typedLevel: Level = {
  name: "typed calls",
  // Each costs as much as thousands of inputs of the other levels.
  shortenings: 6,
  async run(random) {
    started ??= start();
    await started;
    const before = client.connections[0];
    const attackers = Array.from({ length: random.between(1, ATTACKERS) }, () => oneAttacker(random));
    const value = { n: random.next(), data: Uint8Array.of(1) };
    assert.deepEqual(await remote.echo.$with({ timeoutMs: 10_000 })(value), value);
    assert.equal(await drained(await remote.give()), 20);
    const inputs = await Promise.all(attackers);
    assert.equal(client.connections[0], before, "the good client's connection was lost");
    assert.deepEqual(faults.splice(0), []);
    assert.equal(Reflect.ownKeys(Object.prototype).length, emptyNames, "a prototype was changed");
    return inputs.reduce((sum, count) => sum + count, 0);
  },
  async end() {
    if (started === undefined) return;
    await client.close();
    await server.close();
    started = undefined;
    assert.equal(slotsInUse(), 0, "slots are left");
    assert.equal(timers.size, 0, "deadlines are left");
  },
};
