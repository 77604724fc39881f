// Careless uses of typed calls: each outcome is a value or a typed error, and the connection works afterwards.

import assert from "node:assert/strict";
import { SealwireError } from "../../../src/base/errors.ts";
import { method, RpcError, retry, type StandardSchema, typed } from "../../../src/rpc.ts";
import { test } from "../../support/harness.ts";
import { checkLeaksAfterEachTest, deferred, rejectsWith, waitFor } from "../../support/rpcHarness.ts";
import { rejectsWithRpc, typedPair } from "../../support/typedHarness.ts";

checkLeaksAfterEachTest();

const THEN = "then";

type AnyRemote = Record<string, (...args: unknown[]) => Promise<unknown>>;

function nested(levels: number, isArray: boolean): unknown {
  let value: unknown = 1;
  for (let i = 0; i < levels; i++) value = isArray ? [value] : { value };
  return value;
}

test("arguments that can't be sent reject with their path; nothing is called, and the next call works", async () => {
  let calls = 0;
  const api = {
    echo: (...args: unknown[]) => {
      calls++;
      return args;
    },
  };
  const { client, remote } = await typedPair<typeof api>(api);
  const { echo } = remote as unknown as AnyRemote;
  const detached = new Uint8Array(8);
  structuredClone(detached.buffer, { transfer: [detached.buffer] });
  const sparse: unknown[] = [];
  sparse.length = 2 ** 32 - 1;
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  const things: [what: string, value: unknown][] = [
    ["deep arrays", nested(100_000, true)],
    ["deep objects", nested(100_000, false)],
    ["a huge sparse array", sparse],
    ["a sparse array with an end", Object.assign([], { 4000000000: 1 })],
    ["detached memory", detached],
    ["detached buffer", detached.buffer],
    ["a function", () => 1],
    ["a symbol", Symbol("no value")],
    ["a promise", Promise.resolve(1)],
    ["a WeakMap", new WeakMap()],
    ["a revoked proxy", revoked.proxy],
    ["a remote object", remote],
    ["a remote method", remote.echo],
    [
      "a getter that throws",
      {
        get value(): unknown {
          throw new Error("a getter's own text");
        },
      },
    ],
    [
      "traps that throw",
      new Proxy(
        {},
        {
          ownKeys() {
            throw new RangeError("a trap's own text");
          },
        },
      ),
    ],
  ];
  if ("resizable" in ArrayBuffer.prototype)
    things.push(["a resizable buffer", Reflect.construct(ArrayBuffer, [8, { maxByteLength: 16 }])]);
  for (const [what, value] of things) {
    const error = await rejectsWith(echo!(value), "ERR_ENCODE").catch((other: unknown) => {
      throw new Error(`${what}: ${String(other)}`);
    });
    assert.match(error.message, /^echo: /, what);
    assert.doesNotMatch(error.message, /own text/, what);
  }
  assert.equal(calls, 0);
  assert.deepEqual(await echo!(1), [1]);
  assert.equal(client.stats.inFlightRequests, 0);
});

test("options that are none reject with their name, with streams or without, and the streams are closed", async () => {
  const api = {
    echo: method((value: unknown) => value),
    take: method(async (items: AsyncIterable<unknown>) => {
      for await (const _ of items);
    }),
    watch: method(async function* () {
      yield 1;
    }),
  };
  const { client, remote } = await typedPair<typeof api>(api);
  let opened = 0;
  let closed = 0;
  const items = (): AsyncIterable<unknown> => {
    opened++;
    return {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise<IteratorResult<unknown>>(() => {}),
        return: async () => {
          closed++;
          return { done: true, value: undefined } as const;
        },
      }),
    };
  };
  const wrong: [name: string, options: object][] = [
    ...[{}, 5, null, "now", new Proxy({}, { get: () => 1 })].map((signal): [string, object] => [
      "signal",
      { signal },
    ]),
    ...[-1, "5", Number.NaN, 1e300, null, 1.5].map((timeoutMs): [string, object] => [
      "timeoutMs",
      { timeoutMs },
    ]),
    ["traceParent", { traceParent: 5 }],
    ["traceParent", { traceParent: "x".repeat(257) }],
  ];
  for (const [name, options] of wrong) {
    for (const call of [
      () => remote.echo(1, options),
      () => remote.echo.$with(options)(1),
      () => remote.take(items(), options),
      () => remote.take.$with(options)(items()),
      () => remote.watch(undefined, options),
    ]) {
      const error = await rejectsWith(call(), "ERR_INVALID_ARGUMENT");
      assert.match(error.message, new RegExp(`^(echo|take|watch): .*${name} must be`));
    }
  }
  await rejectsWith(remote.take.$oneWay(items()), "ERR_ENCODE");
  await waitFor(
    () => closed === opened && opened === 2 * wrong.length + 1,
    `${closed} of ${opened} to close`,
  );
  // An interceptor may set any.
  for (const options of [null, 5, { timeout: 5 }]) {
    const setting = typed<typeof api>(client, {
      use: [
        (call, next) => {
          call.options = options as object;
          return next();
        },
      ],
    });
    await rejectsWith(setting.echo(1), "ERR_INVALID_ARGUMENT");
  }
  assert.equal(await remote.echo(1, {}), 1);
  assert.equal(client.stats.inFlightRequests, 0);
});

