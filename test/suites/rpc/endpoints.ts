// Clients with several servers to choose from: which server takes a call, what happens while none can, and when
// endpoints are looked up again.

import assert from "node:assert/strict";
import { nodeAdapter } from "../../../src/adapters/nodeSockets.ts";
import { resolveName } from "../../../src/adapters/resolveName.ts";
import { type ClientOptions, type Endpoint, generateKeyPair, type Server } from "../../../src/index.ts";
import { createApi } from "../../../src/rpc/api.ts";
import { attemptOrder } from "../../../src/rpc/attemptOrder.ts";
import type { Target } from "../../../src/rpc/endpointTargets.ts";
import { KeyOwners } from "../../../src/rpc/rendezvous.ts";
import type { StickyClient } from "../../../src/rpc/stickyClient.ts";
import type { Adapter, DialEvents } from "../../../src/rpc/transport.ts";
import { closedAfterTest } from "../../support/closedAfterTest.ts";
import { freePort, freePorts } from "../../support/freePorts.ts";
import { test } from "../../support/harness.ts";
import { ask, at, clientOf, named } from "../../support/namedServers.ts";
import { v2 } from "../../support/protocols.ts";
import {
  assertSameBytes,
  checkLeaksAfterEachTest,
  deferred,
  fromText,
  rejectsWith,
  startClient,
  startServer,
  text,
  throwsWith,
  waitFor,
} from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

const { options } = v2;

const states = (client: StickyClient) => client.stats.endpoints!.map(({ state }) => state);

test("calls spread over all endpoints, and stats tell each of them", async () => {
  const servers = [await named("a"), await named("b"), await named("c")];
  const client = clientOf({ endpoints: servers.map(at) });
  const seen = new Map<string, number>();
  for (let i = 0; i < 400; i++) {
    const name = await ask(client);
    seen.set(name, (seen.get(name) ?? 0) + 1);
  }
  assert.deepEqual([...seen.keys()].sort(), ["a", "b", "c"]);
  assert.deepEqual(states(client), ["open", "open", "open"]);
  assert.deepEqual(
    client.stats.endpoints!.map(({ name, address, failures }) => [name, address, failures]),
    servers.map(({ port }) => [`127.0.0.1:${port}`, "127.0.0.1", 0]),
  );
  assert.equal(client.connections.length, 3);
});

test("the less loaded of two takes the call: a server that answers nothing fills up no further", async () => {
  const held: (() => void)[] = [];
  const stuck = await startServer({
    ...options,
    onMessage: (message) => void held.push(() => message.reply(text("late"))),
  });
  const quick = await named("quick");
  const client = clientOf({ endpoints: [at(stuck), at(quick)] });
  const answers: Promise<Uint8Array>[] = [];
  await waitFor(() => {
    answers.push(client.request(text("x")));
    return states(client).every((state) => state === "open");
  }, "both to be open");
  const before = held.length;
  // Both of the two picks are the stuck one in a quarter of all cases.
  for (let i = 0; i < 200; i++)
    await Promise.race([client.request(text("x")), new Promise((r) => setTimeout(r, 2))]);
  assert.ok(held.length - before < 100, `${held.length - before} of 200 went to the stuck one`);
  for (const reply of held.splice(0)) reply();
  await waitFor(() => {
    for (const reply of held.splice(0)) reply();
    return client.stats.inFlightRequests === 0;
  }, "all to be answered");
});

test("an endpoint that fails leaves the choice, and comes back by a probe", async () => {
  const [a, b] = [await named("a"), await named("b", await freePort())];
  const client = clientOf({ endpoints: [at(a), at(b)] });
  await waitFor(() => {
    ask(client).catch(() => {});
    return states(client).every((state) => state === "open");
  }, "both to be open");
  await waitFor(() => client.stats.inFlightRequests === 0, "the calls to end");
  await b.close();
  // What is idle after the drain is dialled when it is picked, fails and costs no call.
  await waitFor(() => {
    ask(client);
    return states(client)[1] === "failing";
  }, "b to fail");
  for (let i = 0; i < 50; i++) assert.equal(await ask(client), "a");
  const { failures, lastError } = client.stats.endpoints![1]!;
  assert.ok(failures >= 1);
  assert.equal(lastError?.code, "ERR_DIAL_FAILED");
  await named("b again", b.port);
  const seen = new Set<string>();
  await waitFor(() => {
    ask(client).then((name) => seen.add(name));
    return seen.has("b again");
  }, "b to be probed and to take calls");
  await waitFor(() => client.stats.inFlightRequests === 0, "the calls to end");
});

