// Calls of the very turn in which a client of several endpoints was made: what makes them is not loaded yet (loadedClient.ts).

import assert from "node:assert/strict";
import diagnostics from "node:diagnostics_channel";
import { test } from "../../support/harness.ts";
import { at, clientOf, named } from "../../support/namedServers.ts";
import { v2 } from "../../support/protocols.ts";
import {
  checkLeaksAfterEachTest,
  fromText,
  rejectsWith,
  startServer,
  text,
  throwsWith,
  waitFor,
} from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

const { options } = v2;

/** A server that notes what it is sent, and answers with it. */
async function noting() {
  const noted: string[] = [];
  const server = await startServer({
    ...options,
    onMessage: (message) => {
      noted.push(fromText(message.body));
      message.reply(message.body);
    },
  });
  return { server, noted };
}

test("bodies are copied at once, and messages keep their order", async () => {
  const { server, noted } = await noting();
  const client = clientOf({ endpoints: [at(server)], maxConnections: 1 });
  const body = text("0");
  const sent: Promise<unknown>[] = [];
  for (let i = 0; i < 9; i++) {
    body[0] = 48 + i;
    sent.push(i % 3 === 2 ? client.call(body).answer : i % 3 ? client.send(body) : client.request(body));
  }
  body.fill(0);
  await Promise.all(sent);
  await client.request(text("last"));
  assert.deepEqual(noted, [..."012345678", "last"]);
});

test("options and heads are those of the time of the call, and items are kept from then on", async () => {
  const noted: string[] = [];
  const server = await startServer({
    ...options,
    onMessage: async (message) => {
      noted.push(`${message.head.method} ${fromText(message.body)}`);
      if (!message.expectsReply) return;
      await message.write(text("item"));
      message.reply(message.body);
    },
  });
  const client = clientOf({ endpoints: [at(server)], maxConnections: 1 });
  const given = { head: { method: "" } };
  const calls = ["read", "write"].map((method) => {
    given.head.method = method;
    return client.call(text(method), given);
  });
  const sent = client.send(text("first"), given);
  given.head.method = "first";
  given.head = { method: "another" };
  const items = calls.map((call) => call[Symbol.asyncIterator]());
  assert.deepEqual((await Promise.all(calls.map(({ answer }) => answer))).map(fromText), ["read", "write"]);
  await sent;
  await waitFor(() => noted.length === 3, "the message to arrive");
  assert.deepEqual(noted, ["read read", "write write", "write first"]);
  for (const each of items) {
    assert.equal(fromText((await each.next()).value!), "item");
    assert.equal((await each.next()).done, true);
  }
});

test("the fields of a head, and their bytes, are those of the time of the call, too", async () => {
  const noted: string[] = [];
  const server = await startServer({
    ...options,
    onMessage: (message) => {
      noted.push([...message.head.fields!].map(([tag, value]) => `${tag} ${fromText(value)}`).join());
      if (message.expectsReply) message.reply(message.body);
    },
  });
  const client = clientOf({ endpoints: [at(server)], maxConnections: 1 });
  const value = text("alice");
  const fields = new Map([[128, value]]);
  const given = { head: { fields } };
  const streaming = client.call(new Uint8Array(1), given);
  const plain = client.call(new Uint8Array(1), { ...given, streams: false });
  const sent = client.send(new Uint8Array(1), given);
  value.set(text("mally"));
  fields.set(129, text("admin"));
  // A tag of the library's own, which no application may set.
  fields.set(1, new Uint8Array(4));
  await Promise.all([streaming.answer, plain.answer, sent]);
  await waitFor(() => noted.length === 3, "the message to arrive");
  assert.deepEqual(noted, ["128 alice", "128 alice", "128 alice"]);
});

test("items that are written before the call is made wait up to maxPendingBytes, and arrive in order", async () => {
  const server = await startServer({
    ...options,
    onMessage: async (message) => {
      const items: string[] = [];
      for await (const item of message) items.push(`${fromText(item.subarray(0, 1))}${item.length}`);
      message.reply(text(items.join()));
    },
  });
  const limits = { maxFrameBytes: 65_536, maxPendingBytes: 65_536 };
  const client = clientOf({ endpoints: [at(server)], ...limits });
  const call = client.call(text("x"));
  const item = text("a".repeat(30_000));
  const written = [call.write(item), call.write(item.fill(98))];
  await rejectsWith(call.write(item.fill(99)), "ERR_BACKPRESSURE");
  throwsWith(() => call.write("text" as never), "ERR_INVALID_ARGUMENT");
  item.fill(100);
  // Items without bytes are not free either: each costs what it takes as an object.
  const empty = new Uint8Array(0);
  while (written.length < 5) written.push(call.write(empty));
  await rejectsWith(call.write(empty), "ERR_BACKPRESSURE");
  call.end();
  assert.equal(fromText(await call.answer), `a30000,b30000${",0".repeat(3)}`);
  await Promise.all(written);
});