test("a view of resizable memory is sent as it is during the call", async () => {
  if (!("resizable" in ArrayBuffer.prototype)) return;
  const api = { echo: (bytes: Uint8Array) => bytes };
  const { remote } = await typedPair<typeof api>(api);
  const memory = Reflect.construct(ArrayBuffer, [8, { maxByteLength: 16 }]) as ArrayBuffer;
  const bytes = new Uint8Array(memory).fill(7);
  const call = remote.echo(bytes);
  (memory as unknown as { resize(length: number): void }).resize(2);
  assert.deepEqual(await call, new Uint8Array(8).fill(7));
});

test("answers that can't be sent are ERR_BAD_ANSWER, what throws while it is read as well, and this side learns why", async () => {
  const failures: unknown[] = [];
  const api = {
    deep: () => nested(100_000, false),
    sparse: () => {
      const sparse: unknown[] = [];
      sparse.length = 2 ** 32 - 1;
      return sparse;
    },
    getter: () => ({
      get value(): unknown {
        throw new Error("stays here");
      },
    }),
    cycle: () => {
      const cycle: Record<string, unknown> = {};
      cycle.self = cycle;
      return cycle;
    },
    fine: () => 1,
  };
  const { remote } = await typedPair<typeof api>(api, { onHandlerError: (error) => failures.push(error) });
  for (const name of ["deep", "sparse", "getter", "cycle"]) {
    const error = await rejectsWithRpc((remote as unknown as AnyRemote)[name]!(), "ERR_BAD_ANSWER", name);
    assert.doesNotMatch(error.message, /stays here/);
  }
  assert.equal(failures.length, 4);
  assert.equal(await remote.fine(), 1);
});

test("thenables that handlers return are waited for; one that never settles ends with the caller's patience", async () => {
  const thenable = (then: unknown): unknown => ({ [THEN]: then });
  const api = {
    value: () => thenable((resolve: (value: unknown) => void) => resolve(5)),
    nested: () =>
      thenable((resolve: (value: unknown) => void) =>
        resolve(thenable((again: (value: unknown) => void) => again(6))),
      ),
    twice: () =>
      thenable((resolve: (value: unknown) => void, reject: (error: unknown) => void) => {
        resolve(7);
        reject(new Error("too late"));
        resolve(8);
      }),
    throwing: () =>
      thenable(() => {
        throw new RpcError("THROWN");
      }),
    never: () => thenable(() => {}),
    data: () => ({ [THEN]: "is no function" }),
  };
  const { client, remote } = await typedPair<typeof api>(api, { drainTimeoutMs: 0 });
  assert.equal(await remote.value(), 5);
  assert.equal(await remote.nested(), 6);
  assert.equal(await remote.twice(), 7);
  await rejectsWithRpc(remote.throwing() as Promise<unknown>, "THROWN", "throwing");
  await rejectsWith(remote.never.$with({ timeoutMs: 30 })(), "ERR_REQUEST_TIMEOUT");
  assert.deepEqual(await remote.data(), { [THEN]: "is no function" });
  await waitFor(() => client.stats.inFlightRequests === 0, "the ends");
});

