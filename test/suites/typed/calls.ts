// Typed calls: one side gives arguments, results, errors, contexts and options, and the other side gets the same.

import assert from "node:assert/strict";
import { type Client, encodeKey, generateKeyPair, type Message } from "../../../src/index.ts";
import { method, RpcError, serve, type TypedOptions, typed } from "../../../src/rpc.ts";
import { bodyLenderOf } from "../../../src/typed/codec/bodyLender.ts";
import { jsonCodec } from "../../../src/typed/codec/jsonCodec.ts";
import { test } from "../../support/harness.ts";
import { v2 } from "../../support/protocols.ts";
import {
  checkLeaksAfterEachTest,
  deferred,
  fromText,
  rejectsWith,
  startPair,
  text,
  throwsWith,
  waitFor,
} from "../../support/rpcHarness.ts";
import { numberSchema, rejectsWithRpc, typedPair } from "../../support/typedHarness.ts";

checkLeaksAfterEachTest();

test("plain functions at any depth: arguments and results arrive, sync and async", async () => {
  const api = {
    echo: (value: unknown) => value,
    add: async (a: number, b: number) => a + b,
    nothing: () => {},
    deep: { er: { count: (...items: unknown[]) => items.length } },
    owner: {
      factor: 3,
    },
  };
  const { owner: _, ...served } = api;
  const { remote } = await typedPair<typeof served>(served);
  assert.equal(await remote.echo("text"), "text");
  assert.deepEqual(await remote.echo({ a: [1, { b: null }], when: new Date(5) }), {
    a: [1, { b: null }],
    when: new Date(5),
  });
  assert.deepEqual(await remote.echo(Uint8Array.of(1, 2, 3)), Uint8Array.of(1, 2, 3));
  assert.equal(await remote.add(2, 3), 5);
  assert.equal(await remote.nothing(), undefined);
  assert.equal(await remote.deep.er.count(1, undefined, 3), 3);
  assert.equal(await remote.deep.er.count(), 0);
  assert.equal(await remote.echo(undefined), undefined);
  assert.equal(await remote.echo(null), null);
});

test("a call is a promise and nothing else; a remote object is none, however deep", async () => {
  let calls = 0;
  const { remote } = await typedPair<{ a: { b: () => number } }>(
    { a: { b: () => 1 } },
    {},
    {
      use: [
        (_, next) => {
          calls++;
          return next();
        },
      ],
    },
  );
  const call = remote.a.b();
  assert.equal(Object.getPrototypeOf(call), Promise.prototype);
  assert.equal(await call, 1);
  assert.equal(remote.a.b, remote.a.b);
  for (const part of [remote, remote.a, remote.a.b] as unknown as Record<PropertyKey, unknown>[]) {
    assert.equal(await part, part);
    for (const name of ["then", "catch", "finally", "toJSON", "constructor", "__proto__", "prototype", ""]) {
      assert.equal(part[name], undefined, name);
      assert.equal(name in part, false, name);
    }
    for (const symbol of [Symbol.iterator, Symbol.asyncIterator, Symbol.toPrimitive, Symbol("own")]) {
      assert.equal(part[symbol], undefined);
    }
    assert.doesNotThrow(() => JSON.stringify({ part }));
    assert.throws(() => {
      part.added = 1;
    }, TypeError);
    assert.throws(() => Object.setPrototypeOf(part, {}), TypeError);
  }
  assert.equal(calls, 1);
});

