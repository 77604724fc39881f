// npm run attack -- [--seconds N] [--sockets N] [--runtime node20,bun] [--attack NAME] [--out FILE] [--docs]: attacks on a
// server in a process of its own, one after the other, while a good client asks. A row per attack and runtime: memory and processor time
// of the server, how late its event loop is, how long the good client waits, before, meanwhile and afterwards, and how long
// new clients wait for their first answer, which come from an address that no attacker has. `--docs` puts the tables into
// docs/SECURITY.md: all four runtimes with `--seconds 2` take about nine minutes on a machine that does nothing else.
import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { connect } from "../dist/index.js";
import { attackRow, attackTables, writeTables } from "./attack/report.js";
import { bundle } from "./bundleSuites.js";
import { isNamed, runtimes } from "./runtimes.js";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "4" },
    sockets: { type: "string", default: "10000" },
    runtime: { type: "string" },
    attack: { type: "string" },
    out: { type: "string" },
    docs: { type: "boolean", default: false },
  },
});
const QUIET_MS = 1_500;
const PAUSE_MS = 5;
/** A second has so many ticks in /proc. */
const TICKS = 100;
const MIB = 1_048_576;
/** A new client comes so often. */
const NEWCOMER_MS = 500;
const NEWCOMER_TIMEOUT_MS = 15_000;
/** A row that takes longer has no figures: an end of it hangs. */
const ROW_MS = 120_000;

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = `${root}build/load`;
await bundle(["test/load/attackers.ts"], folder);
const attackers = `${folder}/load/attackers.js`;
const names = JSON.parse(spawnSync(process.execPath, [attackers, "names"], { encoding: "utf8" }).stdout);
const chosen = values.attack === undefined ? names : [values.attack];
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const ms = Number(values.seconds) * 1_000;

/** Processor milliseconds and resident bytes of a process. */
function usage(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return {
    cpuMs: ((Number(fields[11]) + Number(fields[12])) * 1_000) / TICKS,
    bytes: Number(/VmRSS:\s+(\d+)/.exec(status)[1]) * 1_024,
  };
}

class Victim {
  #lines;
  port = 0;

  constructor(runtime, psk, waiting) {
    const args = [...runtime.args, `${root}test/load/victimServer.js`, psk, `${waiting}`];
    this.process = spawn(runtime.path, args, { stdio: ["pipe", "pipe", "ignore"] });
    this.process.stdin.on("error", () => {}); // the next line that is missing says it
    this.#lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]();
  }

  async #line() {
    const { value } = await this.#lines.next();
    if (value === undefined) throw new Error("the server is gone");
    return JSON.parse(value);
  }

  async listening() {
    this.port = await this.#line();
  }

  async lateness() {
    this.process.stdin.write("\n");
    return this.#line();
  }

  async stop() {
    const gone = once(this.process, "exit");
    this.process.stdin.end();
    await gone;
  }
}

/** Requests of the good client while `isOn`, one after the other; the longest that 99 in 100 took, and failures. */
async function ask(client, isOn, peak) {
  const took = [];
  let failures = 0;
  while (isOn()) {
    const began = performance.now();
    await client.request(new Uint8Array(100), { timeoutMs: 10_000 }).catch(() => failures++);
    took.push(performance.now() - began);
    peak?.();
    await sleep(PAUSE_MS);
  }
  took.sort((a, b) => a - b);
  return { p99: took[Math.floor(took.length * 0.99)], failures };
}

function during(time) {
  const until = performance.now() + time;
  return () => performance.now() < until;
}

/** How long each new client waited for its first answer while `isOn`; one without an answer counts as failed. */
async function newcomers(options, isOn) {
  let worst = 0;
  let failures = 0;
  while (isOn()) {
    const began = performance.now();
    const client = connect({ ...options, onConnectionState() {} });
    await client.request(new Uint8Array(100), { timeoutMs: NEWCOMER_TIMEOUT_MS }).catch(() => failures++);
    worst = Math.max(worst, performance.now() - began);
    await client.close();
    await sleep(NEWCOMER_MS);
  }
  return { worst, failures };
}

