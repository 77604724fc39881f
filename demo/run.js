// `npm start`: every runtime as server × every runtime as client, each pair two processes of their own.
// Exit status 1 if any pair fails.
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { missingRuntimes, runtimes } from "../scripts/runtimes.js";

const REQUESTS = 1_000;
const MESSAGES = 1_000;
const PAIR_TIMEOUT_MS = 20_000;

const serverScript = fileURLToPath(new URL("peerServer.js", import.meta.url));
const clientScript = fileURLToPath(new URL("peerClient.js", import.meta.url));

/** A child process whose JSON lines are read one at a time. */
class Peer {
  #lines = [];
  #waiting = [];
  #errors = "";

  constructor(name, runtime, script, env) {
    this.name = name;
    this.child = spawn(runtime.path, [...runtime.args, script], {
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.child.stderr.setEncoding("utf8").on("data", (text) => {
      this.#errors = (this.#errors + text).slice(-2_000);
    });
    createInterface({ input: this.child.stdout }).on("line", (line) => {
      this.#lines.push(line);
      this.#wake();
    });
    this.exited = new Promise((resolve) => {
      this.child.on("error", (error) => resolve(error.message));
      this.child.on("close", (code, signal) => resolve(signal ?? code));
    });
    this.exited.then((status) => {
      this.status = status;
      this.#wake();
    });
  }

  /** The next line, parsed; rejects when the process ends without one. */
  async next() {
    while (this.#lines.length === 0) {
      if (this.status !== undefined) throw new Error(`${this.name} ended (${this.status})\n${this.#errors}`);
      await new Promise((resolve) => this.#waiting.push(resolve));
    }
    return JSON.parse(this.#lines.shift());
  }

  kill(signal) {
    if (this.status === undefined) this.child.kill(signal);
  }

  #wake() {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** Rejects when `promise` takes too long. */
async function within(promise, ms, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not done after ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function exchange(server, startClient) {
  const { port } = await server.next();
  const client = startClient(port);
  const measured = await client.next();
  const outcome = await server.next();
  const clientStatus = await client.exited;
  server.kill("SIGTERM");
  const serverStatus = await server.exited;

  if (measured.wrong !== 0) throw new Error(`${measured.wrong} answers differ from what was sent`);
  if (outcome.counted !== MESSAGES || measured.counted !== MESSAGES) {
    throw new Error(`${outcome.counted} of ${MESSAGES} one-way messages arrived`);
  }
  if (!outcome.confirmed) throw new Error("the server's own request got a wrong answer");
  if (clientStatus !== 0) throw new Error(`the client process ended with ${clientStatus}`);
  if (serverStatus !== 0) throw new Error(`the server process ended with ${serverStatus}`);
  return measured;
}

async function runPair(serverRuntime, clientRuntime) {
  const env = {
    DEMO_PSK: randomBytes(32).toString("base64"),
    DEMO_REQUESTS: String(REQUESTS),
    DEMO_MESSAGES: String(MESSAGES),
  };
  const peers = [new Peer(`server (${serverRuntime.label})`, serverRuntime, serverScript, env)];
  const startClient = (port) => {
    const client = new Peer(`client (${clientRuntime.label})`, clientRuntime, clientScript, {
      ...env,
      DEMO_PORT: String(port),
    });
    peers.push(client);
    return client;
  };
  try {
    return await within(exchange(peers[0], startClient), PAIR_TIMEOUT_MS, "the pair");
  } finally {
    for (const peer of peers) peer.kill("SIGKILL");
  }
}

function printTable(rows) {
  const header = ["server", "client", "", "requests/s", "echoed MB/s", "median latency", "first answer"];
  const lines = rows.map(({ server, client, result }) =>
    result === undefined
      ? [server, client, "✗", "", "", "", ""]
      : [
          server,
          client,
          "✓",
          Math.round(result.requestsPerSecond).toLocaleString("en"),
          Math.round((result.requestsPerSecond * result.bytesEchoed) / REQUESTS / 1e6).toLocaleString("en"),
          `${Math.round(result.medianLatencyMs * 1_000)} µs`,
          `${result.firstAnswerMs.toFixed(1)} ms`,
        ],
  );
  const widths = header.map((_, column) =>
    Math.max(...[header, ...lines].map((line) => line[column].length)),
  );
  const format = (line) =>
    line
      .map((cell, column) => (column < 3 ? cell.padEnd(widths[column]) : cell.padStart(widths[column])))
      .join("  ");
  console.log(`\n${format(header)}\n${widths.map((width) => "─".repeat(width)).join("  ")}`);
  for (const line of lines) console.log(format(line));
}

const found = runtimes();
const missing = missingRuntimes();
console.log(found.map((runtime) => `${runtime.label} (${runtime.version})`).join(", "));
console.log(
  `each pair: handshake, ${REQUESTS} concurrent echo requests of 0–64 KiB compared byte for byte, ` +
    `${MESSAGES} one-way messages, one request from server to client\n`,
);
for (const { reason } of missing) console.error(`no pairs with ${reason}`);

const startMs = performance.now();
const total = found.length ** 2;
const rows = [];
let failures = 0;
for (const server of found) {
  for (const client of found) {
    const progress = `[${String(rows.length + 1).padStart(2)}/${total}] ${server.label} server, ${client.label} client`;
    let result;
    try {
      result = await runPair(server, client);
      console.log(`${progress}: ✓ ${Math.round(result.requestsPerSecond).toLocaleString("en")} requests/s`);
    } catch (error) {
      failures += 1;
      console.log(`${progress}: ✗ ${error.message}`);
    }
    rows.push({ server: server.label, client: client.label, result });
  }
}
printTable(rows);
const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
console.log(
  `\n${failures === 0 ? "✓" : "✗"} ${rows.filter((row) => row.result !== undefined).length} of ${total} pairs in ${seconds} s` +
    " (median latency: one 1,400-byte echo request at a time)",
);
process.exitCode = failures === 0 ? 0 : 1;
