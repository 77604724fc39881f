// Calls of a client with several endpoints that an endpoint did not begin move to another endpoint. A call that may
// have run never moves.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { SealwireError } from "../../../src/base/errors.ts";
import type { ClientOptions, Server } from "../../../src/index.ts";
import { encodeError, Origin } from "../../../src/protocol/errorBody.ts";
import { decodeHead } from "../../../src/protocol/head.ts";
import { encodeReason } from "../../../src/protocol/reason.ts";
import { Kind } from "../../../src/protocol/wire.ts";
import type { StickyClient } from "../../../src/rpc/stickyClient.ts";
import { closedAfterTest } from "../../support/closedAfterTest.ts";
import { freePort } from "../../support/freePorts.ts";
import { test } from "../../support/harness.ts";
import { v2 } from "../../support/protocols.ts";
import { RawListener } from "../../support/rawPeer.ts";
import type { RawFrame, RawSession } from "../../support/rawSession.ts";
import {
  assertSameBytes,
  checkLeaksAfterEachTest,
  deferred,
  fromText,
  rejectsWith,
  sleep,
  startClient,
  startServer,
  text,
  waitFor,
} from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

const { options } = v2;

interface Scripted {
  readonly port: number;
  /** Bodies of the requests and calls that it got. */
  readonly got: string[];
}

/** What a peer without sealwire does with each request; calls come with the 2 bytes and the fields of their head. */
type Script = (session: RawSession, frame: RawFrame, got: number) => unknown;

/** A server that does with every request what the script says. `once`: it takes one connection. */
async function scripted(script: Script, once = false): Promise<Scripted> {
  const listener = await RawListener.listen();
  closedAfterTest(listener);
  const server = { port: listener.port, got: [] as string[] };
  /** Until the stream or the listener ends. */
  const begin = (): void => void serve().catch(() => {});
  const serve = async (): Promise<void> => {
    const peer = await listener.accept();
    if (once) listener.stopListening();
    else begin();
    const session = await v2.rawSession(peer, "server");
    try {
      for (;;) {
        const frame = await session.receive();
        if (frame.kind !== Kind.message && frame.kind !== Kind.call) continue;
        if (frame.sequence === 0) continue;
        const { bodyStart } =
          frame.kind === Kind.call ? decodeHead(frame.body, 0, frame.body.length) : { bodyStart: 0 };
        server.got.push(fromText(frame.body.slice(bodyStart)));
        await script(session, frame, server.got.length);
      }
    } finally {
      session.destroy();
    }
  };
  begin();
  return server;
}

const say = (session: RawSession, sequence: number, kind: number, body: Uint8Array) =>
  session.peer.write(session.seal(sequence, body, kind));
const refuse = (session: RawSession, { sequence }: RawFrame) =>
  say(session, sequence, Kind.error, encodeError(Origin.notBegun, "ERR_BUSY", "later"));
const closeAfter = (lastBegun: number | undefined) => (session: RawSession) => {
  say(session, 0, Kind.close, encodeReason(lastBegun === undefined ? {} : { lastBegun }));
  session.peer.socket.end();
};

/** A server that answers with what it got, and keeps a list of it. */
async function honest(got: string[], port = 0): Promise<Server> {
  return startServer({
    ...options,
    port,
    onMessage: async (message) => {
      got.push(fromText(message.body));
      for await (const item of message) await message.write(item);
      if (message.expectsReply) message.reply(message.body);
    },
  });
}

function clientOf(ports: readonly number[], more: ClientOptions = {}): StickyClient {
  const endpoints = ports.map((port) => ({ port }));
  return startClient({ ...options, requestTimeoutMs: 20_000, ...more, endpoints }) as StickyClient;
}

/** Until every endpoint has a connection. */
async function allOpen(client: StickyClient): Promise<void> {
  await client.connected();
  await waitFor(() => {
    void client.send(text("hello")).catch(() => {});
    return client.stats.endpoints!.every(({ state }) => state === "open");
  }, "all endpoints to open");
}

const names = (count: number) => Array.from({ length: count }, (_, i) => `call ${i}`);
const ofCalls = (got: readonly string[]) => got.filter((name) => name.startsWith("call"));

