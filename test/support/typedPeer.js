// One end of typed calls in any runtime: `<runtime> test/support/typedPeer.js`. It serves an API and prints its port.
// For each line of its input, the port of another peer, it calls that peer and prints the results. It ends with its
// input.
import assert from "node:assert/strict";
import process from "node:process";
import { createInterface } from "node:readline";
import { connect, listen } from "../../dist/index.js";
import { method, RpcError, serve, typed } from "../../dist/rpc.js";

const psk = "5e".repeat(32);
const WAIT_MS = 20_000;
/** What became of what callers gave up, by their own keys. */
const seen = new Map();

const numberSchema = {
  "~standard": {
    version: 1,
    vendor: "tests",
    validate: (value) =>
      typeof value === "number" ? { value: value * 2 } : { issues: [{ message: "no number", path: ["n"] }] },
  },
};

async function* numbers(to, key) {
  try {
    for (let i = 0; i < to; i++) yield { i, text: "ü".repeat(50) };
    return "done";
  } finally {
    seen.set(key, "left");
  }
}

async function sumOf(items) {
  let sum = 0;
  for await (const item of items) sum += item;
  return sum;
}

const api = {
  echo: (value) => value,
  count: (...args) => args.length,
  note: (key) => void seen.set(key, "noted"),
  seen: (key) => seen.get(key) ?? "nothing",
  double: method(numberSchema, (input) => input),
  deny: () => {
    throw new RpcError("FORBIDDEN", "not yours", { id: 5n, at: new Date(5) });
  },
  fail: () => {
    throw new Error("password 123");
  },
  numbers,
  sum: sumOf,
  both: async function* (items) {
    for await (const item of items) yield item * 2;
  },
  hang: method(
    (key, { signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener("abort", () => {
          seen.set(key, "aborted");
          reject(signal.reason);
        });
      }),
  ),
  callBack: method(async (value, { connection }) => typed(connection).twice(value)),
};

/** Asks the other end until it says so. */
async function until(ask, expected) {
  const end = performance.now() + WAIT_MS;
  for (;;) {
    const answer = await ask();
    if (answer === expected) return;
    if (performance.now() > end) assert.equal(answer, expected);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const values = () => [
  [null, true, "grün 😀", { a: [1, { b: [] }] }, 0.1, Number.MAX_VALUE],
  [undefined, Number.NaN, -0, Number.NEGATIVE_INFINITY, 2n ** 70n, -1n],
  [new Date(5), new Map([[{ key: 1 }, new Set(["x"])]]), new Error("what", { cause: 5n }), { $: "NaN" }],
  [Uint8Array.of(1, 2), new Uint8Array(50_000).fill(7), Float64Array.of(0.5), new ArrayBuffer(3)],
];

async function rejection(promise) {
  const { code, method: name, data } = await promise.then(assert.fail, (error) => error);
  return { code, name, data };
}

const checks = {
  async values(remote) {
    for (const value of values()) assert.deepEqual(await remote.echo(value), value);
    assert.equal(await remote.count(), 0);
    assert.equal(await remote.count(undefined, 1), 2);
    assert.equal(await remote.double(4), 8);
  },
  async errors(remote) {
    const data = { id: 5n, at: new Date(5) };
    assert.deepEqual(await rejection(remote.deny()), { code: "FORBIDDEN", name: "deny", data });
    assert.deepEqual(await rejection(remote.fail()), { code: "ERR_INTERNAL", name: "fail", data: undefined });
    assert.equal((await rejection(remote.none.here())).code, "ERR_NO_METHOD");
    const { code, data: found } = await rejection(remote.double("x"));
    assert.deepEqual([code, found.issues], ["ERR_BAD_INPUT", [{ message: "no number", path: ["n"] }]]);
    assert.equal((await rejection(remote.deny.$with({ timeoutMs: 0 })())).code, "FORBIDDEN");
  },
  async streams(remote, key) {
    const stream = await remote.numbers(500, `${key} all`);
    let sum = 0;
    let step = await stream.next();
    for (; !step.done; step = await stream.next()) sum += step.value.i;
    assert.deepEqual([sum, step.value], [124_750, "done"]);
    for await (const { i } of await remote.numbers(1e9, `${key} some`)) if (i === 300) break;
    await until(() => remote.seen(`${key} some`), "left");
    async function* up(to) {
      for (let i = 0; i < to; i++) yield i;
    }
    assert.equal(await remote.sum(up(1_000)), 499_500);
    let last = 0;
    for await (const item of await remote.both(up(300))) last = item;
    assert.equal(last, 598);
  },
  async cancel(remote, key) {
    const abort = new AbortController();
    const call = rejection(remote.hang(`${key} a`, { signal: abort.signal }));
    await remote.echo(1);
    abort.abort();
    assert.equal((await call).code, "ERR_ABORTED");
    assert.equal((await rejection(remote.hang(`${key} b`, { timeoutMs: 30 }))).code, "ERR_REQUEST_TIMEOUT");
    for (const one of ["a", "b"]) await until(() => remote.seen(`${key} ${one}`), "aborted");
  },
  async "one way and back"(remote, key) {
    await remote.note.$oneWay(`${key} note`);
    await until(() => remote.seen(`${key} note`), "noted");
    assert.deepEqual(await remote.callBack(new Date(7)), [new Date(7), new Date(7)]);
  },
};

async function checkPeer(port) {
  const onMessage = serve({ twice: (value) => [value, value] });
  const client = connect({ port, psk, maxConnections: 1, onMessage });
  const found = {};
  for (const [name, check] of Object.entries(checks)) {
    const key = `${process.pid} ${name}`;
    found[name] = await check(typed(client), key).then(
      () => "ok",
      (error) => String(error.stack),
    );
  }
  const { inFlightRequests } = client.stats;
  await client.close();
  return { found, inFlightRequests };
}

const server = await listen({ port: 0, psk, onMessage: serve(api), onHandlerError: () => {} });
console.log(JSON.stringify({ port: server.port }));
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await checkPeer(Number(line))));
}
await server.close();
process.exit(0);
