// Typed calls of a good client to a server that wants harm: its answers are nearly typed answers. Values that nobody asked for,
// codecs cut off, streams at places that are not there, streams that never begin or never end, calls that end in every
// state. Whatever it says, each call settles with a value or a typed error, each stream of an argument is closed, and
// nothing of a call is left.

import assert from "node:assert/strict";
import { SealwireError } from "../../src/base/errors.ts";
import { slotsInUse } from "../../src/core/slotPool.ts";
import { type Client, connect, listen, type Message, type Server } from "../../src/index.ts";
import { timers } from "../../src/rpc/timers.ts";
import { RpcError, retry, typed } from "../../src/rpc.ts";
import type { Random } from "../simulation/random.ts";
import { joined, type Level, mutated, someBytes } from "./level.ts";

const psk = Buffer.alloc(32, 6).toString("hex");
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const emptyNames = Reflect.ownKeys(Object.prototype).length;
/** Silent servers are waited for so long. */
const PATIENCE_MS = 25;
const MOST_ITEMS = 4;
const MOST_CALLS = 6;
/** Answers that are decided for a call and its streams, at most; then the first comes again. */
const ANSWERS = 24;

/** What the server does with a message, decided before it comes. */
interface Answer {
  readonly head: { contentType: number; fields: Map<number, Uint8Array> } | undefined;
  readonly body: Uint8Array;
  readonly items: readonly Uint8Array[];
  readonly how: "reply" | "reply later" | "throw" | "silent" | "items alone" | "read";
}

/** So many of them have a place for a stream. */
const PLACES = 6;
const bodies = [
  ...["", "null", "[null]", "[null,null]", '{"a":null}', '{"a":[null]}', "1", '"text"', "[", "]["],
  ...['{"__proto__":{"a":1}}', '{"\\u005f_proto__":1}', '{"then":1}', '{"$":"NaN"}', '{"$":["Map"]}'],
].map(text);
/** An error: u8 length, code, u16be length, text, data. */
const errors = [
  joined(Uint8Array.of(1), text("A"), Uint8Array.of(0, 1), text("t")),
  joined(Uint8Array.of(1), text("A"), Uint8Array.of(0, 0), text('{"a":1}')),
  joined(Uint8Array.of(13), text("ERR_NO_METHOD"), Uint8Array.of(0, 0)),
  joined(Uint8Array.of(1), text("A"), Uint8Array.of(9, 9), text("t")),
];

function streamPaths(random: Random): Uint8Array {
  const entries = Array.from({ length: random.pick([1, 1, 1, 2, 3, 17]) }, () => {
    const keys = random.pick([
      [],
      ["0"],
      ["a"],
      ["1"],
      ["a", "0"],
      ["__proto__"],
      ["length"],
      ["constructor", "x"],
    ]);
    const path = keys.flatMap((key) => [0, key.length, ...text(key)]);
    return Uint8Array.of(0, 0, 0, random.between(0, 3), keys.length, ...path);
  });
  const bytes = joined(...entries);
  return random.chance(0.1) ? mutated(random, bytes) : bytes;
}

function someAnswer(random: Random): Answer {
  const what = random.pick([16, 16, 16, 16, 17, 18, 1, 0, 255]);
  const field = Uint8Array.of(random.chance(0.95) ? 1 : 2, what, random.chance(0.95) ? 1 : 9);
  const fields = new Map<number, Uint8Array>([[255, random.chance(0.05) ? someBytes(random, 8) : field]]);
  if (what !== 18 && random.chance(0.5)) fields.set(254, streamPaths(random));
  // Most values have a place for a stream.
  const values = fields.has(254) && random.chance(0.8) ? bodies.slice(0, PLACES) : bodies;
  const body = random.pick(what === 18 ? errors : values);
  return {
    head: random.chance(0.95) ? { contentType: random.chance(0.95) ? 1 : 2, fields } : undefined,
    body: random.chance(0.1) ? mutated(random, body) : body,
    items: Array.from({ length: random.pick([0, 0, 1, 3]) }, () => random.pick(bodies)),
    how: random.pick(["reply", "reply", "reply", "reply later", "throw", "silent", "items alone", "read"]),
  };
}

let answers: Answer[] = [];
let next = 0;

async function answer(message: Message): Promise<void> {
  if (message.head.method === "fine") {
    message.reply(text("1"), { contentType: 1, fields: new Map([[255, Uint8Array.of(1, 16, 1)]]) });
    return;
  }
  const { head, body, items, how } = answers[next++ % answers.length]!;
  if (how === "throw") throw new SealwireError("ERR_UNSUPPORTED", "nothing is served here");
  if (how === "silent") return;
  if (how === "reply later") await new Promise((resolve) => setImmediate(resolve));
  if (how === "read") {
    let left = MOST_ITEMS;
    for await (const _ of message) if (--left === 0) break;
  }
  // Only a call with streams takes them.
  for (const item of items) await message.write(item).catch(() => {});
  if (how !== "items alone" && message.expectsReply) message.reply(body, head);
}

/** What went wrong where a throw would be an error of the call. */
const faults: string[] = [];

function check(holds: boolean, what: string): void {
  if (!holds) faults.push(what);
}

const broken = new Error("of a producer");
let opened = 0;
let closed = 0;

async function* producer(items: number, breaks: boolean): AsyncGenerator<unknown> {
  opened++;
  try {
    for (let i = 0; i < items; i++) yield { i };
    if (breaks) throw broken;
  } finally {
    closed++;
  }
}

