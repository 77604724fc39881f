// Streams of typed calls, both ways and several at once: one side yields items and the other gets them at its own pace.
// Whatever ends a stream, the producer's `finally` runs and nothing is left.

import assert from "node:assert/strict";
import type { Client } from "../../../src/index.ts";
import { method, type RemoteStream, RpcError, typed } from "../../../src/rpc.ts";
import { collectGarbage } from "../../support/garbage.ts";
import { test } from "../../support/harness.ts";
import { v2 } from "../../support/protocols.ts";
import { RawListener } from "../../support/rawPeer.ts";
import {
  checkLeaksAfterEachTest,
  deferred,
  patternBytes,
  rejectsWith,
  sleep,
  startClient,
  waitFor,
} from "../../support/rpcHarness.ts";
import { rejectsWithRpc, typedPair } from "../../support/typedHarness.ts";
import { About, codeOf, NO_BYTES, typedHead } from "../../support/typedWire.ts";

checkLeaksAfterEachTest();

async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

async function* count(from: number, to: number): AsyncGenerator<number, string> {
  for (let i = from; i < to; i++) yield i;
  return "done";
}

/** A producer that notes how far it came and that it was told to end. */
class Watched {
  yielded = 0;
  readonly closed = deferred();

  async *items<Item>(make: (i: number) => Item, most = Number.POSITIVE_INFINITY): AsyncGenerator<Item, void> {
    try {
      while (this.yielded < most) yield make(this.yielded++);
    } finally {
      this.closed.resolve();
    }
  }
}

test("a generator's items, of any kind and length, and what it returns", async () => {
  const items = [null, "text", 5, { a: [1] }, patternBytes(100_000), new Date(1), "", [], undefined];
  const api = {
    all: async function* () {
      yield* items;
      return "end";
    },
    count: method(async function* (to: number) {
      return yield* count(0, to);
    }),
    promised: async () => count(0, 3),
    empty: async function* () {},
  };
  const { remote, client } = await typedPair<typeof api>(api);
  assert.deepEqual(await collect(await remote.all()), items);
  const stream = await remote.count(2, { timeoutMs: 60_000 });
  assert.deepEqual(await stream.next(), { done: false, value: 0 });
  assert.deepEqual(await stream.next(), { done: false, value: 1 });
  assert.deepEqual(await stream.next(), { done: true, value: "done" });
  assert.deepEqual(await stream.next(), { done: true, value: undefined });
  assert.deepEqual(await collect(await remote.promised()), [0, 1, 2]);
  assert.deepEqual(await collect(await remote.empty()), []);
  await waitFor(() => client.stats.inFlightRequests === 0, "the ends");
});

test("many items, faster than they are read: the producer is held up by its consumer, and by no other", async () => {
  const watched = new Watched();
  const api = {
    watch: async function* () {
      yield* watched.items((i) => ({ i, text: "x".repeat(1_000) }));
    },
    echo: (value: number) => value,
  };
  const { remote } = await typedPair<typeof api>(api);
  const stream = await remote.watch();
  await stream.next();
  let before = -1;
  await waitFor(() => {
    const stopped = watched.yielded === before;
    before = watched.yielded;
    return stopped && before > 1;
  }, "the producer to stop");
  // 16 KiB of credit, what is on its way, and what waits for it: not the thousands that a loop would make.
  assert.ok(watched.yielded < 100, `${watched.yielded} items`);
  assert.equal(await remote.echo(5), 5);
  for (let i = 1; i < 500; i++) {
    const { value } = await stream.next();
    assert.equal((value as { i: number }).i, i);
  }
  await stream.return();
  await watched.closed.promise;
});

test("leaving the loop ends the producer, at an item, between items, and before the first", async () => {
  const signals: boolean[] = [];
  const producers: Watched[] = [];
  const hung = deferred();
  const api = {
    watch: method(async function* (_: undefined, context) {
      const watched = new Watched();
      producers.push(watched);
      context.signal.addEventListener("abort", () => signals.push(true));
      yield* watched.items((i) => i);
    }),
    hang: method(async function* (_: undefined, { signal }) {
      try {
        yield 0;
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        yield 1;
      } finally {
        hung.resolve();
      }
    }),
  };
  const { client, remote } = await typedPair<typeof api>(api);
  for await (const i of await remote.watch()) if (i === 3) break;
  await producers[0]!.closed.promise;
  assert.deepEqual(signals, [true]);
  const early = await remote.watch();
  await early.return();
  assert.deepEqual(await early.next(), { done: true, value: undefined });
  await waitFor(() => client.stats.inFlightRequests === 0, "the ends");
  const hanging = await remote.hang();
  assert.equal((await hanging.next()).value, 0);
  const waiting = hanging.next();
  await hanging.return();
  await hung.promise;
  assert.deepEqual(await waiting, { done: true, value: undefined });
  await waitFor(() => client.stats.inFlightRequests === 0, "the ends");
});