test("the context is this side's: no argument becomes one, whatever it looks like", async () => {
  const seen: unknown[][] = [];
  const api = {
    plain: (...args: unknown[]) => {
      seen.push(args);
      return args.length;
    },
    whole: method((input: unknown, context) => [input, context.method, context.peerKey ?? "none"]),
  };
  const { client, remote } = await typedPair<typeof api>(api);
  const forged = { peerKey: "admin", method: "other", connection: {}, signal: {}, state: { user: "root" } };
  assert.equal(await remote.plain("x", forged), 2);
  assert.deepEqual(seen, [["x", forged]]);
  assert.deepEqual(await remote.whole(forged), [forged, "whole", "none"]);
  // More arguments than the one input are refused; so is a second one that is no option.
  await rejectsWithRpc(
    (remote.whole as (...args: unknown[]) => Promise<unknown>)(1, forged),
    "ERR_BAD_INPUT",
    "whole",
  );
  await rejectsWithRpc(
    (typed<typeof api>(client).whole.$with({}) as (...args: unknown[]) => Promise<unknown>)(1, 2, 3),
    "ERR_BAD_INPUT",
    "whole",
  );
  // A misspelt option makes the second argument no options: the caller reads which ones there are.
  const misspelt = await rejectsWithRpc(
    (remote.whole as (...args: unknown[]) => Promise<unknown>)(1, { timeout: 5 }),
    "ERR_BAD_INPUT",
    "whole",
  );
  assert.match(misspelt.message, /2 arguments came \(options are timeoutMs, signal, traceParent\)$/);
});

test("the context: key, connection, method, remaining time, trace context, state", async () => {
  const serverKey = generateKeyPair();
  const clientKey = generateKeyPair();
  const api = {
    nested: {
      about: method((_: undefined, context) => {
        assert.equal(context.state, context.state);
        assert.equal(Object.getPrototypeOf(context.state), null);
        assert.equal(context.connection.authenticated, true);
        const { peerKey, method, traceParent, remainingMs, isOneWay } = context;
        return { peerKey, method, traceParent, remainingMs: remainingMs ?? -1, isOneWay };
      }),
    },
  };
  const { server, client } = await startPair(
    { onMessage: serve(api), staticKey: serverKey.privateKey, authorize: () => true },
    { staticKey: clientKey.privateKey, remoteStatic: serverKey.publicKey },
  );
  assert.ok(server.connections);
  const { remainingMs, ...about } = await typed<typeof api>(client).nested.about(undefined, {
    timeoutMs: 5_000,
    traceParent: "00-ab-cd-01",
  });
  assert.deepEqual(about, {
    peerKey: encodeKey(clientKey.publicKey),
    method: "nested.about",
    traceParent: "00-ab-cd-01",
    isOneWay: false,
  });
  assert.ok(remainingMs > 0 && remainingMs <= 5_000);
});

test("options: directly for a method, through $with for everything; what looks like options is never lost silently", async () => {
  const api = {
    plain: (...args: unknown[]) => args,
    one: method((input: unknown) => input),
    hang: method(
      (_: unknown, { signal }) =>
        new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
    ),
  };
  const { remote } = await typedPair<typeof api>(api);
  const options = { timeoutMs: 10_000 };
  assert.equal(await remote.one(5, options), 5);
  assert.equal(await remote.one.$with(options)(6), 6);
  // As data: the input itself, one of three arguments, or with a property that is no option.
  assert.deepEqual(await remote.one(options), options);
  assert.deepEqual(await remote.plain(1, 2, options), [1, 2, options]);
  assert.deepEqual(await remote.plain(1, { timeoutMs: 1, own: 2 }), [1, { timeoutMs: 1, own: 2 }]);
  assert.deepEqual(await remote.plain.$with({})(1, options), [1, options]);
  assert.deepEqual(await remote.plain(1, {}), [1, {}]);
  const refused = await rejectsWithRpc(remote.plain(1, options), "ERR_BAD_INPUT", "plain");
  assert.match(refused.message, /\$with/);
  const late = await rejectsWith(remote.hang(1, { timeoutMs: 20 }), "ERR_REQUEST_TIMEOUT");
  assert.match(late.message, /^hang: /);
  const abort = new AbortController();
  const hanging = remote.hang.$with({ signal: abort.signal })(1);
  abort.abort(new Error("enough"));
  await rejectsWith(hanging, "ERR_ABORTED");
  await rejectsWith(remote.hang(1, { signal: AbortSignal.abort() }), "ERR_ABORTED");
  throwsWith(() => remote.one.$with({ timeout: 5 } as never), "ERR_INVALID_ARGUMENT");
  await rejectsWith(remote.one(1, { timeoutMs: -1 }), "ERR_INVALID_ARGUMENT");
});

