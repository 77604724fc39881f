// npm run attack -- [--seconds N] [--sockets N] [--runtime node20,bun] [--attack NAME] [--out FILE]: attacks on a server in a
// process of its own, one after the other, while a good client asks. A row per attack and runtime: memory and processor time
// of the server, how late its event loop is, how long the good client waits, before, meanwhile and afterwards.
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
  static async start(runtime, psk) {
    const victim = new Victim();
    const args = [...runtime.args, `${root}test/load/victimServer.js`, psk];
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

/** Requests of the good client for a while, one after the other; the longest that 99 in 100 took, and failures. */
async function ask(client, during, peak) {
  const took = [];
  let failures = 0;
  const until = performance.now() + during;
  while (performance.now() < until) {
    const began = performance.now();
    await client.request(new Uint8Array(100), { timeoutMs: 10_000 }).catch(() => failures++);
    took.push(performance.now() - began);
    peak?.();
    await sleep(PAUSE_MS);
  }
  took.sort((a, b) => a - b);
  return { p99: took[Math.floor(took.length * 0.99)], failures };
}

async function measure(runtime, name) {
  const psk = randomBytes(32).toString("hex");
  const victim = await Victim.start(runtime, psk);
  const { pid } = victim.process;
  const client = connect({ port: victim.port, psk, maxConnections: 1, maxFrameBytes: 2_000_000 });
  await ask(client, 300);
  await victim.lateness();
  const before = usage(pid);
  const quiet = await ask(client, QUIET_MS);
  await victim.lateness();
  let most = before.bytes;
  const began = usage(pid).cpuMs;
  const attack = spawn(process.execPath, [attackers, name, `${victim.port}`, psk, `${ms}`, values.sockets], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const said = createInterface({ input: attack.stdout })[Symbol.asyncIterator]();
  const under = await ask(client, ms, () => {
    most = Math.max(most, usage(pid).bytes);
  });
  const cpu = (usage(pid).cpuMs - began) / ms;
  const { sent } = JSON.parse((await said.next()).value ?? "{}");
  const late = await victim.lateness();
  await sleep(1_000);
  await victim.lateness();
  const after = await ask(client, QUIET_MS);
  const result = {
    attack: name,
    sent,
    quietP99: quiet.p99,
    p99: under.p99,
    afterP99: after.p99,
    failures: under.failures + after.failures,
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
  "| attack | sent | good client's p99 in ms: quiet, attacked, afterwards | failed | processor | event loop late, ms: p99, worst | memory in MiB: before, most, afterwards |\n|---|---|---|---|---|---|---|";
let text = "";
let lost = 0;
for (const runtime of runtimes()) {
  if (values.runtime !== undefined && !values.runtime.split(",").some((one) => isNamed(runtime, one)))
    continue;
  text += `\n**${runtime.label} ${runtime.version}**\n\n${head}\n`;
  console.log(`${runtime.label} ${runtime.version}`);
  for (const name of chosen) {
    const row = await measure(runtime, name);
    lost += row.failures;
    const bounded = row.p99 <= 10 * Math.max(row.quietP99, LEAST_P99_MS);
    const line = `| ${name} | ${row.sent} | ${cell(row.quietP99)}, ${cell(row.p99)}${bounded ? "" : " (above 10 ×)"}, ${cell(row.afterP99)} | ${row.failures} | ${Math.round(100 * row.cpu)} % | ${cell(row.lateP99)}, ${cell(row.lateWorst)} | ${cell(row.restMiB)}, ${cell(row.mostMiB)}, ${cell(row.leftMiB)} |`;
    console.log(line);
    text += `${line}\n`;
  }
}
if (values.out !== undefined) writeFileSync(values.out, text.trimStart());
process.exit(lost === 0 ? 0 : 1);