test("a remote object that is awaited, spread, logged, compared and passed around by accident calls nothing", async () => {
  const seen: string[] = [];
  const api = { a: { b: () => 1 } };
  const { remote } = await typedPair<typeof api>(
    api,
    {},
    {
      use: [
        (call, next) => {
          seen.push(call.method);
          return next();
        },
      ],
    },
  );
  for (const part of [remote, remote.a, remote.a.b] as unknown[]) {
    assert.equal(await (part as Promise<unknown>), part);
    assert.equal(await Promise.resolve(part), part);
    assert.deepEqual(Object.keys({ ...(part as object) }), []);
    assert.equal(typeof JSON.stringify({ part }), "string");
    assert.throws(() => `${part as string}`, TypeError);
    assert.throws(() => (part as number) + 1, TypeError);
    assert.throws(() => [...(part as unknown[])], TypeError);
  }
  const iterate = async (): Promise<void> => {
    for await (const _ of remote.a as unknown as AsyncIterable<unknown>) break;
  };
  await assert.rejects(iterate(), TypeError);
  assert.deepEqual(seen, []);
  assert.equal(await remote.a.b(), 1);
});

test("methods named like what every object has are refused when they are served, or served as any other", async () => {
  for (const name of ["__proto__", "constructor", "then", "toJSON", "toString", "valueOf", "prototype"]) {
    const api = Object.defineProperty({}, name, { value: () => 1, enumerable: true });
    await assert.rejects(typedPair(api), { code: "ERR_INVALID_ARGUMENT" }, name);
  }
  const api = { hasOwnProperty: () => "own", isPrototypeOf: (value: number) => value, call: () => "call" };
  const { remote } = await typedPair<typeof api>(api);
  const call = (name: string, ...args: unknown[]) => (remote as unknown as AnyRemote)[name]!(...args);
  assert.equal(await call("hasOwnProperty"), "own");
  assert.equal(await call("isPrototypeOf", 3), 3);
  assert.equal(await call("call"), "call");
  await rejectsWithRpc(call("propertyIsEnumerable"), "ERR_NO_METHOD", "propertyIsEnumerable");
});

test("interceptors that call next twice, never, late, or not with what it gave", async () => {
  let calls = 0;
  const late = deferred<() => Promise<unknown>>();
  const api = { count: () => ++calls, fail: () => Promise.reject(new RpcError("FAILED")) };
  const { client, remote } = await typedPair<typeof api>(
    api,
    { onHandlerError() {} },
    {
      use: [
        async (call, next) => {
          const [how] = call.args;
          if (how === "one after the other") return [await next(), await next()];
          if (how === "never") return "instead";
          if (how === "throws") throw "no error at all";
          if (how === "late") late.resolve(next);
          return next();
        },
      ],
    },
  );
  const count = remote.count as (how?: string) => Promise<unknown>;
  assert.deepEqual(await count("one after the other"), [1, 2]);
  assert.equal(await count("never"), "instead");
  await rejectsWithRpc(count("throws"), "ERR_INTERNAL", "count");
  assert.equal(await count("late"), 3);
  // Its call is over: the method runs again, and nobody is answered twice.
  assert.equal(await (await late.promise)(), 4);
  assert.equal(await count(), 5);

  const nexts: (() => Promise<unknown>)[] = [];
  const around = typed<typeof api>(client, {
    use: [
      async (call, next) => {
        nexts.push(next);
        const [how] = call.args;
        if (how === "twice") return Promise.all([next(), next()]);
        return how === "never" ? "instead" : next();
      },
    ],
  }) as unknown as AnyRemote;
  assert.deepEqual(await around.count!("twice"), [6, 7]);
  assert.equal(await around.count!("never"), "instead");
  await rejectsWithRpc(around.fail!(), "FAILED", "fail");
  await client.close();
  await rejectsWith(nexts[0]!(), "ERR_CLOSED");
  await rejectsWith(around.count!(), "ERR_CLOSED");
});

test("a call with a stream among its arguments is never repeated", async () => {
  let made = 0;
  const api = { take: (items: AsyncIterable<number>) => items[Symbol.asyncIterator]().next() };
  const { client, server } = await typedPair<typeof api>(api, { drainTimeoutMs: 0 });
  await client.close();
  const remote = typed<typeof api>(client, {
    use: [
      retry({ attempts: 3, pauseMs: 0 }),
      (_, next) => {
        made++;
        return next();
      },
    ],
  });
  async function* items(): AsyncGenerator<number> {
    yield 1;
  }
  await rejectsWith(remote.take(items()), "ERR_CLOSED");
  assert.equal(made, 1);
  await server.close();
});

test("a generator that is called one-way is never begun, and is closed", async () => {
  let begun = 0;
  const closed = deferred();
  const api = {
    watch: async function* () {
      begun++;
      yield 1;
    },
    object: () => ({
      [Symbol.asyncIterator]: () => ({
        next: () => Promise.reject(new Error("never asked")),
        return: async () => {
          closed.resolve();
          return { done: true, value: undefined };
        },
      }),
    }),
    fine: () => 1,
  };
  const { remote } = await typedPair<typeof api>(api);
  await remote.watch.$oneWay();
  await remote.object.$oneWay();
  await closed.promise;
  assert.equal(await remote.fine(), 1);
  assert.equal(begun, 0);
});

