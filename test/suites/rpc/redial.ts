// When a client dials and when it does not: pauses after connections that were of no use, calls during a pause, the
// limit of sockets, and which connection takes a call.

import assert from "node:assert/strict";
import { type Connection, generateKeyPair, type SealwireError, type Server } from "../../../src/index.ts";
import { Kind } from "../../../src/protocol/wire.ts";
import { createApi } from "../../../src/rpc/api.ts";
import { dialFailed } from "../../../src/rpc/dialError.ts";
import { RedialPause } from "../../../src/rpc/redial.ts";
import type { Adapter, DialEvents } from "../../../src/rpc/transport.ts";
import { test } from "../../support/harness.ts";
import { PSK, protocols, v2 } from "../../support/protocols.ts";
import { RawListener } from "../../support/rawPeer.ts";
import { RawSession } from "../../support/rawSession.ts";
import {
  checkLeaksAfterEachTest,
  deferred,
  echo,
  fromText,
  rejectsWith,
  sleep,
  startClient,
  startPair,
  startServer,
  text,
  waitFor,
} from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

// ---- The pauses -----------------------------------------------------------------------------------------

test("pauses double up to a limit, each a random part of it", () => {
  for (const part of [0, 0.5, 0.75]) {
    const pause = new RedialPause(() => part);
    let now = 1_000;
    for (const longest of [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]) {
      assert.equal(pause.remainingMs(now), 0);
      pause.failed(now, now);
      assert.equal(pause.remainingMs(now), longest * part);
      now += longest;
    }
    pause.succeeded();
    assert.equal(pause.remainingMs(now), 0);
    pause.failed(now, now);
    assert.equal(pause.remainingMs(now), 100 * part, "the first pause again");
  }
});

test("connections that were under way together fail once", () => {
  const pause = new RedialPause(() => 0.5);
  pause.failed(1_000, 1_010);
  for (const dialledAt of [990, 1_001, 1_009]) pause.failed(dialledAt, 1_020);
  assert.equal(pause.failures, 1);
  pause.failed(1_100, 1_110);
  assert.equal(pause.failures, 2);
});

/** An adapter whose dials all fail, each in a later turn. */
class Unreachable implements Adapter {
  readonly name = "unreachable";
  dials = 0;
  readonly defer = queueMicrotask;
  readonly yieldToEventLoop = (callback: () => void) => void setTimeout(callback, 0);

  dial(_address: unknown, events: DialEvents): () => void {
    this.dials++;
    setTimeout(() => events.onClose(new Error(`no route, dial ${this.dials}`)), 1);
    return () => {};
  }

  listen(): Promise<never> {
    return Promise.reject(new Error("not here"));
  }
}

test("calls during a pause wait for the next dial, and share its fate", async () => {
  const adapter = new Unreachable();
  const client = createApi(adapter).connect({ ...v2.options, host: "192.0.2.1", port: 7 });
  // The first call dials at once, and so does the first one after a failure, as soon as its pause is over.
  let calls = 0;
  const until = performance.now() + 1_000;
  while (performance.now() < until || adapter.dials < 2) {
    const errors = await Promise.all(
      Array.from({ length: 5 }, () => rejectsWith(client.request(text("x")), "ERR_DIAL_FAILED")),
    );
    calls += errors.length;
    assert.equal(new Set(errors.map((error) => error.message)).size, 1, "all learn of one dial");
    assert.match(errors[0]!.message, /192\.0\.2\.1:7: no route, dial \d+/);
  }
  assert.equal(adapter.dials, calls / 5);
  // Without pauses there would be hundreds; their limits sum to 1.5 s for five.
  assert.ok(adapter.dials <= 15, `${adapter.dials} dials in a second`);
  // A call that can't wait so long is over in time.
  const impatient = await Promise.allSettled(
    Array.from({ length: 3 }, () => client.request(text("x"), { timeoutMs: 1 })),
  );
  for (const outcome of impatient) {
    assert.equal(outcome.status, "rejected");
    assert.match((outcome.reason as SealwireError).code, /^ERR_(REQUEST_TIMEOUT|DIAL_FAILED)$/);
  }
  await client.close();
  assert.equal(client.stats.connections, 0);
});