/** `started`: the processes that it starts. */
async function measure(runtime, name, started) {
  const psk = randomBytes(32).toString("hex");
  const victim = new Victim(runtime, psk, name.includes("raised") ? 2 * Number(values.sockets) : 0);
  started.push(victim.process);
  await victim.listening();
  const { pid } = victim.process;
  const options = { port: victim.port, psk, maxConnections: 1, maxFrameBytes: 2_000_000 };
  const client = connect(options);
  await ask(client, during(300));
  await victim.lateness();
  const before = usage(pid);
  const quiet = await ask(client, during(QUIET_MS));
  await victim.lateness();
  let most = before.bytes;
  const began = performance.now();
  const beganCpu = usage(pid).cpuMs;
  const attack = spawn(process.execPath, [attackers, name, `${victim.port}`, psk, `${ms}`, values.sockets], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  started.push(attack);
  let said;
  createInterface({ input: attack.stdout })
    .once("line", (line) => {
      said = JSON.parse(line);
    })
    .once("close", () => {
      said ??= {};
    });
  const isOn = () => said === undefined;
  const [under, newest] = await Promise.all([
    ask(client, isOn, () => {
      most = Math.max(most, usage(pid).bytes);
    }),
    newcomers(options, isOn),
  ]);
  if (said.sent === undefined) throw new Error("the attackers ended early");
  const cpu = (usage(pid).cpuMs - beganCpu) / (performance.now() - began);
  const late = await victim.lateness();
  await sleep(1_000);
  await victim.lateness();
  const after = await ask(client, during(QUIET_MS));
  const result = {
    sent: said.sent,
    holding: said.holding,
    quietP99: quiet.p99,
    p99: under.p99,
    afterP99: after.p99,
    newWorst: newest.worst,
    failures: under.failures + after.failures,
    newFailures: newest.failures,
    cpu,
    lateP99: late.p99,
    lateWorst: late.worst,
    restMiB: before.bytes / MIB,
    mostMiB: most / MIB,
    leftMiB: usage(pid).bytes / MIB,
  };
  await client.close();
  await victim.stop();
  return result;
}

/** A row, whatever becomes of its processes. */
async function row(runtime, name) {
  const started = [];
  let timer;
  const hung = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`an end hangs for ${ROW_MS} ms`)), ROW_MS);
  });
  try {
    return { name, ...(await Promise.race([measure(runtime, name, started), hung])) };
  } catch (error) {
    console.error(error);
    return { name, failure: error.message.split("\n")[0] };
  } finally {
    clearTimeout(timer);
    for (const child of started) child.kill("SIGKILL");
  }
}

const from = new Date();
const load = loadavg()[0];
const asked = values.runtime?.split(",");
const tables = [];
for (const runtime of runtimes()) {
  if (asked !== undefined && !asked.some((one) => isNamed(runtime, one))) continue;
  const { label, version } = runtime;
  const rows = [];
  tables.push({ label, version, rows });
  console.log(`${label} ${version}`);
  for (const name of chosen) {
    rows.push(await row(runtime, name));
    console.log(attackRow(rows.at(-1)));
  }
}
const quoted = (value) => (/[ ,]/.test(value) ? `"${value}"` : value);
const flags = ["seconds", "sockets", "runtime", "attack"].filter((name) => values[name] !== undefined);
const command = ["npm run attack --", ...flags.map((name) => `--${name} ${quoted(values[name])}`)].join(" ");
const text = attackTables(tables, { command, from, until: new Date(), load });
if (values.out !== undefined) writeFileSync(values.out, `${text}\n`);
if (values.docs) writeTables(`${root}docs/SECURITY.md`, text);
const isLost = ({ failure, failures, newFailures }) => failure !== undefined || failures + newFailures > 0;
process.exit(tables.some(({ rows }) => rows.some(isLost)) ? 1 : 0);
