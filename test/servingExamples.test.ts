// The claims of the examples for Kubernetes and systemd, compared with the behaviour of the server. Needs dist/.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { connect } from "../dist/index.js";
import { runtimes } from "../scripts/runtimes.js";
import { JsonProcess, until } from "./support/childProcess.ts";
import { repositoryRoot } from "./support/vectors.ts";

const example = (name: string) => join(repositoryRoot, "examples", name);
const read = (name: string) => readFileSync(example(name), "utf8");
const psk = "5e".repeat(32);

/** All documents of a file, by the parser that Bun has. */
function parseYaml(text: string): unknown {
  const bun = runtimes().find((runtime) => runtime.roles.includes("bun"));
  if (bun === undefined) throw new Error("the manifests are parsed by Bun, which is not here");
  const script = "console.log(JSON.stringify(Bun.YAML.parse(await Bun.stdin.text())))";
  const output = execFileSync(bun.path, ["--eval", script], {
    input: text,
    encoding: "utf8",
    timeout: 20_000,
  });
  return JSON.parse(output);
}

interface Probe {
  httpGet: { path: string; port: string };
  periodSeconds: number;
  failureThreshold: number;
}
interface Container {
  command: string[];
  env: { name: string; value?: string }[];
  ports: { name: string; containerPort: number }[];
  readinessProbe: Probe;
  livenessProbe: Probe;
}

const [service, deployment] = parseYaml(read("kubernetes/sealwire.yaml")) as [
  { spec: { clusterIP: string; selector: object; ports: { port: number; targetPort: string }[] } },
  {
    spec: {
      template: {
        metadata: { labels: object };
        spec: { terminationGracePeriodSeconds: number; containers: Container[] };
      };
    };
  },
];
const pod = deployment.spec.template;
const [container] = pod.spec.containers as [Container];
const env = new Map(container.env.map(({ name, value }) => [name, value]));
const port = (name: string) => container.ports.find((each) => each.name === name)?.containerPort;

const processes: JsonProcess[] = [];
afterEach(async () => {
  await Promise.all(processes.splice(0).map((each) => each.stop()));
});

describe("the Kubernetes manifests", () => {
  test("fit together", () => {
    expect(service.spec.clusterIP, "headless: its name has the addresses of all pods").toBe("None");
    expect(service.spec.selector).toEqual(pod.metadata.labels);
    expect(service.spec.ports[0]!.port).toBe(port(service.spec.ports[0]!.targetPort));
    expect(Number(env.get("PORT"))).toBe(port("rpc"));
    expect(Number(env.get("HEALTH_PORT"))).toBe(port("health"));
    const { readinessProbe } = container;
    const noticedMs = readinessProbe.periodSeconds * readinessProbe.failureThreshold * 1_000;
    expect(Number(env.get("GRACE_MS"))).toBeGreaterThan(noticedMs);
    const endMs = Number(env.get("GRACE_MS")) + Number(env.get("DRAIN_MS"));
    expect(pod.spec.terminationGracePeriodSeconds * 1_000).toBeGreaterThan(endMs);
    expect(read("server.js").length).toBeGreaterThan(0);
    expect(container.command.at(-1)).toBe("examples/server.js");
  });

  for (const runtime of runtimes()) {
    test(`their probes get the answers that they need, and SIGTERM ends it: ${runtime.label}`, async () => {
      const settings = {
        PORT: "0",
        HEALTH_PORT: "0",
        HOST: "127.0.0.1",
        PSK: psk,
        GRACE_MS: "2000",
        DRAIN_MS: "2000",
      };
      const server = new JsonProcess(runtime, example("server.js"), [], { env: settings });
      processes.push(server);
      const ports = (await server.entryWith("port")) as { port: number; healthPort: number };
      const status = async ({ httpGet }: Probe) =>
        (await fetch(`http://127.0.0.1:${ports.healthPort}${httpGet.path}`)).status;
      expect(await status(container.readinessProbe)).toBe(200);
      expect(await status(container.livenessProbe)).toBe(200);
      const client = connect({ port: ports.port, psk });
      await client.request(new Uint8Array(1));
      server.kill("SIGTERM");
      await until(() => server.all("health").length > 1, "draining");
      expect(await status(container.readinessProbe), "not ready").toBe(503);
      expect(await status(container.livenessProbe), "but alive").toBe(200);
      expect(await server.exited).toBe(0);
      await client.close();
    });
  }
});

describe("the systemd units", () => {
  const settings = (name: string) =>
    new Map(
      read(name)
        .split("\n")
        .filter((line) => /^[A-Za-z]+=/.test(line))
        .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
    );

  test("fit together, and SIGKILL comes after the end of the drain", () => {
    const unit = settings("systemd/sealwire.service");
    expect(unit.get("Requires")).toBe("sealwire.socket");
    const times = [...unit.get("Environment")!.matchAll(/_MS=(\d+)/g)].map(([, ms]) => Number(ms));
    expect(Number(unit.get("TimeoutStopSec")) * 1_000).toBeGreaterThan(times.reduce((a, b) => a + b));
    expect(settings("systemd/sealwire.socket").get("ListenStream")).toMatch(/^\d+$/);
  });

  test.skipIf(process.platform === "win32")(
    "the server takes the socket that it is told of, as systemd does it",
    async () => {
      const listener = createServer();
      await new Promise<void>((done) => listener.listen(0, "127.0.0.1", done));
      const { fd } = (listener as unknown as { _handle: { fd: number } })._handle;
      const [node] = runtimes();
      // LISTEN_PID has to be the process's own, which only the process that becomes it knows.
      const script = 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@"';
      const shell = { path: "/bin/sh", args: ["-c", script, node!.path, ...node!.args] };
      const server = new JsonProcess(shell, example("server.js"), [], {
        env: { HEALTH_PORT: "0", PSK: psk },
        inherit: fd,
      });
      processes.push(server);
      const entry = await server.entryWith("port");
      expect(entry.port).toBe((listener.address() as { port: number }).port);
      await new Promise((done) => listener.close(done));
      const client = connect({ port: entry.port as number, psk });
      await client.request(new Uint8Array(1));
      await client.close();
    },
  );
});