test("close() during a pause ends it", async () => {
  const adapter = new Unreachable();
  const client = createApi(adapter).connect({ ...v2.options, port: 7, keepConnected: true });
  await waitFor(() => adapter.dials >= 3, "some dials");
  const { dials } = adapter;
  await client.close();
  await sleep(150);
  assert.ok(adapter.dials <= dials + 1);
  await rejectsWith(client.request(text("x")), "ERR_CLOSED");
});

test("a dial that throws at once is a dial that failed", async () => {
  const adapter = new Unreachable();
  adapter.dial = () => {
    throw new Error("the path is too long");
  };
  const client = createApi(adapter).connect({ ...v2.options, path: "/a/path" });
  const error = await rejectsWith(client.request(text("x")), "ERR_DIAL_FAILED");
  assert.match(error.message, /\/a\/path: the path is too long/);
  await client.close();
});

test("the text of a failed dial names where to and why", () => {
  const refused = Object.assign(new Error("connect ECONNREFUSED 192.0.2.1:1"), { code: "ECONNREFUSED" });
  const both = Object.assign(new AggregateError([refused, new Error("second")]), { code: "ECONNREFUSED" });
  const bare = Object.assign(new Error("Failed to connect"), { code: "ECONNREFUSED" });
  const where = "example.org:1";
  assert.match(
    dialFailed(where, refused).message,
    /^could not connect to example\.org:1: connect ECONNREFUSED/,
  );
  assert.match(dialFailed(where, both).message, /: connect ECONNREFUSED 192\.0\.2\.1:1; second$/);
  assert.match(dialFailed(where, bare).message, /: ECONNREFUSED: Failed to connect$/);
  assert.match(dialFailed(where, undefined).message, /^could not connect to example\.org:1$/);
  assert.equal(dialFailed(where, refused).cause, refused);
});

// ---- Connections of no use ------------------------------------------------------------------------------

/** A server on a client of which `opened` is called for each connection that opens. */
async function countOpens(
  opened: (connection: Connection) => void,
): Promise<{ server: Server; count: () => number }> {
  let count = 0;
  const server = await startServer({
    ...v2.options,
    onMessage: echo,
    onConnectionState: (connection, state) => {
      if (state !== "open") return;
      count++;
      opened(connection);
    },
  });
  return { server, count: () => count };
}

test("a server that closes every connection in good order is not stormed", async () => {
  const { server, count } = await countOpens((connection) => void connection.close());
  let most = 0;
  const client = startClient({
    ...v2.options,
    port: server.port,
    keepConnected: true,
    maxConnections: 2,
    onConnectionState: () => {
      most = Math.max(most, client?.stats.connections ?? 0);
    },
  });
  await Promise.all([sleep(1_500), waitFor(() => count() >= 2, "another connection")]);
  assert.ok(count() <= 20, `${count()} connections in 1.5 s`);
  assert.ok(most <= 2, `${most} sockets at once`);
});

test("a server that refuses every client is not stormed", async () => {
  let asked = 0;
  const server = await startServer({
    staticKey: generateKeyPair().privateKey,
    authorize: () => {
      asked++;
      return false;
    },
  });
  startClient({
    staticKey: generateKeyPair().privateKey,
    authorize: () => true,
    port: server.port,
    keepConnected: true,
  });
  await Promise.all([sleep(1_500), waitFor(() => asked >= 2, "another dial")]);
  assert.ok(asked <= 20, `${asked} dials in 1.5 s`);
});