test("limits of calls and of bytes hold, and stats count what waits", async () => {
  const { server } = await noting();
  const limits = {
    maxConnections: 1,
    maxInFlightRequests: 2,
    maxFrameBytes: 65_536,
    maxPendingBytes: 65_536,
  };
  const client = clientOf({ endpoints: [at(server)], ...limits });
  const first = client.request(new Uint8Array(40_000));
  const full = await rejectsWith(client.request(new Uint8Array(40_000)), "ERR_BACKPRESSURE");
  const other = clientOf({ endpoints: [at(server)], ...limits });
  const calls = [other.request(text("a")), other.request(text("b"))];
  const { inFlightRequests, pendingBytes, connections, endpoints, lookups } = other.stats;
  assert.deepEqual([inFlightRequests, pendingBytes, connections, endpoints, lookups], [2, 2, 0, [], 0]);
  const many = await rejectsWith(other.request(text("c")), "ERR_TOO_MANY_REQUESTS");
  assert.ok(full.notBegun && many.notBegun);
  throwsWith(() => void other.request("text" as never), "ERR_INVALID_ARGUMENT");
  throwsWith(() => void other.send(text("x"), { timeoutMs: -1 }), "ERR_INVALID_ARGUMENT");
  assert.deepEqual(
    (await Promise.all([first, ...calls])).map(({ length }) => length),
    [40_000, 1, 1],
  );
});

test("connected, with a time, while too many calls wait: it is refused at once, again and again, and the process goes on", async () => {
  const { server } = await noting();
  const loading = clientOf({ endpoints: [at(server)], maxConnections: 1, maxInFlightRequests: 1 });
  const answer = loading.request(text("first"));
  await loading.connected({ timeoutMs: 60_000 });
  assert.equal(fromText(await answer), "first");
  // The endpoints are not found while the client lives.
  const lost = clientOf({
    endpoints: () => new Promise<never>(() => {}),
    maxConnections: 1,
    maxInFlightRequests: 1,
  });
  const waits = rejectsWith(lost.request(text("first")), "ERR_CLOSED");
  await waitFor(() => lost.stats.lookups === 1, "the lookup to begin");
  const error = await rejectsWith(lost.connected({ timeoutMs: 1_500 }), "ERR_DIAL_TIMEOUT");
  assert.equal((error.cause as { code?: string }).code, "ERR_TOO_MANY_REQUESTS");
  await lost.close();
  await waits;
});

test("signals and time-outs end calls that wait", async () => {
  const { server, noted } = await noting();
  const silent = await startServer({ ...options, onMessage: () => {} });
  const client = clientOf({ endpoints: [at(server)] });
  const abort = new AbortController();
  const aborted = client.request(text("aborted"), { signal: abort.signal });
  abort.abort(new Error("enough"));
  const gone = client.request(text("gone"), { signal: AbortSignal.abort() });
  // Awaited from the beginning: on a busy machine it may end before the others.
  const { answer } = clientOf({ endpoints: [at(silent)] }).call(text("late"), { timeoutMs: 1 });
  const late = rejectsWith(answer, "ERR_REQUEST_TIMEOUT");
  for (const start = performance.now(); performance.now() - start < 5; );
  const error = await rejectsWith(aborted, "ERR_ABORTED");
  assert.ok(error.notBegun && (error.cause as Error).message === "enough");
  assert.ok((await rejectsWith(gone, "ERR_ABORTED")).notBegun);
  await late;
  await client.request(text("alive"));
  assert.deepEqual(noted, ["alive"]);
});

test("closed at once, it settles all that it was asked, and dials nobody", async () => {
  const { server, noted } = await noting();
  const client = clientOf({ endpoints: [at(server)] });
  const asked = [
    client.request(text("x")),
    client.send(text("x")),
    client.call(text("x")).answer,
    client.sticky("key").request(text("x")),
    client.connected(),
    client.connected({ timeoutMs: 60_000 }),
  ];
  const closed = client.close();
  for (const promise of asked) await rejectsWith(promise, "ERR_CLOSED");
  await closed;
  assert.equal(client.close(), closed);
  await rejectsWith(client.request(text("x")), "ERR_CLOSED");
  throwsWith(() => void client.call(text("x")), "ERR_CLOSED");
  assert.equal(client.sendNoWait(text("x")), false);
  assert.deepEqual([client.stats.openedConnections, client.connections, noted], [0, [], []]);
});

test("a message that does not wait begins the lookup, and keepConnected does so without a call", async () => {
  const server = await named("a");
  const client = clientOf({ endpoints: [at(server)] });
  assert.equal(client.sendNoWait(text("x")), false);
  const kept = clientOf({ endpoints: [at(server)], keepConnected: true });
  await waitFor(() => client.stats.endpoints!.length === 1, "the endpoint");
  await waitFor(() => kept.connections.length === 1, "the connection");
});

test("callers of a key are there at once, and their functions need no object", async () => {
  const servers = [await named("a"), await named("b"), await named("c")];
  const client = clientOf({ endpoints: servers.map(at) });
  throwsWith(() => client.sticky(1 as never), "ERR_INVALID_ARGUMENT");
  const { request, call, connected } = client.sticky("key");
  const before = await Promise.all([request(text("?")), call(text("?")).answer]);
  const names = [...before, await request(text("?"))].map(fromText);
  assert.equal(new Set(names).size, 1);
  const connection = await connected();
  assert.equal(fromText(await connection.request(text("?"))), names[0]);
});

test("subscribers of channels are told the client that the application has", async () => {
  const told: unknown[] = [];
  const listener = (message: unknown): void => void told.push((message as { client: unknown }).client);
  diagnostics.subscribe("sealwire.endpoint.joined", listener);
  try {
    const client = clientOf({ endpoints: [at(await named("a"))] });
    await client.connected();
    assert.equal(told.length, 1);
    assert.equal(told[0], client);
  } finally {
    diagnostics.unsubscribe("sealwire.endpoint.joined", listener);
  }
});
