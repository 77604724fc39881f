// Endpoints by SRV records (RFC 2782): hosts and ports from DNS, priorities and weights among them.

import assert from "node:assert/strict";
import systemDns from "node:dns/promises";
import type { ClientOptions, Endpoint, ServiceRecord } from "../../../src/index.ts";
import { attemptOrder } from "../../../src/rpc/attemptOrder.ts";
import { Choice, lessLoaded } from "../../../src/rpc/endpointChoice.ts";
import type { Target } from "../../../src/rpc/endpointTargets.ts";
import { KeyOwners } from "../../../src/rpc/rendezvous.ts";
import type { StickyClient } from "../../../src/rpc/stickyClient.ts";
import { closedAfterTest } from "../../support/closedAfterTest.ts";
import { DnsServer } from "../../support/dnsServer.ts";
import { test } from "../../support/harness.ts";
import { ask, clientOf, named } from "../../support/namedServers.ts";
import { v2 } from "../../support/protocols.ts";
import {
  checkLeaksAfterEachTest,
  rejectsWith,
  startClient,
  text,
  throwsWith,
  waitFor,
} from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

const { options } = v2;
const SERVICE = "_sealwire._tcp.service.test";

async function startDns(): Promise<DnsServer> {
  const dns = closedAfterTest(await DnsServer.start());
  dns.records.set("one.test", ["127.0.0.1"]);
  return dns;
}

const record = ({ port }: { port: number }, priority = 0, weight = 1, name = "one.test"): ServiceRecord => ({
  name,
  port,
  priority,
  weight,
});
const endpoints: Endpoint[] = [{ srv: SERVICE }];

