// `npm run attack -- [--seconds N] [--sockets N] [--nice N] [--rounds N] [--runtime node20,bun] [--attack "NAME; NAME"]
// [--out FILE] [--docs]` attacks a server in a process of its own, with one attack after the other, while a good client
// asks. Each attack and runtime has a row: memory and processor time of the server, the lateness of its event loop, how
// long the good client waits before, during and after the attack, and how long new clients wait for their first answer.
// New clients come from an address that no attacker has. `--nice`: by how much the attackers' processes yield to the
// others (19, the most). `--rounds`: everything so many times (1), and each row shows the round with the median p99.
// `--docs` puts the tables into docs/SECURITY.md; all four runtimes with `--seconds 4` take about 13 minutes on an
// idle machine.
import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { connect } from "../dist/index.js";
import { ask, during, newcomers, sleep } from "./attack/clients.js";
import { attackRow, attackTables, medianRound, writeTables } from "./attack/report.js";
import { usage, Victim } from "./attack/victim.js";
import { bundle } from "./bundleSuites.js";
import { isNamed, runtimes } from "./runtimes.js";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "4" },
    sockets: { type: "string", default: "10000" },
    nice: { type: "string", default: "19" },
    rounds: { type: "string", default: "1" },
    runtime: { type: "string" },
    attack: { type: "string" },
    out: { type: "string" },
    docs: { type: "boolean", default: false },
  },
});
for (const name of ["seconds", "sockets", "rounds"]) {
  const number = Number(values[name]);
  const isOne =
    name === "seconds" ? number > 0 && number < 86_400 : Number.isSafeInteger(number) && number > 0;
  if (!isOne) {
    console.error(`--${name} must be a number above 0, not "${values[name]}"`);
    process.exit(2);
  }
}
const QUIET_MS = 1_000;
/** Between two attacks: what the first one left has ended. */
const REST_MS = 500;
const MIB = 1_048_576;
/** A row that takes longer has no figures: an end of it hangs. */
const ROW_MS = 120_000;

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = `${root}build/load`;
await bundle(["test/load/attackers.ts"], folder);
const attackers = `${folder}/load/attackers.js`;
const names = JSON.parse(spawnSync(process.execPath, [attackers, "names"], { encoding: "utf8" }).stdout);
const chosen = values.attack === undefined ? names : namesAsked();
for (const name of chosen)
  if (!names.includes(name)) throw new Error(`no attack "${name}"; there are: ${names.join("; ")}`);
const ms = Number(values.seconds) * 1_000;

/** The attacks to be made. A name may contain a comma. */
function namesAsked() {
  if (names.includes(values.attack)) return [values.attack];
  return values.attack.split(";").map((name) => name.trim());
}

/** A process that attacks the server on this port, and what it said of it once it is over. */
class Attack {
  said;

  constructor(name, port, psk) {
    const args = [attackers, name, `${port}`, psk, `${ms}`, values.sockets];
    // From its beginning, so that each of its threads has this priority.
    this.process = spawn("nice", ["-n", values.nice, process.execPath, ...args], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    createInterface({ input: this.process.stdout })
      .once("line", (line) => {
        this.said = JSON.parse(line);
      })
      .once("close", () => {
        this.said ??= {};
      });
  }

  isOn = () => this.said === undefined;

  check() {
    if (this.said.sent === undefined) throw new Error("the attackers ended early");
    // They may have got no processor, beside others that yield less.
    if (this.said.sent === 0) throw new Error("the attackers sent nothing");
  }
}

/** What the good client and new ones wait at the server of `options` while `attack` is on, here or elsewhere. */
async function meanwhile(attack, client, options, peak) {
  const asked = await Promise.all([ask(client, attack.isOn, peak), newcomers(options, attack.isOn)]);
  attack.check();
  return asked;
}

/** `started`: the processes that it starts. */
async function measure(runtime, name, started) {
  const psk = randomBytes(32).toString("hex");
  const waiting = name.includes("raised") ? 2 * Number(values.sockets) : 0;
  const [victim, other] = [new Victim(runtime, psk, waiting), new Victim(runtime, psk, waiting)];
  started.push(victim.process, other.process);
  await Promise.all([victim.listening(), other.listening()]);
  const { pid } = victim.process;
  const options = { port: victim.port, psk, maxConnections: 1, maxFrameBytes: 2_000_000 };
  const client = connect(options);
  const attack = (port) => {
    const one = new Attack(name, port, psk);
    started.push(one.process);
    return one;
  };
  await ask(client, during(300));
  const quiet = await ask(client, during(QUIET_MS));
  await victim.lateness();

  const [control, newControl] = await meanwhile(attack(other.port), client, options);
  const lateControl = await victim.lateness();
  await other.stop();
  await sleep(REST_MS);

  await victim.lateness();
  const before = usage(pid);
  let most = before.bytes;
  const began = performance.now();
  const here = attack(victim.port);
  const [under, newest] = await meanwhile(here, client, options, () => {
    most = Math.max(most, usage(pid).bytes);
  });
  const cpu = (usage(pid).cpuMs - before.cpuMs) / (performance.now() - began);
  const late = await victim.lateness();
  await sleep(REST_MS);
  const after = await ask(client, during(QUIET_MS));
  const result = {
    sent: here.said.sent,
    holding: here.said.holding,
    quietP99: quiet.p99,
    controlP99: control.p99,
    p99: under.p99,
    afterP99: after.p99,
    newControlWorst: newControl.worst,
    newWorst: newest.worst,
    failures: control.failures + under.failures + after.failures,
    newFailures: newControl.failures + newest.failures,
    cpu,
    lateControl: lateControl.p99,
    lateP99: late.p99,
    lateWorst: late.worst,
    lateOwnP99: late.ownP99,
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
const rounds = Number(values.rounds);
const measured = runtimes()
  .filter((runtime) => asked === undefined || asked.some((one) => isNamed(runtime, one)))
  .map((runtime) => ({ runtime, rows: chosen.map(() => []) }));
for (let round = 0; round < rounds; round++) {
  for (const { runtime, rows } of measured) {
    console.log(
      `${runtime.label} ${runtime.version}${rounds > 1 ? `, round ${round + 1} of ${rounds}` : ""}`,
    );
    for (const [i, name] of chosen.entries()) {
      rows[i].push(await row(runtime, name));
      console.log(attackRow(rows[i].at(-1)));
    }
  }
}
const tables = measured.map(({ runtime: { label, version }, rows }) => ({
  label,
  version,
  rows: rows.map(medianRound),
}));
const quoted = (value) => (/[ ,;]/.test(value) ? `"${value}"` : value);
const flags = ["seconds", "sockets", "nice", "rounds", "runtime", "attack"].filter(
  (name) => values[name] !== undefined,
);
const command = ["npm run attack --", ...flags.map((name) => `--${name} ${quoted(values[name])}`)].join(" ");
const text = attackTables(tables, { command, from, until: new Date(), load, rounds });
if (values.out !== undefined) writeFileSync(values.out, `${text}\n`);
if (values.docs) writeTables(`${root}docs/SECURITY.md`, text);
const isLost = ({ failure, failures, newFailures }) => failure !== undefined || failures + newFailures > 0;
process.exit(tables.some(({ rows }) => rows.some(isLost)) ? 1 : 0);