test("a connection that answered was useful: the next call dials at once, each time", async () => {
  const { server, count } = await countOpens(() => {});
  const client = startClient({ ...v2.options, port: server.port, maxConnections: 1 });
  for (let i = 1; i <= 30; i++) {
    assert.equal(fromText(await client.request(text("once"))), "once");
    assert.equal(count(), i);
    const [connection] = client.connections;
    await connection!.close();
  }
});

for (const { name, options, withKinds } of protocols) {
  if (!withKinds) continue;
  test(`${name}: maxConnections counts those that drain; calls wait for the place`, async () => {
    const gate = deferred<void>();
    const server = await startServer({
      ...options,
      onMessage: async (message) => {
        if (fromText(message.body) === "slow") {
          void message.connection.close();
          await gate.promise;
        }
        message.reply(message.body);
      },
    });
    const drains = deferred<void>();
    const client = startClient({
      ...options,
      port: server.port,
      maxConnections: 1,
      onConnectionState: (_connection, state) => {
        if (state === "draining") drains.resolve();
      },
    });
    const slow = client.request(text("slow"));
    await drains.promise;
    let answered = false;
    const waiting = client.request(text("waits")).then((answer) => {
      answered = true;
      return answer;
    });
    await sleep(100);
    assert.equal(client.stats.connections, 1);
    assert.equal(answered, false);
    gate.resolve();
    assert.equal(fromText(await slow), "slow");
    assert.equal(fromText(await waiting), "waits");
  });
}

// ---- Which connection takes a call ----------------------------------------------------------------------