test("what a producer throws reaches the consumer behind the items, an RpcError as it is", async () => {
  const failures: unknown[] = [];
  const api = {
    own: async function* () {
      yield 1;
      throw new RpcError("GONE", "no more", { after: 1 });
    },
    other: async function* () {
      yield 1;
      throw new Error("password 123");
    },
    unsendable: async function* () {
      yield 1;
      yield () => {};
    },
    noIterator: () => ({
      [Symbol.asyncIterator]() {
        throw new Error("password 123");
      },
    }),
  };
  const { remote } = await typedPair<typeof api>(api, {
    onHandlerError: (error: unknown) => failures.push(error),
  });
  const got: unknown[] = [];
  const error = await rejectsWithRpc(
    (async () => {
      for await (const item of await remote.own()) got.push(item);
    })(),
    "GONE",
    "own",
  );
  assert.deepEqual([got, error.data], [[1], { after: 1 }]);
  await rejectsWithRpc(
    remote.other().then((items) => collect(items)),
    "ERR_INTERNAL",
    "other",
  );
  await rejectsWithRpc(
    remote.unsendable().then((items) => collect(items)),
    "ERR_BAD_ANSWER",
    "unsendable",
  );
  await rejectsWithRpc(
    (remote.noIterator() as Promise<AsyncIterable<unknown>>).then((items) => collect(items)),
    "ERR_INTERNAL",
    "noIterator",
  );
  await waitFor(() => failures.length === 3, "the reports");
});

test("streams of arguments: one, several, within objects, and beside other arguments", async () => {
  const api = {
    sum: async (numbers: AsyncIterable<number>) => (await collect(numbers)).reduce((a, b) => a + b, 0),
    store: async (name: string, parts: AsyncIterable<Uint8Array>) => {
      let bytes = 0;
      for await (const part of parts) bytes += part.length;
      return `${name} ${bytes}`;
    },
    // One after the other: the second waits meanwhile, and holds up nobody.
    both: async ({ a, b, tag }: { a: AsyncIterable<number>; b: AsyncIterable<number>; tag: string }) => {
      const second = await collect(b);
      return [tag, second.length, (await collect(a)).length];
    },
    one: method(async (items: AsyncIterable<string>, { method }) => [method, ...(await collect(items))]),
  };
  const { client, remote } = await typedPair<typeof api>(api);
  assert.equal(await remote.sum(count(0, 1_000)), 499_500);
  async function* parts() {
    for (let i = 0; i < 20; i++) yield patternBytes(10_000, i);
  }
  assert.equal(await remote.store("file", parts()), "file 200000");
  const argument = { a: count(0, 5_000), b: count(0, 3_000), tag: "x" };
  assert.deepEqual(await remote.both(argument), ["x", 3_000, 5_000]);
  assert.equal(typeof argument.a.next, "function");
  async function* words() {
    yield "a";
    yield "b";
  }
  assert.deepEqual(await remote.one(words(), { timeoutMs: 60_000 }), ["one", "a", "b"]);
  await waitFor(() => client.stats.inFlightRequests === 0, "the ends");
});

test("several streams in one result, and streams both ways in one call", async () => {
  const api = {
    pair: (n: number) => ({ up: count(0, n), list: [count(n, 2 * n)], label: "two" }),
    double: async function* (numbers: AsyncIterable<number>) {
      for await (const n of numbers) yield n * 2;
      return "all";
    },
  };
  const { client, remote } = await typedPair<typeof api>(api);
  const result = (await remote.pair(2_000)) as unknown as {
    up: RemoteStream<number, string>;
    list: RemoteStream<number, string>[];
    label: string;
  };
  assert.equal(result.label, "two");
  // The later one first: the other is not read meanwhile.
  assert.equal((await collect(result.list[0]!)).length, 2_000);
  assert.deepEqual((await collect(result.up)).slice(-1), [1_999]);
  assert.deepEqual((await collect(await remote.double(count(0, 500)))).slice(-2), [996, 998]);
  const watched = new Watched();
  for await (const n of await remote.double(watched.items((i) => i))) if (n === 20) break;
  await watched.closed.promise;
  await waitFor(() => client.stats.inFlightRequests === 0, "the ends");
});

