// `npm run bench` runs the matrix of contenders, runtimes and rows. settings.js describes the arguments.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { missingRuntimes, runtimes } from "../../scripts/runtimes.js";
import { buildReport } from "../report/build.js";
import { markdownSummary } from "../report/markdown.js";
import { makeCredentials } from "./certificate.js";
import { observedSuite } from "./cipher.js";
import { settingsOrUsage } from "./commandLine.js";
import { contenders } from "./contenders/contender.js";
import { describeMachine, machineNote } from "./machine.js";
import { keepMemory } from "./memory.js";
import { ProcessPool } from "./pool.js";
import { allowedCores, canPin } from "./processes.js";
import { Progress } from "./progress.js";
import { aead } from "./sections/aead.js";
import { handshakes, idle } from "./sections/connections.js";
import { heap } from "./sections/heap.js";
import { imports } from "./sections/imports.js";
import { scaling } from "./sections/scaling.js";
import { streams } from "./sections/streams.js";
import { pairs, rows, sweep } from "./sections/throughput.js";
import { typed } from "./sections/typed.js";
import { parseArguments, usage, wanted } from "./settings.js";
import { terminalTables } from "./table.js";

const sections = { imports, aead, rows, sweep, pairs, heap, handshakes, idle, scaling, streams, typed };

async function main(settings) {
  if (settings.keepMemory) keepMemory();
  const installed = runtimes();
  const failures = missingRuntimes().map(({ role, reason }) => ({ what: role, reason }));
  const pool = new ProcessPool({
    runtimes: installed,
    credentials: makeCredentials(),
    filters: settings.filters,
    failures,
  });
  const machine = describeMachine(pool.runtimes, settings);
  const pinning = canPin();
  const context = {
    settings,
    pool,
    pinning,
    cores: pinning ? allowedCores(readFileSync("/proc/self/status", "utf8")) : undefined,
    progress: new Progress(),
    checked: new Set(),
    results: [],
  };
  console.log(headline(machine, context));
  let ciphers = {};
  try {
    ciphers = await observeCiphers(context);
    for (const [name, run] of Object.entries(sections)) {
      const { filters } = settings;
      if (
        !wanted(filters.sections, name) ||
        (filters.rows.length > 0 && !["aead", "rows", "heap"].includes(name))
      )
        continue;
      context.progress.enter(name);
      await run(context);
    }
  } finally {
    await pool.stop();
  }
  const durationMs = Math.round(context.progress.finish());
  return {
    machine: { ...machine, durationMs, pinning: context.pinning },
    settings,
    ciphers,
    contenders: contenders.filter(({ id }) => wanted(settings.filters.contenders, id)),
    failures,
    results: context.results,
  };
}

/** Runtime id → the TLS cipher suite that its client and server agree on. */
async function observeCiphers({ pool, progress }) {
  progress.enter("start");
  const observed = {};
  for (const pair of pool.pairs(["tls"])) {
    progress.step(`which cipher suite TLS uses in ${pair.client.label}`);
    try {
      const { client, port } = await pool.connect(pair);
      const credentials = pool.credentials;
      observed[pair.client.id] = await observedSuite(port, async (proxyPort) => {
        await client.call("handshakes", { endpoint: { port: proxyPort, credentials }, count: 1, atOnce: 1 });
      });
    } catch (error) {
      pool.fail(`TLS in ${pair.client.label}`, error);
    }
  }
  return observed;
}

function headline(machine, { pinning, settings }) {
  const versions = machine.runtimes.map(({ label, version }) => `${label} (${version})`).join(", ");
  return [
    `sealwire ${machine.sealwire}${machine.commit ? ` (${machine.commit})` : ""}, ${machine.date}`,
    machineNote(machine),
    versions,
    `${settings.rounds} rounds of ${settings.sliceMs} ms slices; ${pinning ? "[s] rows: both ends on one core (taskset)" : "no taskset here, so no [s] rows"}`,
    "",
  ].join("\n");
}

function write(results, folder) {
  mkdirSync(folder, { recursive: true });
  const name = results.machine.date.replace(/[:.]/g, "-");
  const json = JSON.stringify(results, null, 1);
  const files = [
    [`${name}.json`, json],
    ["latest.json", json],
    ["latest.md", markdownSummary(results)],
    ["latest.html", buildReport(results)],
  ];
  for (const [file, text] of files) writeFileSync(join(folder, file), text);
  return files.map(([file]) => join(folder, file));
}

const settings = settingsOrUsage(parseArguments, usage);
if (settings.help) {
  console.log(usage);
} else {
  const results = await main(settings);
  console.log(terminalTables(results));
  const folder = settings.out ?? fileURLToPath(new URL("../results/", import.meta.url));
  for (const file of write(results, folder)) console.log(`written: ${file}`);
  if (results.results.length === 0) process.exitCode = 1;
}