test("what a server refuses as not begun goes to another one, once, and the caller notices nothing", async () => {
  const got: string[] = [];
  const [refusing, server] = [await scripted(refuse), await honest(got)];
  const client = clientOf([refusing.port, server.port]);
  await allOpen(client);
  for (const name of names(40)) assert.equal(fromText(await client.request(text(name))), name);
  const bodies = names(40);
  await Promise.all(bodies.map((name) => client.request(text(name))));
  assert.ok(ofCalls(refusing.got).length > 0, "some were refused");
  assert.deepEqual(ofCalls(got).sort(), [...bodies, ...bodies].sort());
  // Who refuses looks free, and must not get ever more.
  assert.ok(ofCalls(refusing.got).length < 30, `${ofCalls(refusing.got).length} of 80 went to who refuses`);
});

test("a body that moves is what the caller gave, whatever became of its buffer, and that is left alone", async () => {
  const bodies: Uint8Array[] = [];
  const server = await startServer({
    ...options,
    onMessage: (message) => {
      bodies.push(message.body);
      message.reply(message.body);
    },
  });
  const refusing = await scripted(refuse);
  const client = clientOf([refusing.port, server.port]);
  await allOpen(client);
  for (let i = 0; i < 20 && refusing.got.length === 0; i++) {
    const body = Buffer.alloc(10_000, 7);
    const answer = client.request(body);
    body.fill(8);
    assertSameBytes(await answer, new Uint8Array(10_000).fill(7));
    assertSameBytes(new Uint8Array(body), new Uint8Array(10_000).fill(8));
  }
});

for (const { what, end, moves } of [
  { what: "a close says that it was not begun", end: closeAfter(0), moves: true },
  { what: "a close says that it was begun", end: closeAfter(0x7fffffff), moves: false },
  { what: "a close says nothing of it", end: closeAfter(undefined), moves: false },
  { what: "the connection is cut", end: (session: RawSession) => session.peer.destroy(), moves: false },
]) {
  test(`${what}: it ${moves ? "moves" : "never moves"}`, async () => {
    const got: string[] = [];
    const first = await scripted(end, true);
    const port = await freePort();
    const client = clientOf([first.port, port]);
    await client.connected();
    const outcome = client.request(text("call"));
    outcome.catch(() => {});
    await waitFor(() => first.got.length > 0, "the call to arrive");
    const server = await honest(got, port);
    if (moves) {
      assert.equal(fromText(await outcome), "call");
      assert.deepEqual(ofCalls(got), ["call"]);
      assert.deepEqual(ofCalls(first.got), ["call"]);
    } else {
      const error = await rejectsWith(outcome, "ERR_CONNECTION_LOST");
      assert.equal(error.notBegun, false);
      assert.equal(fromText(await client.request(text("next"))), "next");
      assert.deepEqual(ofCalls(got), []);
      assert.deepEqual(ofCalls(first.got), ["call"]);
    }
    await client.close();
    await server.close();
  });
}

test("a drain that names the last request begun: later ones move without waiting for their refusals", async () => {
  const got: string[] = [];
  const sessions: [RawSession, RawFrame][] = [];
  const draining = await scripted((session, frame) => {
    sessions.push([session, frame]);
    if (sessions.length !== 3) return;
    say(session, 0, Kind.drain, encodeReason({ lastBegun: sessions[0]![1].sequence }));
  }, true);
  const port = await freePort();
  const client = clientOf([draining.port, port]);
  await client.connected();
  const calls = names(3).map((name) => client.request(text(name)));
  await waitFor(() => sessions.length === 3, "all to arrive");
  await waitFor(() => client.connections.length === 0, "the drain to arrive");
  await honest(got, port);
  assert.deepEqual((await Promise.all(calls.slice(1))).map(fromText), ["call 1", "call 2"]);
  assert.deepEqual(ofCalls(got), ["call 1", "call 2"]);
  // The first one is answered; the others have their ends all the same.
  const [first, ...others] = sessions;
  for (const [session, frame] of others) refuse(session, frame);
  say(first![0], first![1].sequence, Kind.reply, text("from the first"));
  assert.equal(fromText(await calls[0]!), "from the first");
  assert.equal(client.stats.inFlightRequests, 0);
});

