// Streams of calls: items arrive in order and whole. Whatever ends a call, at whatever point, every promise and
// iterator settles once and nothing of the stream is left.

import assert from "node:assert/strict";
import { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Call, Client, Message, Server } from "../../../src/index.ts";
import { test } from "../../support/harness.ts";
import { v1, v2 } from "../../support/protocols.ts";
import {
  assertSameBytes,
  checkLeaksAfterEachTest,
  deferred,
  fromText,
  patternBytes,
  rejectsWith,
  sleep,
  startClient,
  startPair,
  startServer,
  text,
  throwsWith,
  waitFor,
} from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

const EMPTY = new Uint8Array(0);
/** All runtimes have it; the types do not. */
const fromIterable = (items: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): ReadableStream<Uint8Array> =>
  (ReadableStream as unknown as { from(items: unknown): ReadableStream<Uint8Array> }).from(items);

function pair(onMessage: (message: Message) => unknown, options = {}, clientOptions = {}) {
  return startPair(
    { ...v2.options, onMessage, ...options },
    { ...v2.options, maxConnections: 1, ...clientOptions },
  );
}

async function collect(items: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const all: Uint8Array[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** Streams every item of the caller back, and answers with their number. */
async function echoItems(message: Message): Promise<void> {
  let count = 0;
  for await (const item of message) {
    await message.write(item);
    count++;
  }
  message.reply(text(String(count)));
}

async function writeAll(call: Call, items: Iterable<Uint8Array>): Promise<void> {
  for (const item of items) await call.write(item);
  call.end();
}

/** A request of its own still gets its answer: the connection is usable. */
async function expectUsable(client: Client): Promise<void> {
  assert.equal(client.connections.length, 1);
  assert.equal(fromText(await client.call(text("usable?"), { head: { method: "ping" } }).answer), "usable?");
  assert.equal(client.stats.inFlightRequests, 0);
}

/** A handler for `expectUsable`, and another for everything else. */
function withPing(handler: (message: Message) => unknown): (message: Message) => unknown {
  return (message) => (message.head.method === "ping" ? void message.reply(message.body) : handler(message));
}

test("items of all lengths both ways, whole and in order, and the answer behind them", async () => {
  const { client } = await pair(echoItems);
  const lengths = [0, 1, 15, 16, 15_983, 15_984, 16_000, 16_001, 16_368, 16_384, 70_000, 0, 1_048_576, 3];
  const items = lengths.map((length, i) => patternBytes(length, i));
  const call = client.call(text("echo"));
  const [got] = await Promise.all([collect(call), writeAll(call, items)]);
  assert.equal(got.length, items.length);
  for (const [i, item] of items.entries()) assertSameBytes(got[i]!, item, `item ${i}`);
  assert.equal(fromText(await call.answer), String(items.length));
});

test("servers stream to clients by calls of their own", async () => {
  let server!: Server;
  const started = await startPair(
    { ...v2.options },
    { ...v2.options, onMessage: echoItems, keepConnected: true },
  );
  server = started.server;
  await waitFor(() => server.connections.length === 1, "the connection");
  const call = server.connections[0]!.call(text("from the server"));
  const [got] = await Promise.all([collect(call), writeAll(call, [text("a"), text("b")])]);
  assert.deepEqual(got.map(fromText), ["a", "b"]);
  assert.equal(fromText(await call.answer), "2");
});

test("heads both ways", async () => {
  const { client } = await pair((message) => {
    const { method, traceParent, contentType, fields } = message.head;
    assert.deepEqual([method, traceParent, contentType], ["sum", "00-ab-cd-01", 2]);
    message.reply(fields!.get(200)!, { contentType: 1, fields: new Map([[128, text("back")]]) });
  });
  const call = client.call(EMPTY, {
    head: {
      method: "sum",
      traceParent: "00-ab-cd-01",
      contentType: 2,
      fields: new Map([[200, text("there")]]),
    },
  });
  assert.equal(fromText(await call.answer), "there");
  assert.equal(call.answerHead?.contentType, 1);
  assert.equal(fromText(call.answerHead!.fields!.get(128)!), "back");
});

test("who only waits for the answer gets none of the items, and holds nobody up", async () => {
  const { client } = await pair(async (message) => {
    for (let i = 0; i < 100; i++) await message.write(patternBytes(10_000));
    message.reply(text("done"));
  });
  assert.equal(fromText(await client.call(EMPTY).answer), "done");
});

test("a handler that throws ends the call, and what it had not sent is dropped", async () => {
  const { client } = await pair(
    withPing(async (message) => {
      await message.write(text("one"));
      throw Object.assign(new Error("secret"), { code: "ERR_OWN" });
    }),
    { onHandlerError: () => {} },
  );
  const call = client.call(EMPTY);
  const got: string[] = [];
  const error = await rejectsWith(
    (async () => {
      for await (const item of call) got.push(fromText(item));
    })(),
    "ERR_REMOTE",
  );
  assert.equal(error.notBegun, false);
  assert.ok(got.length <= 1);
  await rejectsWith(call.answer, "ERR_REMOTE");
  await rejectsWith(call.write(text("late")), "ERR_REMOTE");
  await expectUsable(client);
});

test("breaking out of the loop stops the handler's writes, and the answer still comes", async () => {
  const stopped = deferred<string>();
  const { client } = await pair(
    withPing(async (message) => {
      try {
        for (;;) await message.write(patternBytes(1_000));
      } catch (error) {
        stopped.resolve((error as { code: string }).code);
      }
      message.reply(text("stopped"));
    }),
  );
  const call = client.call(EMPTY);
  for await (const item of call) {
    assert.equal(item.length, 1_000);
    break;
  }
  assert.equal(await stopped.promise, "ERR_STREAM_STOPPED");
  assert.equal(fromText(await call.answer), "stopped");
  assert.deepEqual(await collect(call), []);
  await expectUsable(client);
});

test("a handler that breaks out of its loop stops the caller's writes", async () => {
  const { client } = await pair(
    withPing(async (message) => {
      for await (const _ of message) break;
      message.reply(text("enough"));
    }),
  );
  const call = client.call(EMPTY);
  await rejectsWith(
    (async () => {
      for (;;) await call.write(patternBytes(5_000));
    })(),
    "ERR_STREAM_STOPPED",
  );
  assert.equal(fromText(await call.answer), "enough");
  await expectUsable(client);
});

test("a loop that is left before the call is sent", async () => {
  const { client } = await pair(
    withPing(async (message) => {
      await rejectsWith(
        (async () => {
          for (;;) await message.write(patternBytes(1_000));
        })(),
        "ERR_STREAM_STOPPED",
      );
      message.reply(text("done"));
    }),
  );
  // Not dialled yet: the call has a number; and again behind a queue of requests, where it has none.
  const first = client.call(EMPTY);
  await first[Symbol.asyncIterator]().return!();
  assert.equal(fromText(await first.answer), "done");
  const hold = deferred();
  const busy = await startPair(
    {
      ...v2.options,
      maxRequests: 128,
      onMessage: async (message) => {
        if (message.head.method !== "stopped") await hold.promise;
        else
          await rejectsWith(
            (async () => {
              for (;;) await message.write(patternBytes(1_000));
            })(),
            "ERR_STREAM_STOPPED",
          );
        message.reply(message.body);
      },
    },
    { ...v2.options, maxConnections: 1 },
  );
  const before = Array.from({ length: 128 }, () => busy.client.request(text("x")));
  await waitFor(() => busy.client.connections[0]?.state === "open", "the connection");
  const late = busy.client.call(text("late"), { head: { method: "stopped" } });
  await late[Symbol.asyncIterator]().return!();
  late.end();
  hold.resolve();
  assert.equal(fromText(await late.answer), "late");
  await Promise.all(before);
  await expectUsable(client);
});

test("abort and time-out end both directions, at the handler too", async () => {
  const codes: string[] = [];
  let ended = 0;
  const { client } = await pair(
    withPing(async (message) => {
      await message.write(text("begun"));
      try {
        for await (const _ of message);
      } catch (error) {
        codes.push((error as { code: string }).code);
      }
      await rejectsWith(message.write(text("late")), codes.at(-1)!);
      assert.equal(message.signal.aborted, true);
      assert.equal(message.reply(EMPTY), false);
      ended++;
    }),
  );
  const controller = new AbortController();
  const call = client.call(EMPTY, { signal: controller.signal });
  const iterator = call[Symbol.asyncIterator]();
  assert.equal(fromText((await iterator.next()).value!), "begun");
  const [next, another] = [iterator.next(), iterator.next()];
  controller.abort();
  await rejectsWith(next, "ERR_ABORTED");
  await rejectsWith(another, "ERR_ABORTED");
  await rejectsWith(call.answer, "ERR_ABORTED");
  await rejectsWith(call.write(EMPTY), "ERR_ABORTED");
  await waitFor(() => ended === 1, "the handler to be told");

  const timed = client.call(EMPTY, { timeoutMs: 50 });
  await rejectsWith(collect(timed), "ERR_REQUEST_TIMEOUT");
  await waitFor(() => ended === 2, "the handler's deadline");
  assert.equal(codes[0], "ERR_ABORTED");
  assert.ok(["ERR_ABORTED", "ERR_REQUEST_TIMEOUT"].includes(codes[1]!));
  await expectUsable(client);
  assert.equal(client.stats.droppedReplies, 0);
});

test("an answer that waits behind items: it comes after them, or a cancel ends it", async () => {
  const replied = deferred();
  const { client } = await pair(
    withPing((message) => {
      for (let i = 0; i < 20; i++) void message.write(patternBytes(10_000, i));
      assert.equal(message.reply(text("behind")), true);
      replied.resolve();
    }),
  );
  const call = client.call(EMPTY);
  const iterator = call[Symbol.asyncIterator]();
  await replied.promise;
  for (let i = 0; i < 20; i++) assertSameBytes((await iterator.next()).value!, patternBytes(10_000, i));
  assert.equal((await iterator.next()).done, true);
  assert.equal(fromText(await call.answer), "behind");

  // Nobody takes the items: the permit of the request is free again all the same.
  const controllers = Array.from({ length: 128 }, () => new AbortController());
  const calls = controllers.map(({ signal }) => client.call(EMPTY, { signal }));
  for (const each of calls) each[Symbol.asyncIterator]();
  await sleep(20);
  for (const controller of controllers) controller.abort();
  for (const each of calls) await rejectsWith(each.answer, "ERR_ABORTED");
  await expectUsable(client);
});

test("a close waits for an answer that waits behind items", async () => {
  const { client, server } = await pair((message) => {
    for (let i = 0; i < 10; i++) void message.write(patternBytes(10_000, i));
    message.reply(text("the end"));
  });
  const call = client.call(EMPTY);
  const iterator = call[Symbol.asyncIterator]();
  assertSameBytes((await iterator.next()).value!, patternBytes(10_000, 0));
  const closed = server.close();
  for (let i = 1; i < 10; i++) assertSameBytes((await iterator.next()).value!, patternBytes(10_000, i));
  assert.equal(fromText(await call.answer), "the end");
  await closed;
});

test("a stream on a connection that drains goes on to its end", async () => {
  const { client } = await pair(echoItems);
  const call = client.call(EMPTY);
  await call.write(text("before"));
  const iterator = call[Symbol.asyncIterator]();
  assert.equal(fromText((await iterator.next()).value!), "before");
  const closed = client.close();
  for (let i = 0; i < 50; i++) {
    await call.write(patternBytes(5_000, i));
    assertSameBytes((await iterator.next()).value!, patternBytes(5_000, i));
  }
  call.end();
  assert.equal((await iterator.next()).done, true);
  assert.equal(fromText(await call.answer), "51");
  await closed;
});

for (const side of ["client", "server"] as const) {
  test(`the ${side} is lost in the middle: every promise and iterator settles, on both sides`, async () => {
    const settled: string[] = [];
    const note = (what: string, promise: Promise<unknown>) =>
      promise.then(
        () => settled.push(`${what} ok`),
        (error) => settled.push(`${what} ${error.code}`),
      );
    const begun = deferred<Message>();
    const { client, server } = await pair(
      async (message) => {
        begun.resolve(message);
        const writes: Promise<unknown>[] = [];
        for (let i = 0; i < 5; i++) writes.push(note("handler write", message.write(patternBytes(20_000))));
        await note("handler loop", collect(message));
        await Promise.all(writes);
      },
      { drainTimeoutMs: 0 },
      { drainTimeoutMs: 0 },
    );
    const call = client.call(EMPTY);
    const loop = call[Symbol.asyncIterator]();
    const writes = Array.from({ length: 5 }, () => note("caller write", call.write(patternBytes(20_000))));
    await begun.promise;
    await (side === "client" ? client.close() : server.close());
    const taken: string[] = [];
    for (let i = 0; i < 10; i++) {
      try {
        const { done } = await loop.next();
        taken.push(done ? "done" : "item");
      } catch (error) {
        taken.push((error as { code: string }).code);
        break;
      }
    }
    assert.ok(["ERR_CLOSED", "ERR_CONNECTION_LOST"].includes(taken.at(-1)!), taken.join());
    await assert.rejects(call.answer);
    await Promise.all(writes);
    await waitFor(() => settled.length === 11, `all to settle: ${settled}`);
    assert.equal(settled.filter((line) => line.startsWith("caller write")).length, 5);
    assert.match(settled.find((line) => line.startsWith("handler loop"))!, /ERR_/);
  });
}

test("a request that was answered early does not count as open while its handler goes on", async () => {
  const hold = deferred();
  let handled = 0;
  const { client, server } = await pair(
    async (message) => {
      handled++;
      message.reply(message.body);
      await hold.promise;
    },
    { maxRequests: 128 },
  );
  for (let i = 0; i < 300; i++) assert.equal(fromText(await client.request(text(`${i}`))), `${i}`);
  assert.equal(server.connections.length, 1);
  assert.equal(handled, 300);
  hold.resolve();
});

test("a handler's answer ends its loop: what it did not take is not passed over in silence", async () => {
  const ends: string[] = [];
  const { client } = await pair(
    withPing(async (message) => {
      const iterator = message[Symbol.asyncIterator]();
      await iterator.next();
      message.reply(text("early"));
      await iterator.next().then(
        () => ends.push("done"),
        (error) => ends.push(error.code),
      );
    }),
  );
  const call = client.call(EMPTY);
  await call.write(text("one"));
  assert.equal(fromText(await call.answer), "early");
  await rejectsWith(call.write(text("two")), "ERR_STREAM_STOPPED");
  await waitFor(() => ends.length === 1, "the loop");
  assert.deepEqual(ends, ["ERR_ALREADY_ANSWERED"]);
  await expectUsable(client);
});

test("an item above the receiver's limit: its consumer and its sender are told, nothing else is disturbed", async () => {
  const { client } = await pair(
    withPing(async (message) => {
      await message.write(text("good"));
      await rejectsWith(
        (async () => {
          await message.write(patternBytes(200_000));
          for (;;) await message.write(patternBytes(10_000));
        })(),
        "ERR_STREAM_STOPPED",
      );
      message.reply(text("answered"));
    }),
    {},
    { maxFrameBytes: 65_536 },
  );
  const call = client.call(EMPTY);
  const got: string[] = [];
  await rejectsWith(
    (async () => {
      for await (const item of call) got.push(fromText(item));
    })(),
    "ERR_MESSAGE_TOO_LARGE",
  );
  assert.deepEqual(got, ["good"]);
  assert.equal(fromText(await call.answer), "answered");
  await expectUsable(client);
});

test("writes that nobody awaits are sent in order, and end with the call", async () => {
  const { client } = await pair(echoItems);
  const call = client.call(EMPTY);
  const items = Array.from({ length: 200 }, (_, i) => patternBytes(1_000 + i, i));
  const written = items.map((item) => call.write(item));
  call.end();
  call.end();
  const late = call.write(text("late"));
  await rejectsWith(late, "ERR_CLOSED");
  const got = await collect(call);
  await Promise.all(written);
  for (const [i, item] of items.entries()) assertSameBytes(got[i]!, item);
  assert.equal(fromText(await call.answer), "200");
});

/** What a peer does so that writes are refused. */
const refusals: Record<string, { readonly code: string; readonly by: (client: Client) => Promise<unknown> }> =
  {
    "leaves the stream": {
      code: "ERR_STREAM_STOPPED",
      by: async (client) => {
        for await (const _item of client.call(EMPTY)) break;
      },
    },
    "aborts the call": {
      code: "ERR_ABORTED",
      by: async (client) => {
        const abort = new AbortController();
        for await (const _item of client.call(EMPTY, { signal: abort.signal })) abort.abort();
      },
    },
    "closes the connection": {
      code: "ERR_CONNECTION_LOST",
      by: async (client) => {
        for await (const _item of client.call(EMPTY)) void client.close();
      },
    },
    "wants no stream": {
      code: "ERR_UNSUPPORTED",
      by: (client) => client.call(EMPTY, { streams: false }).answer,
    },
    "makes a request": { code: "ERR_UNSUPPORTED", by: (client) => client.request(EMPTY) },
  };

for (const [what, { code, by }] of Object.entries(refusals)) {
  test(`a handler that awaits none of its writes, and a caller that ${what}: no unhandled rejection`, async () => {
    const codes = new Set<string>();
    const { client } = await pair(
      async (message) => {
        for (let i = 0; i < 1_000 && codes.size === 0; i++) {
          void message.write(text("unawaited"));
          message.write(text("awaited")).catch((error) => codes.add(error.code));
          await sleep(1);
        }
        for (let i = 0; i < 10; i++) void message.write(text("late"));
        message.reply(EMPTY);
        void message.write(text("behind the answer"));
      },
      {},
      { drainTimeoutMs: 20 },
    );
    await by(client).catch(() => {});
    await waitFor(() => codes.size > 0, "a write that is refused");
    assert.deepEqual([...codes], [code]);
    await sleep(1);
  });
}

test("a call whose answer nobody asks for is no unhandled rejection, with streams and without", async () => {
  let answered = 0;
  const { client } = await pair(
    () => {
      answered++;
      throw new Error("refused");
    },
    { onHandlerError() {} },
  );
  const aborted = AbortSignal.abort();
  for (const streams of [true, false]) {
    client.call(EMPTY, { streams });
    client.call(EMPTY, { streams, signal: aborted });
    const call = client.call(EMPTY, { streams });
    await waitFor(() => answered % 2 === 0, "the handler");
    // Whoever asks later is told.
    await rejectsWith(call.answer, "ERR_REMOTE");
  }
  const unreachable = startClient({ ...v2.options, port: 1 });
  for (const streams of [true, false]) {
    unreachable.call(EMPTY, { streams });
    await rejectsWith(unreachable.call(EMPTY, { streams }).answer, "ERR_DIAL_FAILED");
  }
});

test("more than maxPendingBytes of one stream reject, and the rest is sent", async () => {
  const hold = deferred();
  const { client } = await pair(
    async (message) => {
      await hold.promise;
      message.reply(text(String((await collect(message)).length)));
    },
    {},
    { maxFrameBytes: 65_536, maxPendingBytes: 65_536 },
  );
  const call = client.call(EMPTY);
  const outcomes = Array.from({ length: 20 }, () =>
    call.write(patternBytes(10_000)).then(
      () => "sent",
      (error) => error.code,
    ),
  );
  call.end();
  hold.resolve();
  const all = await Promise.all(outcomes);
  const sent = all.filter((outcome) => outcome === "sent").length;
  assert.ok(sent > 2 && sent < 12, String(sent));
  assert.deepEqual(new Set(all), new Set(["sent", "ERR_BACKPRESSURE"]));
  assert.equal(fromText(await call.answer), String(sent));
});

test("empty items cost something, too: they don't wait without a limit", async () => {
  const hold = deferred();
  const { client } = await pair(
    async (message) => {
      await hold.promise;
      message.reply(text(String((await collect(message)).length)));
    },
    {},
    { maxFrameBytes: 65_536, maxPendingBytes: 65_536 },
  );
  const call = client.call(EMPTY);
  let refused = 0;
  const writes: Promise<unknown>[] = [];
  for (let i = 0; i < 10_000; i++) writes.push(call.write(EMPTY).catch(() => refused++));
  await sleep(0);
  call.end();
  hold.resolve();
  await Promise.all(writes);
  assert.ok(refused > 0 && refused < 10_000, String(refused));
  assert.equal(fromText(await call.answer), String(10_000 - refused));
});

test("a thousand streams at once where they are allowed", async () => {
  const { client } = await pair(echoItems, { maxStreams: 1_000 }, { maxInFlightRequests: 1_024 });
  const results = await Promise.all(
    Array.from({ length: 1_000 }, async (_, i) => {
      const call = client.call(EMPTY);
      const [got] = await Promise.all([
        collect(call),
        writeAll(call, [text(`${i}`), patternBytes(2_000, i)]),
      ]);
      assert.equal(fromText(got[0]!), `${i}`);
      assertSameBytes(got[1]!, patternBytes(2_000, i));
      return fromText(await call.answer);
    }),
  );
  assert.deepEqual(new Set(results), new Set(["2"]));
});

test("streams above the peer's limit are refused, in order, as not begun; the peer's own calls have their own", async () => {
  const hold = deferred();
  const { client, server } = await pair(
    async (message) => {
      await hold.promise;
      message.reply(message.body);
    },
    {},
    { onMessage: echoItems },
  );
  const calls = Array.from({ length: 200 }, (_, i) => client.call(text(`${i}`)));
  const outcomes = calls.map((call) =>
    call.answer.then(
      (answer) => fromText(answer),
      (error) => `${error.remoteCode ?? error.code} ${error.notBegun}`,
    ),
  );
  const refused = await Promise.all(outcomes.slice(128));
  assert.deepEqual(new Set(refused), new Set(["ERR_TOO_MANY_REQUESTS true"]));
  const back = server.connections[0]!.call(EMPTY);
  back.end();
  assert.equal(fromText(await back.answer), "0");
  hold.resolve();
  assert.deepEqual(
    await Promise.all(outcomes.slice(0, 128)),
    Array.from({ length: 128 }, (_, i) => `${i}`),
  );
});

test("a slow consumer slows its producer, and nobody else", async () => {
  let produced = 0;
  const { client } = await pair(
    withPing(async (message) => {
      if (message.head.method === "slow") {
        for (let i = 0; i < 1_000; i++) {
          await message.write(patternBytes(10_000));
          produced++;
        }
      } else await echoItems(message);
      if (message.expectsReply) message.reply(EMPTY);
    }),
  );
  const slow = client.call(EMPTY, { head: { method: "slow" } });
  const iterator = slow[Symbol.asyncIterator]();
  assert.equal((await iterator.next()).value!.length, 10_000);
  // Others go on while nobody takes anything of that one.
  for (let i = 0; i < 20; i++) await expectUsable2(client);
  const fast = client.call(EMPTY);
  const items = Array.from({ length: 100 }, (_, i) => patternBytes(10_000, i));
  const [got] = await Promise.all([collect(fast), writeAll(fast, items)]);
  assert.equal(got.length, 100);
  // The first credit, and a doubling for the one that waited: not the thousand.
  assert.ok(produced < 20, `${produced} items were produced for nobody`);
  let taken = 1;
  for (let next = await iterator.next(); !next.done; next = await iterator.next()) taken++;
  assert.equal(taken, 1_000);
  await slow.answer;
});

async function expectUsable2(client: Client): Promise<void> {
  assert.equal(fromText(await client.call(text("usable?"), { head: { method: "ping" } }).answer), "usable?");
}

test("small requests between bulk streams both ways", async () => {
  const BULK = 4;
  const ITEMS = 100;
  const { client } = await pair(withPing(echoItems));
  let running = BULK;
  const bulk = Array.from({ length: BULK }, async () => {
    const call = client.call(EMPTY);
    const items = Array.from({ length: ITEMS }, (_, i) => patternBytes(50_000, i));
    const [got] = await Promise.all([collect(call), writeAll(call, items)]);
    running--;
    assert.equal(got.length, ITEMS);
    for (const [i, item] of items.entries()) assertSameBytes(got[i]!, item);
    assert.equal(fromText(await call.answer), String(ITEMS));
  });
  let between = 0;
  while (running > 0 && between < 100_000) {
    await expectUsable2(client);
    if (running > 0) between++;
  }
  await Promise.all(bulk);
  assert.ok(between >= 10, `${between} requests were answered while the streams ran`);
});

test("web streams and Node streams at the edges", async () => {
  const { client } = await pair(async (message) => {
    if (message.head.method === "web") {
      let count = 0;
      const sink = new WritableStream<Uint8Array>({
        write: async (item) => {
          count++;
          await message.write(item);
        },
      });
      await fromIterable(message).pipeTo(sink);
      message.reply(text(String(count)));
      return;
    }
    let count = 0;
    const sink = new Writable({
      objectMode: true,
      write(item: Uint8Array, _encoding, done) {
        count++;
        message.write(item).then(() => done(), done);
      },
    });
    await pipeline(Readable.from(message), sink);
    message.reply(text(String(count)));
  });
  const items = Array.from({ length: 60 }, (_, i) => patternBytes(5_000 + i, i));
  for (const method of ["web", "node"]) {
    const call = client.call(EMPTY, { head: { method } });
    const source = async () => {
      const sink = new WritableStream<Uint8Array>({
        write: (item) => call.write(item),
        close: () => call.end(),
      });
      if (method === "web") await fromIterable(items).pipeTo(sink);
      else {
        const writable = new Writable({
          objectMode: true,
          write: (item: Uint8Array, _encoding, done) => void call.write(item).then(() => done(), done),
          final: (done) => {
            call.end();
            done();
          },
        });
        await pipeline(Readable.from(items), writable);
      }
    };
    const drain = async () => {
      if (method === "node") return collect(Readable.from(call) as AsyncIterable<Uint8Array>);
      const got: Uint8Array[] = [];
      const sink = new WritableStream<Uint8Array>({ write: (item) => void got.push(item) });
      await fromIterable(call).pipeTo(sink);
      return got;
    };
    const [got] = await Promise.all([drain(), source()]);
    assert.equal(got.length, items.length, method);
    for (const [i, item] of items.entries()) assertSameBytes(got[i]!, item, method);
    assert.equal(fromText(await call.answer), "60", method);
  }
});

test("a web stream that is cancelled and a Node stream that is destroyed stop the far side", async () => {
  const codes: string[] = [];
  const { client } = await pair(
    withPing(async (message) => {
      try {
        for (;;) await message.write(patternBytes(1_000));
      } catch (error) {
        codes.push((error as { code: string }).code);
      }
      message.reply(text("stopped"));
    }),
  );
  const first = client.call(EMPTY);
  const reader = fromIterable(first).getReader();
  assert.equal((await reader.read()).value!.length, 1_000);
  await reader.cancel();
  assert.equal(fromText(await first.answer), "stopped");
  const second = client.call(EMPTY);
  const readable = Readable.from(second);
  for await (const item of readable) {
    assert.equal((item as Uint8Array).length, 1_000);
    break;
  }
  assert.equal(readable.destroyed, true);
  assert.equal(fromText(await second.answer), "stopped");
  assert.deepEqual(codes, ["ERR_STREAM_STOPPED", "ERR_STREAM_STOPPED"]);
  await expectUsable(client);
});

test("what is no call has no stream, and protocol v1 says that it has none", async () => {
  const codes: string[] = [];
  const { client } = await pair(async (message) => {
    assert.deepEqual(await collect(message), []);
    assert.equal(message.remainingMs, undefined);
    assert.deepEqual(message.head, {});
    codes.push((await rejectsWith(message.write(text("x")), "ERR_UNSUPPORTED")).code);
    if (message.expectsReply) {
      throwsWith(() => message.reply(EMPTY, { contentType: 1 }), "ERR_UNSUPPORTED");
      message.reply(EMPTY);
    }
  });
  await client.request(text("plain"));
  await client.send(text("one way"));
  await waitFor(() => codes.length === 2, "both");

  const old = await startServer({ ...v1.options, onMessage: (message) => void message.reply(message.body) });
  const oldClient = startClient({ ...v1.options, port: old.port });
  throwsWith(() => oldClient.call(text("x")), "ERR_UNSUPPORTED");
  await oldClient.request(text("x"));
  throwsWith(() => oldClient.connections[0]!.call(text("x")), "ERR_UNSUPPORTED");
});

test("arguments of call, write and reply's head", async () => {
  const { client } = await pair(async (message) => {
    throwsWith(() => message.write("x" as never), "ERR_INVALID_ARGUMENT");
    throwsWith(() => message.reply(EMPTY, { contentType: 256 }), "ERR_INVALID_ARGUMENT");
    throwsWith(() => message.reply(EMPTY, null as never), "ERR_INVALID_ARGUMENT");
    message.reply(EMPTY);
  });
  for (const head of [
    null,
    { method: 5 },
    { method: "x".repeat(1_025) },
    { traceParent: "x".repeat(257) },
    { contentType: -1 },
    { contentType: 1.5 },
    { fields: {} },
    { fields: new Map([[127, EMPTY]]) },
    { fields: new Map([[256, EMPTY]]) },
    { fields: new Map([[128, "x"]]) },
    { fields: new Map([[128, new Uint8Array(65_536)]]) },
  ]) {
    throwsWith(() => client.call(EMPTY, { head: head as never }), "ERR_INVALID_ARGUMENT");
  }
  throwsWith(() => client.call("x" as never), "ERR_INVALID_ARGUMENT");
  throwsWith(() => client.call(EMPTY, { timeoutMs: -1 }), "ERR_INVALID_ARGUMENT");
  const call = client.call(EMPTY);
  throwsWith(() => call.write(undefined as never), "ERR_INVALID_ARGUMENT");
  await call.answer;
});

test("1 GiB through one stream, with flat memory", {
  timeoutMs: 300_000,
  ...(process.env.SEALWIRE_TEST_GIB === "1" ? {} : { skip: "set SEALWIRE_TEST_GIB=1" }),
}, async () => {
  const ITEM = 65_536;
  const COUNT = 16_384;
  const { client } = await pair(async (message) => {
    const item = patternBytes(ITEM);
    for (let i = 0; i < COUNT; i++) await message.write(item);
    message.reply(EMPTY);
  });
  const call = client.call(EMPTY, { timeoutMs: 0 });
  let bytes = 0;
  let early = 0;
  let most = 0;
  for await (const item of call) {
    bytes += item.length;
    if (bytes % (64 * 1_048_576) !== 0) continue;
    const { rss } = process.memoryUsage();
    if (bytes <= 256 * 1_048_576) early = Math.max(early, rss);
    else most = Math.max(most, rss);
  }
  await call.answer;
  assert.equal(bytes, ITEM * COUNT);
  assert.ok(most < early + 128 * 1_048_576, `${early} B early, ${most} B later`);
});