test("a drain loses nothing: every call is answered while servers go and come", async () => {
  const ports = await freePorts(3);
  const servers = await Promise.all(["a", "b", "c"].map((name, i) => named(name, ports[i])));
  const client = clientOf({ endpoints: servers.map(at) });
  let running = true;
  let answered = 0;
  const failures: unknown[] = [];
  const load = Array.from({ length: 8 }, async () => {
    while (running) {
      await ask(client).then(
        () => answered++,
        (error) => failures.push(error),
      );
    }
  });
  for (const [i, server] of servers.entries()) {
    const before = answered;
    await waitFor(() => answered > before + 50, "some calls");
    await server.close();
    servers[i] = await named(`${i} again`, server.port);
  }
  running = false;
  await Promise.all(load);
  assert.deepEqual(failures, []);
});

test("a call whose signal has aborted waits for no endpoint, whether or not the client's code is loaded", async () => {
  const found = deferred<Endpoint[]>();
  const client = clientOf({ endpoints: () => found.promise, requestTimeoutMs: 5_000 });
  const signal = AbortSignal.abort(new Error("enough"));
  const all = (): Promise<unknown>[] => [
    client.request(text("x"), { signal }),
    client.call(text("x"), { signal }).answer,
    client.sticky("key").call(text("x"), { signal }).answer,
  ];
  // The first round finds the code not loaded.
  for (const round of ["first", "second"]) {
    for (const outcome of all()) {
      const error = await rejectsWith(outcome, "ERR_ABORTED");
      assert.ok(error.notBegun && (error.cause as Error).message === "enough", round);
    }
    assert.equal(client.stats.inFlightRequests, 0);
    if (round === "second") continue;
    client.sendNoWait(text("x"));
    await waitFor(() => client.stats.lookups! > 0, "the code to be loaded");
  }
  found.resolve([]);
});

test("a call waits for the first endpoint that opens, within its own time-out and signal", async () => {
  const server = await named("late");
  const found = deferred<Endpoint[]>();
  const client = clientOf({ endpoints: () => found.promise });
  const waits = ask(client);
  const sent = client.send(text("x"));
  const opened = client.connected();
  await rejectsWith(client.request(text("x"), { timeoutMs: 30 }), "ERR_REQUEST_TIMEOUT");
  const abort = new AbortController();
  const aborted = client.request(text("x"), { signal: abort.signal });
  abort.abort(new Error("enough"));
  assert.equal(((await rejectsWith(aborted, "ERR_ABORTED")).cause as Error).message, "enough");
  await rejectsWith(client.request(text("x"), { signal: abort.signal }), "ERR_ABORTED");
  assert.equal(client.stats.inFlightRequests, 3);
  found.resolve([at(server)]);
  assert.equal(await waits, "late");
  await sent;
  assert.equal((await opened).state, "open");
  await waitFor(() => client.stats.inFlightRequests === 0, "nothing to be left");
});

test("what waits is bounded, copied, and checked at once", async () => {
  const server = await startServer({ ...options, onMessage: (message) => message.reply(message.body) });
  const found = deferred<Endpoint[]>();
  const client = clientOf({
    endpoints: () => found.promise,
    maxInFlightRequests: 2,
    maxConnections: 2,
    // Protocol v2 takes frames of 64 KiB from everybody.
    maxFrameBytes: 65_536,
    maxPendingBytes: 100_000,
  });
  throwsWith(() => client.request(new Uint8Array(65_536)), "ERR_MESSAGE_TOO_LARGE");
  throwsWith(() => client.request("x" as unknown as Uint8Array), "ERR_INVALID_ARGUMENT");
  throwsWith(() => client.request(text("x"), { timeoutMs: -1 }), "ERR_INVALID_ARGUMENT");
  const body = new Uint8Array(60_000).fill(7);
  const first = client.request(body);
  body.fill(8);
  await rejectsWith(client.request(body), "ERR_BACKPRESSURE");
  const more = [1, 2, 3].map(() => client.send(text("x")));
  await rejectsWith(client.send(text("x")), "ERR_TOO_MANY_REQUESTS");
  assert.equal(client.sendNoWait(text("x")), false);
  found.resolve([at(server)]);
  assertSameBytes(await first, new Uint8Array(60_000).fill(7));
  await Promise.all(more);
});

