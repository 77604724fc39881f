// The methods of an object that can be called from outside: own functions of plain objects under their names, and
// nothing else, whatever a peer asks for. Also interceptors, and calls that are made again.

import assert from "node:assert/strict";
import fc from "fast-check";
import { type Client, SealwireError, type StickyClient } from "../../../src/index.ts";
import { jsonCodec, method, RpcError, retry, serve, typed } from "../../../src/rpc.ts";
import { test } from "../../support/harness.ts";
import { v1, v2 } from "../../support/protocols.ts";
import {
  checkLeaksAfterEachTest,
  deferred,
  rejectsWith,
  startClient,
  startPair,
  startServer,
  throwsWith,
  waitFor,
} from "../../support/rpcHarness.ts";
import { rejectsWithRpc, typedPair } from "../../support/typedHarness.ts";
import { About } from "../../support/typedWire.ts";

checkLeaksAfterEachTest();

const typedHead = (name: string) => ({
  method: name,
  contentType: 1,
  fields: new Map([[255, Uint8Array.of(1, 1, 1)]]),
});

async function codeOf(client: Pick<Client, "call">, name: string, body: Uint8Array): Promise<string> {
  const answer: Uint8Array = await client.call(body, { head: typedHead(name), streams: false }).answer;
  return new TextDecoder().decode(answer.subarray(1, 1 + answer[0]!));
}

test("what the last answer said of a method counts: a server that does not call it idempotent is believed", async () => {
  const idempotent = serve({ pay: method(async () => 1, { idempotent: true }) });
  const plain = serve({ pay: async () => 1 });
  let now = idempotent;
  const { client } = await startPair({ ...v2.options, onMessage: (message) => now(message) }, v2.options);
  const seen: boolean[] = [];
  const remote = typed<{ pay: () => number }>(client, {
    use: [
      (call, next) => {
        seen.push(call.isIdempotent);
        return next();
      },
    ],
  });
  for (const one of [idempotent, plain, plain, idempotent, idempotent]) {
    now = one;
    await remote.pay();
  }
  // Without interceptors answers are read in place.
  const direct = typed<{ pay: () => number }>(client);
  await direct.pay();
  assert.deepEqual(seen, [false, true, false, false, true]);
});

test("names that every object has are reached by no call, also by raw ones", async () => {
  class Secret {
    own = () => "own";
    hidden() {
      return "hidden";
    }
  }
  const api = {
    fine: Object.assign(() => 1, { nested: () => "a property of a function" }),
    group: { inner: () => 2 },
  };
  const { client, remote } = await typedPair<typeof api>(api);
  const names = [
    ...["__proto__", "constructor", "prototype", "then", "toJSON", "toString", "valueOf", "hasOwnProperty"],
    ...[
      "group.__proto__",
      "group.constructor",
      "group.constructor.constructor",
      "__proto__.toString",
      "group",
    ],
    ...[
      "fine.call",
      "fine.nested",
      "fine.constructor",
      "fine.apply",
      "fine.bind",
      "group.inner.name",
      "",
      ".",
      "fine.",
    ],
    ...["group..inner", ".fine", "group.inner ", "GROUP.inner", "group\u0000inner", "Symbol(a)", "é", "0"],
  ];
  for (const name of names)
    assert.equal(await codeOf(client, name, new Uint8Array(0)), "ERR_NO_METHOD", name);
  await fc.assert(
    fc.asyncProperty(fc.string({ maxLength: 40 }), async (name) => {
      fc.pre(name !== "fine" && name !== "group.inner");
      assert.equal(await codeOf(client, name, new Uint8Array(0)), "ERR_NO_METHOD");
    }),
    { numRuns: 200 },
  );
  assert.equal(await remote.group.inner(), 2);
  throwsWith(() => serve({ secret: new Secret() }), "ERR_INVALID_ARGUMENT");
});

test("arguments that would change what all objects have do not", async () => {
  const api = { take: (value: unknown) => Object.keys(Object(value)) };
  const { client } = await typedPair<typeof api>(api);
  for (const text of [
    '[{"__proto__":{"polluted":1}}]',
    '[{"constructor":{"prototype":{"polluted":1}}}]',
    '{"__proto__":[]}',
  ]) {
    const answer = await client.call(new TextEncoder().encode(text), {
      head: typedHead("take"),
      streams: false,
    }).answer;
    assert.ok(answer.length > 0);
    assert.equal(({} as { polluted?: unknown }).polluted, undefined);
  }
});

