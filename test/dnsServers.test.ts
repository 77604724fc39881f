// The test of test/haproxy.test.ts without a balancer: three servers of three runtimes behind one name, whose answers
// come from a small DNS server and change. Under load, one server is killed and comes back, and one is drained and
// replaced at another address. Needs dist/ and several loopback addresses (Linux).

import { expect, test } from "vitest";
import { connect } from "../dist/index.js";
import type { ClientStats } from "../src/index.ts";
import { Load, psk, startEcho, threeRuntimes } from "./support/balancedServers.ts";
import { type JsonProcess, until } from "./support/childProcess.ts";
import { DnsServer } from "./support/dnsServer.ts";
import { freePorts } from "./support/freePorts.ts";
import { skipTitle } from "./support/skipTitle.ts";

const isLinux = process.platform === "linux";

test.skipIf(!isLinux)(
  skipTitle(
    "endpoints by DNS: one server killed, one drained and replaced elsewhere, under load",
    isLinux ? undefined : "needs several loopback addresses",
  ),
  async () => {
    const dns = await DnsServer.start();
    const [port] = (await freePorts(1)) as [number];
    const start = (i: number, host: string) =>
      startEcho(threeRuntimes[i % threeRuntimes.length]!, { host, port });
    const addresses = threeRuntimes.map((_, i) => `127.0.0.${i + 11}`);
    const servers: JsonProcess[] = addresses.map((address, i) => start(i, address));
    const pids = () => servers.map(({ child }) => child.pid!);
    const client = connect({
      psk,
      endpoints: [{ host: "servers.test", port }],
      resolve: dns.resolvers.resolve,
      maxConnections: 1,
    });
    let replacement: JsonProcess | undefined;
    let load: Load | undefined;
    try {
      await Promise.all(servers.map((server) => server.entryWith("port")));
      dns.records.set("servers.test", addresses);
      load = new Load(
        12,
        () => client,
        async () => {},
      );
      await load.spreadsOver(pids());
      expect(load.failures).toEqual([]);

      // Killed with calls under way: those reject, and only those; what it had not begun moves to the others.
      const killedPid = servers[0]!.child.pid!;
      await until(() => load!.underWayAt(killedPid) > 0, "a call under way at the one that is killed");
      load.phase = "killed";
      const underWay = load.underWayAt(killedPid);
      servers[0]!.kill("SIGKILL");
      await servers[0]!.exited;
      await load.spreadsOver(pids().slice(1));
      const lost = load.failuresIn("killed");
      expect(lost.length, "it had calls").toBeGreaterThanOrEqual(underWay);
      for (const failure of lost)
        expect(failure).toMatchObject({ code: "ERR_CONNECTION_LOST", notBegun: false, pid: killedPid });
      expect(lost.length, "each of 12 workers has one call at a time").toBeLessThanOrEqual(12);
      load.phase = "after the kill";
      servers[0] = start(0, addresses[0]!);
      await servers[0]!.entryWith("port");
      const backMs = await load.spreadsOver(pids());

      // Drained with calls under way, and replaced at an address that DNS tells from then on.
      replacement = start(1, "127.0.0.21");
      await replacement.entryWith("port");
      const drainedPid = servers[1]!.child.pid!;
      await until(() => load!.underWayAt(drainedPid) > 0, "a call under way at the one that is drained");
      load.phase = "drained";
      dns.records.set("servers.test", [addresses[0]!, "127.0.0.21", addresses[2]!]);
      servers[1]!.kill("SIGTERM");
      expect(await servers[1]!.exited).toBe(0);
      servers[1] = replacement;
      const againMs = await load.spreadsOver(pids());
      const known = () => (client.stats as ClientStats).endpoints!.map(({ address }) => address);
      await until(() => known().length === 3, "the old address to be forgotten");
      expect(known()).toContain("127.0.0.21");
      await load.stop();
      expect(load.settled, "every call settles").toBe(load.calls);
      expect(load.failures.filter(({ phase }) => phase !== "killed")).toEqual([]);
      console.log(
        `${load.calls} calls, ${lost.length} lost with the killed server; the load had spread again ` +
          `${backMs.toFixed(0)} ms after it was back, and ${againMs.toFixed(0)} ms after the drained one was gone`,
      );
    } finally {
      await load?.stop();
      await client.close();
      await Promise.all([...servers, ...(replacement ? [replacement] : [])].map((each) => each.stop()));
      await dns.close();
    }
  },
  90_000,
);