for (const { name, options, withKinds, rawSession } of protocols) {
  test(`${name}: a server that refuses another connection costs no call`, async () => {
    const gate = deferred<void>();
    const { server, client } = await startPair(
      {
        ...options,
        maxConnections: 1,
        maxConnectionWaitMs: 50,
        onMessage: async (message) => {
          await gate.promise;
          message.reply(message.body);
        },
      },
      options,
    );
    // Also at the start, before anything is open.
    const calls = Array.from({ length: 200 }, () => client.request(text("early")));
    await client.connected();
    for (let i = 0; i < 300; i++) calls.push(client.request(text("late")));
    await waitFor(() => server.refusedConnections > 0, "another dial to be refused");
    for (let i = 0; i < 100; i++) calls.push(client.request(text("after")));
    gate.resolve();
    assert.equal((await Promise.all(calls)).length, 600);
  });

  test(`${name}: calls above the limits of the open connection survive the refusal of another`, async () => {
    const { server, client } = await startPair(
      {
        ...options,
        maxConnections: 1,
        maxConnectionWaitMs: 100,
        onMessage: async (message) => {
          await sleep(20);
          if (message.expectsReply) message.reply(message.body);
        },
      },
      { ...options, maxConnections: 4, maxInFlightRequests: 16 },
    );
    await client.connected();
    // 16 are taken by the open connection, 16 by one that will be refused.
    const bodies = Array.from({ length: 32 }, (_, i) => text(`call ${i}`));
    const calls = bodies.map((body) => client.request(body, { timeoutMs: 20_000 }));
    const aborted = new AbortController();
    const given = client.request(text("given up"), { signal: aborted.signal });
    const late = client.request(text("too late"), { timeoutMs: 20 });
    // The caller's bodies are the caller's: what is sent again is what they were.
    for (const body of bodies) body.fill(0);
    aborted.abort();
    await rejectsWith(given, "ERR_ABORTED");
    await rejectsWith(late, "ERR_REQUEST_TIMEOUT");
    const answers = (await Promise.all(calls)).map(fromText);
    assert.deepEqual(
      answers,
      bodies.map((_, i) => `call ${i}`),
    );
    assert.ok(server.refusedConnections > 0, "no connection was refused");
  });

  test(`${name}: what a server may have begun, though it has proved nothing, is not sent again`, async () => {
    const listener = await RawListener.listen();
    const client = startClient({
      ...options,
      port: listener.port,
      maxConnections: 2,
      maxInFlightRequests: 1,
    });
    const first = client.request(text("first"));
    const good = await rawSession(await listener.accept(), "server");
    const { sequence } = await good.receive();
    if (!withKinds) await waitFor(() => client.connections.length === 1, "an open connection");
    // The open connection is full: another one takes it. Its server has the keys, and says nothing.
    const second = client.request(text("second"));
    const peer = await listener.accept();
    const silent = withKinds
      ? await RawSession.v2(peer, "server", PSK, false)
      : await rawSession(peer, "server");
    assert.equal(fromText((await silent.receive()).body), "second");
    silent.destroy();
    await peer.destroy();
    await assert.rejects(second, {
      code: withKinds ? "ERR_HANDSHAKE" : "ERR_CONNECTION_LOST",
      notBegun: false,
    });
    good.peer.write(good.seal(sequence, text("answer"), Kind.reply));
    assert.equal(fromText(await first), "answer");
    client.sendNoWait(text("last"));
    assert.equal(fromText((await good.receive()).body), "last");
    good.destroy();
    await good.peer.destroy();
    await listener.close();
  });

  test(`${name}: busy follows the limits in force`, async () => {
    const gate = deferred<void>();
    const { client } = await startPair(
      {
        ...options,
        onMessage: async (message) => {
          await gate.promise;
          if (message.expectsReply) message.reply(message.body);
        },
      },
      { ...options, maxConnections: 4, maxInFlightRequests: 16, highWaterMarkBytes: 65_536 },
    );
    await client.connected();
    const calls = Array.from({ length: 64 }, () => client.request(text("x")));
    await rejectsWith(client.request(text("x")), "ERR_TOO_MANY_REQUESTS");
    gate.resolve();
    await Promise.all(calls);
    assert.equal(client.stats.connections, 4);
  });

  test(`${name}: as many connections as the load fills, and no more`, async () => {
    const gate = deferred<void>();
    const { client } = await startPair(
      {
        ...options,
        onMessage: async (message) => {
          await gate.promise;
          message.reply(message.body);
        },
      },
      { ...options, maxConnections: 8, maxInFlightRequests: 64 },
    );
    await client.connected();
    // Busy at 32: 40 fill one and a part of another.
    const calls = Array.from({ length: 40 }, () => client.request(text("x")));
    await waitFor(() => client.connections.length === 2, "another connection");
    for (let i = 0; i < 20; i++) calls.push(client.request(text("x")));
    await sleep(50);
    assert.equal(client.stats.connections, 2);
    const loads = client.connections.map((connection) => connection.inFlightRequests);
    assert.deepEqual(loads, [40, 20], "the next calls go to the one that has less");
    gate.resolve();
    await Promise.all(calls);
  });

  test(`${name}: bodies that one connection can't hold go to another`, async () => {
    const { client } = await startPair(
      { ...options, onMessage: echo },
      { ...options, maxConnections: 2, maxFrameBytes: 65_536, maxPendingBytes: 131_072 },
    );
    await client.connected();
    // Three of these are more than the limit of one connection.
    const calls = Array.from({ length: 4 }, () => client.request(new Uint8Array(50_000)));
    for (const answer of await Promise.all(calls)) assert.equal(answer.length, 50_000);
  });

  test(`${name}: bytes that wait are load, too`, async () => {
    const { client } = await startPair(
      { ...options, onMessage: echo },
      { ...options, maxConnections: 2, highWaterMarkBytes: 65_536 },
    );
    await client.connected();
    const takes = (): number => {
      let taken = 0;
      while (taken < 100 && client.sendNoWait(new Uint8Array(16_000))) taken++;
      return taken;
    };
    assert.ok(takes() >= 4);
    // What is being dialled may never open, so it gets nothing.
    assert.equal(client.stats.connections, 2);
    await waitFor(() => client.connections.length === 2 && client.stats.pendingBytes === 0, "both");
    // A high-water mark of each connection, and not of one.
    const both = takes();
    assert.ok(both >= 8, `${both} were taken`);
  });
}
