// HAProxy in front of three servers of three runtimes: PROXY v2, health checks, one server killed, one drained, both
// back, under load. Needs dist/ and haproxy (2.6 in Debian 12); skipped where it is absent, which counts as a failure
// where SEALWIRE_REQUIRE_HAPROXY is set.

import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { connect } from "../dist/index.js";
import { haproxyConfig } from "../examples/haproxy/config.js";
import { runtimes } from "../scripts/runtimes.js";
import { JsonProcess, until } from "./support/childProcess.ts";
import { freePorts } from "./support/freePorts.ts";

const psk = "5e".repeat(32);
const echoServer = fileURLToPath(new URL("support/echoServer.js", import.meta.url));

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
  readonly runtime: ReturnType<typeof runtimes>[number];
  process: JsonProcess;
}

function startBackend({ port, healthPort, runtime }: Omit<Backend, "process">): JsonProcess {
  const options = { port, psk, health: { port: healthPort }, proxyProtocol: { trusted: ["127.0.0.1"] } };
  return new JsonProcess(runtime, echoServer, [JSON.stringify(options)], { env: { GRACE_MS: "1500" } });
}

/** Outcomes of a client that calls and calls, each call on a connection of its own now and then. */
class Load {
  readonly served = new Map<number, number>();
  /** `pid`: who answered the call before it on the same client, if anybody did. */
  readonly failures: { code: string; when: string; pid: number | undefined }[] = [];
  phase = "before";
  calls = 0;
  settled = 0;
  #running = true;
  readonly #workers: Promise<void>[];

  constructor(port: number, count: number) {
    this.#workers = Array.from({ length: count }, () => this.#work(port));
  }

  async #work(port: number): Promise<void> {
    while (this.#running) {
      const client = connect({ port, psk, maxConnections: 1 });
      let pid: number | undefined;
      for (let i = 0; i < 20 && this.#running; i++) {
        this.calls++;
        try {
          pid = Number(new TextDecoder().decode(await client.request(new Uint8Array(1))));
          this.served.set(pid, (this.served.get(pid) ?? 0) + 1);
        } catch (error) {
          this.failures.push({ code: (error as { code: string }).code, when: this.phase, pid });
        }
        this.settled++;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      await client.close();
    }
  }

  /** All of `pids` serve from here on. */
  async spreadsOver(pids: readonly number[]): Promise<void> {
    this.served.clear();
    await until(() => pids.every((pid) => (this.served.get(pid) ?? 0) > 0), `calls to reach ${pids}`);
  }

  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#workers);
  }
}

const title = `HAProxy ${version ?? "(not installed: skipped)"}: one server killed, one drained, both back, under load`;
test.skipIf(version === undefined)(
  title,
  async () => {
    const chosen = ["node", "bun", "deno"].map((role) =>
      runtimes().find((runtime) => runtime.roles.includes(role)),
    );
    const present = chosen.filter((runtime) => runtime !== undefined);
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
      load = new Load(front, 12);
      await load.spreadsOver(pids());
      expect(load.failures, log).toEqual([]);

      // Killed: calls that it had reject, those of connections that HAProxy still gave it, too. Nothing else.
      load.phase = "killed";
      const [killed, drained] = [backends[0]!, backends[1]!];
      await killed.process.stop();
      await load.spreadsOver(pids().slice(1));
      await until(() => log.includes("sealwire/server0 is DOWN"), `the check to notice; ${log}`);
      const lost = load.failures.length;
      // A client whose first call failed, or whose connection was lost before, dialled the killed one meanwhile.
      for (const { pid } of load.failures) expect([killed.process.child.pid, undefined]).toContain(pid);
      load.phase = "after the kill";
      killed.process = startBackend(killed);
      await killed.process.entryWith("port");
      const backAt = performance.now();
      await load.spreadsOver(pids());
      const backMs = performance.now() - backAt;

      // Drained: health says so, HAProxy stops giving it connections, it serves on through the grace, then drains.
      const failuresBefore = load.failures.filter(({ when }) => when !== "killed").length;
      load.phase = "drained";
      drained.process.kill("SIGTERM");
      expect(await drained.process.exited).toBe(0);
      await load.spreadsOver(pids().filter((pid) => pid !== drained.process.child.pid));
      drained.process = startBackend(drained);
      await drained.process.entryWith("port");
      await load.spreadsOver(pids());
      await load.stop();
      expect(load.settled).toBe(load.calls);
      expect(
        load.failures.filter(({ when }) => when !== "killed").length,
        JSON.stringify(load.failures),
      ).toBe(failuresBefore);
      expect(failuresBefore, JSON.stringify(load.failures)).toBe(0);
      expect(
        lost,
        "at most one call of each worker per connection that went to the killed one",
      ).toBeLessThanOrEqual(60);
      console.log(
        `${load.calls} calls, ${lost} lost with the killed server; it had its part again after ${backMs.toFixed(0)} ms`,
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
