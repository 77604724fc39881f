// A client with several endpoints, whose resolvers, registries and servers lie, flap, or send nothing.

import assert from "node:assert/strict";
import type { Endpoint, ResolveName, Server } from "../../../src/index.ts";
import { orAborted, withinTime } from "../../../src/rpc/boundedWork.ts";
import type { StickyClient } from "../../../src/rpc/stickyClient.ts";
import { closedAfterTest } from "../../support/closedAfterTest.ts";
import { test } from "../../support/harness.ts";
import { ask, clientOf, named } from "../../support/namedServers.ts";
import { v2 } from "../../support/protocols.ts";
import { RawListener } from "../../support/rawPeer.ts";
import {
  checkLeaksAfterEachTest,
  rejectsWith,
  startServer,
  text,
  waitFor,
} from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

const { options } = v2;

const revoked = () => {
  const { proxy, revoke } = Proxy.revocable([], {});
  revoke();
  return proxy;
};
const untellable = {
  get message() {
    throw new Error("no");
  },
  toString() {
    throw new Error("no");
  },
};

test("answers that are none end in a typed error", async () => {
  const answers: [string, () => unknown][] = [
    ["nothing", () => []],
    ["no list", () => "127.0.0.1"],
    ["undefined", () => undefined],
    [
      "a list of nothing",
      () => [null, undefined, {}, 7n, Symbol("x"), "", "localhost", "1.2.3", "1.2.3.4.5"],
    ],
    ["texts that are too long", () => [`${"0".repeat(10_000_000)}.1.1.1`, `::${":".repeat(1_000_000)}`]],
    ["a list whose places throw", () => [revoked()]],
    ["a revoked proxy", revoked],
    [
      "an error that can't be told",
      () => {
        throw untellable;
      },
    ],
    [
      "undefined, thrown",
      () => {
        throw undefined;
      },
    ],
    ["an error that can't be told, later", () => Promise.reject(untellable)],
    // biome-ignore lint/suspicious/noThenProperty: it is what is tested
    ["a thenable that throws", () => ({ then: () => assert.fail("thrown by then") })],
  ];
  for (const [what, answer] of answers) {
    const client = clientOf({ endpoints: [{ host: "a.test", port: 1 }], resolve: answer as ResolveName });
    await rejectsWith(client.request(text("x")), "ERR_DIAL_FAILED").catch((error) => {
      throw new Error(`${what}: ${error}`);
    });
    const other = clientOf({ endpoints: answer as () => Endpoint[] });
    const error = await other.request(text("x")).then(
      () => assert.fail(what),
      (reason) => reason,
    );
    assert.equal(error.name, "SealwireError", what);
  }
});

test("answers without end are bounded, in members, sockets and time", async () => {
  const server = await named("a");
  const endless = Array.from(
    { length: 1_000_000 },
    (_, i) => `127.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`,
  );
  let looked = 0;
  const repeated = new Proxy(new Array(1_000_000).fill("127.0.0.1"), {
    get: (list, name) => {
      if (typeof name === "string" && /^\d+$/.test(name)) looked++;
      return Reflect.get(list, name);
    },
  });
  const { port } = server;
  const client = clientOf({ endpoints: [{ host: "a.test", port }], resolve: () => endless });
  // Only 127.0.0.1 of them has a server that listens there.
  assert.equal(await ask(client), "a");
  assert.ok(client.stats.endpoints!.length <= 1_024, `${client.stats.endpoints!.length} members`);
  assert.ok(client.stats.connections <= 1_024);
  const same = clientOf({
    endpoints: Array.from({ length: 1_024 }, (_, i) => ({ host: `${i}.test`, port })),
    resolve: () => repeated,
  });
  assert.equal(await ask(same), "a");
  assert.ok(same.stats.endpoints!.length <= 1_024);
  assert.ok(looked <= 2 * 16_384, `${looked} of a milliard answers were looked at`);
  const many = clientOf({ endpoints: () => new Array(100_000).fill({ port }) });
  await rejectsWith(many.request(text("x")), "ERR_INVALID_ARGUMENT");
});

const never = new Promise<never>(() => {});

test("names without an answer hold up none that have one, whether hosts or services", async () => {
  const server = await named("a");
  const { port } = server;
  // Three times as many as are asked for in one burst, in front of the one that has an answer.
  const hosts = Array.from({ length: 48 }, (_, i) => ({ host: `hangs${i}.test`, port }));
  const services = hosts.map(({ host }) => ({ srv: `_x._tcp.${host}` }));
  const isGood = (name: string) => name.includes("good");
  for (const endpoints of [
    [...hosts, { host: "good.test", port }],
    [...services, { srv: "_x._tcp.good.test" }],
    [...services, ...hosts, { host: "good.test", port }],
  ]) {
    const client = clientOf({
      endpoints,
      resolve: (name) => (isGood(name) ? ["127.0.0.1"] : never),
      resolveSrv: (name) => (isGood(name) ? [{ name: "good.test", port, priority: 0, weight: 1 }] : never),
    });
    assert.equal(await ask(client), "a");
    // A lookup that is over tells that names had no answer: this one goes on.
    assert.equal(client.stats.lookupError, undefined);
    assert.equal(client.stats.lookups, 1);
    await client.close();
  }
});