test("errors: an RpcError crosses as it is, all else stays at home", async () => {
  const failures: unknown[] = [];
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  const throwing = new Proxy(
    {},
    {
      get() {
        throw new Error("a trap");
      },
      getPrototypeOf() {
        throw new Error("a trap");
      },
    },
  );
  const things: Record<string, () => unknown> = {
    error: () => {
      throw Object.assign(new Error("password 123"), { code: "ENOENT", data: text("secret") });
    },
    rejection: () => Promise.reject(new TypeError("password 123")),
    nothing: () => {
      throw undefined;
    },
    proxy: () => {
      throw throwing;
    },
    revoked: () => Promise.reject(revoked.proxy),
    thenable: () => ({
      // biome-ignore lint/suspicious/noThenProperty: that is what is tested
      get then() {
        throw new Error("password 123");
      },
    }),
    forged: () => {
      throw { name: "RpcError", code: "FORGED", message: "password 123" };
    },
  };
  const api = {
    forbidden: (id: number) => {
      throw new RpcError("FORBIDDEN", "not yours", { id });
    },
    later: async () => {
      throw new RpcError("LATER");
    },
    ...things,
  };
  const { remote } = await typedPair<typeof api>(api, {
    onHandlerError: (error: unknown) => failures.push(error),
  });
  const forbidden = await rejectsWithRpc(remote.forbidden(3), "FORBIDDEN", "forbidden");
  assert.deepEqual([forbidden.message, forbidden.data, forbidden.name], ["not yours", { id: 3 }, "RpcError"]);
  assert.equal(Object.prototype.toString.call(forbidden), "[object Error]");
  assert.match(String(forbidden.stack), /not yours/);
  const later = await rejectsWithRpc(remote.later(), "LATER", "later");
  assert.deepEqual([later.message, later.data], ["LATER", undefined]);
  assert.equal(failures.length, 0);
  for (const name of Object.keys(things)) {
    const error = await rejectsWithRpc(
      (remote as unknown as Record<string, () => Promise<unknown>>)[name]!(),
      "ERR_INTERNAL",
      name,
    );
    assert.deepEqual([error.message, error.data], [`${name} failed`, undefined]);
  }
  await waitFor(() => failures.length === Object.keys(things).length, "what the methods threw");
});

test("exposeStacks sends the stacks of what is no RpcError", async () => {
  const api = {
    fail: () => {
      throw new Error("why");
    },
  };
  const { remote } = await typedPair<typeof api>(api, { onHandlerError: () => {} }, { exposeStacks: true });
  const error = await rejectsWithRpc(remote.fail(), "ERR_INTERNAL", "fail");
  assert.match((error.data as { stack: string }).stack, /why/);
});

test("an error of another peer is passed on with its code alone, and nothing that its layer said", async () => {
  const backend = {
    own: () => {
      throw new RpcError("QUOTA", "the backend's text", { secret: 1 });
    },
  };
  const inner = await typedPair<typeof backend>(backend);
  const api = {
    pass: () => inner.remote.own(),
    lost: () => (inner.remote as unknown as { missing: () => Promise<void> }).missing(),
  };
  const outer = await typedPair<typeof api>(api, { onHandlerError: () => {} });
  const error = await rejectsWithRpc(outer.remote.pass(), "QUOTA", "pass");
  assert.deepEqual([error.message, error.data], ["QUOTA", undefined]);
  await rejectsWithRpc(outer.remote.lost(), "ERR_INTERNAL", "lost");
});

