// Servers and clients for tests, over the sockets of the runtime under test, and the check that a test leaves
// nothing behind.

import assert from "node:assert/strict";
import type { SealwireError } from "../../src/base/errors.ts";
import { expandedKeys } from "../../src/core/cachedKey.ts";
import { slotsInUse } from "../../src/core/slotPool.ts";
import {
  type Client,
  type ClientOptions,
  connect,
  listen,
  type Message,
  type Server,
  type ServerOptions,
} from "../../src/index.ts";
import type { RpcConnection } from "../../src/rpc/connection.ts";
import { timers } from "../../src/rpc/timers.ts";
import { describeUnfinished, named, onAfterEachTest, onUnfinishedTest } from "./harness.ts";

const servers: Server[] = [];
const clients: Client[] = [];
/** What handlers threw where the test does not ask to be told: assertions inside handlers end up here. */
const handlerErrors: unknown[] = [];
const onHandlerError = (error: unknown) => handlerErrors.push(error);

onUnfinishedTest(() => [...servers, ...clients].map(stateOf).join("\n"));

/** Counters and gauges, and of each open connection what decides whether its messages are handled. */
function stateOf({ stats, connections }: Server | Client): string {
  const open = (connections as readonly RpcConnection[]).map(({ stats, link }) => {
    const { running, nothingWaits, ready, clock, credit } = link.arrivals;
    return { ...stats, running, nothingWaits, ready, turnIsOver: clock.isOver, heldCredit: credit.held };
  });
  return JSON.stringify({ ...stats, open });
}

/** Registers the checks of this file for every test of the suite. Call it once. */
export function checkLeaksAfterEachTest(): void {
  onAfterEachTest(async () => {
    await Promise.all([...clients.splice(0).map(closeClient), ...servers.splice(0).map(closeServer)]);
    const [handlerError] = handlerErrors.splice(0);
    if (handlerError !== undefined) throw handlerError;
    await waitFor(() => openSockets().length === 0, `sockets to go: ${openSockets()}`);
    assert.equal(timers.size, 0, "deadlines are left in the timer wheel");
    assert.equal(slotsInUse(), 0, "pool slots are left");
    assert.equal(expandedKeys(), 0, "expanded keys are left");
  });
}

/**
 * Sockets and listeners of this process, where the runtime tells (Node, and node:net in Deno). What it does not
 * tell would keep the process alive, and the runner fails it for that.
 */
function openSockets(): string[] {
  const resources = process.getActiveResourcesInfo?.() ?? [];
  return resources.filter((name) =>
    /^(TCP(Socket|Server)|PipeServer|PipeConnect|TCPConnect)Wrap$/.test(name),
  );
}

async function closeClient(client: Client): Promise<void> {
  await named(() => `a client to close: ${stateOf(client)}`, client.close());
  assert.equal(client.stats.connections, 0);
  assert.equal(client.stats.inFlightRequests, 0);
  assert.equal(client.stats.pendingBytes, 0);
}

async function closeServer(server: Server): Promise<void> {
  await named(() => `a server to close: ${stateOf(server)}`, server.close());
  assert.equal(server.connections.length, 0);
}

/** A server on a free port of 127.0.0.1; the after-each check closes it. */
export async function startServer(options: ServerOptions): Promise<Server> {
  const server = await listen(
    options.path === undefined ? { host: "127.0.0.1", port: 0, ...options } : options,
  );
  servers.push(server);
  return server;
}

/** A client; the after-each check closes it. */
export function startClient(options: ClientOptions): Client {
  const client = connect({ onHandlerError, ...options });
  clients.push(client);
  return client;
}

/** A server and a client of it. */
export async function startPair(
  serverOptions: ServerOptions,
  clientOptions: ClientOptions,
): Promise<{ server: Server; client: Client }> {
  const server = await startServer(serverOptions);
  const address = server.path === undefined ? { port: server.port } : { path: server.path };
  return { server, client: startClient({ ...address, ...clientOptions }) };
}

/** A handler that answers every request with its body. */
export const echo = (message: Message): void => {
  if (message.expectsReply) message.reply(message.body);
};

/** Something to wait for. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
}

export function deferred<T = void>(): Deferred<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((resolvePromise, rejectPromise) => {
    resolve = resolvePromise;
    reject = rejectPromise;
  });
  return { promise, resolve, reject };
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits for some turns of the event loop: one long sleep is a single turn on a machine that stands still meanwhile. */
export async function someTurns(): Promise<void> {
  for (let i = 0; i < 10; i++) await sleep(5);
}

/** Waits until `ready` holds. Its end is that of a hang: half a minute. */
export function waitFor(ready: () => boolean, what: string | (() => string)): Promise<void> {
  return named(what, tryUntil(ready, what));
}

async function tryUntil(ready: () => boolean, what: string | (() => string)): Promise<void> {
  for (let attempt = 0; attempt < 15_000; attempt++) {
    if (ready()) return;
    await sleep(2);
  }
  const text = `waited too long for ${typeof what === "string" ? what : what()}`;
  throw new Error([text, ...describeUnfinished()].join("\n"));
}

/** Asserts that it rejects with this code; returns the error. */
export async function rejectsWith(promise: Promise<unknown>, code: string): Promise<SealwireError> {
  let error: unknown;
  try {
    await promise;
  } catch (caught) {
    error = caught;
  }
  assert.ok(error !== undefined, `resolved, ${code} expected`);
  return hasCode(error, code);
}

/** Asserts that it throws at once with this code; returns the error. */
export function throwsWith(call: () => unknown, code: string): SealwireError {
  let error: unknown;
  try {
    call();
  } catch (caught) {
    error = caught;
  }
  assert.ok(error !== undefined, `returned, ${code} expected`);
  return hasCode(error, code);
}

function hasCode(error: unknown, code: string): SealwireError {
  assert.ok(error instanceof Error, `not an error: ${String(error)}`);
  assert.equal(error.name, "SealwireError", String(error.stack));
  assert.equal((error as SealwireError).code, code, String(error.stack));
  return error as SealwireError;
}

/** Bytes whose every position is told apart from its neighbours. */
export function patternBytes(length: number, seed = 0): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = seed + i + (i >>> 8) * 31 + (i >>> 16) * 7;
  return bytes;
}

/** Compares without the cost of a deep-equality walk over megabytes. */
export function assertSameBytes(actual: Uint8Array, expected: Uint8Array, what = "bytes"): void {
  assert.equal(actual.length, expected.length, `${what}: length`);
  const { buffer, byteOffset, length } = actual;
  if (Buffer.from(buffer, byteOffset, length).equals(expected)) return;
  for (let i = 0; i < actual.length; i++) {
    if (actual[i] !== expected[i]) assert.fail(`${what}: differ at ${i}`);
  }
}

export const text = (value: string): Uint8Array => new TextEncoder().encode(value);
export const fromText = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