test("an address that is found late takes part in the race that goes on", async () => {
  const silent = await RawListener.listen();
  closedAfterTest(silent);
  const server = await named("a");
  let answer!: (addresses: string[]) => void;
  const late = new Promise<string[]>((resolve) => {
    answer = resolve;
  });
  const client = clientOf({
    endpoints: [
      { host: "silent.test", port: silent.port },
      { host: "hangs.test", port: 1 },
      { host: "late.test", port: server.port },
    ],
    resolve: (name) => (name === "silent.test" ? ["127.0.0.1"] : name === "late.test" ? late : never),
    // The handshake with the silent one outlasts the test.
    handshakeTimeoutMs: 100_000,
    requestTimeoutMs: 50_000,
  });
  const asked = ask(client);
  await silent.accept();
  answer(["127.0.0.1"]);
  assert.equal(await asked, "a");
  assert.equal(client.stats.lookupError, undefined);
});

test("a lookup that goes on adds what it has found, and takes nothing away", async () => {
  const [a, b] = [await named("a"), await named("b")];
  const addresses = new Map<string, string[] | Promise<never>>([
    ["a.test", ["127.0.0.1"]],
    ["b.test", ["127.0.0.1"]],
  ]);
  const client = clientOf({
    endpoints: [
      { host: "a.test", port: a.port },
      { host: "b.test", port: b.port },
    ],
    resolve: (name) => addresses.get(name)!,
  });
  for (let i = 0; i < 200 && (await ask(client)) !== "b"; i++);
  const moved = await named("moved", a.port, "127.0.0.2");
  addresses.set("a.test", ["127.0.0.2"]);
  addresses.set("b.test", never);
  await a.close();
  const hosts = () => client.stats.endpoints!.map(({ address }) => address).sort();
  const seen = new Set<string>();
  await waitFor(() => {
    ask(client).then(
      (name) => seen.add(name),
      () => {},
    );
    return seen.has("moved") && seen.has("b");
  }, "the one that moved to serve, and the one whose name hangs to go on");
  assert.equal(client.stats.lookupError, undefined);
  assert.equal(hosts().length, 3);
  await waitFor(() => client.stats.inFlightRequests === 0, "the calls to end");
  await moved.close();
});

test("answers that flap between servers lose no call, and nothing of the old ones stays", async () => {
  const servers = [await named("a"), await named("b"), await named("c")];
  let turn = 0;
  const client = clientOf({
    endpoints: () => {
      turn++;
      const server = servers[turn % servers.length]!;
      return [{ port: server.port }, { port: server.port, host: `127.0.0.1` }];
    },
  });
  const seen = new Set<string>();
  const failures: unknown[] = [];
  for (let i = 0; i < 4_000 && seen.size < 3; i++) {
    await ask(client).then(
      (name) => seen.add(name),
      (error) => failures.push(error),
    );
    // Whoever serves asks the client to go: the answers are old, and it looks again as soon as it may.
    if (i % 50 === 0)
      for (const server of servers) for (const connection of server.connections) void connection.close();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  assert.deepEqual(failures, []);
  assert.ok(turn >= 2, `${turn} lookups`);
  await waitFor(() => client.stats.endpoints!.length === 1, "the old ones to be forgotten");
});

test("an endpoint that accepts and never speaks holds no call up, and leaves the choice", async () => {
  const silent = await RawListener.listen();
  closedAfterTest(silent);
  const server = await named("a");
  const client = clientOf({
    endpoints: [{ port: silent.port }, { port: server.port }],
    // It is the limit of the good server, too: longer than a busy machine may keep this process from running.
    handshakeTimeoutMs: 4_000,
    requestTimeoutMs: 40_000,
  });
  const state = () => client.stats.endpoints![0]?.state;
  for (let i = 0; i < 8_000 && state() !== "failing"; i++) {
    assert.equal(await ask(client), "a");
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  assert.equal(state(), "failing");
  assert.equal(client.stats.endpoints![0]!.lastError?.code, "ERR_HANDSHAKE_TIMEOUT");
  await Promise.all(Array.from({ length: 100 }, async () => assert.equal(await ask(client), "a")));
  // Nobody else: the call ends when the handshake does.
  const alone = clientOf({ endpoints: [{ port: silent.port }], handshakeTimeoutMs: 50 });
  await rejectsWith(alone.request(text("x")), "ERR_HANDSHAKE_TIMEOUT");
});

test("all endpoints down, then up: calls learn why, then go on, and probes come with growing pauses", async () => {
  const servers = [await named("a"), await named("b")];
  const client = clientOf({ endpoints: servers.map(({ port }) => ({ port })) });
  await ask(client);
  await Promise.all(servers.map((server) => server.close()));
  await waitFor(() => client.connections.length === 0, "the drains to arrive");
  const errors: (Error & { notBegun?: boolean })[] = [];
  for (let i = 0; i < 4; i++)
    await client.request(text("x"), { timeoutMs: 20_000 }).catch((error) => errors.push(error));
  assert.equal(errors.length, 4);
  for (const { notBegun, name } of errors) assert.deepEqual([name, notBegun], ["SealwireError", true]);
  assert.deepEqual(
    client.stats.endpoints!.map(({ state }) => state),
    ["failing", "failing"],
  );
  assert.ok(client.stats.endpoints!.every(({ failures }) => failures >= 2));
  for (const { port } of servers) await named("again", port);
  assert.equal(await ask(client), "again");
  await waitFor(() => {
    ask(client).catch(() => {});
    return client.stats.endpoints!.every(({ state }) => state === "open");
  }, "both to be probed");
  await waitFor(() => client.stats.inFlightRequests === 0, "the calls to end");
});

test("endpoints that close as soon as they are open settle every call", async () => {
  const servers: Server[] = [];
  for (let i = 0; i < 2; i++) {
    servers.push(
      await startServer({
        ...options,
        onConnectionState: (connection, state) => {
          if (state === "open") void connection.close();
        },
        onMessage: (message) => message.reply(text("a")),
      }),
    );
  }
  const client = clientOf({ endpoints: servers.map(({ port }) => ({ port })), requestTimeoutMs: 3_000 });
  const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => client.request(text("x"))));
  for (const outcome of outcomes)
    if (outcome.status === "rejected") assert.equal(outcome.reason.name, "SealwireError");
});

