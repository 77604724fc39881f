// Odd values from methods, validators and other realms: proxies that were revoked, traps and getters that throw,
// thenables, promises that never settle. Callers get a code, and other calls are served.

import assert from "node:assert/strict";
import { createContext, runInContext } from "node:vm";
import { method, RpcError, type StandardSchema } from "../../../src/rpc.ts";
import { test } from "../../support/harness.ts";
import { checkLeaksAfterEachTest, waitFor } from "../../support/rpcHarness.ts";
import { typedPair } from "../../support/typedHarness.ts";

checkLeaksAfterEachTest();

const THEN = "then";

test("whatever a method throws or gives that can't be asked what it is: its caller learns ERR_INTERNAL or ERR_BAD_ANSWER", async () => {
  const revoked = (): object => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  };
  const trapped = (): object =>
    new Proxy(new RpcError("INSIDE", "own text", 1), {
      get() {
        throw new Error("own text");
      },
      getPrototypeOf() {
        throw new Error("own text");
      },
    });
  const odd = (): RpcError =>
    Object.defineProperty(new RpcError("ODD"), "code", {
      get() {
        throw new Error("own text");
      },
    });
  const realm = runInContext("globalThis", createContext({})) as typeof globalThis;
  const evil: Record<string, () => unknown> = {
    null: () => null,
    undefined: () => undefined,
    revoked,
    trapped,
    odd,
    symbol: () => Symbol("own text"),
    frozen: () => Object.freeze(new Error("own text")),
    "another realm's": () => new realm.Error("own text"),
    thenable: () => ({
      get [THEN]() {
        throw new Error("own text");
      },
    }),
  };
  const api: Record<string, Record<string, () => unknown>> = {
    throws: {},
    rejects: {},
    gives: {},
    resolves: {},
  };
  for (const [i, make] of Object.values(evil).entries()) {
    api.throws![`e${i}`] = () => {
      throw make();
    };
    api.rejects![`e${i}`] = () => new Promise((_, reject) => reject(make()));
  }
  const values = [
    revoked,
    trapped,
    evil.thenable!,
    () =>
      new realm.Promise(() => {
        throw null;
      }),
  ];
  for (const [i, make] of values.entries()) {
    api.gives![`v${i}`] = make;
    api.resolves![`v${i}`] = async () => make();
  }
  let failures = 0;
  const pair = await typedPair<object>(api, { onHandlerError: () => void failures++ });
  const remote = pair.remote as Record<string, Record<string, () => Promise<unknown>>>;
  for (const [group, methods] of Object.entries(api)) {
    for (const name of Object.keys(methods)) {
      const before = failures;
      const error = await remote[group]![name]!().then(
        (value) => {
          throw new Error(`${group}.${name} gave ${String(value)}`);
        },
        (caught: RpcError) => caught,
      );
      assert.ok(error instanceof RpcError, `${group}.${name}: ${String(error)}`);
      assert.match(error.code, /^ERR_(INTERNAL|BAD_ANSWER)$/, `${group}.${name}`);
      assert.doesNotMatch(error.message, /own text/);
      await waitFor(() => failures > before, `${group}.${name} at home`);
    }
  }
  assert.equal(pair.client.stats.inFlightRequests, 0);
});

test("functions, promises, generators and values of another realm are what they are", async () => {
  const realm = runInContext(
    `({
      api: { echo: (value) => value, later: async (value) => [value], count: async function* (to) { for (let i = 0; i < to; i++) yield { i }; } },
      values: [{ a: [1, { b: null }] }, [new Date(5), new Map([[1, new Set(["x"])]]), Uint8Array.of(1, 2)], new TypeError("odd")],
    })`,
    createContext({}),
  ) as { api: Record<string, (value: unknown) => unknown>; values: unknown[] };
  const { remote } = await typedPair<Record<"echo" | "later" | "count", (value: unknown) => unknown>>(
    realm.api,
  );
  for (const value of realm.values) {
    const back = await remote.echo(value);
    assert.equal(
      Object.getPrototypeOf(back).constructor,
      globalThis[(value as object).constructor.name as "Object"],
    );
    assert.equal(((await remote.later(value)) as unknown[]).length, 1);
  }
  const items: unknown[] = [];
  for await (const item of (await remote.count(3)) as AsyncIterable<unknown>) items.push(item);
  assert.deepEqual(items, [{ i: 0 }, { i: 1 }, { i: 2 }]);
});

test("validators that hang hold their own call and nothing else, at either end of it", async () => {
  const hanging = (thenable: boolean): StandardSchema<unknown, unknown> => ({
    "~standard": {
      version: 1,
      vendor: "sealwire-tests",
      validate: () =>
        (thenable ? { [THEN]() {} } : new Promise(() => {})) as unknown as Promise<{ value: unknown }>,
    },
  });
  let ran = 0;
  const run = () => ++ran;
  const api = {
    input: method(hanging(false), run),
    thenable: method(hanging(true), run),
    answer: method(hanging(true), run),
    data: method(
      () => {
        throw new RpcError("GONE", "own", 1);
      },
      { errors: { GONE: hanging(false) } },
    ),
    fine: () => 1,
  };
  const { client, remote } = await typedPair<typeof api>(api, { drainTimeoutMs: 0 });
  for (const name of ["input", "thenable", "answer", "data"] as const) {
    const call = (remote[name] as { $with(options: object): (input?: unknown) => Promise<unknown> }).$with({
      timeoutMs: 20,
    });
    await assert.rejects(call(1), { code: "ERR_REQUEST_TIMEOUT" });
  }
  assert.equal(ran, 0);
  assert.equal(await remote.fine(), 1);
  assert.equal(client.stats.inFlightRequests, 0);
});
