// Schemas of common libraries at both ends of a method: their errors become an error with a code, and the handler gets
// the value that they return.

import assert from "node:assert/strict";
import { type } from "arktype";
import * as v from "valibot";
import { z } from "zod";
import { isErrorOf, type Method, method, RpcError, type StandardSchema } from "../../../src/rpc.ts";
import { test } from "../../support/harness.ts";
import { checkLeaksAfterEachTest, waitFor } from "../../support/rpcHarness.ts";
import { rejectsWithRpc, typedPair } from "../../support/typedHarness.ts";

checkLeaksAfterEachTest();

interface BadInputData {
  issues: { message: string; path: (string | number)[] }[];
}

test("zod, valibot and arktype: input, output of the schema, and issues with their paths", async () => {
  const api = {
    zod: method(
      z.object({ id: z.number().int(), tags: z.array(z.string()).default(["none"]) }),
      (input) => input,
    ),
    valibot: method(
      v.object({ id: v.pipe(v.number(), v.integer()), tags: v.optional(v.array(v.string()), ["none"]) }),
      (input) => input,
    ),
    arktype: method(type({ id: "number.integer", "tags?": "string[]" }), ({ id, tags = ["none"] }) => ({
      id,
      tags,
    })),
  };
  const { remote } = await typedPair<typeof api>(api);
  for (const name of ["zod", "valibot", "arktype"] as const) {
    assert.deepEqual(await remote[name]({ id: 3 }), { id: 3, tags: ["none"] }, name);
    assert.deepEqual(await remote[name]({ id: 3, tags: ["a"] }), { id: 3, tags: ["a"] }, name);
    for (const [input, path] of [
      [{ id: "3" }, "id"],
      [{ id: 1, tags: [5] }, "tags.0"],
      ["text", ""],
      [undefined, ""],
    ] as const) {
      const error = await rejectsWithRpc(remote[name](input as never), "ERR_BAD_INPUT", name);
      const { issues } = error.data as BadInputData;
      assert.ok(issues.length > 0 && issues.every(({ message }) => message.length > 0), name);
      assert.equal(issues[0]!.path.join("."), path, `${name} ${JSON.stringify(input)}`);
    }
  }
});

test("schemas that take their time, on both ends, and what they throw", async () => {
  const failures: unknown[] = [];
  const slow = z.string().refine(async (text) => {
    await new Promise((resolve) => setTimeout(resolve, 2));
    return text !== "bad";
  });
  const api = {
    slow: method(slow, (text) => text.length),
    broken: method(
      {
        "~standard": {
          version: 1,
          vendor: "test",
          validate: () => Promise.reject(new Error("the database is down")),
        },
      },
      () => 1,
    ),
    answer: method(z.string(), (text) => text, { answer: slow }),
    wrong: method(z.unknown(), () => ({ id: "x", secret: 1 }) as never, {
      answer: z.object({ id: z.number() }),
    }),
    stripped: method(z.unknown(), () => ({ id: 1, secret: 2 }), { answer: z.object({ id: z.number() }) }),
  };
  const { remote } = await typedPair<typeof api>(api, {
    onHandlerError: (error: unknown) => failures.push(error),
  });
  assert.equal(await remote.slow("four"), 4);
  await rejectsWithRpc(remote.slow("bad"), "ERR_BAD_INPUT", "slow");
  await rejectsWithRpc(remote.broken(1), "ERR_INTERNAL", "broken");
  assert.equal(await remote.answer("fine"), "fine");
  await rejectsWithRpc(remote.answer("bad"), "ERR_BAD_ANSWER", "answer");
  const wrong = await rejectsWithRpc(remote.wrong(1), "ERR_BAD_ANSWER", "wrong");
  assert.equal(wrong.data, undefined);
  assert.deepEqual(await remote.stripped(1), { id: 1 });
  await waitFor(() => failures.length === 3, "the reports at the server");
  assert.match(String(failures[2]), /answer is not what its schema says/);
});