test("deep, long and many: refused before anything of it is built, and the connection lives", async () => {
  const api = { take: (..._: unknown[]) => "taken" };
  const { client, remote } = await typedPair<typeof api>(
    api,
    {},
    { codec: jsonCodec({ maxDepth: 8, maxValues: 100 }) },
  );
  const deep = (depth: number) => new TextEncoder().encode("[".repeat(depth) + "]".repeat(depth));
  for (const body of [deep(9), deep(100_000), new TextEncoder().encode(`[${"1,".repeat(500)}1]`)]) {
    assert.equal(await codeOf(client, "take", body), "ERR_BAD_INPUT");
  }
  assert.equal(await remote.take([[1]]), "taken");
  const cyclic: unknown[] = [];
  cyclic.push(cyclic);
  await rejectsWith(remote.take(cyclic), "ERR_ENCODE");
  await rejectsWith(remote.take(Symbol("s")), "ERR_ENCODE");
  await rejectsWith(remote.take({ toJSON: () => "forged" }), "ERR_ENCODE");
});

test("an API is checked when it is served: each thing that can't be is named", () => {
  const fn = () => 1;
  class Service {
    run = fn;
  }
  const cyclic: Record<string, unknown> = { fn };
  cyclic.self = cyclic;
  const wrong: [unknown, RegExp][] = [
    [undefined, /api must be/],
    [fn, /api must be/],
    [{}, /api must be/],
    [{ a: {} }, /api must be/],
    [{ a: 5 }, /api\.a must be/],
    [{ a: null }, /api\.a must be/],
    [{ a: [fn] }, /api\.a must be/],
    [{ a: new Service() }, /api\.a must be/],
    [{ a: { b: Promise.resolve() } }, /api\.a\.b must be/],
    [{ Service }, /api\.Service must be/],
    [{ a: class {} }, /api\.a must be/],
    [{ a: class extends Service {} }, /api\.a must be/],
    [
      {
        a: {
          get b() {
            return fn;
          },
        },
      },
      /api\.a\.b must be/,
    ],
    // biome-ignore lint/suspicious/noThenProperty: that is what is tested
    [{ then: fn }, /api\.then must be/],
    [{ a: { toJSON: fn } }, /api\.a\.toJSON must be/],
    [{ constructor: fn }, /api\.constructor must be/],
    [{ "a.b": fn }, /must be/],
    [{ "": fn }, /must be/],
    [{ $with: fn }, /must be/],
    [JSON.parse('{"__proto__":{}}'), /must be/],
    [{ ["x".repeat(1_000)]: fn }, /must be/],
    [cyclic, /nested/],
  ];
  for (const [api, text] of wrong)
    assert.match(throwsWith(() => serve(api as object), "ERR_INVALID_ARGUMENT").message, text);
  for (const options of [
    { use: 5 },
    { use: [5] },
    { codec: {} },
    { codec: [] },
    { onMessage: 1 },
    { exposeStacks: 1 },
    { other: 1 },
  ]) {
    throwsWith(() => serve({ fn }, options as never), "ERR_INVALID_ARGUMENT");
  }
  for (const options of [{ use: [5] }, { codec: { name: "x" } }, { other: 1 }]) {
    throwsWith(() => typed({ call: fn, send: fn } as never, options as never), "ERR_INVALID_ARGUMENT");
  }
  throwsWith(() => typed(undefined as never), "ERR_INVALID_ARGUMENT");
  throwsWith(() => method(5 as never), "ERR_INVALID_ARGUMENT");
  throwsWith(() => method(Service as never), "ERR_INVALID_ARGUMENT");
  // Functions that look like classes are none.
  serve({ classify: function classify() {}, class: fn, Number });
  throwsWith(() => method({} as never, fn), "ERR_INVALID_ARGUMENT");
  throwsWith(() => method(fn, { idempotent: 1 } as never), "ERR_INVALID_ARGUMENT");
  throwsWith(() => method(fn, { errors: { A: 5 } } as never), "ERR_INVALID_ARGUMENT");
  // Symbols are no names; objects without a prototype and modules are plain.
  serve({ [Symbol("s")]: fn, fn });
  serve(Object.assign(Object.create(null), { fn }));
});

test("an API that changes after it was served serves what it was", async () => {
  const api: Record<string, () => number> = { one: () => 1 };
  const { client, remote } = await typedPair<{ one: () => number }>(api);
  api.two = () => 2;
  api.one = () => 3;
  assert.equal(await codeOf(client, "two", new Uint8Array(0)), "ERR_NO_METHOD");
  assert.equal(await remote.one(), 1);
});

