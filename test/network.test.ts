// Conditions that loopback can't show, in network namespaces: silent death through a cable and a blackhole route, an
// address that moves to another server, an IPv6 address that nobody answers at, latency. Clients of all runtimes meet
// them at the same time. Needs dist/, Linux, iproute2 and the right to make namespaces. Elsewhere the test is skipped,
// which counts as a failure if SEALWIRE_REQUIRE_NAMESPACES is set.

import { createServer, connect as dial } from "node:net";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { connect, listen } from "../dist/index.js";
import { runtimes } from "../scripts/runtimes.js";
import type { Message } from "../src/index.ts";
import { JsonProcess, until } from "./support/childProcess.ts";
import { cable, ip, ipWorks, Namespace, whyNoNamespaces, whyNoNetem } from "./support/namespaces.ts";
import { skipTitle } from "./support/skipTitle.ts";

const psk = "5e".repeat(32);
const PORT = 7000;
const echoServer = fileURLToPath(new URL("support/echoServer.js", import.meta.url));
const networkClient = fileURLToPath(new URL("support/networkClient.js", import.meta.url));

const reason = whyNoNamespaces();
if (reason !== undefined && process.env.SEALWIRE_REQUIRE_NAMESPACES) {
  test("network namespaces can be made", () => {
    throw new Error(`they are required here: ${reason}`);
  });
}

/** As people would set them for quick notice; the defaults are 15 s and 10 s. */
const settings = {
  psk,
  maxConnections: 1,
  heartbeatIntervalMs: 300,
  heartbeatTimeoutMs: 300,
  requestTimeoutMs: 3_000,
  dialTimeoutMs: 1_000,
};
/** Where nobody dies, and no call may be lost: longer than a busy machine may keep a process from running. */
const patient = { heartbeatTimeoutMs: 10_000, requestTimeoutMs: 30_000, dialTimeoutMs: 10_000 };
/** Calls that were sent to a server that is gone end with one of these. */
const LOST = ["ERR_CONNECTION_LOST", "ERR_READ_TIMEOUT", "ERR_REQUEST_TIMEOUT"];
/** So long after an event, all calls that were lost by it have ended: the heartbeat's two times, and as much again. */
const SETTLED_MS = 1_200;
/** Fewer calls in a row say little. */
const ENOUGH = 40;

interface Outcome {
  readonly answer?: number;
  readonly error?: string;
  readonly began: number;
  readonly ended: number;
}

const namespaces: Namespace[] = [];
const processes: JsonProcess[] = [];
const rows: string[] = [];

afterAll(async () => {
  await Promise.all(processes.map((each) => each.stop()));
  for (const each of namespaces) each.destroy();
  if (rows.length > 0) console.log(rows.join("\n"));
});

function namespace(label: string): Namespace {
  const made = new Namespace(label);
  namespaces.push(made);
  return made;
}

/** A client's namespace with a cable to each of two servers', which listen on all their addresses. */
async function network() {
  const [client, one, two] = [namespace("c"), namespace("s1"), namespace("s2")] as const;
  cable("cable1", [client, ["10.77.1.1/24", "fd77::1/64"]], [one, ["10.77.1.2/24"]]);
  cable("cable2", [client, ["10.77.2.1/24"]], [two, ["10.77.2.2/24"]]);
  // The second server reaches all of the client's addresses, the first one only that of its own cable.
  two.ip("route add 10.77.1.0/24 via 10.77.2.1");
  const node = runtimes()[0]!;
  const servers = [one, two].map((namespace) => {
    const options = JSON.stringify({ host: "0.0.0.0", port: PORT, psk });
    return started(new JsonProcess(namespace.inside(node), echoServer, [options]));
  });
  await Promise.all(servers.map((server) => server.entryWith("port")));
  // `ip netns exec` becomes the program: the process ids are those of the servers.
  const [first, second] = servers.map(({ child }) => child.pid!) as [number, number];
  return { client, one, two, first, second };
}

function started(process: JsonProcess): JsonProcess {
  processes.push(process);
  return process;
}

