// Endpoints by a name whose DNS answers change: servers come and go as in a headless Service.

import assert from "node:assert/strict";
import type { ResolveName } from "../../../src/index.ts";
import { closedAfterTest } from "../../support/closedAfterTest.ts";
import { DnsServer } from "../../support/dnsServer.ts";
import { freePort } from "../../support/freePorts.ts";
import { test } from "../../support/harness.ts";
import { named } from "../../support/namedServers.ts";
import { v2 } from "../../support/protocols.ts";
import {
  checkLeaksAfterEachTest,
  fromText,
  rejectsWith,
  sleep,
  startClient,
  text,
  waitFor,
} from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

const { options } = v2;
/** Linux has all of 127.0.0.0/8 on the loopback device; other systems have one address of it. */
const elsewhere = process.platform === "linux" ? {} : { skip: "needs several loopback addresses" };

async function startDns(): Promise<{ dns: DnsServer; resolve: ResolveName }> {
  const dns = closedAfterTest(await DnsServer.start());
  return { dns, resolve: dns.resolvers.resolve };
}

test(
  "a rolling update: every server is replaced at another address, and no call is lost",
  elsewhere,
  async () => {
    const { dns, resolve } = await startDns();
    const first = await named("1", 0, "127.0.0.1");
    const { port } = first;
    const servers = [first, await named("2", port, "127.0.0.2")];
    dns.records.set("servers.test", ["127.0.0.1", "127.0.0.2"]);
    const client = startClient({ ...options, endpoints: [{ host: "servers.test", port }], resolve });
    const seen = new Set<string>();
    const failures: unknown[] = [];
    let running = true;
    const load = Array.from({ length: 4 }, async () => {
      while (running) {
        await client.request(text("x")).then(
          (answer) => seen.add(fromText(answer)),
          (error) => failures.push(error),
        );
        await sleep(1);
      }
    });
    await waitFor(() => seen.size === 2, "both to serve");
    for (const [i, old] of servers.entries()) {
      const address = `127.0.0.${i + 3}`;
      const next = await named(`${i + 3}`, port, address);
      const kept = dns.records.get("servers.test")!.slice(1);
      dns.records.set("servers.test", [...kept, address]);
      await old.close();
      await waitFor(() => seen.has(`${i + 3}`), "the new one to be found and to serve");
      servers[i] = next;
    }
    await waitFor(() => client.stats.endpoints!.length === 2, "the old ones to be forgotten");
    running = false;
    await Promise.all(load);
    assert.deepEqual(failures, []);
    assert.deepEqual(client.stats.endpoints!.map(({ address }) => address).sort(), [
      "127.0.0.3",
      "127.0.0.4",
    ]);
  },
);

test("an outage of DNS and servers: no storm of questions, and calls go on when both are back", async () => {
  const { dns, resolve } = await startDns();
  const port = await freePort();
  const server = await named("1", port, "127.0.0.1");
  dns.records.set("servers.test", ["127.0.0.1"]);
  const client = startClient({ ...options, endpoints: [{ host: "servers.test", port }], resolve });
  await client.request(text("x"));
  dns.failing = true;
  await server.close();
  const before = { queries: dns.queries, at: performance.now() };
  let calls = 0;
  while (performance.now() - before.at < 3_000 && calls < 5_000) {
    calls++;
    await client.request(text("x"), { timeoutMs: 500 }).catch(() => {});
  }
  // Two questions per lookup (A and AAAA), lookups 1 s apart at least; a resolver may ask a second time.
  const seconds = (performance.now() - before.at) / 1_000;
  assert.ok(
    dns.queries - before.queries <= 4 * (seconds + 1),
    `${dns.queries - before.queries} in ${seconds} s`,
  );
  dns.failing = false;
  await named("1 again", port, "127.0.0.1");
  await client.connected({ timeoutMs: 30_000 });
  assert.equal(fromText(await client.request(text("x"))), "1 again");
});

test("a name that does not exist is told", async () => {
  const { resolve } = await startDns();
  const client = startClient({ ...options, endpoints: [{ host: "nobody.test", port: 1 }], resolve });
  const error = await rejectsWith(client.request(text("x")), "ERR_DIAL_FAILED");
  assert.match(error.message, /could not be found/);
});