test("an argument's producer ends when the method leaves, answers, fails, is not there, or the call is aborted", async () => {
  const api = {
    first: async (numbers: AsyncIterable<number>) => {
      for await (const n of numbers) if (n === 2) break;
      await sleep(5);
      return "first";
    },
    ignore: async (_: AsyncIterable<number>) => "ignored",
    fail: async (numbers: AsyncIterable<number>) => {
      for await (const _ of numbers) throw new RpcError("NO");
    },
    hang: method(async (numbers: AsyncIterable<number>, { signal }) => {
      for await (const n of numbers) if (n === 1) break;
      await new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    }),
  };
  const { client, remote } = await typedPair<typeof api>(api);
  const run = async (call: (items: AsyncIterable<number>) => Promise<unknown>): Promise<unknown> => {
    const watched = new Watched();
    // Slow between items: the producer is within its own `next` when it is told.
    const result = await call(watched.items((i) => i)).catch((error) => error.code);
    await watched.closed.promise;
    return result;
  };
  assert.equal(await run((items) => remote.first(items)), "first");
  assert.equal(await run((items) => remote.ignore(items)), "ignored");
  assert.equal(await run((items) => remote.fail(items)), "NO");
  const missing = remote as unknown as { missing: (items: AsyncIterable<number>) => Promise<unknown> };
  assert.equal(await run((items) => missing.missing(items)), "ERR_NO_METHOD");
  assert.equal(await run((items) => remote.hang(items, { timeoutMs: 50 })), "ERR_REQUEST_TIMEOUT");
  const abort = new AbortController();
  const aborted = run((items) => remote.hang(items, { signal: abort.signal }));
  await sleep(20);
  abort.abort();
  assert.equal(await aborted, "ERR_ABORTED");
  assert.equal(await run((items) => remote.hang(items, { signal: AbortSignal.abort() })), "ERR_ABORTED");
  await waitFor(() => client.stats.inFlightRequests === 0, "the ends");
});

test("an argument's producer that throws fails the call with what it threw, and the method is told", async () => {
  const told = deferred<string>();
  const api = {
    take: async (numbers: AsyncIterable<number>) => {
      try {
        return await collect(numbers);
      } catch (error) {
        told.resolve((error as { code: string }).code);
        throw error;
      }
    },
  };
  const { client, remote } = await typedPair<typeof api>(api, { onHandlerError: () => {} });
  const broken = new Error("the disk is gone");
  async function* items() {
    yield 1;
    await sleep(5);
    throw broken;
  }
  await assert.rejects(remote.take(items()), broken);
  assert.equal(await told.promise, "ERR_ABORTED");
  await waitFor(() => client.stats.inFlightRequests === 0, "the ends");
});

test("a signal and an explicit time limit end the streams of an answer, too", async () => {
  const watched: Watched[] = [];
  const api = {
    watch: method(async function* () {
      const one = new Watched();
      watched.push(one);
      yield* one.items((i) => i, 3);
      await one.closed.promise;
      await new Promise(() => {});
    }),
    slow: method(async function* (_: undefined, { signal }) {
      const one = new Watched();
      watched.push(one);
      try {
        yield 1;
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
      } finally {
        one.closed.resolve();
      }
    }),
  };
  const { client, remote } = await typedPair<typeof api>(api);
  const abort = new AbortController();
  const stream = await remote.slow(undefined, { signal: abort.signal });
  assert.equal((await stream.next()).value, 1);
  const next = stream.next();
  abort.abort(new Error("enough"));
  await rejectsWith(next, "ERR_ABORTED");
  await watched[0]!.closed.promise;
  const limited = await remote.slow(undefined, { timeoutMs: 2_000 });
  assert.equal((await limited.next()).value, 1);
  await rejectsWith(limited.next(), "ERR_REQUEST_TIMEOUT");
  await watched[1]!.closed.promise;
  await waitFor(() => client.stats.inFlightRequests === 0, "the ends");
});

test("a lost connection ends streams on both sides", async () => {
  const watched = new Watched();
  const api = {
    watch: async function* () {
      yield* watched.items((i) => i);
    },
  };
  const { server, remote } = await typedPair<typeof api>(api, { drainTimeoutMs: 0 });
  const stream = await remote.watch();
  await stream.next();
  void server.close();
  await assert.rejects(collect(stream));
  await watched.closed.promise;
});

test("the server streams from the client, and a client of one handler at a time still streams arguments", async () => {
  const api = {
    gather: async (numbers: { a: AsyncIterable<number>; b: AsyncIterable<number> }) => [
      (await collect(numbers.a)).length,
      (await collect(numbers.b)).length,
    ],
  };
  const { client, remote } = await typedPair<typeof api>(api, { maxConcurrentHandlers: 1 });
  const results = await Promise.all(
    Array.from({ length: 5 }, () => remote.gather({ a: count(0, 2_000), b: count(0, 10) })),
  );
  assert.deepEqual(new Set(results.map(String)), new Set(["2000,10"]));
  await waitFor(() => client.stats.inFlightRequests === 0, "the ends");
});