test("stats count endpoints that left, and never go down", async () => {
  const servers = [await named("a"), await named("b")];
  let endpoints = servers.map(at);
  const client = clientOf({ endpoints: () => endpoints });
  for (let i = 0; i < 100; i++) await ask(client);
  const both = client.stats;
  assert.deepEqual([both.requests, both.openedConnections, both.connections], [100, 2, 2]);
  assert.ok(both.sentBytes > 400 && both.receivedBytes > 100);
  endpoints = [at(servers[0]!)];
  // A server that goes makes the client look again.
  await servers[1]!.close();
  await waitFor(() => {
    ask(client).catch(() => {}); // whoever calls makes it look
    return client.stats.endpoints!.length === 1;
  }, "the endpoint to leave");
  await waitFor(() => client.stats.connections === 1, "its connection to go");
  const one = client.stats;
  for (const name of ["requests", "openedConnections", "sentBytes", "receivedBytes"] as const) {
    assert.ok(one[name] >= both[name], name);
  }
  assert.ok(one.openedConnections >= 2);
  await client.close();
  assert.ok(client.stats.sentBytes >= one.sentBytes);
});

for (const moment of ["before it began", "while it is under way"] as const) {
  test(`closing rejects what waits, and ends a lookup that would not: ${moment}`, async () => {
    const asked: AbortSignal[] = [];
    const client = clientOf({
      endpoints: (signal) => {
        asked.push(signal);
        return new Promise<Endpoint[]>(() => {});
      },
    });
    const calls = [client.request(text("x")), client.send(text("x")), client.connected()];
    const outcomes = Promise.all(calls.map((call) => rejectsWith(call, "ERR_CLOSED")));
    if (moment === "while it is under way") await waitFor(() => asked.length > 0, "the lookup");
    const closed = client.close();
    await outcomes;
    await closed;
    // Nobody is asked for addresses that nobody will dial, and nobody waits until the lookup's time is over.
    assert.deepEqual(
      asked.map(({ aborted, reason }) => [aborted, reason.code]),
      moment === "while it is under way" ? [[true, "ERR_CLOSED"]] : [],
    );
    await rejectsWith(client.request(text("x")), "ERR_CLOSED");
    assert.equal(client.sendNoWait(text("x")), false);
  });
}

test("when no endpoint can be reached the call learns why, and names are looked up again, but no storm", async () => {
  const port = await freePort();
  let lookups = 0;
  const client = clientOf({
    endpoints: [{ host: "servers.test", port }],
    resolve: () => {
      lookups++;
      return ["127.0.0.1"];
    },
  });
  for (let i = 0; i < 20; i++) {
    const error = await rejectsWith(client.request(text("x"), { timeoutMs: 10_000 }), "ERR_DIAL_FAILED");
    assert.match(error.message, /127\.0\.0\.1/);
    if (lookups > 2) break;
  }
  assert.ok(lookups >= 2, "the failure made it look again");
  const before = { lookups, at: performance.now() };
  await Promise.allSettled(
    Array.from({ length: 200 }, () => client.request(text("x"), { timeoutMs: 2_000 })),
  );
  const floors = Math.ceil((performance.now() - before.at) / 1_000);
  assert.ok(lookups - before.lookups <= floors + 1, `${lookups - before.lookups} lookups in ${floors} s`);
});

