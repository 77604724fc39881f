import assert from "node:assert/strict";
import { type Message, monteV1 } from "../../../src/index.ts";
import { createApi } from "../../../src/rpc/api.ts";
import type { Adapter } from "../../../src/rpc/transport.ts";
import { test } from "../../support/harness.ts";
import { protocols, v1, v2 } from "../../support/protocols.ts";
import { RawListener, RawPeer } from "../../support/rawPeer.ts";
import {
  assertSameBytes,
  checkLeaksAfterEachTest,
  deferred,
  echo,
  fromText,
  patternBytes,
  rejectsWith,
  sleep,
  startClient,
  startPair,
  startServer,
  text,
  waitFor,
} from "../../support/rpcHarness.ts";
import { steppedPair } from "../../support/steppedPair.ts";

checkLeaksAfterEachTest();

test("dialling: an endpoint that never answers", async () => {
  let givenUp = 0;
  // 127.0.0.1 always answers, so the sockets are made up here: nothing ever comes of a dial.
  const silent: Adapter = {
    name: "silent",
    dial: (_address, events) => () => {
      givenUp++;
      queueMicrotask(() => events.onClose());
    },
    listen: () => Promise.reject(new Error("not here")),
    defer: queueMicrotask,
    yieldToEventLoop: (callback) => setTimeout(callback, 0),
  };
  const client = createApi(silent).connect({ port: 1, dialTimeoutMs: 60, handshake: monteV1() });
  const calls = [client.request(text("a")), client.send(text("b")), client.connected()];
  for (const call of calls) await rejectsWith(call, "ERR_DIAL_TIMEOUT");
  assert.equal(givenUp, 1);
  await client.close();
  assert.equal(client.stats.connections, 0);
});

for (const { name, options, withKinds } of protocols) {
  test(`${name}: a server that never finishes the handshake`, async () => {
    const listener = await RawListener.listen();
    const client = startClient({ ...options, port: listener.port, handshakeTimeoutMs: 80 });
    await rejectsWith(client.request(text("a")), "ERR_HANDSHAKE_TIMEOUT");
    await (await listener.accept()).ended();
    await client.close();
    await listener.close();
  });

  test(`${name}: a client that never begins the handshake is closed, others are served`, async () => {
    const reasons: (string | undefined)[] = [];
    const { server, client } = await startPair(
      {
        ...options,
        onMessage: echo,
        // It is the limit of the others, too: longer than a busy machine may keep this process from running.
        handshakeTimeoutMs: 4_000,
        onConnectionState: (_connection, state, error) => {
          if (state === "closed") reasons.push(error?.code);
        },
      },
      options,
    );
    const silent = await RawPeer.connect(server.port);
    assert.equal(fromText(await client.request(text("served meanwhile"))), "served meanwhile");
    await silent.ended();
    await silent.destroy();
    // It never was a connection: it is counted, and nobody is told.
    await waitFor(() => server.droppedSockets === 1, "the count");
    assert.equal(server.waitingSockets, 0);
    assert.deepEqual(reasons, []);
    assert.equal(fromText(await client.request(text("served after"))), "served after");
  });

  test(`${name}: a request without an answer; the late answer is dropped and counted`, async () => {
    const release = deferred();
    const replies: boolean[] = [];
    let slow: Message | undefined;
    const onMessage = async (message: Message) => {
      if (fromText(message.body) === "slow") {
        slow = message;
        await release.promise;
      }
      replies.push(message.expectsReply && message.reply(message.body));
    };
    const { client } = await startPair({ ...options, onMessage }, { ...options, maxConnections: 1 });
    await client.request(text("warm"));
    const [connection] = client.connections;
    await rejectsWith(client.request(text("slow"), { timeoutMs: 60 }), "ERR_REQUEST_TIMEOUT");
    assert.equal(client.stats.inFlightRequests, 0);
    if (withKinds) await waitFor(() => slow?.expectsReply === false, "the cancel");
    release.resolve();
    await waitFor(() => replies.length === 2, "the slow handler");
    assert.equal(fromText(await client.request(text("usable"))), "usable");
    assert.deepEqual(client.connections, [connection]);
    // Protocol v2 told the far side, which then sends nothing; v1 can't, so the answer comes and is dropped.
    assert.deepEqual(replies, [true, !withKinds, true]);
    assert.equal(client.stats.droppedReplies, withKinds ? 0 : 1);
  });

  test(`${name}: the time-out of all requests, and of one request`, async () => {
    const { client } = await startPair(
      { ...options, onMessage: () => new Promise(() => {}), drainTimeoutMs: 50 },
      { ...options, requestTimeoutMs: 60, drainTimeoutMs: 50 },
    );
    await rejectsWith(client.request(text("default")), "ERR_REQUEST_TIMEOUT");
    await rejectsWith(client.request(text("own"), { timeoutMs: 30 }), "ERR_REQUEST_TIMEOUT");
    let settled = false;
    const unlimited = client.request(text("none"), { timeoutMs: 0 }).catch((error) => {
      settled = true;
      return error.code;
    });
    await sleep(150);
    assert.equal(settled, false);
    await client.close();
    assert.equal(await unlimited, "ERR_CLOSED");
  });

  test(`${name}: abort before, during and after a request`, async () => {
    const { client } = await startPair(
      { ...options, onMessage: (m) => (fromText(m.body) === "hold" ? undefined : m.reply(m.body)) },
      options,
    );
    await rejectsWith(client.request(text("x"), { signal: AbortSignal.abort("early") }), "ERR_ABORTED");
    const controller = new AbortController();
    const { signal } = controller;
    assert.equal(fromText(await client.request(text("x"), { signal })), "x");
    const held = Array.from({ length: 10 }, () => client.request(text("hold"), { signal }));
    await sleep(20);
    controller.abort();
    for (const each of held) await rejectsWith(each, "ERR_ABORTED");
    assert.equal(client.stats.inFlightRequests, 0);
    controller.abort();
    assert.equal(fromText(await client.request(text("usable"))), "usable");
  });

  test(`${name}: readTimeoutMs closes a connection on which nothing arrives`, async () => {
    const reasons: (string | undefined)[] = [];
    const { client } = await startPair(
      {
        ...options,
        onMessage: echo,
        readTimeoutMs: 3_000,
        onConnectionState: (_connection, state, error) => {
          if (state === "closed") reasons.push(error?.code);
        },
      },
      { ...options, heartbeatIntervalMs: 0 },
    );
    // Pauses below the time-out keep it open. A machine that stalls makes longer ones: then this says nothing.
    let longestMs = 0;
    for (let i = 0; i < 11; i++) {
      const startMs = performance.now();
      await client.request(text("busy"));
      await sleep(300);
      longestMs = Math.max(longestMs, performance.now() - startMs);
    }
    if (longestMs < 2_900) assert.deepEqual(reasons, []);
    await waitFor(() => reasons.length > 0, "the server to close");
    assert.deepEqual([...new Set(reasons)], ["ERR_READ_TIMEOUT"]);
    await waitFor(() => client.connections.length === 0, "the client to notice");
    assert.equal(fromText(await client.request(text("again"))), "again");
  });
}