test("declared errors: their data go through their schemas, and the caller tells them apart with types", async () => {
  const failures: unknown[] = [];
  const api = {
    find: method(
      z.object({ id: z.number() }),
      ({ id }) => {
        if (id === 1) throw new RpcError("FORBIDDEN", "not yours", { id, secret: "s" });
        if (id === 2) throw new RpcError("GONE", "no more", { since: "yesterday" });
        if (id === 3) throw new RpcError("OTHER");
        return id;
      },
      { errors: { FORBIDDEN: z.object({ id: z.number() }), GONE: z.object({ since: z.number() }) } },
    ),
  };
  const { remote } = await typedPair<typeof api>(api, {
    onHandlerError: (error: unknown) => failures.push(error),
  });
  const forbidden: unknown = await remote.find({ id: 1 }).catch((error) => error);
  assert.ok(isErrorOf(remote.find, forbidden));
  if (forbidden.code === "FORBIDDEN") assert.deepEqual(forbidden.data, { id: 1 } satisfies { id: number });
  assert.equal(forbidden.code, "FORBIDDEN");
  // Data that is not what the schema says stays at home.
  await rejectsWithRpc(remote.find({ id: 2 }), "ERR_BAD_ANSWER", "find");
  assert.equal(failures.length, 1);
  await rejectsWithRpc(remote.find({ id: 3 }), "OTHER", "find");
  const bad: unknown = await remote.find({ id: "x" } as never).catch((error) => error);
  assert.equal(isErrorOf(remote.find, bad), false);
  assert.equal(isErrorOf(remote.find, undefined), false);
  assert.throws(() => isErrorOf({}, forbidden), { code: "ERR_INVALID_ARGUMENT" });
});

test("issues without end are cut, and a schema that claims much gets no more", async () => {
  const api = {
    many: method(
      {
        "~standard": {
          version: 1,
          vendor: "test",
          validate: () => ({
            issues: Array.from({ length: 100 }, (_, i) => ({
              message: "x".repeat(100_000),
              path: Array.from({ length: 100 }, () => (i % 2 === 0 ? Symbol("s") : "y".repeat(2_000))),
            })),
          }),
        },
      },
      () => 1,
    ),
  };
  const { remote } = await typedPair<typeof api>(
    api,
    { maxFrameBytes: 4_000_000 },
    {},
    { maxFrameBytes: 4_000_000 },
  );
  const error = await rejectsWithRpc(remote.many(1), "ERR_BAD_INPUT", "many");
  const { issues } = error.data as BadInputData;
  assert.equal(issues.length, 32);
  assert.equal(issues[0]!.message.length, 1_024);
  assert.equal(issues[0]!.path.length, 32);
});

test("what is neither a value nor issues lets nothing in; a promise of a library is waited for", async () => {
  const schemaOf = (validate: (value: unknown) => unknown) =>
    ({ "~standard": { version: 1, vendor: "sealwire-tests", validate } }) as StandardSchema<unknown, unknown>;
  const thenable = (result: unknown) => ({
    // biome-ignore lint/suspicious/noThenProperty: a promise of a library
    then: (resolve: (result: unknown) => void) => setTimeout(resolve, 1, result),
  });
  const odd: Record<string, (value: unknown) => unknown> = {
    nothing: () => undefined,
    null: () => null,
    empty: () => ({}),
    word: () => "fine",
    true: () => true,
    laterEmpty: async () => ({}),
    thenableEmpty: () => thenable({}),
    issuesOfNoKind: () => ({ issues: 7 }),
    throws: () => {
      throw new Error("a secret");
    },
    thenThrows: () => ({
      // biome-ignore lint/suspicious/noThenProperty: on purpose
      get then() {
        throw new Error("a secret");
      },
    }),
  };
  let ran = 0;
  const run = (input: unknown) => {
    ran++;
    return input;
  };
  const api: Record<string, Method<unknown, unknown, unknown>> = {
    later: method(
      schemaOf((value) => thenable({ value })),
      run,
    ),
    refusing: method(
      schemaOf(() => thenable({ issues: [{ message: "no" }] })),
      run,
    ),
  };
  for (const [name, validate] of Object.entries(odd)) {
    api[name] = method(schemaOf(validate), run);
    api[`${name}Answer`] = method(
      schemaOf((value) => ({ value })),
      (input) => input,
      {
        answer: schemaOf(validate),
      },
    );
  }
  const failures: unknown[] = [];
  const onHandlerError = (error: unknown) => void failures.push(error);
  const { remote } = await typedPair<typeof api>(api, { onHandlerError });
  for (const name of Object.keys(odd)) {
    for (const one of [name, `${name}Answer`]) {
      const error = await rejectsWithRpc(remote[one]!("input"), "ERR_INTERNAL", one);
      assert.ok(!error.message.includes("secret"));
    }
  }
  assert.equal(failures.length, 2 * Object.keys(odd).length);
  await rejectsWithRpc(remote.refusing!("input"), "ERR_BAD_INPUT", "refusing");
  assert.equal(ran, 0);
  assert.equal(await remote.later!("input"), "input");
});