test("a call moves with its end and is iterated there, as long as nothing was streamed", async () => {
  const got: string[] = [];
  const [refusing, server] = [await scripted(refuse), await honest(got)];
  const client = clientOf([refusing.port, server.port]);
  await allOpen(client);
  const before = refusing.got.length;
  for (let i = 0; i < 200 && refusing.got.length === before; i++) {
    const call = client.call(text("call"));
    call.end();
    const items: string[] = [];
    for await (const item of call) items.push(fromText(item));
    assert.deepEqual(items, []);
    assert.equal(fromText(await call.answer), "call");
    assert.deepEqual(call.answerHead, undefined);
  }
  assert.ok(refusing.got.length > before, "some were refused");
  // The answer alone, and nothing ever said of items.
  for (let i = 0; i < 20; i++) {
    const call = client.call(text("call"));
    const { answer } = call;
    call.end();
    assert.equal(fromText(await answer), "call");
  }
});

test("a call that moves after its caller has left its items is left there, too", async () => {
  const held: [RawSession, RawFrame][] = [];
  const refusing = await scripted((session, frame) => void held.push([session, frame]), true);
  const port = await freePort();
  const client = clientOf([refusing.port, port]);
  await client.connected();
  const call = client.call(text("call"));
  const items = call[Symbol.asyncIterator]();
  const next = items.next();
  await waitFor(() => held.length === 1, "the call to arrive");
  assert.deepEqual(await items.return?.(), { done: true, value: undefined });
  assert.deepEqual(await next, { done: true, value: undefined });
  let stopped: unknown;
  await startServer({
    ...options,
    port,
    onMessage: async (message) => {
      while (stopped === undefined) {
        await message.write(new Uint8Array(16_384)).catch((error) => {
          stopped = error;
        });
      }
      message.reply(text("stopped"));
    },
  });
  closeAfter(0)(held[0]![0]);
  // Before the answer is asked for, which would take the items away as well.
  await waitFor(() => stopped !== undefined, "the handler to be told that nobody takes its items");
  assert.equal((stopped as SealwireError).code, "ERR_STREAM_STOPPED");
  assert.equal(fromText(await call.answer), "stopped");
});

test("items that the caller writes while its call moves arrive; one that was written before keeps it in place", async () => {
  const got: string[] = [];
  let hold = false;
  const held: [RawSession, RawFrame][] = [];
  const refusing = await scripted((session, frame) => {
    if (hold) held.push([session, frame]);
    else refuse(session, frame);
  }, true);
  const port = await freePort();
  const client = clientOf([refusing.port, port]);
  await client.connected();
  hold = true;
  const stays = client.call(text("call stays"));
  await stays.write(text("item"));
  await waitFor(() => held.length === 1, "the call to arrive");
  refuse(...held[0]!);
  const error = await rejectsWith(stays.answer, "ERR_REMOTE");
  assert.equal(error.notBegun, true);

  const moves = client.call(text("call moves"));
  const items: string[] = [];
  const iterated = (async () => {
    for await (const item of moves) items.push(fromText(item));
  })();
  await waitFor(() => held.length === 2, "the call to arrive");
  // Lost, not refused: it goes on to the other one, which listens by now, since a dial that fails would end the call.
  const [refused] = client.connections;
  await honest(got, port);
  closeAfter(held[0]![1].sequence)(held[1]![0]);
  await waitFor(() => refused!.state !== "open", "the close to arrive");
  const written = [moves.write(text("1")), moves.write(text("2"))];
  moves.end();
  await Promise.all(written);
  await iterated;
  assert.deepEqual(items, ["1", "2"]);
  assert.equal(fromText(await moves.answer), "call moves");
});

test("a call that everybody refuses ends with the refusal, after few tries", async () => {
  const servers = await Promise.all(Array.from({ length: 8 }, () => scripted(refuse)));
  const client = clientOf(servers.map(({ port }) => port));
  await allOpen(client);
  await waitFor(() => client.stats.inFlightRequests === 0, "quiet");
  const tries = () => servers.flatMap(({ got }) => ofCalls(got)).length;
  for (let i = 1; i <= 5; i++) {
    const error = await rejectsWith(client.request(text(`call ${i}`)), "ERR_REMOTE");
    assert.equal(error.notBegun, true);
    assert.equal(tries(), 5 * i, "the first endpoint and four others");
    for (const { got } of servers) assert.ok(ofCalls(got).filter((name) => name === `call ${i}`).length <= 1);
  }
  const error = await rejectsWith(client.call(text("call")).answer, "ERR_REMOTE");
  assert.equal(error.notBegun, true);
});

