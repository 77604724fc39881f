// `npm run bench:many -- reconnect [clients]` shows as a histogram how a crowd of clients comes back after its server
// restarts. In the first case the server is killed and is back after three seconds. In the second case it is drained,
// and its successor is there at once. The command takes less than a minute for 1,000 clients on an idle machine, and
// prints the histograms of docs/OPERATIONS.md.
import { randomBytes } from "node:crypto";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { runtimes } from "../../scripts/runtimes.js";
import { beside, histogram } from "./histogram.js";
import { Program, processorMs } from "./processes.js";

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
/** So long that the pauses have grown towards their limit of 5 s when the server is back. */
const OUTAGE_MS = 3_000;

function start(port, psk) {
  const options = {
    port,
    psk,
    maxConnections: 4_096,
    maxConnectionsPerAddress: 4_096,
    handshakeTimeoutMs: 60_000,
  };
  return new Program(runtimes()[0], path("../../test/support/echoServer.js"), [JSON.stringify(options)]);
}

/** Ends the server and starts it again; when each client was back, in milliseconds after the server was. */
async function restart(crowd, server, port, psk, signal) {
  const seen = crowd.all("openedAt").length;
  const goneAt = Date.now();
  await server.end(signal);
  if (signal === "SIGKILL") await new Promise((resolve) => setTimeout(resolve, OUTAGE_MS));
  const next = start(port, psk);
  await next.first("port");
  const backAt = Date.now();
  const { openedAt, failedDials } = await crowd.next("openedAt", seen);
  const serverMs = processorMs(next.child.pid);
  // A client may be let in before this process has read that the server listens.
  const times = openedAt.map((time) => Math.max(time - backAt, 0));
  return { next, times, failedDials, outageMs: backAt - goneAt, serverMs };
}

export async function reconnect(count = 1_000) {
  const began = performance.now();
  const psk = randomBytes(32).toString("hex");
  let server = start(0, psk);
  const { port } = await server.first("port");
  const crowd = new Program(runtimes()[0], path("crowd.js"), [JSON.stringify({ port, psk, count })]);
  await crowd.first("openedAt");
  const blocks = [];
  const remarks = [];
  for (const signal of ["SIGKILL", "SIGTERM"]) {
    const { next, times, failedDials, outageMs, serverMs } = await restart(crowd, server, port, psk, signal);
    server = next;
    const how = signal === "SIGKILL" ? "killed" : "drained";
    const clients = `${count.toLocaleString("en")} clients`;
    blocks.push(histogram(`${clients}, ${how}, ${(outageMs / 1_000).toFixed(1)} s without a server`, times));
    const sorted = [...times].sort((a, b) => a - b);
    const at = (part) => (sorted[Math.floor((sorted.length - 1) * part)] / 1_000).toFixed(2);
    remarks.push(
      `${how}: half of them within ${at(0.5)} s, nine of ten within ${at(0.9)} s, the last after ${at(1)} s; ` +
        `${failedDials} dials failed, ${times.length} connections opened, ` +
        `${(serverMs / 1_000).toFixed(1)} s of the server's processor time`,
    );
  }
  await crowd.end("SIGKILL");
  await server.end("SIGKILL");
  console.log(`\`\`\`\n${beside(...blocks)}\n\`\`\`\n`);
  for (const remark of remarks) console.log(remark);
  const seconds = ((performance.now() - began) / 1_000).toFixed(0);
  console.log(`${cpus()[0]?.model}, ${cpus().length} cores, ${runtimes()[0].label}; it took ${seconds} s`);
}