const made = reason === undefined ? network() : new Promise<never>(() => {});
made.catch(() => {}); // the tests tell

/** One Node does: its versions have the same sockets. */
const callingRuntimes = runtimes().filter(
  ({ roles }) => !roles.includes("node-current") || roles.includes("node"),
);

/** A client in each runtime, calling. */
class Callers {
  readonly #processes: readonly { readonly label: string; readonly process: JsonProcess }[];

  constructor(namespace: Namespace, options: object) {
    this.#processes = callingRuntimes.map((runtime) => ({
      label: runtime.label,
      process: started(
        new JsonProcess(namespace.inside(runtime), networkClient, [
          JSON.stringify({ ...settings, ...options }),
        ]),
      ),
    }));
  }

  /** Waits until every client got answers from each of these lately. */
  async servedBy(...servers: number[]): Promise<void> {
    for (const { process, label } of this.#processes) {
      const from = process.entries.length;
      const answers = () => new Set(process.entries.slice(from).map(({ answer }) => answer));
      await until(
        () => servers.every((server) => answers().has(server)),
        `${label} to be served by ${servers}; ${process.errors}`,
      );
    }
  }

  /**
   * Waits until every client is served by this server alone, without a failure. Adds a row: how long after `since` a call
   * began at the latest that failed or that took longer than half a second.
   */
  async recovered(what: string, since: number, server: number): Promise<Outcome[]> {
    const all: Outcome[] = [];
    const times: string[] = [];
    for (const { process, label } of this.#processes) {
      const outcomes = () => process.entries as unknown as Outcome[];
      const isWell = ({ answer, began, ended }: Outcome) => answer === server && ended - began < 500;
      await until(
        () => {
          const last = outcomes().slice(-ENOUGH);
          return (
            last.length === ENOUGH && last.every((each) => isWell(each) && each.began > since + SETTLED_MS)
          );
        },
        `${label} to recover; ${process.errors} ${JSON.stringify(outcomes().slice(-3))}`,
      );
      const after = outcomes().filter(({ ended }) => ended > since);
      const bad = after.filter(({ answer, began, ended }) => answer === undefined || ended - began >= 500);
      const lastBegan = Math.max(0, ...bad.map(({ began }) => began - since));
      times.push(`${label}: ${lastBegan} ms, ${bad.filter(({ error }) => error).length} calls lost`);
      all.push(...after);
    }
    rows.push(`${what} | ${times.join(" | ")}`);
    return all;
  }

  /** Ends the clients; nothing may be pending then. */
  async end(): Promise<Outcome[]> {
    for (const { process } of this.#processes) process.kill("SIGTERM");
    const outcomes: Outcome[] = [];
    for (const { process, label } of this.#processes) {
      expect(await process.exited, label).toBe(0);
      expect(process.all("pending"), label).toEqual([{ pending: 0 }]);
      outcomes.push(...(process.entries.filter((entry) => "began" in entry) as unknown as Outcome[]));
    }
    return outcomes;
  }
}