test("a generator's finally runs however its call ends, at either end", async () => {
  const ends: string[] = [];
  async function* watched(name: string): AsyncGenerator<number> {
    try {
      for (let i = 0; ; i++) yield i;
    } finally {
      ends.push(name);
    }
  }
  const ended = (name: string) => waitFor(() => ends.includes(name), name);
  const api = {
    watch: (name: string) => watched(name),
    late: method(async (name: string, { signal }) => {
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      const items = watched(name);
      await items.next();
      return { items };
    }),
    take: async (items: AsyncIterable<number>, how: string) => {
      for await (const item of items) {
        if (item < 2) continue;
        if (how === "throw") throw new RpcError("ENOUGH");
        if (how === "return") return item;
        break;
      }
      return "left";
    },
  };
  const { client, server, remote } = await typedPair<typeof api>(api, { drainTimeoutMs: 50 });
  for await (const item of await remote.watch("break")) if (item === 3) break;
  await ended("break");
  const thrown = async (): Promise<void> => {
    for await (const _ of await remote.watch("throw")) throw new Error("of the loop");
  };
  await assert.rejects(thrown(), /of the loop/);
  await ended("throw");
  const stream = await remote.watch("return");
  await stream.next();
  await stream.return();
  await ended("return");
  const abort = new AbortController();
  const aborted = await remote.watch.$with({ signal: abort.signal })("abort");
  await aborted.next();
  abort.abort();
  await rejectsWith(readAll(aborted), "ERR_ABORTED");
  await ended("abort");
  // Both have begun in this time also on a machine that is late.
  const timeoutMs = 2_000;
  // Nobody waits for the answer any more when it is there: a generator that has begun is told.
  const unanswered = rejectsWith(remote.late("late", { timeoutMs }), "ERR_REQUEST_TIMEOUT");
  const late = await remote.watch.$with({ timeoutMs })("deadline");
  const drained = readSlowly(late);
  await rejectsWith(drained, "ERR_REQUEST_TIMEOUT");
  await ended("deadline");
  await unanswered;
  await ended("late");
  assert.equal(await remote.take(watched("taken, break"), "break"), "left");
  await ended("taken, break");
  assert.equal(await remote.take(watched("taken, return"), "return"), 2);
  await ended("taken, return");
  await rejectsWithRpc(remote.take(watched("taken, throw"), "throw") as Promise<unknown>, "ENOUGH", "take");
  await ended("taken, throw");
  const open = await remote.watch("drain");
  await open.next();
  const closed = server.close();
  await assert.rejects(readSlowly(open));
  await ended("drain");
  await closed;
  await client.close();
});

async function readAll(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items);
}

async function readSlowly(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items) await new Promise((resolve) => setTimeout(resolve, 0));
}

test("a schema whose validate throws, rejects, gives nothing or lies is the server's own fault, and says nothing", async () => {
  const schemaOf = (validate: (value: unknown) => unknown): StandardSchema<number, number> => ({
    "~standard": { version: 1, vendor: "sealwire-tests", validate: validate as never },
  });
  const failures: unknown[] = [];
  let ran = 0;
  const run = (value: number): number => {
    ran++;
    return value;
  };
  const schemas = {
    throws: schemaOf(() => {
      throw new Error("password 123");
    }),
    rejects: schemaOf(() => Promise.reject(new Error("password 123"))),
    nothing: schemaOf(() => undefined),
    empty: schemaOf(() => ({})),
    trapped: schemaOf(
      () =>
        new Proxy(
          {},
          {
            get() {
              throw new Error("password 123");
            },
          },
        ),
    ),
  };
  const api = Object.fromEntries(
    Object.entries(schemas).map(([name, schema]) => [name, method(schema, run)]),
  );
  const { remote } = await typedPair(api, { onHandlerError: (error) => failures.push(error) });
  for (const name of Object.keys(schemas)) {
    const error = await rejectsWithRpc((remote as AnyRemote)[name]!(1), "ERR_INTERNAL", name);
    assert.deepEqual([error.message, error.data], [`${name} failed`, undefined]);
  }
  assert.equal(ran, 0);
  await waitFor(() => failures.length === Object.keys(schemas).length, "the reports");
});