test("a lookup that fails: what was found stays in use, and without anything the call learns why", async () => {
  const failing = clientOf({
    endpoints: [{ host: "servers.test", port: 1 }],
    resolve: () => {
      throw new Error("SERVFAIL");
    },
  });
  assert.match((await rejectsWith(failing.request(text("x")), "ERR_DIAL_FAILED")).message, /SERVFAIL/);
  const nothing = clientOf({
    endpoints: [{ host: "servers.test", port: 1 }],
    resolve: () => ["nonsense", 7 as never],
  });
  assert.match((await rejectsWith(nothing.connected(), "ERR_DIAL_FAILED")).message, /no address/);
  const bad = clientOf({ endpoints: () => [] });
  await rejectsWith(bad.request(text("x")), "ERR_INVALID_ARGUMENT");

  const server = await named("a", await freePort());
  let works = true;
  const client = clientOf({
    endpoints: () => {
      if (!works) throw new Error("the registry is down");
      return [at(server)];
    },
  });
  assert.equal(await ask(client), "a");
  works = false;
  await server.close();
  await named("b", server.port);
  await waitFor(() => client.connections.length === 0, "the drain to arrive");
  assert.equal(await ask(client), "b");
});

test("endpoints that are none any more are drained, and new ones found", async () => {
  const b = await named("b");
  const release = deferred();
  const slow = await startServer({
    ...options,
    onMessage: async (message) => {
      await release.promise;
      message.reply(text("slow"));
    },
  });
  let list = [at(slow)];
  const client = clientOf({ endpoints: () => list });
  const held = ask(client);
  await waitFor(() => client.connections.length === 1, "the connection");
  list = [at(b)];
  // A drain makes it look again.
  const closed = slow.close();
  await waitFor(() => client.connections.length === 0, "the drain to arrive");
  // The only one that is known refuses; the call waits until it may be looked up again.
  assert.equal(await ask(client), "b");
  release.resolve();
  assert.equal(await held, "slow");
  await closed;
  await waitFor(() => client.stats.endpoints!.length === 1, "the old one to be forgotten");
});

/** Sockets of node:net, which work in every runtime, but for addresses that never answer. */
function adapterWithHoles(isHole: (host: string) => boolean, dialled: string[]): Adapter {
  return {
    ...nodeAdapter,
    dial: (address, events: DialEvents) => {
      dialled.push(address.host ?? address.path);
      if (!isHole(address.host ?? ""))
        return nodeAdapter.dial({ ...address, host: "127.0.0.1" } as never, events);
      return () => queueMicrotask(() => events.onClose());
    },
  };
}

test("families race: an address that never answers holds nobody up, in either order", async () => {
  const server = await named("a");
  for (const addresses of [
    ["2001:db8::1", "192.0.2.1"],
    ["192.0.2.1", "2001:db8::1"],
  ]) {
    const dialled: string[] = [];
    const api = createApi(adapterWithHoles((host) => host === addresses[0], dialled));
    const client = api.connect({
      ...options,
      endpoints: [{ host: "both.test", port: server.port }],
      resolve: () => addresses,
      dialTimeoutMs: 60_000,
    });
    closedAfterTest(client);
    assert.equal(await ask(client), "a");
    assert.deepEqual(dialled, addresses);
    await client.close();
  }
});

test("an attempt that fails does not wait for the delay of the next one", async () => {
  const server = await named("a");
  const dead = await freePort();
  const client = clientOf({ endpoints: [{ port: dead }, { port: dead, host: "localhost" }, at(server)] });
  for (let i = 0; i < 10; i++) assert.equal(await ask(client), "a");
});

/** A server on the IPv6 loopback address, where the system has one. */
async function onIpv6(name: string): Promise<Server | undefined> {
  try {
    return await startServer({ ...options, host: "::1", onMessage: (message) => message.reply(text(name)) });
  } catch (error) {
    if ((error as { code?: string }).code === "ERR_LISTEN_FAILED") return undefined;
    throw error;
  }
}

test("localhost is reached whichever family its server has, as an endpoint and as the one address", async () => {
  const servers = { "127.0.0.1": await named("v4"), "::1": await onIpv6("v6") };
  const known = await resolveName("localhost");
  for (const [address, server] of Object.entries(servers)) {
    if (server === undefined) continue;
    const { port } = server;
    const name = address === "::1" ? "v6" : "v4";
    const endpoints = [{ host: "localhost", port }];
    for (const resolve of [() => ["::1", "127.0.0.1"], () => ["127.0.0.1", "::1"]])
      assert.equal(await ask(clientOf({ endpoints, resolve })), name);
    // What the system says of localhost holds: many have no IPv6 address for it.
    if (!known.includes(address)) continue;
    assert.equal(await ask(clientOf({ endpoints })), name);
    const plain = startClient({ ...options, host: "localhost", port });
    assert.equal(fromText(await plain.request(text("who?"))), name);
  }
});

