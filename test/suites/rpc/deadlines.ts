// Deadlines of calls: the remaining time travels with the call and runs out at the handler without a cancel.

import assert from "node:assert/strict";
import type { Message } from "../../../src/index.ts";
import { Origin } from "../../../src/protocol/errorBody.ts";
import { decodeHead, encodeWithHead } from "../../../src/protocol/head.ts";
import { Kind } from "../../../src/protocol/wire.ts";
import { timers } from "../../../src/rpc/timers.ts";
import { test } from "../../support/harness.ts";
import { v2 } from "../../support/protocols.ts";
import { RawListener, RawPeer } from "../../support/rawPeer.ts";
import { RawSession } from "../../support/rawSession.ts";
import {
  checkLeaksAfterEachTest,
  deferred,
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

const EMPTY = new Uint8Array(0);

test("the handler learns how long its caller waits, and that shrinks", async () => {
  const seen: (number | undefined)[] = [];
  const { client } = await startPair(
    {
      ...v2.options,
      onMessage: async (message) => {
        seen.push(message.remainingMs);
        await sleep(20);
        seen.push(message.remainingMs);
        message.reply(EMPTY);
      },
    },
    v2.options,
  );
  await client.call(EMPTY, { timeoutMs: 10_000 }).answer;
  const [first, second] = seen as [number, number];
  assert.ok(first > 0 && first <= 10_000, String(first));
  assert.ok(second < first, `${second} after ${first}`);
  seen.length = 0;
  await client.call(EMPTY, { timeoutMs: 0 }).answer;
  await client.request(EMPTY, { timeoutMs: 10_000 });
  assert.deepEqual(seen, [undefined, undefined, undefined, undefined]);
});

test("a deadline that passes aborts the handler's signal though no cancel comes, and its end is the library's", async () => {
  const reasons: string[] = [];
  const failures: unknown[] = [];
  const server = await startServer({
    ...v2.options,
    onHandlerError: (error) => failures.push(error),
    onMessage: async (message) => {
      await new Promise<void>((resolve) => message.signal.addEventListener("abort", () => resolve()));
      reasons.push((message.signal.reason as { code: string }).code);
      if (reasons.length === 1) assert.equal(message.remainingMs, 0);
      assert.equal(message.expectsReply, false);
      assert.equal(message.reply(EMPTY), false);
    },
  });
  const session = await v2.rawSession(await RawPeer.connect(server.port), "client");
  session.peer.write(session.seal(1, encodeWithHead({ deadlineMs: 30 }, EMPTY), Kind.call));
  const end = await session.receive();
  assert.deepEqual([end.kind, end.sequence, end.body[0]], [Kind.error, 1, Origin.library]);
  assert.deepEqual(reasons, ["ERR_REQUEST_TIMEOUT"]);
  // 0: it had passed when it was written, and nothing is begun.
  session.peer.write(session.seal(3, encodeWithHead({ deadlineMs: 0 }, EMPTY), Kind.call));
  const refused = await session.receive();
  assert.deepEqual([refused.kind, refused.sequence, refused.body[0]], [Kind.error, 3, Origin.notBegun]);
  // The longest deadline there is.
  session.peer.write(session.seal(5, encodeWithHead({ deadlineMs: 0xffffffff }, EMPTY), Kind.call));
  session.peer.write(session.seal(5, EMPTY, Kind.cancel));
  assert.equal((await session.receive()).sequence, 5);
  assert.deepEqual(reasons.at(-1), "ERR_ABORTED");
  assert.deepEqual(failures, []);
  session.destroy();
  await session.peer.destroy();
});

test("a call whose deadline passes while it waits for a handler is never begun", async () => {
  const hold = deferred();
  const begun: string[] = [];
  const server = await startServer({
    ...v2.options,
    maxConcurrentHandlers: 2,
    onMessage: async (message) => {
      begun.push(fromText(message.body));
      await hold.promise;
      message.reply(EMPTY);
    },
  });
  const session = await v2.rawSession(await RawPeer.connect(server.port), "client");
  const call = (number: number, body: string, deadlineMs: number) =>
    session.peer.write(session.seal(number, encodeWithHead({ deadlineMs }, text(body)), Kind.call));
  call(1, "first", 60_000);
  call(3, "second", 60_000);
  call(5, "waits", 30);
  call(7, "also waits", 60_000);
  const refused = await session.receive();
  assert.deepEqual([refused.kind, refused.sequence, refused.body[0]], [Kind.error, 5, Origin.notBegun]);
  hold.resolve();
  for (const number of [1, 3, 7]) assert.equal((await session.receive()).sequence, number);
  assert.deepEqual(begun, ["first", "second", "also waits"]);
  session.destroy();
  await session.peer.destroy();
});

test("what waits here for its turn says how much is left when it is written", async () => {
  const listener = await RawListener.listen();
  const client = startClient({ ...v2.options, port: listener.port, maxConnections: 1 });
  const first = Array.from({ length: 128 }, () => client.request(EMPTY));
  const call = client.call(text("body"), { timeoutMs: 60_000, head: { method: "late" } });
  const session = await RawSession.v2(await listener.accept(), "server", v2.options.psk as string, false);
  session.peer.write(session.seal(0, EMPTY, Kind.settings));
  const asked: number[] = [];
  for (let i = 0; i < 128; i++) asked.push((await session.receive()).sequence);
  await sleep(60);
  for (const sequence of asked) session.peer.write(session.seal(sequence, EMPTY, Kind.reply));
  const sent = await session.receive();
  const { head, bodyStart, fault } = decodeHead(sent.body, 0, sent.body.length);
  assert.equal(fault, undefined);
  assert.equal(head.method, "late");
  assert.equal(fromText(sent.body.slice(bodyStart)), "body");
  assert.ok(head.deadlineMs! > 0 && head.deadlineMs! <= 60_000 - 50, String(head.deadlineMs));
  session.peer.write(session.seal(sent.sequence, EMPTY, Kind.reply));
  await Promise.all([...first, call.answer]);
  session.destroy();
  await session.peer.destroy();
  await client.close();
  await listener.close();
});

test("a call that is made inside a handler passes on what is left", async () => {
  const left: number[] = [];
  const inner = await startServer({
    ...v2.options,
    onMessage: async (message) => {
      left.push(message.remainingMs!);
      await new Promise<void>((resolve) => message.signal.addEventListener("abort", () => resolve()));
    },
  });
  const toInner = startClient({ ...v2.options, port: inner.port });
  const codes: string[] = [];
  const { client } = await startPair(
    {
      ...v2.options,
      onMessage: async (message: Message) => {
        await sleep(10);
        const { signal, remainingMs } = message;
        left.push(remainingMs!);
        const call = toInner.call(message.body, { signal, timeoutMs: Math.max(Math.floor(remainingMs!), 1) });
        codes.push((await rejectsWithAny(call.answer)).code);
      },
    },
    v2.options,
  );
  await Promise.all([client.connected(), toInner.connected()]);
  await rejectsWith(client.call(EMPTY, { timeoutMs: 1_000 }).answer, "ERR_REQUEST_TIMEOUT");
  await waitFor(() => codes.length === 1, "the call inside");
  assert.ok(["ERR_ABORTED", "ERR_REQUEST_TIMEOUT"].includes(codes[0]!), codes[0]);
  assert.ok(left[0]! <= 1_000 && left[1]! <= left[0]!, left.join());
});

async function rejectsWithAny(promise: Promise<unknown>): Promise<{ code: string }> {
  try {
    await promise;
  } catch (error) {
    return error as { code: string };
  }
  throw new Error("resolved");
}

test("connections that end leave no deadline behind, of calls that run, that wait, and that answer behind items", async () => {
  const hold = deferred();
  let begun = 0;
  const server = await startServer({
    ...v2.options,
    maxConcurrentHandlers: 3,
    heartbeatIntervalMs: 0,
    writeTimeoutMs: 0,
    onHandlerError: () => {},
    onMessage: async (message) => {
      begun++;
      if (message.head.method === "items") {
        for (let i = 0; i < 5; i++) void message.write(new Uint8Array(20_000));
        message.reply(EMPTY);
        return;
      }
      await hold.promise;
    },
  });
  const session = await v2.rawSession(await RawPeer.connect(server.port), "client");
  for (let i = 0; i < 20; i++) {
    const head = {
      deadlineMs: 1_000_000,
      streams: true,
      streamCredit: 16_384,
      ...(i < 5 && { method: "items" }),
    };
    session.peer.write(session.seal(2 * i + 1, encodeWithHead(head, EMPTY), Kind.call));
  }
  await waitFor(() => begun >= 8, "the handlers");
  await waitFor(() => timers.size >= 20, `all deadlines: ${timers.size}`);
  session.destroy();
  await session.peer.destroy();
  await waitFor(() => server.connections.length === 0, "the end");
  // A server may have timers of its own.
  await server.close();
  await waitFor(() => timers.size === 0, "the deadlines to go");
  hold.resolve();
});

test("maxDeadlineMs: no call lasts longer here than the server says, whatever its caller says", async () => {
  const remaining: (number | undefined)[] = [];
  const onMessage = async (message: Message): Promise<void> => {
    remaining.push(message.remainingMs);
    if (fromText(message.body) === "answer") message.reply(EMPTY);
    else if (message.remainingMs !== undefined)
      await new Promise<void>((resolve) => message.signal.addEventListener("abort", () => resolve()));
    else message.reply(EMPTY);
  };
  const { client } = await startPair({ ...v2.options, maxDeadlineMs: 60, onMessage }, v2.options);
  for (const timeoutMs of [60_000, 0]) {
    const reason = { code: "ERR_REMOTE", remoteCode: "ERR_REQUEST_TIMEOUT", notBegun: false };
    await assert.rejects(client.call(text("wait"), { timeoutMs }).answer, reason);
  }
  assert.equal(remaining.length, 2);
  for (const each of remaining) assert.ok(each! > 0 && each! <= 60, String(each));
  // A request without a head has none.
  await client.request(text("request"));
  assert.equal(remaining[2], undefined);
  const patient = await startPair({ ...v2.options, maxDeadlineMs: 60_000, onMessage }, v2.options);
  await patient.client.call(text("answer"), { timeoutMs: 30_000 }).answer;
  assert.ok(remaining[3]! <= 30_000, "a shorter deadline stays");
});

test("maxDeadlineMs is checked", async () => {
  await assert.rejects(async () => await startServer({ ...v2.options, maxDeadlineMs: -1 }), {
    code: "ERR_INVALID_ARGUMENT",
    message: /maxDeadlineMs/,
  });
});