test("streams that nobody announced, offered or opened are refused, and lists of them that can't be", async () => {
  const api = { take: (...args: unknown[]) => args.length, watch: async function* () {} };
  const { client, remote } = await typedPair<typeof api>(api);
  const typedField = (what: number, number?: number) => {
    const value = [1, what, 1];
    if (number !== undefined) value.push(0, 0, 0, number);
    return Uint8Array.from(value);
  };
  const ask = async (fields: [number, Uint8Array][], body = NO_BYTES): Promise<string> => {
    const head = { method: "take", contentType: 1, fields: new Map(fields) };
    const answer = await client.call(body, { head, streams: false }).answer;
    return new TextDecoder().decode(answer.subarray(1, 1 + answer[0]!));
  };
  assert.equal(await ask([[255, typedField(3, 77)]]), "ERR_NO_STREAM");
  assert.equal(await ask([[255, typedField(3)]]), "ERR_NO_STREAM");
  assert.equal(await ask([[255, typedField(99)]]), "ERR_CODEC");
  const body = new TextEncoder().encode("[null,1]");
  const place = (number: number, ...path: string[]) => [
    ...[0, 0, 0, number, path.length],
    ...path.flatMap((key) => [0, key.length, ...new TextEncoder().encode(key)]),
  ];
  const withPlaces = (bytes: number[]) =>
    ask(
      [
        [255, typedField(1)],
        [254, Uint8Array.from(bytes)],
      ],
      body,
    );
  assert.equal(await withPlaces(place(9, "0")), "ERR_NO_STREAM");
  for (const malformed of [[1], [0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 0, 9, 65], [0, 0, 0, 1, 200]]) {
    assert.equal(await withPlaces(malformed), "ERR_BAD_INPUT");
  }
  assert.equal(await withPlaces(Array.from({ length: 17 }, (_, i) => place(i, "0")).flat()), "ERR_BAD_INPUT");
  // A stream that was announced, for places that are none.
  for (const path of [
    ["1"],
    ["2"],
    ["length"],
    ["__proto__"],
    ["constructor", "prototype"],
    ["0", "x"],
    [],
  ]) {
    const announced = client.call(NO_BYTES, {
      head: { contentType: 1, fields: new Map([[255, typedField(4, 5)]]) },
    });
    assert.equal(await withPlaces(place(5, ...path)), "ERR_BAD_INPUT", path.join());
    await announced.answer;
  }
  assert.equal(await remote.take(1), 1);
  await waitFor(() => client.stats.inFlightRequests === 0, "the ends");
});

test("a stream of an answer is opened once, on its own connection, and by a call", async () => {
  const api = { numbers: async () => count(0, 3), waits: async () => count(0, 1) };
  const { server, client } = await typedPair<typeof api>(api, {}, {}, { maxConnections: 2 });
  const connection = await client.connected();
  const offered = async (name: string): Promise<number> => {
    const call = connection.call(NO_BYTES, { head: typedHead(About.call, { method: name }), streams: false });
    await call.answer;
    return new DataView(call.answerHead!.fields!.get(254)!.slice().buffer).getUint32(0);
  };
  const open = (from: Pick<Client, "call">, number: number) =>
    from.call(NO_BYTES, { head: typedHead(About.openStream, { number }) });
  const number = await offered("numbers");
  const other = startClient({ ...v2.options, port: server.port, maxConnections: 1 });
  assert.equal(await codeOf(open(other, number)), "ERR_NO_STREAM");
  await connection.send(NO_BYTES, { head: typedHead(About.openStream, { number }) });
  const first = open(connection, number);
  // While its items are on their way, and when it is over.
  const second = open(connection, number);
  assert.equal(await codeOf(second), "ERR_NO_STREAM");
  assert.deepEqual(
    (await collect(first)).map((item) => new TextDecoder().decode(item)),
    ["0", "1", "2"],
  );
  assert.equal(await codeOf(first), "");
  assert.equal(await codeOf(open(connection, number)), "ERR_NO_STREAM");
  // Its number is not given to another stream.
  assert.notEqual(await offered("waits"), number);
  assert.equal(await codeOf(open(connection, number)), "ERR_NO_STREAM");
});