test("functions that call the client again are asked in a turn of their own", async () => {
  const server = await named("a");
  const answers: Promise<unknown>[] = [];
  let inCall = false;
  let asked = 0;
  const calling = <T>(result: T): T => {
    asked++;
    assert.equal(inCall, false, "not inside of a call");
    answers.push(client.request(text("x")), client.connected(), client.send(text("x")));
    return result;
  };
  const client = clientOf({
    endpoints: () => calling([{ host: "a.test", port: server.port }]),
    resolve: () => calling(["127.0.0.1"]),
  });
  inCall = true;
  const first = ask(client);
  inCall = false;
  assert.equal(await first, "a");
  await Promise.all(answers);
  assert.equal(asked, 2);
});

test("endpoints that are replaced during a race: those who wait go on with the new ones, sticky or not", async () => {
  const silent = await RawListener.listen();
  closedAfterTest(silent);
  const server = await named("a");
  const gone = await named("b");
  await gone.close();
  let list: Endpoint[] = [{ port: gone.port }, { port: silent.port }];
  // The handshake with the silent one outlasts the test.
  const client = clientOf({ endpoints: () => list, handshakeTimeoutMs: 100_000, requestTimeoutMs: 50_000 });
  const waiting = [
    ask(client),
    ask(client.sticky("x") as StickyClient),
    ask(client.sticky("y") as StickyClient),
  ];
  const connected = client.connected();
  await waitFor(() => client.stats.endpoints!.some(({ state }) => state === "failing"), "the one to fail");
  list = [{ port: server.port }];
  await waitFor(() => {
    client.request(text("x"), { timeoutMs: 5_000 }).catch(() => {});
    return client.stats.endpoints!.length === 1;
  }, "the new list");
  assert.deepEqual(await Promise.all(waiting), ["a", "a", "a"]);
  assert.equal((await connected).state, "open");
  await waitFor(() => client.stats.inFlightRequests === 0, "the calls to end");
});

test("sticky calls settle while the endpoints they belong to leave and come", async () => {
  const servers = [await named("0"), await named("1"), await named("2")];
  let turn = 0;
  const client = clientOf({ endpoints: () => [turn, turn + 1].map((i) => ({ port: servers[i % 3]!.port })) });
  const outcomes: string[] = [];
  const keys = Array.from({ length: 12 }, (_, i) => `${i}`);
  const firstTurns = client.stats.lookups!;
  await waitFor(() => {
    turn++;
    for (const key of keys) {
      ask(client.sticky(key) as StickyClient).then(
        (name) => outcomes.push(name),
        (error) => outcomes.push(error.code),
      );
    }
    for (const server of servers) for (const connection of server.connections) void connection.close();
    return client.stats.lookups! >= firstTurns + 3;
  }, "three lists");
  await waitFor(() => client.stats.inFlightRequests === 0, "all to settle");
  assert.deepEqual(new Set(outcomes.filter((outcome) => !["0", "1", "2"].includes(outcome))), new Set());
});

test("what the application's functions promise is waited for so long, or until the signal", async () => {
  const abort = new AbortController();
  const late = () => new Error("late");
  await assert.rejects(withinTime(never, abort.signal, 5, late), /late/);
  assert.equal(await withinTime(Promise.resolve(7), abort.signal, 60_000, late), 7);
  const waits = [withinTime(never, abort.signal, 60_000, late), orAborted(never, abort.signal)];
  abort.abort(new Error("enough"));
  for (const wait of waits) await assert.rejects(wait, /enough/);
  await assert.rejects(orAborted(Promise.resolve(7), abort.signal), /enough/);
});
