// npm run attack -- [--seconds N] [--sockets N] [--runtime node20,bun] [--attack NAME] [--out FILE]: attacks on a server in a
// process of its own, one after the other, while a good client asks. A row per attack and runtime: memory and processor time
// of the server, how late its event loop is, how long the good client waits, before, meanwhile and afterwards, and how long
// new clients wait for their first answer, which come from an address that no attacker has.
import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { connect } from "../dist/index.js";
import { bundle } from "./bundleSuites.js";
import { isNamed, runtimes } from "./runtimes.js";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "4" },
    sockets: { type: "string", default: "10000" },
    runtime: { type: "string" },
    attack: { type: "string" },
    out: { type: "string" },
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
/** Measuring a p99 against a quiet one below this says more of the machine than of the server. */
const LEAST_P99_MS = 1;

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
  static async start(runtime, psk, waiting) {
    const victim = new Victim();
    const args = [...runtime.args, `${root}test/load/victimServer.js`, psk, `${waiting}`];
    victim.process = spawn(runtime.path, args, { stdio: ["pipe", "pipe", "ignore"] });
    victim.lines = createInterface({ input: victim.process.stdout })[Symbol.asyncIterator]();
    victim.port = Number((await victim.lines.next()).value);
    return victim;
  }

  async lateness() {
    this.process.stdin.write("\n");
    return JSON.parse((await this.lines.next()).value);
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

async function measure(runtime, name) {
  const psk = randomBytes(32).toString("hex");
  const victim = await Victim.start(runtime, psk, name.includes("raised") ? 2 * Number(values.sockets) : 0);
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
  const cpu = (usage(pid).cpuMs - beganCpu) / (performance.now() - began);
  const late = await victim.lateness();
  await sleep(1_000);
  await victim.lateness();
  const after = await ask(client, during(QUIET_MS));
  const result = {
    sent: said.holding > 0 ? `${said.sent}, ${said.holding} open at the end` : said.sent,
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

const cell = (value) => (value >= 100 ? value.toFixed(0) : value.toFixed(1));
const head =
  "| attack | sent | good client's p99 in ms: quiet, attacked, afterwards | new clients' longest wait in ms | failed: good, new | processor | event loop late, ms: p99, worst | memory in MiB: before, most, afterwards |\n|---|---|---|---|---|---|---|---|";
let text = "";
let lost = 0;
for (const runtime of runtimes()) {
  if (values.runtime !== undefined && !values.runtime.split(",").some((one) => isNamed(runtime, one)))
    continue;
  text += `\n**${runtime.label} ${runtime.version}**\n\n${head}\n`;
  console.log(`${runtime.label} ${runtime.version}`);
  for (const name of chosen) {
    const row = await measure(runtime, name);
    lost += row.failures + row.newFailures;
    const bounded = row.p99 <= 10 * Math.max(row.quietP99, LEAST_P99_MS);
    const line = `| ${name} | ${row.sent} | ${cell(row.quietP99)}, ${cell(row.p99)}${bounded ? "" : " (above 10 ×)"}, ${cell(row.afterP99)} | ${cell(row.newWorst)} | ${row.failures}, ${row.newFailures} | ${Math.round(100 * row.cpu)} % | ${cell(row.lateP99)}, ${cell(row.lateWorst)} | ${cell(row.restMiB)}, ${cell(row.mostMiB)}, ${cell(row.leftMiB)} |`;
    console.log(line);
    text += `${line}\n`;
  }
}
if (values.out !== undefined) writeFileSync(values.out, text.trimStart());
process.exit(lost === 0 ? 0 : 1);