test("sixteen streams in a value, and no more", async () => {
  const api = {
    take: async (items: AsyncIterable<number>[]) => (await Promise.all(items.map(collect))).length,
  };
  const { client, remote } = await typedPair<typeof api>(api);
  assert.equal(await remote.take(Array.from({ length: 16 }, () => count(0, 3))), 16);
  await rejectsWith(remote.take(Array.from({ length: 17 }, () => count(0, 3))), "ERR_INVALID_ARGUMENT");
  const sticky = typed<typeof api>({ call: client.call.bind(client), send: client.send.bind(client) });
  await rejectsWith(sticky.take([count(0, 1)]), "ERR_UNSUPPORTED");
});

test("a stream behind a longer name than a head takes is refused, in arguments and in results", async () => {
  const made: Watched[] = [];
  const behind = (name: string, length: number) => {
    const watched = new Watched();
    made.push(watched);
    return { [name.repeat(length)]: watched.items((i) => i, 3) };
  };
  const api = {
    take: async (value: Record<string, AsyncIterable<number>>) => {
      const [items] = Object.values(value);
      return (await collect(items!)).length;
    },
    give: (name: string, length: number) => behind(name, length),
  };
  const { remote } = await typedPair<typeof api>(api);
  assert.equal(await remote.take(behind("k", 60_000)), 3);
  for (const [name, length] of [
    ["k", 61_440],
    ["k", 150_000],
    ["é", 1_000_000],
  ] as const) {
    await rejectsWith(remote.take(behind(name, length)), "ERR_ENCODE");
    await rejectsWithRpc(remote.give(name, length), "ERR_BAD_ANSWER", "give");
  }
  const [given] = Object.values(await remote.give("k", 60_000));
  assert.equal((await collect(given!)).length, 3);
  // Who was not begun has nothing to end.
  for (const { yielded, closed } of made) if (yielded > 0) await closed.promise;
});

test("a stream that its caller never opens ends with the connection", async () => {
  const closed = deferred();
  const api = {
    watch: () => ({
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise<IteratorResult<number>>(() => {}),
        return: async () => {
          closed.resolve();
          return { done: true, value: undefined } as const;
        },
      }),
    }),
  };
  const { client } = await typedPair<typeof api>(api);
  const head = { method: "watch", contentType: 1, fields: new Map([[255, Uint8Array.of(1, 1, 1)]]) };
  await client.call(new Uint8Array(0), { head, streams: false }).answer;
  await client.close();
  await closed.promise;
});

test("a stream that nobody has any more is left, and its producer ends", async () => {
  const collect = collectGarbage;
  if (collect === undefined) return;
  const watched = [new Watched(), new Watched()];
  const api = {
    watch: async function* (index: number) {
      yield* watched[index]!.items((i) => i);
    },
  };
  const { client, remote } = await typedPair<typeof api>(api);
  const kept = await remote.watch(1);
  await (async () => {
    const lost = await remote.watch(0);
    assert.equal((await lost.next()).value, 0);
  })();
  let over = false;
  void watched[0]!.closed.promise.then(() => {
    over = true;
  });
  await waitFor(() => {
    collect();
    return over;
  }, "the producer to end");
  // What somebody has goes on.
  assert.equal((await kept.next()).value, 0);
  await kept.return();
  await watched[1]!.closed.promise;
  await waitFor(() => client.stats.inFlightRequests === 0, "the ends");
});

test("a call with streams that is aborted while its client dials rejects then, and closes its streams", async () => {
  // Its peer accepts, and says nothing.
  const listener = await RawListener.listen();
  const client = startClient({ ...v2.options, port: listener.port, handshakeTimeoutMs: 60_000 });
  const remote = typed<{ take: (items: AsyncIterable<number>) => void }>(client);
  const abort = new AbortController();
  const reason = new Error("enough");
  const before = new Watched();
  const early = new AbortController();
  early.abort(reason);
  const refused = await rejectsWith(
    remote.take.$with({ signal: early.signal })(before.items((i) => i)),
    "ERR_ABORTED",
  );
  assert.deepEqual([refused.notBegun, (refused.cause as Error).cause], [true, reason]);
  const watched = new Watched();
  let returned = 0;
  const items = watched.items((i) => i);
  const iterable = {
    [Symbol.asyncIterator]: () => ({
      next: () => items.next(),
      return: () => {
        returned++;
        return items.return();
      },
    }),
  };
  const call = rejectsWith(remote.take.$with({ signal: abort.signal })(iterable), "ERR_ABORTED");
  const peer = await listener.accept();
  abort.abort(reason);
  const error = await call;
  assert.deepEqual([error.notBegun, (error.cause as Error).cause, returned], [true, reason, 1]);
  await peer.destroy();
  await client.close();
  await listener.close();
});