test("data of another peer's typed error are bytes, and a handler that is no typed method throws it: they stay", async () => {
  const backend = {
    own: () => {
      throw new RpcError("QUOTA", "the backend's text", text("secret"));
    },
  };
  const inner = await typedPair<typeof backend>(backend);
  const { client } = await startPair(
    {
      ...v2.options,
      onHandlerError() {},
      onMessage: async (message) => {
        if (fromText(message.body) === "own") throw new RpcError("OWN", "own", text("mine"));
        await inner.remote.own();
      },
    },
    v2.options,
  );
  const passed = await rejectsWith(client.request(text("pass")), "ERR_REMOTE");
  assert.deepEqual([passed.remoteCode, passed.data], ["QUOTA", undefined]);
  const own = await rejectsWith(client.request(text("own")), "ERR_REMOTE");
  assert.deepEqual([own.remoteCode, fromText(own.data!)], ["OWN", "mine"]);
});

test("codes that are this package's own, or none, are no method's", () => {
  for (const code of ["ERR_OWN", "", "with space", "ü", "x".repeat(65), 5 as unknown as string]) {
    throwsWith(() => new RpcError(code), "ERR_INVALID_ARGUMENT");
  }
});

test("unknown methods, bad bodies, bad answers have codes of their own", async () => {
  const failures: unknown[] = [];
  const api = {
    fine: () => 1,
    bad: () => () => 1,
    huge: () => new Uint8Array(3_000_000),
    numbers: method(numberSchema, (value) => value),
  };
  const { client, remote } = await typedPair<typeof api>(api, {
    onHandlerError: (error: unknown) => failures.push(error),
  });
  const missing = remote as unknown as Record<string, Record<string, () => Promise<unknown>>>;
  await rejectsWithRpc(missing.fine!.more!(), "ERR_NO_METHOD", "fine.more");
  await rejectsWithRpc(
    (missing as never as { hasOwnProperty: { call(): Promise<unknown> } }).hasOwnProperty.call(),
    "ERR_NO_METHOD",
    "hasOwnProperty.call",
  );
  const bad = await rejectsWithRpc(remote.bad(), "ERR_BAD_ANSWER", "bad");
  assert.doesNotMatch(bad.message, /function/);
  await rejectsWithRpc(remote.huge(), "ERR_BAD_ANSWER", "huge");
  await waitFor(() => failures.length === 2, "the reports at the server");
  const input = await rejectsWithRpc(
    (remote.numbers as (value: unknown) => Promise<number>)("x"),
    "ERR_BAD_INPUT",
    "numbers",
  );
  assert.deepEqual(input.data, { issues: [{ message: "no number", path: ["value", 0] }] });
  // Raw calls with typed heads and bodies that are none.
  const head = { method: "fine", contentType: 1, fields: new Map([[255, Uint8Array.of(1, 1, 1)]]) };
  for (const body of ["{", "{}", "5", '"a"', "[1"]) {
    const call = client.call(text(body), { head, streams: false });
    const answer = await call.answer;
    assert.equal(fromText(answer.subarray(1, 1 + answer[0]!)), "ERR_BAD_INPUT", body);
  }
  assert.equal(await remote.fine(), 1);
});

test("one-way calls run, and answer nothing", async () => {
  const logged: unknown[][] = [];
  const failures: unknown[] = [];
  const api = {
    log: (...args: unknown[]) => void logged.push(args),
    method: method((input: string, context) => void logged.push([input, context.isOneWay])),
    fail: () => {
      throw new Error("nobody hears it");
    },
  };
  const { remote } = await typedPair<typeof api>(api, {
    onHandlerError: (error: unknown) => failures.push(error),
  });
  assert.equal(await remote.log.$oneWay("a", 1), undefined);
  await remote.method.$oneWay("b");
  await remote.fail.$oneWay();
  await (remote as unknown as { missing: { $oneWay(): Promise<void> } }).missing.$oneWay();
  await waitFor(() => logged.length === 2 && failures.length === 1, "the calls");
  assert.deepEqual(logged, [
    ["a", 1],
    ["b", true],
  ]);
  await rejectsWith(
    (remote.method.$oneWay as (...args: unknown[]) => Promise<void>)("b", { timeoutMs: 5 }),
    "ERR_INVALID_ARGUMENT",
  );
  await rejectsWith(
    remote.log.$oneWay(() => {}),
    "ERR_ENCODE",
  );
});

