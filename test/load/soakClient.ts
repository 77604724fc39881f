// The clients of a soak: soakClient.js '{"psk", "port", "seed", "rate"}'. They make requests (some given up), one-way
// messages, streams, typed calls and new clients until the input ends. Every failure must have a code of the list.
// `rate`: the most operations that begin per second (a group of one-way messages is one); without it there is no limit.

import process from "node:process";
import { type Client, type Connection, connect, type SealwireError } from "../../src/index.ts";
import { typed } from "../../src/rpc.ts";
import { generator } from "../support/seeded.ts";
import { Gauges } from "./soakGauges.ts";

interface Settings {
  psk: string;
  port: number;
  seed: number;
  rate?: number;
}
const { psk, port, seed, rate } = JSON.parse(process.argv.at(-1)!) as Settings;
const gauges = new Gauges();
const random = generator(seed);
const SIZES = [1, 20, 300, 4_096, 20_000, 65_536, 200_000];
const EXPECTED =
  /^ERR_(CLOSED|CONNECTION_LOST|DIAL_FAILED|HANDSHAKE|REQUEST_TIMEOUT|ABORTED|BACKPRESSURE|HEARTBEAT|REMOTE|IDLE_TIMEOUT|CONNECT_TIMEOUT)/;
const REPLACE_EVERY_MS = 4_000;
const TIMEOUT_MS = 10_000;

interface Api {
  add(a: number, b: number): number;
  countTo(last: number): AsyncIterable<number>;
}

let over = false;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const start = (): Client =>
  connect({
    host: "127.0.0.1",
    port,
    psk,
    maxConnections: 3,
    maxFrameBytes: 400_000,
    heartbeatIntervalMs: 1_000,
    requestTimeoutMs: TIMEOUT_MS,
    drainTimeoutMs: 2_000,
  });
const clients = [start(), start()];
const pick = (): Client => clients[random(clients.length)]!;

function body(): Uint8Array {
  const bytes = new Uint8Array(SIZES[random(random(4) === 0 ? SIZES.length : 4)]! + random(3));
  return bytes.fill(random(256));
}

function expectSame(found: Uint8Array, sent: Uint8Array): void {
  if (found.length !== sent.length || found[0] !== sent[0] || found.at(-1) !== sent.at(-1))
    gauges.violated(`an echo of ${sent.length} bytes is another one, of ${found.length}`);
}

/** When the next operation may begin. */
let nextAt = performance.now();

/** Waits for this operation's time. Time that nobody used is not made up for. */
async function awaitTurn(perSecond: number): Promise<void> {
  const now = performance.now();
  const at = Math.max(now, nextAt);
  nextAt = at + 1_000 / perSecond;
  await sleep(at - now);
}

/** Does it again and again; a failure has a code of the list. */
async function repeat(pauseMs: number, once: () => Promise<void>): Promise<void> {
  while (!over) {
    if (rate !== undefined) await awaitTurn(rate);
    try {
      await once();
    } catch (error) {
      const { code, stack } = error as SealwireError;
      if (EXPECTED.test(code)) gauges.count(code);
      else gauges.violated(`failed with ${code}: ${stack}`);
      await sleep(10);
    }
    await sleep(1 + random(pauseMs));
  }
}

async function ask(): Promise<void> {
  const sent = body();
  const began = performance.now();
  const kind = random(10);
  const signal = kind === 0 ? AbortSignal.timeout(1 + random(20)) : undefined;
  const timeoutMs = kind === 1 ? 1 + random(20) : TIMEOUT_MS;
  expectSame(await pick().request(sent, { timeoutMs, ...(signal && { signal }) }), sent);
  gauges.took(performance.now() - began);
  gauges.count("requests");
}

const streams = new WeakMap<Connection, { id: number; next: number }>();

/** Messages that say which connection's they are, and their number there. */
async function send(): Promise<void> {
  const open = pick().connections.find(({ state }) => state === "open");
  if (open === undefined) return;
  for (let i = random(20); i >= 0; i--) {
    const stream = streams.get(open) ?? { id: random(2 ** 32), next: 0 };
    streams.set(open, stream);
    const message = new Uint8Array(8 + random(2_000));
    const view = new DataView(message.buffer);
    view.setUint32(0, stream.id);
    view.setUint32(4, stream.next);
    // A number is used where the message may go out: not where the call was refused.
    if (!open.sendNoWait(message)) return;
    stream.next++;
    gauges.count("messages");
  }
}

async function stream(): Promise<void> {
  const call = pick().call(Uint8Array.of(1), { head: { method: "echoItems" }, timeoutMs: TIMEOUT_MS });
  const items = random(20);
  const writing = (async () => {
    for (let i = 0; i < items; i++) await call.write(new Uint8Array(1 + random(3_000)).fill(i));
    call.end();
  })();
  writing.catch(() => {});
  let next = 0;
  for await (const item of call)
    if (item[0] !== next++) gauges.violated("an item of a stream is out of order");
  await call.answer;
  await writing;
  if (next !== items) gauges.violated(`${next} of ${items} items came back`);
  gauges.count("items", items);
}

async function callTyped(): Promise<void> {
  const remote = typed<Api>(pick());
  const [a, b] = [random(1_000), random(1_000)];
  if ((await remote.add(a, b)) !== a + b) gauges.violated("a typed call gave another sum");
  let next = 0;
  for await (const number of await remote.countTo(5))
    if (number !== next++) gauges.violated("a typed stream");
  gauges.count("typed");
}

async function replaceClients(): Promise<void> {
  for (let turn = 0; !over; turn++) {
    for (let waited = 0; !over && waited < REPLACE_EVERY_MS; waited += 100) await sleep(100);
    const old = clients[turn % clients.length]!;
    clients[turn % clients.length] = start();
    await old.close();
    const { connections, inFlightRequests, pendingBytes } = old.stats;
    if (connections + inFlightRequests + pendingBytes > 0) gauges.violated("a closed client holds something");
    gauges.count("closes");
  }
}

const many = (count: number, pauseMs: number, once: () => Promise<void>): Promise<void>[] =>
  Array.from({ length: count }, () => repeat(pauseMs, once));
const work = [...many(12, 20, ask), ...many(2, 10, send), ...many(2, 20, stream), ...many(2, 20, callTyped)];
const replacing = replaceClients();

gauges.answer(async () => {
  over = true;
  await Promise.all(work);
  await replacing;
  await Promise.all(clients.map((client) => client.close()));
  gauges.expectNothingHeld("at the end");
});