test("writeTimeoutMs closes a connection whose peer takes nothing", async () => {
  const reasons: (string | undefined)[] = [];
  const server = await startServer({
    ...v1.options,
    writeTimeoutMs: 100,
    maxFrameBytes: 64 * 1_048_576,
    onMessage: (message) => message.reply(patternBytes(32 * 1_048_576)),
    onConnectionState: (_connection, state, error) => {
      if (state === "closed") reasons.push(error?.code);
    },
  });
  const peer = await RawPeer.connect(server.port);
  const session = await v1.rawSession(peer, "client");
  peer.socket.pause();
  peer.write(session.seal(1, text("send me much")));
  await waitFor(() => reasons.length === 1, "the server to give up");
  assert.deepEqual(reasons, ["ERR_WRITE_TIMEOUT"]);
  session.destroy();
  await peer.destroy();
});

test("a write that begins when the one before it is done has its time limit, though nothing else happens", async () => {
  const reasons: (string | undefined)[] = [];
  const got: string[] = [];
  const onMessage = ({ body }: Message) => {
    got.push(fromText(body));
  };
  const { turn, client, pump, leave } = await steppedPair(
    { onMessage, writeTimeoutMs: 0 },
    {
      writeTimeoutMs: 100,
      onConnectionState: (_connection: unknown, state: string, error?: { code: string }) => {
        if (state === "closed") reasons.push(error?.code);
      },
    },
  );
  await turn();
  client.sendNoWait(text("first"));
  await turn();
  client.sendNoWait(text("second"));
  await turn();
  await pump(() => got.length === 1);
  assert.deepEqual([got, reasons], [["first"], []]);
  await waitFor(() => reasons.length === 1, "the client to give up");
  assert.deepEqual(reasons, ["ERR_WRITE_TIMEOUT"]);
  await leave();
});

test("v2: a peer that stops answering heartbeats is found dead", async () => {
  const server = await startServer({ ...v2.options, onMessage: echo, heartbeatIntervalMs: 0 });
  // A relay that goes silent: the sockets stay open, the bytes stop.
  const relay = await RawListener.listen();
  const reasons: (string | undefined)[] = [];
  const client = startClient({
    ...v2.options,
    port: relay.port,
    heartbeatIntervalMs: 100,
    // Longer than a busy machine may keep this process, which has both ends in it, from running.
    heartbeatTimeoutMs: 3_000,
    onConnectionState: (_connection, state, error) => {
      if (state === "closed") reasons.push(error?.code);
    },
  });
  const answer = client.request(text("through the relay"));
  const inner = await relay.accept();
  const outer = await RawPeer.connect(server.port);
  let silent = false;
  inner.socket.on("data", (chunk: Uint8Array) => silent || outer.socket.write(chunk));
  let heard = 0;
  outer.socket.on("data", (chunk: Uint8Array) => {
    if (silent) return;
    heard++;
    inner.socket.write(chunk);
  });
  const early = inner.takeReceived();
  if (early.length > 0) outer.socket.write(early);
  assertSameBytes(await answer, text("through the relay"));
  const before = heard;
  await waitFor(() => heard >= before + 2 || reasons.length > 0, "two answers to heartbeats");
  assert.deepEqual(reasons, [], "heartbeats were answered, yet the connection closed");
  silent = true;
  await waitFor(() => reasons.length === 1, "the client to notice");
  assert.deepEqual(reasons, ["ERR_READ_TIMEOUT"]);
  await outer.destroy();
  await client.close();
  await relay.close();
});
