// What a request, a handshake and a connection cost a server of one process and one of two, in processor time that the
// system counted for the server alone: `npm run bench:many -- scaling [rounds]`. Linux; takes about a minute for each
// runtime. The costs decide how throughput follows on other machines; what this machine reaches while it also runs the
// clients does not.
import { randomBytes } from "node:crypto";
import { createServer } from "node:net";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { runtimes } from "../../scripts/runtimes.js";
import { median, Program, processorMs, residentBytes, until } from "./processes.js";

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const REQUESTS = 80_000;
const HANDSHAKES = 800;
const IDLE = 1_000;

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

export async function scaling(rounds = 3) {
  console.log(
    `${cpus()[0]?.model}, ${cpus().length} cores; medians of ${rounds} rounds, one and two in turn`,
  );
  console.log("runtime | µs per request, one process | two | ratio | ms per handshake | kB per connection");
  for (const runtime of runtimes()) {
    const costs = { one: [], two: [], handshake: [], connection: [] };
    for (let round = 0; round <= rounds; round++) {
      // 32 connections, so that the kernel's choice by chance spreads them.
      const load = { requests: REQUESTS, connections: 32, inFlight: 8 };
      const one = await measure(runtime, 1, load);
      const two = await measure(runtime, 2, load);
      const handshakes = await measure(runtime, 1, { handshakes: HANDSHAKES });
      const idle = await measure(runtime, 1, { idle: IDLE });
      if (round === 0) continue; // the machine's caches and clocks
      costs.one.push((one.processorMs * 1_000) / REQUESTS);
      costs.two.push((two.processorMs * 1_000) / REQUESTS);
      costs.handshake.push(handshakes.processorMs / HANDSHAKES);
      costs.connection.push(idle.bytes / IDLE / 1_000);
    }
    const [one, two] = [median(costs.one), median(costs.two)];
    const row = [one.toFixed(1), two.toFixed(1), (two / one).toFixed(2)];
    row.push(median(costs.handshake).toFixed(2), median(costs.connection).toFixed(0));
    console.log(`${runtime.label} ${runtime.version} | ${row.join(" | ")}`);
  }
}