/** A stream itself, and nothing that inherits of one. */
function isStream(value: unknown): value is AsyncIterableIterator<unknown> {
  const prototype = Object.getPrototypeOf(Object(value)) as object | null;
  return prototype !== null && Object.hasOwn(prototype, Symbol.asyncIterator);
}

/** The collector must not leave a stream that somebody forgot to leave. */
const held: unknown[] = [];

/** Reads a stream a little, and leaves it; also while it gives nothing. */
async function readSome(stream: AsyncIterableIterator<unknown>, most: number): Promise<void> {
  held.push(stream);
  const patience = setTimeout(() => void stream.return!(), PATIENCE_MS);
  try {
    for (let left = most; left > 0; left--) if ((await stream.next()).done) return;
  } catch (error) {
    // It is over: nobody has to leave it.
    clearTimeout(patience);
    throw error;
  }
  clearTimeout(patience);
  await stream.return!();
}

/** Looks at an answer, and reads the streams in it. */
async function consume(value: unknown, most: number): Promise<void> {
  if (isStream(value)) return readSome(value, most);
  if (typeof value !== "object" || value === null) return;
  const prototype = Object.getPrototypeOf(value) as unknown;
  const known = [Object.prototype, Array.prototype, Map.prototype];
  check(known.includes(prototype as object), "an answer changed its own prototype");
  const places = Object.values(value);
  const inner = places.filter((place) => Array.isArray(place) && !isStream(place)).flat();
  const read = [...places, ...inner].filter(isStream).map((stream) => readSome(stream, most));
  const failed = (await Promise.allSettled(read)).find(({ status }) => status === "rejected");
  if (failed !== undefined) throw (failed as PromiseRejectedResult).reason;
}

type Ask = (...args: unknown[]) => Promise<unknown>;
interface AnyRemote {
  fine: { $with(options: object): Ask };
  /** No options: its answer is read where it lies. */
  ask: Ask & { $with(options: object): Ask; $oneWay: Ask };
}

/** One call, decided at once. */
function someCall(random: Random, remote: AnyRemote): () => Promise<void> {
  const kind = random.pick(["plain", "plain", "stream", "streams", "one way", "abort"]);
  const [items, breaks, most] = [
    random.pick([0, 1, 3, 1_000_000]),
    random.chance(0.2),
    random.between(0, MOST_ITEMS),
  ];
  const ticks = random.between(0, 3);
  const options = random.pick(["none", "signal", "time"] as const);
  return async () => {
    if (kind === "one way") return void (await remote.ask.$oneWay(1));
    const abort = new AbortController();
    const { signal } = abort;
    const call = {
      none: remote.ask,
      signal: remote.ask.$with({ signal }),
      time: remote.ask.$with({ timeoutMs: PATIENCE_MS, signal }),
    }[options];
    const args = {
      stream: [producer(items, breaks)],
      streams: [[producer(items, false)], producer(1, breaks)],
    };
    const given = kind === "stream" || kind === "streams" ? args[kind] : [{ a: [1, "text"] }];
    const answered = call(...given).then((value) => consume(value, most));
    answered.catch(() => {});
    if (kind === "abort") {
      for (let i = 0; i < ticks; i++) await new Promise((resolve) => setImmediate(resolve));
      abort.abort();
    }
    await answered;
  };
}

let server: Server;
let client: Client;
let remotes: AnyRemote[];
let started: Promise<void> | undefined;

async function start(): Promise<void> {
  server = await listen({ port: 0, psk, onMessage: answer, onHandlerError() {} });
  client = connect({ port: server.port, psk, maxConnections: 1, requestTimeoutMs: 2 * PATIENCE_MS });
  await client.connected();
  remotes = [
    typed(client),
    typed(client, { use: [retry({ attempts: 2, pauseMs: 1 })] }),
  ] as unknown as AnyRemote[];
}

/** What somebody waits for for ever would be a fault that nobody is told of. */
async function inTime<T>(promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("a call never settles")), 10_000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function settled(holds: () => boolean, what: () => string): Promise<void> {
  for (let i = 0; i < 500 && !holds(); i++) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.ok(holds(), what());
}

export const typedAnswersLevel: Level = {
  name: "typed answers",
  // Who is served first decides about the answer.
  isRepeatable: false,
  async run(random) {
    started ??= start();
    await started;
    answers = Array.from({ length: ANSWERS }, () => someAnswer(random));
    next = 0;
    const before = client.connections[0];
    const remote = random.pick(remotes);
    const calls = Array.from({ length: random.between(1, MOST_CALLS) }, () => someCall(random, remote));
    const outcomes = await inTime(Promise.allSettled(calls.map((call) => call())));
    for (const outcome of outcomes) {
      if (outcome.status === "fulfilled" || outcome.reason === broken) continue;
      const { reason } = outcome as { reason: unknown };
      const isTyped = reason instanceof RpcError || reason instanceof SealwireError;
      assert.ok(isTyped, `no typed error: ${String((reason as Error)?.stack ?? reason)}`);
    }
    assert.equal(await remote.fine.$with({ timeoutMs: 10_000 })(), 1);
    await settled(
      () => client.stats.inFlightRequests === 0 && opened === closed,
      () => `${client.stats.inFlightRequests} calls are left, ${opened - closed} of ${opened} producers run`,
    );
    held.length = 0;
    assert.deepEqual(faults.splice(0), []);
    assert.equal(client.connections[0], before, "the connection was lost");
    assert.equal(Reflect.ownKeys(Object.prototype).length, emptyNames, "a prototype was changed");
    return calls.length + next;
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
