// How a crowd of clients comes back after its server restarts, as a histogram: `npm run bench:many -- reconnect [clients]`.
// Twice: killed and back after a second, and drained with a successor that is there at once. Takes about a minute.
import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import { runtimes } from "../../scripts/runtimes.js";
import { Program, until } from "./processes.js";

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const OUTAGE_MS = 1_000;
const BAR = 60;

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

/** Connections opened in each interval from `from` on. */
function histogram(times, from, binMs) {
  const bins = [];
  for (const time of times) {
    const bin = Math.floor((time - from) / binMs);
    bins[bin] = (bins[bin] ?? 0) + 1;
  }
  const most = Math.max(...bins.filter(Boolean));
  for (const [i, count = 0] of Array.from(bins).entries()) {
    const bar = "#".repeat(Math.ceil((count / most) * BAR));
    console.log(`${String(i * binMs).padStart(6)} ms ${String(count).padStart(5)} ${bar}`);
  }
}

export async function reconnect(count = 1_000) {
  const psk = randomBytes(32).toString("hex");
  let server = start(0, psk);
  const { port } = await server.first("port");
  const crowd = new Program(runtimes()[0], path("crowd.js"), [JSON.stringify({ port, psk, count })]);
  await crowd.first("openedAt");
  for (const signal of ["SIGKILL", "SIGTERM"]) {
    const seen = crowd.all("openedAt").length;
    const goneAt = Date.now();
    const gone = server.end(signal);
    if (signal === "SIGKILL") {
      await gone;
      await new Promise((resolve) => setTimeout(resolve, OUTAGE_MS));
    } else await server.first("health");
    if (signal === "SIGTERM") await gone;
    server = start(port, psk);
    await server.first("port");
    const backAt = Date.now();
    await until(() => crowd.all("openedAt").length > seen, "all to be back");
    const { openedAt, failedDials } = crowd.all("openedAt").at(-1);
    const sorted = openedAt.map((time) => time - backAt).sort((a, b) => a - b);
    const at = (part) => sorted[Math.floor((sorted.length - 1) * part)];
    console.log(
      `\n${signal === "SIGKILL" ? "killed" : "drained"}, ${backAt - goneAt} ms without a server; ${count} clients came back ` +
        `after ${at(0)} to ${at(1)} ms, half of them within ${at(0.5)} ms; ${failedDials} dials failed`,
    );
    histogram(openedAt, backAt, Math.max(50, Math.ceil(at(1) / 24 / 50) * 50));
  }
  await crowd.end();
  await server.end();
}