test("sticky calls go to one endpoint per key, elsewhere when it fails, and back", async () => {
  const servers = [await named("0"), await named("1"), await named("2")];
  const client = clientOf({ endpoints: servers.map(at) });
  const other = clientOf({ endpoints: servers.map(at).reverse() });
  // Ports decide where a key goes, so each run has other homes: a server without any of 60 keys is one case in 10¹⁰.
  const keys = Array.from({ length: 60 }, (_, i) => `user ${i}`);
  const homes = await Promise.all(keys.map((key) => ask(client.sticky(key))));
  assert.equal(new Set(homes).size, 3);
  assert.deepEqual(await Promise.all(keys.map((key) => ask(other.sticky(key)))), homes);
  for (let i = 0; i < 3; i++)
    assert.deepEqual(await Promise.all(keys.map((key) => ask(client.sticky(key)))), homes);
  await servers[1]!.close();
  await waitFor(() => client.connections.length === 2, "the drain to arrive");
  const moved = await Promise.all(keys.map((key) => ask(client.sticky(key))));
  for (const [i, home] of homes.entries()) {
    if (home === "1") assert.notEqual(moved[i], "1");
    else assert.equal(moved[i], home);
  }
  await named("1", servers[1]!.port);
  const lost = keys[homes.indexOf("1")]!;
  let last = "";
  await waitFor(() => {
    ask(client.sticky(lost)).then((name) => {
      last = name;
    });
    return last === "1";
  }, "its keys to return");
  await waitFor(() => client.stats.inFlightRequests === 0, "the calls to end");
  throwsWith(() => client.sticky(7 as unknown as string), "ERR_INVALID_ARGUMENT");
  await client.sticky("x").send(text("x"));
  assert.equal(client.sticky("x").sendNoWait(text("x")), true);
});

test("rendezvous: a server that goes moves its own keys only, and keys spread", () => {
  const servers = ["10.0.0.1 1", "10.0.0.2 1", "10.0.0.3 1", "10.0.0.4 1"];
  const counts = new Map<string, number>();
  /** The one that the key belongs to in front, then the one that takes it when that one is gone, and so on. */
  const rankedFor = (key: string, names: readonly string[]): string[] => {
    const first = new KeyOwners(names, (name) => name).ownerOf(key);
    return first === undefined
      ? []
      : [
          first,
          ...rankedFor(
            key,
            names.filter((name) => name !== first),
          ),
        ];
  };
  for (let i = 0; i < 8_000; i++) {
    const ranked = rankedFor(`key-${i}`, servers);
    counts.set(ranked[0]!, (counts.get(ranked[0]!) ?? 0) + 1);
    const without = rankedFor(`key-${i}`, servers.slice(1).reverse());
    assert.deepEqual(
      without,
      ranked.filter((name) => name !== servers[0]),
    );
  }
  for (const [name, count] of counts) assert.ok(count > 1_700 && count < 2_300, `${name}: ${count}`);
});

test("rendezvous: the owner of a key is asked for once, and what is remembered is bounded", () => {
  const servers = Array.from({ length: 1_000 }, (_, i) => `server-${i}`);
  let asked = 0;
  const owners = new KeyOwners(servers, (name) => {
    asked++;
    return name;
  });
  const askedFor = (key: string): number => {
    const before = asked;
    const owner = owners.ownerOf(key);
    assert.equal(owner, new KeyOwners(servers, (name) => name).ownerOf(key));
    return asked - before;
  };
  assert.equal(askedFor("a"), 1_000);
  assert.equal(askedFor("a"), 0);
  // A thousand other keys later it is forgotten; a long key is never remembered.
  for (let i = 0; i < 1_023; i++) owners.ownerOf(`key-${i}`);
  assert.equal(askedFor("a"), 0);
  owners.ownerOf("one more");
  assert.equal(askedFor("a"), 1_000);
  for (let i = 0; i < 2; i++) assert.equal(askedFor("k".repeat(257)), 1_000);
  assert.equal(new KeyOwners<string>([], (name) => name).ownerOf("a"), undefined);
});