describe.skipIf(reason !== undefined)(skipTitle("network namespaces", reason), () => {
  test("a server that dies silently: calls go to the other one, and back when it is back", async () => {
    const { client, one, first, second } = await made;
    const endpoints = [
      { host: "10.77.1.2", port: PORT },
      { host: "10.77.2.2", port: PORT },
    ];
    const callers = new Callers(client, { endpoints });
    await callers.servedBy(first, second);
    for (const { what, die, live } of [
      {
        what: "the cable is cut",
        die: () => one.ip("link set cable1 down"),
        live: () => one.ip("link set cable1 up"),
      },
      {
        what: "a blackhole on the way back",
        die: () => one.ip("route add blackhole 10.77.1.1/32"),
        live: () => one.ip("route del blackhole 10.77.1.1/32"),
      },
    ]) {
      const diedAt = Date.now();
      die();
      const outcomes = await callers.recovered(what, diedAt, second);
      const errors = outcomes.flatMap(({ error }) => error ?? []);
      expect(errors.filter((code) => !LOST.includes(code))).toEqual([]);
      live();
      const backAt = Date.now();
      await callers.servedBy(first);
      rows.push(`${what}: it has calls again after | all: ${Date.now() - backAt} ms`);
    }
    await callers.end();
  }, 90_000);

  test("an address that moves to another server: the old connection is lost, the next call dials anew", async () => {
    const { client, one, two, first, second } = await made;
    for (const server of [one, two]) server.ip("addr add 10.77.9.9/32 dev lo");
    client.ip("route add 10.77.9.9/32 via 10.77.1.2");
    const callers = new Callers(client, { host: "10.77.9.9", port: PORT });
    await callers.servedBy(first);
    for (const { what, via, to } of [
      {
        what: "the address moves, and the new server resets the old connection",
        via: "10.77.2.2",
        to: second,
      },
      { what: "the address moves, and nobody answers the old connection", via: "10.77.1.2", to: first },
    ]) {
      const movedAt = Date.now();
      client.ip(`route replace 10.77.9.9/32 via ${via}`);
      const outcomes = await callers.recovered(what, movedAt, to);
      for (const code of new Set(outcomes.flatMap(({ error }) => error ?? []))) expect(LOST).toContain(code);
    }
    await callers.end();
  }, 90_000);

  test("an IPv6 address that nobody answers at: IPv4 serves", async ({ skip }) => {
    const { client, first } = await made;
    // fd77::2 is on the cable, and nobody has it.
    if (!ipWorks(`-n ${client.name} -6 route get fd77::2`)) skip("no IPv6 here");
    const endpoints = [{ host: "both.test", port: PORT }];
    const callers = new Callers(client, { ...patient, endpoints, addresses: ["fd77::2", "10.77.1.2"] });
    await callers.servedBy(first);
    const outcomes = await callers.end();
    expect(outcomes.filter(({ answer }) => answer !== first)).toEqual([]);
    rows.push(`IPv6 is dead, the first answer came after | all: ${firstMs(outcomes)} ms`);
  }, 60_000);

  const noNetem = reason === undefined ? whyNoNetem() : undefined;
  test.skipIf(noNetem !== undefined)(
    skipTitle("latency and loss by netem", noNetem),
    async () => {
      const { client, first } = await made;
      ip(`-n ${client.name} qdisc add dev cable1 root netem delay 40ms loss 3%`, "tc");
      const callers = new Callers(client, { ...patient, host: "10.77.1.2", port: PORT, pauseMs: 5 });
      await callers.servedBy(first);
      const outcomes = await callers.end();
      expect(outcomes.filter(({ answer }) => answer !== first)).toEqual([]);
    },
    60_000,
  );
});

const firstMs = (outcomes: readonly Outcome[]) => {
  const began = Math.min(...outcomes.map((outcome) => outcome.began));
  return Math.min(...outcomes.map((outcome) => outcome.ended)) - began;
};

test("latency through a proxy: calls overlap, and a call costs one round trip", async () => {
  const DELAY_MS = 40;
  const server = await listen({ port: 0, psk, onMessage: (message: Message) => message.reply(message.body) });
  let turns = 0;
  const proxy = createServer((near) => {
    const far = dial(server.port, "127.0.0.1");
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on("data", (chunk) => setTimeout(() => to.write(chunk), DELAY_MS));
      from.on("data", () => turns++);
      from.on("close", () => setTimeout(() => to.destroy(), DELAY_MS));
      from.on("error", () => {});
    }
  });
  await new Promise<void>((done) => proxy.listen(0, "127.0.0.1", done));
  const client = connect({ port: (proxy.address() as { port: number }).port, psk, maxConnections: 1 });
  await client.request(new Uint8Array(1));
  const before = turns;
  await Promise.all(Array.from({ length: 200 }, () => client.request(new Uint8Array(100))));
  expect(turns - before, "200 calls and answers at once travel in few pieces").toBeLessThan(12);
  await client.close();
  await server.close();
  await new Promise((done) => proxy.close(done));
}, 30_000);