test("an abort while the input is checked: the handler learns it, or never runs", async () => {
  const checking = deferred();
  const goOn = deferred();
  let ran = 0;
  const slow: StandardSchema<number, number> = {
    "~standard": {
      version: 1,
      vendor: "sealwire-tests",
      validate: async (value) => {
        checking.resolve();
        await goOn.promise;
        return { value: value as number };
      },
    },
  };
  const api = {
    slow: method(slow, (value) => {
      ran++;
      return value;
    }),
    fine: () => 1,
  };
  const { client, remote } = await typedPair<typeof api>(api);
  const abort = new AbortController();
  const call = remote.slow(1, { signal: abort.signal });
  await checking.promise;
  abort.abort();
  await rejectsWith(call, "ERR_ABORTED");
  // The cancel has arrived before this answer.
  assert.equal(await remote.fine(), 1);
  goOn.resolve();
  await waitFor(() => client.stats.inFlightRequests === 0, "the end");
  assert.equal(await remote.fine(), 1);
  assert.equal(ran, 0);
});

test("calls are sent with the arguments that were given, whenever and however often interceptors make them", async () => {
  const got: unknown[] = [];
  const api = { put: (bytes: Uint8Array, label: { name: string }) => void got.push([bytes[0], label.name]) };
  const { client } = await typedPair<typeof api>(api);
  const bytes = new Uint8Array(8);
  const label = { name: "" };
  const change = (value: number, name: string): void => {
    bytes.fill(value);
    label.name = name;
  };
  let gate = deferred();
  const remote = typed<typeof api>(client, {
    use: [
      async (_call, next) => {
        await gate.promise;
        await next();
        change(3, "third");
        return next();
      },
    ],
  });
  for (const call of [() => remote.put(bytes, label), () => remote.put.$with({})(bytes, label)]) {
    gate = deferred();
    change(1, "first");
    const called = call();
    change(2, "second");
    gate.resolve();
    await called;
    assert.deepEqual(got.splice(0), [
      [1, "first"],
      [1, "first"],
    ]);
  }
  gate = deferred();
  change(1, "first");
  const sent = remote.put.$oneWay(bytes, label);
  change(2, "second");
  gate.resolve();
  await sent;
  await waitFor(() => got.length === 2, "both to arrive");
  assert.deepEqual(got.splice(0), [
    [1, "first"],
    [1, "first"],
  ]);
});

test("a repeated call has the arguments of the first attempt", async () => {
  const got: unknown[] = [];
  const api = { put: (items: number[]) => void got.push(items) };
  const { client } = await typedPair<typeof api>(api);
  const items = [1, 2, 3];
  let refusals = 2;
  const remote = typed<typeof api>(client, {
    use: [
      retry({ pauseMs: 1 }),
      async (_call, next) => {
        items.push(0);
        if (refusals-- > 0) throw new SealwireError("ERR_TOO_MANY_REQUESTS", "not now", { notBegun: true });
        return next();
      },
    ],
  });
  await remote.put(items);
  assert.deepEqual(got, [[1, 2, 3]]);
  assert.equal(items.length, 6);
});

test("options of a class count, and whatever becomes of an object of options changes no call that was made", async () => {
  const asked = deferred<AbortSignal>();
  const api = {
    hang: method((_: unknown, { signal }) => {
      asked.resolve(signal);
      return new Promise<void>(() => {});
    }),
    count: method(async function* (numbers: AsyncIterable<number>) {
      for await (const n of numbers) yield n;
    }),
  };
  const { remote } = await typedPair<typeof api>(api);
  class Options {
    readonly #abort = new AbortController();
    get signal(): AbortSignal {
      return this.#abort.signal;
    }
    abort(): void {
      this.#abort.abort();
    }
  }
  const given = new Options();
  const aborted = rejectsWith(remote.hang.$with(given)(1), "ERR_ABORTED");
  await asked.promise;
  given.abort();
  await aborted;

  const { signal } = new AbortController();
  const options: { timeoutMs: number; signal: AbortSignal; traceParent: unknown } = {
    timeoutMs: 20_000,
    signal,
    traceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  };
  const numbers = async function* (): AsyncGenerator<number> {
    yield* [1, 2, 3];
  };
  const called = remote.count(numbers(), options as never);
  options.timeoutMs = -1;
  options.signal = AbortSignal.abort();
  options.traceParent = 7;
  const got: number[] = [];
  for await (const n of await called) got.push(n);
  assert.deepEqual(got, [1, 2, 3]);
});
