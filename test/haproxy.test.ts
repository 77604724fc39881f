// HAProxy in front of three servers of three runtimes, under load: PROXY v2, health checks, one server killed, one
// drained, both back. Needs dist/ and haproxy (2.6 in Debian 12). Without haproxy the test is skipped, which counts as
// a failure if SEALWIRE_REQUIRE_HAPROXY is set.

import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { connect } from "../dist/index.js";
import { haproxyConfig } from "../examples/haproxy/config.js";
import { Load, psk, startEcho, threeRuntimes } from "./support/balancedServers.ts";
import { type JsonProcess, until } from "./support/childProcess.ts";
import { freePorts } from "./support/freePorts.ts";
import { skipTitle } from "./support/skipTitle.ts";

function haproxyVersion(): string | undefined {
  try {
    return /version (\S+)/.exec(execFileSync("haproxy", ["-v"], { encoding: "utf8", timeout: 10_000 }))?.[1];
  } catch {
    return undefined;
  }
}

const version = haproxyVersion();
if (version === undefined && process.env.SEALWIRE_REQUIRE_HAPROXY) {
  test("haproxy is installed", () => {
    throw new Error("haproxy is required here and does not start");
  });
}

interface Backend {
  readonly port: number;
  readonly healthPort: number;
  readonly runtime: (typeof threeRuntimes)[number];
  process: JsonProcess;
}

function startBackend({ port, healthPort, runtime }: Omit<Backend, "process">): JsonProcess {
  return startEcho(runtime, {
    port,
    health: { port: healthPort },
    proxyProtocol: { trusted: ["127.0.0.1"] },
  });
}

const title = skipTitle(
  `HAProxy ${version ?? ""}: one server killed, one drained, both back, under load`,
  version === undefined ? "HAProxy is not installed" : undefined,
);
test.skipIf(version === undefined)(
  title,
  async () => {
    const present = threeRuntimes;
    if (process.env.SEALWIRE_REQUIRE_RUNTIMES) expect(present).toHaveLength(3);
    const ports = await freePorts(2 * present.length + 1);
    const front = ports.pop()!;
    const backends: Backend[] = present.map((runtime, i) => {
      const backend = { runtime, port: ports[2 * i]!, healthPort: ports[2 * i + 1]! };
      return { ...backend, process: startBackend(backend) };
    });
    const pids = () => backends.map(({ process }) => process.child.pid!);
    const folder = mkdtempSync(join(tmpdir(), "sealwire-haproxy-"));
    let haproxy: ReturnType<typeof spawn> | undefined;
    let load: Load | undefined;
    let log = "";
    try {
      await Promise.all(backends.map(({ process }) => process.entryWith("port")));
      const configFile = join(folder, "haproxy.cfg");
      writeFileSync(configFile, haproxyConfig({ front, backends }));
      haproxy = spawn("haproxy", ["-db", "-f", configFile], { stdio: ["ignore", "pipe", "pipe"] });
      for (const stream of [haproxy.stdout!, haproxy.stderr!]) stream.on("data", (text) => (log += text));
      const probe = connect({ port: front, psk });
      await until(
        () =>
          probe.request(new Uint8Array(1)).then(
            () => true,
            () => false,
          ),
        `haproxy; ${log}`,
      );
      await probe.close();
      const one = () => connect({ port: front, psk, maxConnections: 1 });
      load = new Load(12, one, (client) => client.close());
      await load.spreadsOver(pids());
      expect(load.failures, log).toEqual([]);

      // Killed with calls under way: those reject, and those of clients that HAProxy still sent there. Nothing else.
      const [killed, drained] = [backends[0]!, backends[1]!];
      const killedPid = killed.process.child.pid!;
      await until(() => load!.underWayAt(killedPid) > 0, "a call under way at the one that is killed");
      load.phase = "killed";
      const underWay = load.underWayAt(killedPid);
      killed.process.kill("SIGKILL");
      await killed.process.exited;
      await load.spreadsOver(pids().slice(1));
      await until(() => log.includes("sealwire/server0 is DOWN"), `the check to notice; ${log}`);
      const lost = load.failuresIn("killed");
      const text = JSON.stringify(load.failures);
      for (const { pid, wasOpen } of lost) if (wasOpen) expect([killedPid, undefined], text).toContain(pid);
      // Those that it had answered before, and nobody else's: begun, so they can't be made again.
      const begun = lost.filter(({ pid }) => pid === killedPid);
      expect(begun.length, text).toBeGreaterThanOrEqual(underWay);
      for (const { code } of begun) expect(code).toBe("ERR_CONNECTION_LOST");
      // Dialled through HAProxy while it had not noticed: at most a few for each of 12 workers.
      expect(lost.length, text).toBeLessThanOrEqual(60);
      load.phase = "after the kill";
      killed.process = startBackend(killed);
      await killed.process.entryWith("port");
      const backMs = await load.spreadsOver(pids());

      // Drained with calls under way: health says so, HAProxy sends it nobody, it serves on through the grace, then drains.
      const drainedPid = drained.process.child.pid!;
      await until(() => load!.underWayAt(drainedPid) > 0, "a call under way at the one that is drained");
      load.phase = "drained";
      drained.process.kill("SIGTERM");
      expect(await drained.process.exited).toBe(0);
      expect(drained.process.all("health").map(({ health }) => health)).toEqual([
        "ready",
        "draining",
        "stopped",
      ]);
      await load.spreadsOver(pids().filter((pid) => pid !== drainedPid));
      drained.process = startBackend(drained);
      await drained.process.entryWith("port");
      const againMs = await load.spreadsOver(pids());
      await load.stop();
      expect(load.settled, "every request settles").toBe(load.calls);
      expect(load.failures.filter(({ phase }) => phase !== "killed")).toEqual([]);
      console.log(
        `${load.calls} calls, ${lost.length} lost with the killed server, ${begun.length} of them begun; ` +
          `the load had spread again ${backMs.toFixed(0)} and ${againMs.toFixed(0)} ms after the servers were back`,
      );
      for (const { process } of backends) {
        expect(process.errors.replaceAll(/.*(Warning|trace-warnings).*\n/g, "")).toBe("");
      }
    } finally {
      await load?.stop();
      haproxy?.kill("SIGKILL");
      await Promise.all(backends.map(({ process }) => process.stop()));
      rmSync(folder, { recursive: true });
    }
  },
  120_000,
);