test("sticky calls stay where they belong when they are refused, and move when that endpoint is gone", async () => {
  const got: string[] = [];
  const [refusing, server] = [await scripted(refuse), await honest(got)];
  const client = clientOf([refusing.port, server.port]);
  await allOpen(client);
  const keys = names(20);
  const outcomes = await Promise.allSettled(keys.map((key) => client.sticky(key).request(text(key))));
  const refused = keys.filter((_, i) => outcomes[i]!.status === "rejected");
  assert.ok(refused.length > 0 && refused.length < 20, `${refused.length} of 20`);
  assert.deepEqual(ofCalls(refusing.got).sort(), refused.sort());
  for (const name of refused) assert.ok(!got.includes(name));
});

test("what is kept for moving is bounded: a call beyond that ends where it is", async () => {
  const got: string[] = [];
  const [held, server] = [deferred(), await honest(got)];
  const refusing = await scripted((session, frame) => void held.promise.then(() => refuse(session, frame)));
  const client = clientOf([refusing.port, server.port], { maxPendingBytes: 120_000, maxFrameBytes: 65_536 });
  await allOpen(client);
  const bodies = Array.from({ length: 4 }, (_, i) => new Uint8Array(50_000).fill(65 + i));
  // Two fit.
  const outcomes = bodies.map((body) => client.request(body));
  const settled = Promise.allSettled(outcomes);
  await waitFor(() => ofLong(refusing.got) + ofLong(got) === 4, "all to arrive somewhere");
  const there = ofLong(refusing.got);
  held.resolve();
  const rejected = (await settled).filter(({ status }) => status === "rejected");
  assert.ok(rejected.length <= there && rejected.length <= 2, `${rejected.length} rejected`);
  for (const outcome of rejected)
    assert.equal(((outcome as PromiseRejectedResult).reason as SealwireError).notBegun, true);
});
const ofLong = (got: readonly string[]) => got.filter(({ length }) => length === 50_000).length;

test("with one endpoint a call that was not begun goes to its next connection; with host and port its caller is told", async () => {
  const once: Script = (session, frame, got) =>
    got === 1 ? closeAfter(0)(session) : say(session, frame.sequence, Kind.reply, frame.body);
  const several = await scripted(once);
  const client = clientOf([several.port]);
  assert.equal(fromText(await client.request(text("call"))), "call");
  assert.deepEqual(several.got, ["call", "call"]);
  const one = await scripted(once);
  const plain = startClient({ ...options, port: one.port });
  const error = await rejectsWith(plain.request(text("call")), "ERR_CONNECTION_LOST");
  assert.equal(error.notBegun, true);
  assert.equal(fromText(await plain.request(text("call again"))), "call again");
  await plain.close();
  const closed = await rejectsWith(plain.request(text("call")), "ERR_CLOSED");
  assert.equal(closed.notBegun, true);
});

test("a call that moves keeps its deadline and its signal", async () => {
  const refusing = await scripted(closeAfter(0));
  const client = clientOf([refusing.port, await freePort()]);
  // Refused again and again, or waiting for an endpoint: in the end it is too late, or nobody wants it.
  const late = client.request(text("call"), { timeoutMs: 150 });
  const codes = ["ERR_REQUEST_TIMEOUT", "ERR_CONNECTION_LOST", "ERR_DIAL_FAILED"];
  await late.then(
    () => assert.fail("answered"),
    ({ code }: SealwireError) => assert.ok(codes.includes(code), code),
  );
  const abort = new AbortController();
  const aborted = client.request(text("call"), { signal: abort.signal });
  abort.abort(new Error("enough"));
  await rejectsWith(aborted, "ERR_ABORTED");
});

