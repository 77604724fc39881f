// A caller that holds the keys and wants harm, against a typed server. Its calls are made by hand. Whatever it sends, methods
// end with their calls, nothing runs that nobody named, and others are served.

import assert from "node:assert/strict";
import type { CallHead, Client } from "../../../src/index.ts";
import { method, type StandardSchema, serve, typed } from "../../../src/rpc.ts";
import { test } from "../../support/harness.ts";
import { v2 } from "../../support/protocols.ts";
import { checkLeaksAfterEachTest, deferred, startPair, waitFor } from "../../support/rpcHarness.ts";
import { typedPair } from "../../support/typedHarness.ts";
import { About, bytes, codeOf, NO_BYTES, place, typedHead } from "../../support/typedWire.ts";

checkLeaksAfterEachTest();

test("a stream of arguments that its caller never ends holds a method no longer than its call", async () => {
  let begun = 0;
  const ends: string[] = [];
  const take = async (name: string, items: AsyncIterable<number>): Promise<void> => {
    begun++;
    try {
      for await (const _item of items);
      ends.push(`${name} done`);
    } catch (error) {
      ends.push(`${name} ${(error as { code: string }).code}`);
      throw error;
    }
  };
  const api = {
    plain: (items: AsyncIterable<number>) => take("plain", items),
    method: method((items: AsyncIterable<number>) => take("method", items)),
    fine: () => 1,
  };
  const { client, remote } = await typedPair<typeof api>(api, { onHandlerError() {} });
  let number = 0;
  /** A call whose stream stays open. Whether its method began. */
  const attempt = async (name: string, timeoutMs: number): Promise<boolean> => {
    const before = begun;
    const id = ++number;
    const announced = client.call(NO_BYTES, {
      head: typedHead(About.sendStream, { number: id }),
      timeoutMs: 0,
    });
    await announced.write(bytes("1"));
    const abort = new AbortController();
    const call = client.call(bytes("[null]"), {
      head: typedHead(About.call, { method: name, streams: place(id, "0") }),
      streams: false,
      signal: abort.signal,
      timeoutMs,
    });
    const rejected = assert.rejects(call.answer);
    if (timeoutMs === 0) {
      await waitFor(() => begun > before, `the beginning of ${name}`);
      abort.abort();
    }
    await rejected;
    // It comes behind the call.
    await remote.fine();
    if (begun === before) return false;
    await waitFor(() => ends.length === begun, `the end of ${name}: ${ends}`);
    assert.match(ends.at(-1)!, / ERR_/);
    // The stream is over as well: it was answered.
    await announced.answer;
    return true;
  };
  for (const name of ["plain", "method"]) {
    assert.ok(await attempt(name, 0));
    // A slow machine begins later.
    for (let patience = 30; !(await attempt(name, patience)); patience *= 2) assert.ok(patience < 10_000);
  }
  await waitFor(() => client.stats.inFlightRequests <= number - begun, "the ends");
});

test("arguments without end never fill the stack of a function", async () => {
  let calls = 0;
  const api = {
    plain: (...args: unknown[]) => {
      calls++;
      return args.length;
    },
    method: method((_: unknown) => 1),
  };
  const { client, remote } = await typedPair<typeof api>(api, { onHandlerError() {} });
  const many = (count: number): Uint8Array => bytes(`[${"0,".repeat(count - 1)}0]`);
  for (const name of ["plain", "method"]) {
    for (const count of [1_025, 50_000, 262_143]) {
      const head = typedHead(About.call, { method: name });
      assert.equal(
        await codeOf(client.call(many(count), { head, streams: false })),
        "ERR_BAD_INPUT",
        `${count}`,
      );
    }
  }
  assert.equal(calls, 0);
  assert.equal(await remote.plain(...Array.from({ length: 1_024 }, () => 0)), 1_024);
});

test("streams are opened once, by the connection that they were offered on, and few wait to be opened", async () => {
  let closed = 0;
  const api = {
    watch: () => ({
      [Symbol.asyncIterator]: () => ({
        next: async () => ({ done: true, value: "end" }) as const,
        return: async () => {
          closed++;
          return { done: true, value: undefined } as const;
        },
      }),
    }),
    fine: () => 1,
  };
  const { server, client, remote } = await typedPair<typeof api>(api);
  const other = (await startPair({ ...v2.options, onMessage: serve(api) }, { ...v2.options })).client;
  void server;
  const offer = async (caller: Client): Promise<number> => {
    const call = caller.call(NO_BYTES, { head: typedHead(About.call, { method: "watch" }), streams: false });
    if ((await codeOf(call)) !== "") return 0;
    const entry = call.answerHead!.fields!.get(254)!;
    return (entry[2]! << 8) | entry[3]!;
  };
  const open = (caller: Client, number: number): Promise<string> =>
    codeOf(caller.call(NO_BYTES, { head: typedHead(About.openStream, { number }) }));
  const first = await offer(client);
  assert.ok(first > 0);
  assert.equal(await open(other, first), "ERR_NO_STREAM");
  assert.equal(await open(client, first), "");
  assert.equal(await open(client, first), "ERR_NO_STREAM");
  const numbers = await Promise.all(Array.from({ length: 140 }, () => offer(client)));
  assert.equal(numbers.filter((number) => number > 0).length, 128);
  await waitFor(() => closed === 12, `the refused streams: ${closed}`);
  assert.equal(await remote.fine(), 1);
  await client.close();
  await waitFor(() => closed === 140, `all streams: ${closed}`);
});