test("the order of attempts: families in turn, the first one's in front, by chance within one", () => {
  const target = (key: string, family: 4 | 6): Target => ({ key, family, priority: 0, weight: 1 }) as Target;
  const targets = [target("a6", 6), target("b6", 6), target("c6", 6), target("a4", 4)];
  const firsts = new Set<string>();
  for (let i = 0; i < 200; i++) {
    const order = attemptOrder(targets);
    assert.deepEqual(
      order.map(({ family }) => family),
      [6, 4, 6, 6],
    );
    assert.deepEqual(new Set(order), new Set(targets));
    firsts.add(order[0]!.key);
  }
  assert.equal(firsts.size, 3);
});

test("each endpoint has a key of its own: one that shows another is left out", async () => {
  const keys = [generateKeyPair(), generateKeyPair(), generateKeyPair()];
  const own = generateKeyPair();
  const servers: Server[] = [];
  for (const [i, staticKey] of keys.entries()) {
    servers.push(await startServer({ staticKey, onMessage: (message) => message.reply(text(`${i}`)) }));
  }
  const endpoints = servers.map(({ port }, i) => ({ port, remoteStatic: keys[i === 2 ? 0 : i]!.publicKey }));
  const client = startClient({ staticKey: own, endpoints }) as StickyClient;
  const seen = new Set<string>();
  for (let i = 0; i < 300 && !(states(client)[2] === "failing" && seen.size === 2); i++)
    seen.add(await ask(client));
  assert.deepEqual([...seen].sort(), ["0", "1"]);
  assert.equal(states(client)[2], "failing");
  assert.equal(client.anonymous, false);
});

test("connected with a deadline goes on through failures; without one it tells the first", async () => {
  const waitsFor = async (port: number, where: ClientOptions): Promise<void> => {
    const client = startClient({ ...options, ...where });
    await rejectsWith(client.connected(), "ERR_DIAL_FAILED");
    // A dial has failed in this time also on a machine that stands still for a second or two.
    const error = await rejectsWith(client.connected({ timeoutMs: 4_000 }), "ERR_DIAL_TIMEOUT");
    assert.equal((error.cause as { code: string } | undefined)?.code, "ERR_DIAL_FAILED");
    throwsWith(() => client.connected({ timeoutMs: 0 }), "ERR_INVALID_ARGUMENT");
    throwsWith(() => client.connected({ timeout: 1 } as never), "ERR_INVALID_ARGUMENT");
    const waits = client.connected({ timeoutMs: 30_000 });
    const server = await named("up", port);
    assert.equal((await waits).state, "open");
    await client.close();
    await rejectsWith(client.connected({ timeoutMs: 30_000 }), "ERR_CLOSED");
    await server.close();
  };
  const [one, several] = (await freePorts(2)) as [number, number];
  await Promise.all([waitsFor(one, { port: one }), waitsFor(several, { endpoints: [{ port: several }] })]);
});

test("keepConnected opens the endpoints without a call", async () => {
  const servers = [await named("a"), await named("b")];
  const client = clientOf({ endpoints: servers.map(at), keepConnected: true });
  await waitFor(() => client.connections.length === 2, "both to be open");
});

test("options that are none are refused, and the message names them", async () => {
  const wrong: [ClientOptions, RegExp][] = [
    [{ endpoints: [] }, /endpoints/],
    [{ endpoints: 7 as never }, /endpoints/],
    [{ endpoints: [{ port: 0 }] }, /endpoints\[0\].*port/],
    [{ endpoints: [{ port: 1 }, { port: 1, path: "x" }] }, /endpoints\[1\].*path/],
    [{ endpoints: [{ port: 1, more: 1 } as never] }, /more/],
    [{ endpoints: [{ port: 1, remoteStatic: "x" }] }, /remoteStatic/],
    [{ endpoints: [{ port: 1, remoteStatic: [] }] }, /remoteStatic/],
    [{ endpoints: [{ port: 1 }], port: 2 }, /port/],
    [{ endpoints: [{ port: 1 }], path: "x" }, /path/],
    [{ port: 1, resolve: () => [] }, /resolve/],
    [{ endpoints: [{ port: 1 }], resolve: 1 as never }, /resolve/],
  ];
  for (const [given, message] of wrong) {
    assert.match(
      throwsWith(() => startClient({ ...options, ...given }), "ERR_INVALID_ARGUMENT").message,
      message,
    );
  }
});