test("closing a client rejects calls that would move", async () => {
  const held: [RawSession, RawFrame][] = [];
  const refusing = await scripted((session, frame) => void held.push([session, frame]));
  const server = await honest([]);
  const client = clientOf([refusing.port, server.port], { drainTimeoutMs: 100 });
  await allOpen(client);
  const calls: Promise<unknown>[] = [];
  await waitFor(() => {
    calls.push(client.request(text("call")));
    return held.length > 0;
  }, "one to arrive");
  const settled = Promise.allSettled(calls);
  const closed = client.close();
  for (const [session, frame] of held) refuse(session, frame);
  await closed;
  const rejected = (await settled).filter((outcome) => outcome.status === "rejected");
  assert.ok(rejected.length > 0);
  for (const { reason } of rejected)
    assert.ok(["ERR_REMOTE", "ERR_CLOSED"].includes(reason.code), reason.code);
});

test("an endpoint without credit is full: the other one of two gets the calls", async () => {
  const release = deferred();
  const stuck = await startServer({
    ...options,
    maxConcurrentHandlers: 1,
    messageCreditBytes: 262_144,
    onMessage: async (message) => {
      await release.promise;
      message.reply(text("late"));
    },
  });
  const quick = await honest([]);
  const client = clientOf([stuck.port, quick.port], { maxConnections: 1 });
  await allOpen(client);
  const load = (index: number) => client.stats.endpoints![index]!;
  const slow: Promise<unknown>[] = [];
  const key = names(100).find((name) => {
    const before = load(0).inFlightRequests;
    slow.push(client.sticky(name).request(new Uint8Array(60_000)));
    return load(0).inFlightRequests > before;
  })!;
  for (let i = 0; i < 20; i++) slow.push(client.sticky(key).request(new Uint8Array(60_000)));
  await waitFor(() => load(0).pendingBytes > 0 && load(1).inFlightRequests === 0, "credit to run out");
  const before = load(0).inFlightRequests;
  // As many at once as would make the quick one look busier than the stuck one.
  const calls = Array.from({ length: 500 }, () => client.request(text("x")));
  assert.equal(load(0).inFlightRequests, before);
  await Promise.all(calls);
  release.resolve();
  await Promise.all(slow);
});

test("whatever servers do, no call runs twice, and who is told that nothing ran is told the truth", async () => {
  const begun = new Map<string, number>();
  const random = (most: number) => Math.floor(Math.random() * most);
  const start = (port = 0) =>
    startServer({
      ...options,
      port,
      maxConcurrentHandlers: 2,
      drainTimeoutMs: 20,
      onMessage: async (message) => {
        const name = fromText(message.body);
        begun.set(name, (begun.get(name) ?? 0) + 1);
        await sleep(random(4));
        if (message.expectsReply) message.reply(message.body);
      },
    });
  const servers = [await start(), await start(), await start()];
  const client = clientOf(servers.map(({ port }) => port));
  let count = 0;
  let running = true;
  const told = { answered: 0, notBegun: 0, unknown: 0 };
  const work = async (): Promise<void> => {
    while (running && count < 20_000) {
      const name = `call ${count++}`;
      try {
        const answer = random(2) === 0 ? client.request(text(name)) : client.call(text(name)).answer;
        assert.equal(fromText(await answer), name);
        assert.equal(begun.get(name), 1, name);
        told.answered++;
      } catch (error) {
        assert.ok(error instanceof SealwireError, String(error));
        if (error.notBegun) assert.equal(begun.get(name) ?? 0, 0, `${name} ran, but ${error.message}`);
        told[error.notBegun ? "notBegun" : "unknown"]++;
      }
    }
  };
  const workers = Array.from({ length: 40 }, work);
  for (let round = 0; round < 25; round++) {
    const enough = told.answered + 5; // a busy machine answers hardly any in the pause alone
    await sleep(10);
    await waitFor(() => told.answered >= enough, "some to be answered");
    const index = random(3);
    const server = servers[index]!;
    const [connection] = server.connections;
    const cut = connection as unknown as { destroy(error: SealwireError): void } | undefined;
    // With a close that says what was begun, without any, or with a drain and a successor.
    const fate = random(3);
    if (fate === 0) cut?.destroy(new SealwireError("ERR_CLOSED", "enough"));
    else if (fate === 1) cut?.destroy(new SealwireError("ERR_DECRYPT", "cut"));
    else {
      await server.close();
      servers[index] = await start(server.port);
    }
  }
  running = false;
  await Promise.all(workers);
  for (const [name, times] of begun) assert.equal(times, 1, `${name} ran ${times} times`);
  assert.ok(told.answered > 100, JSON.stringify(told));
});