test("the server calls the client, with the same types", async () => {
  const clientApi = { name: () => "client", twice: async (value: number) => value * 2 };
  const api = {
    ask: method(async (_: undefined, { connection }) => {
      const peer = typed<typeof clientApi>(connection);
      return [await peer.name(), await peer.twice(21)];
    }),
  };
  const { remote } = await typedPair<typeof api>(api, {}, {}, { onMessage: serve(clientApi) });
  assert.deepEqual(await remote.ask(), ["client", 42]);
});

test("cancel reaches the handler in each phase, and its place is free again", async () => {
  const began = deferred();
  const ended = deferred<unknown>();
  const api = {
    wait: method(async (_: undefined, { signal }) => {
      began.resolve();
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      ended.resolve(signal.reason);
      signal.throwIfAborted();
    }),
    fine: () => 1,
  };
  const { client, remote } = await typedPair<typeof api>(api);
  // Before there is a connection.
  const early = new AbortController();
  const neverLeft = remote.wait(undefined, { signal: early.signal });
  early.abort();
  await rejectsWith(neverLeft, "ERR_ABORTED");
  await client.connected();
  const abort = new AbortController();
  const call = remote.wait(undefined, { signal: abort.signal });
  await began.promise;
  abort.abort();
  await rejectsWith(call, "ERR_ABORTED");
  assert.equal(((await ended.promise) as { code: string }).code, "ERR_ABORTED");
  await waitFor(() => client.stats.inFlightRequests === 0, "the end");
  // After the answer.
  const after = new AbortController();
  assert.equal(await remote.fine.$with({ signal: after.signal })(), 1);
  after.abort();
  assert.equal(await remote.fine(), 1);
});

test("a lost connection rejects the call with the method's name, and aborts the handler", async () => {
  const ended = deferred();
  const api = {
    planet: {
      wait: method(async (_: undefined, { signal, connection }) => {
        void connection.close();
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        ended.resolve();
      }),
    },
  };
  const { remote } = await typedPair<typeof api>(api, { drainTimeoutMs: 0 });
  const error = await rejectsWith(remote.planet.wait(), "ERR_CONNECTION_LOST");
  assert.match(error.message, /^planet\.wait: /);
  await ended.promise;
});

test("whoever serves no typed calls, and whoever calls without types, learn it", async () => {
  const echoing = await startPair(
    { ...v2.options, onMessage: (message: Message) => message.reply(message.body) },
    { ...v2.options },
  );
  const remote = typed<{ echo: (value: string) => string }>(echoing.client);
  await rejectsWithRpc(remote.echo("x"), "ERR_BAD_ANSWER", "echo");
  const silent = await startPair({ ...v2.options }, { ...v2.options });
  const none = await rejectsWith(
    typed<{ echo: (value: string) => string }>(silent.client).echo("x"),
    "ERR_REMOTE",
  );
  assert.deepEqual([none.remoteCode, none.notBegun], ["ERR_NO_HANDLER", true]);
  const { client } = await typedPair<{ echo: () => void }>({ echo: () => {} }, { onHandlerError: () => {} });
  assert.equal((await rejectsWith(client.request(text("raw")), "ERR_REMOTE")).remoteCode, "ERR_UNSUPPORTED");
  const both = await typedPair<{ one: () => number }>(
    { one: () => 1 },
    {},
    {
      onMessage: (message: Message) => message.reply(message.body),
    },
  );
  assert.equal(fromText(await both.client.request(text("raw"))), "raw");
  assert.equal(await both.remote.one(), 1);
});