/** Who answers so many calls, each after the other. */
async function spread(client: Pick<StickyClient, "request">, calls: number): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (let i = 0; i < calls; i++) {
    const name = await ask(client);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

test("hosts, ports, priorities and weights come from DNS: the first priority serves by weight, the next when it is gone", async () => {
  const dns = await startDns();
  const [a, b, c] = [await named("a"), await named("b"), await named("c")];
  dns.services.set(SERVICE, [record(c, 20, 9), record(a, 10, 30), record(b, 10, 10)]);
  const client = clientOf({ endpoints, ...dns.resolvers });
  const states = () => client.stats.endpoints!.map(({ state }) => state).join();
  await waitFor(() => {
    ask(client).catch(() => {});
    return client.stats.endpoints!.filter(({ state }) => state === "open").length === 2;
  }, "those of the first priority to be open");
  await waitFor(() => client.stats.inFlightRequests === 0, "the calls to end");
  const counts = await spread(client, 600);
  assert.deepEqual([...counts.keys()].sort(), ["a", "b"], "nothing goes to the second priority");
  // 450 of 600 are expected; 60 more or less is one case in 10⁸.
  assert.ok(Math.abs(counts.get("a")! - 450) < 60, `${counts.get("a")} of 600 by weight 30 of 40`);
  assert.deepEqual(
    client.stats.endpoints!.map(({ name, address, port, priority, weight }) => [
      name,
      address,
      port,
      priority,
      weight,
    ]),
    [
      [SERVICE, "127.0.0.1", a.port, 10, 30],
      [SERVICE, "127.0.0.1", b.port, 10, 10],
      [SERVICE, "127.0.0.1", c.port, 20, 9],
    ],
  );
  // Sticky calls go by priority and weight, too. Ports decide where a key goes, so each run has other homes: 750 of 1,000
  // keys are expected at the first, and fewer than 667 are one case in 10⁹.
  const homes = new Map<string, number>();
  for (let i = 0; i < 1_000; i++) {
    const name = await ask(client.sticky(`user ${i}`));
    homes.set(name, (homes.get(name) ?? 0) + 1);
  }
  assert.deepEqual([...homes.keys()].sort(), ["a", "b"]);
  assert.ok(homes.get("a")! > 2 * homes.get("b")!, `${homes.get("a")} of 1,000 keys`);

  await Promise.all([a.close(), b.close()]);
  await waitFor(() => {
    ask(client).catch(() => {});
    return states() === "failing,failing,open";
  }, "the first priority to fail");
  await waitFor(() => client.stats.inFlightRequests === 0, "the calls to end");
  assert.deepEqual([...(await spread(client, 20)).keys()], ["c"]);
  await named("a again", a.port);
  const seen = new Set<string>();
  await waitFor(() => {
    ask(client).then((name) => seen.add(name));
    return seen.has("a again");
  }, "the first priority to be probed");
  await waitFor(() => client.stats.inFlightRequests === 0, "the calls to end");
  assert.deepEqual([...(await spread(client, 20)).keys()], ["a again"]);
});

test("records change: weights are taken over where a connection is, what is listed no more leaves", async () => {
  const dns = await startDns();
  const [a, b] = [await named("a"), await named("b")];
  dns.services.set(SERVICE, [record(a, 0, 1), record(b, 0, 1)]);
  const client = clientOf({ endpoints, ...dns.resolvers });
  await waitFor(() => {
    ask(client).catch(() => {});
    return client.connections.length === 2;
  }, "both to be open");
  await waitFor(() => client.stats.inFlightRequests === 0, "the calls to end");
  const before = [...client.connections];
  dns.services.set(SERVICE, [record(b, 7, 5), record(a, 5, 5)]);
  // A server that drains makes the client look again.
  const [drained] = a.connections;
  void drained!.close();
  await waitFor(() => {
    ask(client).catch(() => {});
    return client.stats.endpoints!.some(({ priority }) => priority === 5);
  }, "the new records");
  await waitFor(() => client.connections.length === 2, "the drained one to be back");
  const kept = before.filter((connection) => client.connections.includes(connection));
  assert.equal(kept.length, 1, "the other one goes on");
  assert.deepEqual([...(await spread(client, 20)).keys()], ["a"]);
  dns.services.set(SERVICE, [record(b)]);
  await a.close();
  await waitFor(() => {
    ask(client).catch(() => {});
    return client.stats.endpoints!.length === 1;
  }, "the one that is not listed to leave");
  assert.equal(await ask(client), "b");
  await waitFor(() => client.stats.inFlightRequests === 0, "the calls to end");
});

test("a host that can't be resolved keeps its addresses, and the others change meanwhile", async () => {
  const dns = await startDns();
  const [a, b, c] = [await named("a"), await named("b"), await named("c")];
  dns.records.set("two.test", ["127.0.0.1"]);
  dns.services.set(SERVICE, [record(a), record(b, 0, 1, "two.test")]);
  const client = clientOf({ endpoints, ...dns.resolvers });
  await ask(client);
  assert.equal(client.stats.endpoints!.length, 2);
  assert.equal(client.stats.lookupError, undefined);
  dns.failingNames.add("two.test");
  dns.services.set(SERVICE, [record(c), record(b, 0, 1, "two.test")]);
  await a.close();
  const ports = () => client.stats.endpoints!.map(({ port }) => port).sort();
  await waitFor(() => {
    ask(client).catch(() => {});
    return ports().join() === [b.port, c.port].sort().join();
  }, "the one to go, the other to stay, the third to come");
  assert.match(`${client.stats.lookupError}`, /two\.test/);
  const seen = new Set<string>();
  await waitFor(() => {
    ask(client).then((name) => seen.add(name));
    return seen.has("b") && seen.has("c");
  }, "both to serve");
  // The records themselves, too.
  dns.failing = true;
  const before = client.stats.lookups!;
  await c.close();
  await waitFor(() => {
    ask(client).catch(() => {});
    return client.stats.lookups! > before + 1;
  }, "lookups that fail");
  assert.deepEqual(ports(), [b.port, c.port].sort());
  assert.equal(await ask(client), "b");
  await waitFor(() => client.stats.inFlightRequests === 0, "the calls to end");
});

test("what is no record, and a service that is not offered", async () => {
  const server = await named("a");
  const { port } = server;
  const bad: unknown[] = [
    undefined,
    [],
    "x",
    [null, 7, {}, { name: "one.test" }],
    [{ name: ".", port, priority: 0, weight: 0 }],
    [{ name: "", port, priority: 0, weight: 0 }],
    [{ name: "127.0.0.1", port: 0, priority: 0, weight: 0 }],
    [{ name: "127.0.0.1", port: 65_536, priority: 0, weight: 0 }],
    [{ name: "127.0.0.1", port, priority: -1, weight: 0 }],
    [{ name: "127.0.0.1", port, priority: 0, weight: 0.5 }],
    [{ name: "a".repeat(256), port, priority: 0, weight: 0 }],
    [
      {
        get name() {
          throw new Error("a place that throws");
        },
      },
    ],
  ];
  for (const records of bad) {
    const client = clientOf({ endpoints, resolveSrv: () => records as ServiceRecord[] });
    await rejectsWith(client.request(text("x")), "ERR_DIAL_FAILED");
  }
  const refusing = clientOf({ endpoints, resolveSrv: () => Promise.reject(new Error("SERVFAIL")) });
  assert.match((await rejectsWith(refusing.request(text("x")), "ERR_DIAL_FAILED")).message, /SERVFAIL/);

  // A hundred thousand records of one host: bounded, and its name is looked up once.
  let resolved = 0;
  const many = clientOf({
    endpoints,
    resolveSrv: () =>
      Array.from({ length: 100_000 }, (_, i) => ({
        name: i % 2 === 0 ? "one.test." : "one.test",
        port: i === 0 ? port : 1 + (i % 65_535),
        priority: i === 0 ? 0 : 1,
        weight: 0,
      })),
    resolve: () => {
      resolved++;
      return ["127.0.0.1"];
    },
  });
  assert.equal(await ask(many), "a");
  assert.equal(resolved, 1);
  assert.ok(many.stats.endpoints!.length <= 1_024);
});

test("without the option the system's DNS servers are asked", {
  only: ["node20", "node22", "node24", "node26"],
}, async () => {
  const dns = await startDns();
  const server = await named("a");
  const before = systemDns.getServers();
  systemDns.setServers([`127.0.0.1:${dns.port}`]);
  try {
    dns.services.set(SERVICE, [record(server, 0, 0, "localhost")]);
    assert.equal(await ask(clientOf({ endpoints })), "a");
  } finally {
    systemDns.setServers(before);
  }
});

test("options that are none are refused, and the message names them", () => {
  const wrong: [ClientOptions, RegExp][] = [
    [{ endpoints: [{ srv: "" }] }, /endpoints\[0\].*srv/],
    [{ endpoints: [{ srv: 7 as never }] }, /srv/],
    [{ endpoints: [{ srv: "a".repeat(256) }] }, /srv/],
    [{ endpoints: [{ srv: SERVICE, port: 1 }] }, /srv/],
    [{ endpoints: [{ srv: SERVICE, host: "x" }] }, /srv/],
    [{ endpoints: [{ srv: SERVICE, path: "x" }] }, /srv/],
    [{ endpoints, resolveSrv: 1 as never }, /resolveSrv/],
    [{ port: 1, resolveSrv: () => [] }, /resolveSrv/],
  ];
  for (const [given, message] of wrong)
    assert.match(
      throwsWith(() => startClient({ ...options, ...given }), "ERR_INVALID_ARGUMENT").message,
      message,
    );
});

const weighted = (weight: number, load = 0) => ({ weight, load });

test("picks: by weight exactly, two different ones, whatever chance says", () => {
  const members = [weighted(3), weighted(0.25), weighted(1)];
  const STEPS = 4_250;
  let step = 0;
  const choice = new Choice(members, () => (step % STEPS) / STEPS);
  const counts = [0, 0, 0];
  for (; step < STEPS; step++) {
    counts[members.indexOf(choice.pick()!)]!++;
    const [one, other] = choice.pickTwo();
    assert.notEqual(one, other);
  }
  assert.deepEqual(counts, [3_000, 250, 1_000]);
  for (const list of [members, members.map(() => weighted(2)), members.slice(0, 2), members.slice(0, 1)]) {
    for (const random of [() => 0, () => 0.999_999_999_999, Math.random]) {
      const [one, other] = new Choice(list, random).pickTwo();
      assert.ok(one !== undefined && other !== undefined);
      assert.equal(one === other, list.length === 1);
    }
  }
  assert.deepEqual(new Choice([]).pickTwo(), [undefined, undefined]);
  assert.equal(new Choice([]).pick(), undefined);
});

test("the less loaded of two, by weight", () => {
  const [idle, busy] = [weighted(1, 0), weighted(1, 1)];
  assert.equal(lessLoaded(busy, idle), idle);
  assert.equal(lessLoaded(idle, busy), idle);
  // Three times the weight carries three times the load.
  const [strong, weak] = [weighted(3, 3), weighted(1, 0)];
  assert.equal(lessLoaded(strong, weak), weak);
  assert.equal(lessLoaded(weighted(3, 2), weak)?.weight, 3);
  assert.equal(lessLoaded(weighted(1, 1), weighted(3, 2))?.weight, 3);
  assert.equal(lessLoaded(undefined, weak), undefined);
});

test("attempts go by priority, the families in turn in each, and by weight within one", () => {
  const target = (key: string, priority: number, family: 4 | 6, weight = 1) =>
    ({ key, priority, family, weight }) as Target;
  const targets = [
    target("b4", 1, 4),
    target("a4", 0, 4),
    target("a6", 0, 6, 99),
    target("A6", 0, 6, 1),
    target("b6", 1, 6),
  ];
  let firsts = 0;
  for (let i = 0; i < 5_000; i++) {
    const order = attemptOrder(targets).map(({ key }) => key);
    assert.equal(order[0], "a4");
    assert.deepEqual(order.slice(3), ["b4", "b6"]);
    if (order[1] === "a6") firsts++;
  }
  // 4,950 of 5,000 are expected; 100 or none of the others are less than one case in 10⁹.
  assert.ok(firsts > 4_900 && firsts < 5_000, `${firsts}`);
});

test("rendezvous by weight: each has its part of the keys, and one whose weight grows takes keys from the others only", () => {
  const weights = new Map([
    ["a", 1],
    ["b", 3],
    ["c", 0.01],
  ]);
  const owner = (key: string) =>
    new KeyOwners(
      [...weights.keys()],
      (name) => name,
      (name) => weights.get(name)!,
    ).ownerOf(key)!;
  const keys = Array.from({ length: 8_000 }, (_, i) => `key-${i}`);
  const before = keys.map(owner);
  const count = (name: string) => before.filter((one) => one === name).length;
  assert.ok(Math.abs(count("b") - 6_000) < 250, `${count("b")}`);
  assert.ok(count("c") < 80);
  weights.set("a", 2);
  for (const [i, name] of keys.map(owner).entries()) if (name !== before[i]) assert.equal(name, "a");
});
