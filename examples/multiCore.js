// One server on several cores: `<node, bun or deno run -A> examples/multiCore.js [workers]`, with PORT and PSK in the
// environment. Workers share the port by SO_REUSEPORT where the runtime can (Node from 22.12, Bun, Deno), and through
// node:cluster in an older Node. A worker that dies is started again; SIGTERM drains all of them.
// In a program of your own the import is from "sealwire".
import { fork } from "node:child_process";
import cluster from "node:cluster";
import { availableParallelism } from "node:os";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { closeOnSignal, listen } from "../dist/index.js";

const port = Number(process.env.PORT ?? 7001);
const psk = process.env.PSK;
const RESTART_PAUSE_MS = 250;

/** Whether several processes can listen on one port here. It is tried out, not assumed. */
async function canSharePort() {
  try {
    await (await listen({ port: 0, psk, reusePort: true })).close();
    return true;
  } catch (error) {
    if (error.code === "ERR_UNSUPPORTED") return false;
    throw error;
  }
}

async function work() {
  const server = await listen({
    port,
    psk,
    reusePort: process.env.SHARE_PORT === "1",
    // Connections move on to other workers, also to those that were started later.
    maxConnectionAgeMs: 600_000,
    onMessage: (message) => message.reply(new TextEncoder().encode(`${process.pid}`)),
  });
  closeOnSignal(server);
  console.log(JSON.stringify({ worker: process.pid, port: server.port }));
}

async function supervise() {
  const share = await canSharePort();
  const env = { ...process.env, WORKER: "1", SHARE_PORT: share ? "1" : "0" };
  const workers = new Set();
  let ending = false;
  const start = () => {
    const worker = share ? fork(fileURLToPath(import.meta.url), [], { env }) : cluster.fork(env).process;
    workers.add(worker);
    worker.on("exit", (code, signal) => {
      workers.delete(worker);
      console.log(JSON.stringify({ exited: worker.pid, code, signal }));
      if (!ending) setTimeout(start, RESTART_PAUSE_MS);
      else if (workers.size === 0) process.exit(0);
    });
  };
  for (const signal of ["SIGTERM", "SIGINT"]) {
    process.on(signal, () => {
      ending = true;
      for (const worker of workers) worker.kill("SIGTERM");
      if (workers.size === 0) process.exit(0);
    });
  }
  const count = Number(process.argv[2] ?? availableParallelism());
  console.log(JSON.stringify({ supervisor: process.pid, sharing: share ? "reusePort" : "node:cluster" }));
  for (let i = 0; i < count; i++) start();
}

if (process.env.WORKER === "1") await work();
else await supervise();