test("interceptors of a server: in order, around every method, with what they leave for it; they may refuse and replace", async () => {
  const order: string[] = [];
  const api = {
    plain: (value: number) => {
      order.push("plain");
      return value;
    },
    who: method((_: unknown, { state }) => state.user),
    fail: () => {
      throw new RpcError("NO");
    },
  };
  const { remote } = await typedPair<typeof api>(
    api,
    {},
    {
      use: [
        async (call, next) => {
          order.push(`outer ${call.method} ${JSON.stringify(call.args)}`);
          try {
            return await next();
          } finally {
            order.push("outer again");
          }
        },
        (call, next) => {
          if (call.args[0] === "stranger") throw new RpcError("UNAUTHORIZED");
          call.context.state.user = `user ${call.context.method}`;
          return call.args[0] === 13 ? "replaced" : next();
        },
      ],
    },
  );
  assert.equal(await remote.plain(5), 5);
  assert.deepEqual(order.splice(0), ["outer plain [5]", "plain", "outer again"]);
  assert.equal(await remote.plain(13), "replaced");
  assert.deepEqual(order.splice(0), ["outer plain [13]", "outer again"]);
  assert.equal(await remote.who(1), "user who");
  await rejectsWithRpc(remote.who("stranger"), "UNAUTHORIZED", "who");
  await rejectsWithRpc(remote.fail(), "NO", "fail");
});

test("interceptors of a client: they see the call, may change its options, and may make it again", async () => {
  let calls = 0;
  const seen: unknown[] = [];
  const api = {
    count: method((input: unknown, { remainingMs, traceParent }) => [
      ++calls,
      input,
      remainingMs! <= 1_000,
      traceParent,
    ]),
    log: () => {},
    take: async (_: AsyncIterable<number>) => 1,
  };
  const { client } = await typedPair<typeof api>(api);
  const remote = typed<typeof api>(client, {
    use: [
      async (call, next) => {
        seen.push([call.method, call.args.length, call.isOneWay, call.isIdempotent]);
        call.options = { ...call.options, timeoutMs: 1_000, traceParent: "00-ab" };
        const result = await next();
        seen.push(call.hasStreams);
        return result;
      },
      async (call, next) => {
        await next();
        return call.method === "count" ? next() : 1;
      },
    ],
  });
  assert.deepEqual(await remote.count("x"), [2, "x", true, "00-ab"]);
  await remote.log.$oneWay();
  async function* one() {
    yield 1;
  }
  assert.equal(await remote.take(one()), 1);
  assert.deepEqual(seen, [
    ["count", 1, false, false],
    false,
    ["log", 0, true, false],
    false,
    ["take", 1, false, false],
    true,
  ]);
});

test("retry: what did not begin, and after a lost connection what is idempotent; nothing else, and within its budget", async () => {
  const runs = { safe: 0, unsafe: 0 };
  let cut = 0;
  const api = {
    safe: method(
      (_: unknown, { connection }) => {
        runs.safe++;
        if (cut-- > 0) void connection.close();
        return cut >= 0 ? new Promise(() => {}) : runs.safe;
      },
      { idempotent: true },
    ),
    unsafe: method((_: unknown, { connection }) => {
      runs.unsafe++;
      if (cut-- > 0) void connection.close();
      return cut >= 0 ? new Promise(() => {}) : runs.unsafe;
    }),
    fail: () => {
      throw new RpcError("NO");
    },
  };
  const { client } = await typedPair<typeof api>(api, { drainTimeoutMs: 0 });
  const remote = typed<typeof api>(client, { use: [retry({ attempts: 3, pauseMs: 1, budget: 3 })] });
  // Before the server has said that it is idempotent, nobody knows.
  cut = 1;
  await rejectsWith(remote.safe(1), "ERR_CONNECTION_LOST");
  assert.equal(await remote.safe(1), 2);
  cut = 2;
  assert.equal(await remote.safe(1), 5);
  cut = 1;
  await rejectsWith(remote.unsafe(1), "ERR_CONNECTION_LOST");
  assert.equal(runs.unsafe, 1);
  await rejectsWithRpc(remote.fail(), "NO", "fail");
  // One of three is left, and a bit.
  cut = 5;
  const before = runs.safe;
  await rejectsWith(remote.safe(1), "ERR_CONNECTION_LOST");
  assert.equal(runs.safe - before, 2);
  cut = 0;
  throwsWith(() => retry({ attempts: 0 }), "ERR_INVALID_ARGUMENT");
  throwsWith(() => retry({ other: 1 } as never), "ERR_INVALID_ARGUMENT");
});