test("another codec, or another version of it, is an error that says so", async () => {
  const { client } = await typedPair<{ one: (value: unknown) => unknown }>({
    one: (value: unknown) => value,
  });
  const other = (contentType: number, version: number): TypedOptions => ({
    codec: {
      contentType,
      version,
      name: "other",
      encode: () => Uint8Array.of(1, 2, 3),
      decode: () => "decoded",
    },
  });
  for (const options of [other(2, 1), other(1, 77)]) {
    const remote = typed<{ one: (value: unknown) => unknown }>(client, options);
    const error = await rejectsWithRpc(remote.one("x"), "ERR_CODEC", "one");
    assert.match(error.message, /json/);
  }
  const head = { method: "one", contentType: 1, fields: new Map([[255, Uint8Array.of(9, 1, 1)]]) };
  const answer = await client.call(text("[]"), { head, streams: false }).answer;
  assert.equal(fromText(answer.subarray(1, 1 + answer[0]!)), "ERR_CODEC");
  // A server may speak several.
  const several = await typedPair<{ one: (value: unknown) => unknown }>(
    { one: (value: unknown) => value },
    {},
    {
      codec: [other(2, 1).codec!, other(1, 77).codec!],
    },
  );
  const remote = typed<{ one: (value: unknown) => unknown }>(several.client, other(1, 77));
  await rejectsWithRpc(remote.one("x"), "ERR_BAD_INPUT", "one");
});

test("bodies of calls are wiped at both ends once they were copied, however the call ends; a wrapper may keep its own", async () => {
  const api = {
    echo: (value: unknown) => value,
    fail: () => {
      throw new RpcError("FAILED", "on purpose", { text: "a secret" });
    },
    odd: () => Symbol("no value"),
  };
  const { server, client, remote } = await typedPair<typeof api>(api, { onHandlerError() {} });
  const lender = bodyLenderOf(jsonCodec());
  const probe = lender.encode(0);
  const memory = new Uint8Array(probe.buffer);
  lender.giveBack(probe);
  const isWiped = () => memory.every((byte) => byte === 0);
  const secret = { text: "a secret" };

  assert.deepEqual(await remote.echo(secret), secret);
  assert.ok(isWiped());
  const call = remote.echo(secret);
  assert.ok(isWiped());
  await call;
  await remote.echo.$oneWay(secret);
  assert.ok(isWiped());
  await assert.rejects(remote.fail());
  await assert.rejects(remote.odd());
  await assert.rejects(remote.echo.$with({ timeoutMs: -1 })(secret));
  const aborted = AbortSignal.abort();
  await assert.rejects(remote.echo.$with({ signal: aborted })(secret));
  // An argument whose getter calls meanwhile.
  const nested: Promise<unknown>[] = [];
  const calling = {
    get text() {
      nested.push(remote.echo("within"));
      return "a secret";
    },
  };
  assert.deepEqual(await remote.echo(calling), secret);
  assert.ok(nested.length > 0);
  for (const answer of nested) assert.equal(await answer, "within");
  assert.ok(isWiped());

  const kept: Uint8Array[] = [];
  const keep = (body: Uint8Array) => void kept.push(body);
  const wrappers: Pick<Client, "call" | "send">[] = [
    {
      call: (body, options) => {
        keep(body);
        return client.call(body, options);
      },
      send: (body, options) => {
        keep(body);
        return client.send(body, options);
      },
    },
    new Proxy(client, {
      get(target, name) {
        const member = Reflect.get(target, name, target) as unknown;
        if (typeof member !== "function") return member;
        return (body: Uint8Array, ...more: unknown[]) => {
          keep(body);
          return Reflect.apply(member, target, [body, ...more]) as unknown;
        };
      },
    }),
  ];
  for (const wrapper of wrappers) {
    const wrapped = typed<typeof api>(wrapper);
    assert.deepEqual(await wrapped.echo(secret), secret);
    await wrapped.echo.$oneWay(secret);
    assert.deepEqual(await wrapped.echo(1), 1);
  }
  const texts = kept.map((body) => new TextDecoder().decode(body));
  assert.deepEqual(texts, Array(2).fill([`[{"text":"a secret"}]`, `[{"text":"a secret"}]`, "[1]"]).flat());

  await client.close();
  await assert.rejects(remote.echo(secret));
  await assert.rejects(remote.echo.$oneWay(secret));
  assert.ok(isWiped());
  await server.close();
});
