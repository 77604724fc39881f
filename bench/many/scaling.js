// `npm run bench:many -- scaling [seconds]` measures the cost of a request, a handshake and a connection for a server
// of one process and a server of two, in processor time that the system counted for the server alone (Linux). It takes
// less than two minutes, or so many seconds and the rest of the rounds that have begun, and prints the tables of
// docs/OPERATIONS.md. The throughput of other machines follows from these costs. It does not follow from the throughput
// of this machine, which also runs the clients.
import { randomBytes } from "node:crypto";
import { createServer } from "node:net";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { runtimes } from "../../scripts/runtimes.js";
import { median, Program, processorMs, residentBytes, until } from "./processes.js";

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const REQUESTS = 40_000;
const HANDSHAKES = 250;
const IDLE = 400;
const DEFAULT_SECONDS = 100;

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Runs a load against a server of so many workers; what it cost the workers, in milliseconds and bytes. */
async function measure(runtime, workers, load) {
  const [port, psk] = [await freePort(), randomBytes(32).toString("hex")];
  const server = new Program(runtime, path("../../examples/multiCore.js"), [`${workers}`], {
    PORT: `${port}`,
    PSK: psk,
  });
  await until(() => server.all("worker").length === workers, "the workers");
  const pids = server.all("worker").map(({ worker }) => worker);
  const sum = (of) => pids.map(of).reduce((a, b) => a + b, 0);
  const memoryBefore = sum(residentBytes);
  const [loader] = runtimes().filter(({ roles }) => roles.includes("node-current"));
  const clients = new Program(loader ?? runtimes()[0], path("load.js"), [
    JSON.stringify({ port, psk, ...load }),
  ]);
  await clients.first("ready");
  const before = sum(processorMs);
  clients.child.stdin.write("go\n");
  const { doneMs } = await clients.first("doneMs");
  const cost = { processorMs: sum(processorMs) - before, doneMs, bytes: sum(residentBytes) - memoryBefore };
  clients.child.stdin.write("end\n");
  await clients.exited;
  await server.end();
  return cost;
}

/** Rounds of all measurements, one process and two in turn, until the time is over; one at least. */
async function costsOf(runtime, seconds) {
  const end = performance.now() + seconds * 1_000;
  const costs = { one: [], two: [], handshake: [], connection: [] };
  let longestMs = 0;
  do {
    const began = performance.now();
    // 32 connections, so that the kernel's choice by chance spreads them.
    const load = { warmUp: REQUESTS / 8, requests: REQUESTS, connections: 32, inFlight: 8 };
    const one = await measure(runtime, 1, load);
    const two = await measure(runtime, 2, load);
    const handshakes = await measure(runtime, 1, { warmUp: 500, handshakes: HANDSHAKES });
    const idle = await measure(runtime, 1, { idle: IDLE });
    costs.one.push((one.processorMs * 1_000) / REQUESTS);
    costs.two.push((two.processorMs * 1_000) / REQUESTS);
    costs.handshake.push(handshakes.processorMs / HANDSHAKES);
    costs.connection.push(idle.bytes / IDLE / 1_000);
    longestMs = Math.max(longestMs, performance.now() - began);
  } while (performance.now() + longestMs < end);
  const medians = Object.fromEntries(Object.entries(costs).map(([name, values]) => [name, median(values)]));
  return { runtime, rounds: costs.one.length, ...medians };
}

const row = (...cells) => `| ${cells.join(" | ")} |`;
const line = (count) => `|${"---|".repeat(count)}`;
/** With three digits that count. */
const rounded = (value) => Number(value.toPrecision(3)).toLocaleString("en");

/** What follows from the costs of one runtime; nothing here is measured. */
function computed({ runtime, two, handshake, connection }) {
  const cores = [1, 4, 16];
  const memory = `${((connection * 100_000) / 1e6).toPrecision(2)} GB`;
  return [
    row(
      `computed, ${runtime.label}, at ${two.toFixed(1)} µs and ${handshake.toFixed(1)} ms`,
      ...cores.map((count) => (count === 1 ? "1 core" : `${count} cores`)),
    ),
    line(cores.length + 1),
    row("requests/s, if nothing else runs there", ...cores.map((count) => rounded((count * 1e6) / two))),
    row("connections/s, each with one request", ...cores.map((count) => rounded((count * 1e3) / handshake))),
    row("memory of 100,000 idle connections", ...cores.map(() => memory)),
  ];
}

export async function scaling(seconds = DEFAULT_SECONDS) {
  const all = runtimes();
  const costs = [];
  for (const runtime of all) costs.push(await costsOf(runtime, seconds / all.length));
  const figures = (name, digits) => costs.map((cost) => cost[name].toFixed(digits));
  const labels = all.map(({ id, label }) => (id === "node20" ? `${label} (cluster)` : label));
  const measured = [
    row("measured", ...labels),
    line(all.length + 1),
    row("µs per request, one process", ...figures("one", 1)),
    row("µs per request, two processes", ...figures("two", 1)),
    row("ms per connection: hybrid handshake, one request, close", ...figures("handshake", 1)),
    row("kB of resident memory per idle connection", ...figures("connection", 0)),
  ];
  const current = costs.find(({ runtime }) => runtime.roles.includes("node-current")) ?? costs[0];
  console.log(`${measured.join("\n")}\n\n${computed(current).join("\n")}\n`);
  const rounds = costs.map((cost) => cost.rounds).join(", ");
  const versions = all.map(({ label, version }) => `${label} ${version}`).join(", ");
  console.log(`${cpus()[0]?.model}, ${cpus().length} cores; ${versions}; medians of ${rounds} rounds`);
}