test("17 is the answer of a method that may be called again, also with a stream in it, and of no other", async () => {
  const again = { idempotent: true };
  let cut = false;
  const api = {
    safe: method(() => 1, again),
    safeNothing: method(() => {}, again),
    safeStream: method(async function* () {}, again),
    fails: method(() => {
      throw new RpcError("NO");
    }, again),
    unsafe: method((_: unknown, { connection }) => {
      if (!cut) return 1;
      void connection.close();
      return new Promise(() => {});
    }),
    unsafeStream: async function* () {},
  };
  const { client } = await typedPair<typeof api>(api, { drainTimeoutMs: 0 });
  const said: Record<string, number | undefined> = {};
  for (const name of Object.keys(api)) {
    const call = client.call(new Uint8Array(0), { head: typedHead(name), streams: false });
    await call.answer;
    said[name] = call.answerHead?.fields?.get(255)?.[1];
  }
  assert.deepEqual(said, {
    safe: About.idempotentValue,
    safeNothing: About.idempotentValue,
    safeStream: About.idempotentValue,
    fails: About.error,
    unsafe: About.value,
    unsafeStream: About.value,
  });
  // A caller that had the other answer does not take it for this one.
  const remote = typed<typeof api>(client, { use: [retry({ attempts: 3, pauseMs: 1 })] });
  assert.equal(await remote.unsafe(1), 1);
  cut = true;
  await rejectsWith(remote.unsafe(1), "ERR_CONNECTION_LOST");
});

test("retry of calls that did not begin: refused, then taken; an abort ends the pause", async () => {
  let refuse = 2;
  const dialled = startClient({ ...v2.options, port: 1 });
  const unreachable = typed<{ one: () => number }>(dialled, {
    use: [retry({ attempts: 100, pauseMs: 60_000 })],
  });
  const abort = new AbortController();
  const call = unreachable.one.$with({ signal: abort.signal })();
  await waitFor(() => dialled.stats.failedConnections > 0, "the failed dial");
  setTimeout(() => abort.abort(), 20);
  const error = await call.then(
    () => undefined,
    (caught) => caught as { code: string },
  );
  assert.ok(["ERR_ABORTED", "ERR_DIAL_FAILED"].includes(error!.code));
  const { client } = await typedPair<{ one: () => number }>({ one: () => 1 });
  const flaky = {
    send: client.send.bind(client),
    call: (body: Uint8Array, options: object) => {
      if (refuse-- > 0) {
        throw Object.assign(new RpcError("X"), {});
      }
      return client.call(body, options);
    },
  };
  // What is no SealwireError is not repeated.
  await assert.rejects(typed<{ one: () => number }>(flaky as never, { use: [retry()] }).one());
});

test("the pauses of retry grow up to their ceiling: the twentieth is no longer than the second", async () => {
  for (const pauses of [{ pauseMs: 1, maxPauseMs: 2 }, { pauseMs: 60_000, maxPauseMs: 0 }, { pauseMs: 0 }]) {
    const call = { options: {}, hasStreams: false, isIdempotent: false };
    let attempts = 0;
    const refuse = (): never => {
      attempts++;
      throw new SealwireError("ERR_CONNECTION_LOST", "refused", { notBegun: true });
    };
    const repeated = retry({ attempts: 25, budget: 100, ...pauses });
    await rejectsWith(Promise.resolve(repeated(call as never, refuse)), "ERR_CONNECTION_LOST");
    assert.equal(attempts, 25);
  }
  for (const maxPauseMs of [-1, 1.5, 0x80000000, "1s"])
    throwsWith(() => retry({ maxPauseMs: maxPauseMs as number }), "ERR_INVALID_ARGUMENT");
});

test("protocol v1 has no typed calls, and says so", async () => {
  const { client } = await startPair(
    { ...v1.options, onMessage: serve({ one: () => 1 }) },
    { ...v1.options },
  );
  const remote = typed<{ one: () => number; take: (s: AsyncIterable<number>) => number }>(client);
  const call = remote.one();
  assert.ok(call instanceof Promise);
  await rejectsWith(call, "ERR_UNSUPPORTED");
  await rejectsWith(remote.one.$oneWay(), "ERR_UNSUPPORTED");
  const closed = deferred();
  async function* items() {
    try {
      yield 1;
    } finally {
      closed.resolve();
    }
  }
  await rejectsWith(remote.take(items()), "ERR_UNSUPPORTED");
});

test("typed calls go through clients of several endpoints and through sticky ones", async () => {
  const api = {
    name: () => "one",
    sum: async (items: AsyncIterable<number>) => {
      let sum = 0;
      for await (const item of items) sum += item;
      return sum;
    },
  };
  const server = await startServer({ ...v2.options, onMessage: serve(api) });
  const endpoints = [{ host: "127.0.0.1", port: server.port }];
  const client = startClient({ ...v2.options, endpoints }) as StickyClient;
  assert.equal(await typed<typeof api>(client).name(), "one");
  assert.equal(await typed<typeof api>(client.sticky("key")).name(), "one");
  async function* items() {
    yield 1;
    yield 2;
  }
  assert.equal(await typed<typeof api>(client).sum(items()), 3);
  assert.equal(await typed<typeof api>(client.sticky("key")).sum(items()), 3);
  assert.equal((await client.sticky("key").connected()).state, "open");
});