test("cancels in every state of a call: nothing runs that nobody waits for, and its place is free again", async () => {
  const gates = { input: deferred(), handler: deferred(), answer: deferred(), item: deferred() };
  const reached: string[] = [];
  const slow = (name: "input" | "answer"): StandardSchema<unknown, unknown> => ({
    "~standard": {
      version: 1,
      vendor: "sealwire-tests",
      validate: async (value) => {
        reached.push(name);
        await gates[name].promise;
        return { value };
      },
    },
  });
  const api = {
    input: method(slow("input"), () => void reached.push("ran")),
    handler: method(async (_: unknown, { signal }) => {
      reached.push("handler");
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      reached.push("handler aborted");
    }),
    answer: method(
      slow("input"),
      async () =>
        (async function* () {
          try {
            yield 1;
          } finally {
            reached.push("never begun");
          }
        })() as unknown,
      { answer: slow("answer") },
    ),
    item: async function* () {
      try {
        yield 1;
        reached.push("item");
        await gates.item.promise;
        yield 2;
        yield 3;
      } finally {
        reached.push("item closed");
      }
    },
    fine: () => 1,
  };
  const { client, remote } = await typedPair<typeof api>(api, {
    maxConcurrentHandlers: 2,
    onHandlerError() {},
  });
  const cancelled = async (name: "input" | "handler" | "answer", when: () => boolean): Promise<void> => {
    const abort = new AbortController();
    const call = client.call(NO_BYTES, {
      head: typedHead(About.call, { method: name }),
      streams: false,
      signal: abort.signal,
    });
    const rejected = assert.rejects(call.answer, { code: "ERR_ABORTED" });
    await waitFor(when, `${name}: ${reached}`);
    abort.abort();
    await rejected;
    // It comes behind the cancel.
    await remote.fine();
  };
  await cancelled("handler", () => true);
  await cancelled("handler", () => reached.includes("handler"));
  await waitFor(() => reached.includes("handler aborted"), "the abort");
  await cancelled("input", () => reached.filter((what) => what === "input").length === 1);
  gates.input.resolve();
  await cancelled("answer", () => reached.includes("answer"));
  gates.answer.resolve();
  assert.equal(await remote.fine(), 1);
  // An opened stream, at the first item and while its producer works.
  const stream = await remote.item();
  assert.equal((await stream.next()).value, 1);
  await waitFor(() => reached.includes("item"), "the producer");
  await stream.return();
  gates.item.resolve();
  await waitFor(() => reached.includes("item closed"), "its end");
  assert.ok(!reached.includes("ran"));
  assert.equal(await remote.fine(), 1);
  await waitFor(() => client.stats.inFlightRequests === 0, "the ends");
});

test("floods of one-way calls about anything get no answers, tell nobody, and stop no one else", async () => {
  const failures: unknown[] = [];
  let ran = 0;
  const api = {
    count: () => ++ran,
    take: async (items: AsyncIterable<number>) => {
      for await (const _item of items);
      ran++;
    },
    fine: () => 1,
  };
  const { server, client } = await startPair(
    { ...v2.options, onMessage: serve(api), onHandlerError: (error) => failures.push(error) },
    { ...v2.options, maxConnections: 1 },
  );
  const good = (await startPair({ ...v2.options, onMessage: serve(api) }, { ...v2.options })).client;
  const floods: [head: CallHead, body: Uint8Array][] = [
    [typedHead(About.call, { method: "missing" }), NO_BYTES],
    [typedHead(About.call, { method: "__proto__" }), bytes("[1]")],
    [typedHead(About.call, { method: "count" }), bytes("[no json")],
    [typedHead(About.call, { method: "count", contentType: 77 }), bytes("[]")],
    [typedHead(About.callWithOptions, { method: "count" }), bytes("[1]")],
    [typedHead(About.openStream, { number: 1 }), NO_BYTES],
    [typedHead(About.sendStream, { number: 1 }), NO_BYTES],
    [typedHead(About.call, { method: "take", streams: place(1, "0") }), bytes("[null]")],
    [typedHead(99), NO_BYTES],
    [typedHead(About.value), bytes("1")],
  ];
  for (let round = 0; round < 100; round++) {
    await Promise.all(floods.map(([head, body]) => client.send(body, { head })));
  }
  await client.send(bytes("[]"), { head: typedHead(About.call, { method: "count" }) });
  await waitFor(() => ran > 0, "the last one");
  assert.equal(ran, 1);
  assert.deepEqual(failures, []);
  assert.equal(await typed<typeof api>(good).fine(), 1);
  assert.equal(await typed<typeof api>(client).fine(), 1);
  void server;
});
