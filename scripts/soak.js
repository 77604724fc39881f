// `npm run soak -- [--minutes N] [--pairs node20-bun,deno-deno | all | mixed] [--together] [--rate N] [--seed S] [--calm]
// [--out FOLDER]` runs a server and clients, each in a process of its own, with a mixed load. A proxy between them splits,
// stalls and resets, and the server closes and listens again. Every pair (server-client; by default each runtime with
// itself; "mixed": each runtime serves the next one) runs for so many minutes, one pair after the other or all together.
// A chart and the samples go to FOLDER (build/soak), with a chart of the memory of all pairs, the verdict to the output. `--rate`: a client begins at most so many
// operations per second. `--calm` runs without faults and closes.
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { bundle } from "./bundleSuites.js";
import { isNamed, runtimes } from "./runtimes.js";
import { pairsChart, soakChart } from "./soak/chart.js";
import { faultyProxy } from "./soak/faultyProxy.js";
import { measures, verdicts } from "./soak/verdict.js";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "1" },
    pairs: { type: "string" },
    together: { type: "boolean", default: false },
    rate: { type: "string" },
    seed: { type: "string", default: "1" },
    calm: { type: "boolean", default: false },
    out: { type: "string" },
  },
});
const root = fileURLToPath(new URL("..", import.meta.url));
const out = values.out ?? `${root}build/soak`;
const seconds = Number(values.minutes) * 60;
const rate = values.rate === undefined ? undefined : Number(values.rate);
if (rate !== undefined && !(rate > 0)) giveUp("--rate: more than 0 operations per second");
const SAMPLES = 300;
const CLOSE_EVERY_MS = 15_000;
/** How long an end may take after it was told to: its drains, and its requests that run out of time. */
const END_MS = 40_000;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function giveUp(message) {
  console.error(message);
  process.exit(2);
}

function chosenPairs() {
  const all = runtimes();
  if (values.pairs === undefined) return all.map((runtime) => [runtime, runtime]);
  if (values.pairs === "all") return all.flatMap((server) => all.map((client) => [server, client]));
  if (values.pairs === "mixed") return all.map((server, i) => [server, all[(i + 1) % all.length]]);
  return values.pairs.split(",").map((pair) => {
    const ends = pair.split("-").map((name) => all.find((runtime) => isNamed(runtime, name)));
    return ends.length === 2 && !ends.includes(undefined) ? ends : giveUp(`no pair ${pair}`);
  });
}

/** The same numbers in every run. */
function generator(seed) {
  let state = seed >>> 0;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

class End {
  #lines;
  #exited;
  samples = [];

  constructor({ path, args }, script, options) {
    this.process = spawn(path, [...args, `${root}build/soak/load/${script}.js`, JSON.stringify(options)], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#exited = once(this.process, "exit");
    this.#lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]();
  }

  async line() {
    const { value } = await this.#lines.next();
    if (value === undefined) throw new Error("an end of the soak is gone");
    return JSON.parse(value);
  }

  async sample(second) {
    this.process.stdin.write("\n");
    this.samples.push({ second, ...(await this.line()) });
  }

  /** Its last sample; it has to end by itself. */
  async end() {
    this.process.stdin.end();
    const timer = setTimeout(() => this.process.kill("SIGKILL"), END_MS);
    const last = await this.line();
    const [code, signal] = await this.#exited;
    clearTimeout(timer);
    if (code !== 0) last.violations.push(`it ended with ${code ?? signal}, not by itself`);
    return last;
  }
}

async function soak([serverRuntime, clientRuntime], random) {
  const psk = randomBytes(32).toString("hex");
  const closeEveryMs = values.calm ? 0 : CLOSE_EVERY_MS;
  const server = new End(serverRuntime, "soakServer", { psk, closeEveryMs });
  const serverPort = await server.line();
  const proxy = values.calm ? undefined : await faultyProxy(serverPort, random);
  const port = proxy?.port ?? serverPort;
  const client = new End(clientRuntime, "soakClient", { psk, port, seed: random(2 ** 31), rate });
  const began = performance.now();
  const second = () => (performance.now() - began) / 1_000;
  const everyMs = Math.max((seconds * 1_000) / SAMPLES, 250);
  while (second() < seconds) {
    await sleep(everyMs);
    await Promise.all([server.sample(second()), client.sample(second())]);
  }
  const lastOfClient = await client.end();
  proxy?.close();
  const lastOfServer = await server.end();
  return {
    server: server.samples,
    client: client.samples,
    last: { server: lastOfServer, client: lastOfClient },
    faults: proxy?.faults ?? {},
  };
}

const shown = (value) => (value >= 100 ? value.toFixed(0) : value.toFixed(1));

function tell(name, { last, faults, ...ends }) {
  let isGood = true;
  for (const end of ["server", "client"]) {
    const lines = verdicts(ends[end]).map(({ measure, first, last: later, most, flat }) => {
      if (flat === false) isGood = false;
      const { title, unit } = measures[measure];
      const text = flat === undefined ? "too short to say" : flat ? "flat" : "NOT FLAT";
      return `${title} ${shown(first)} → ${shown(later)} ${unit} (at most ${shown(most)}): ${text}`;
    });
    console.log(`  ${end}: ${lines.join("; ")}`);
    console.log(`    ${JSON.stringify(last[end].counts)}`);
    for (const violation of last[end].violations) console.log(`    VIOLATED: ${violation}`);
    if (last[end].violations.length > 0) isGood = false;
  }
  console.log(`  faults: ${JSON.stringify(faults)}`);
  console.log(`  ${name}: ${isGood ? "nothing broken, every line flat" : "LOOK AT THIS"}`);
  return isGood;
}

async function run([server, client], random) {
  const name = `${server.label} ${server.version} serves ${client.label} ${client.version}`;
  const began = new Date().toISOString();
  const result = await soak([server, client], random);
  console.log(`${name}, ${values.minutes} minutes, from ${began}`);
  if (!tell(name, result)) process.exitCode = 1;
  const file = `${out}/${server.id}-${client.id}`;
  writeFileSync(`${file}.json`, JSON.stringify(result));
  const ends = { server: result.server, client: result.client };
  writeFileSync(`${file}.svg`, soakChart(name, ends));
  return { name, ...ends };
}

mkdirSync(out, { recursive: true });
await bundle(["test/load/soakServer.ts", "test/load/soakClient.ts"], `${root}build/soak`);
const random = generator(Number(values.seed));
const pairs = chosenPairs();
const results = [];
if (values.together) results.push(...(await Promise.all(pairs.map((pair) => run(pair, random)))));
else for (const pair of pairs) results.push(await run(pair, random));
if (results.length > 1)
  writeFileSync(`${out}/memory.svg`, pairsChart("Resident memory of both ends", results, "rssMiB"));
