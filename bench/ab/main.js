// `npm run bench:ab -- <dist A> <dist B>` tells whether B is slower than A. settings.js describes the arguments. The
// builds take turns, so that other work of the machine affects both. Processor time decides; elapsed time is printed
// beside it.
import process from "node:process";
import { missingRuntimes, runtimes } from "../../scripts/runtimes.js";
import { settingsOrUsage } from "../matrix/commandLine.js";
import { describeMachine } from "../matrix/machine.js";
import { keepMemory } from "../matrix/memory.js";
import { Progress } from "../matrix/progress.js";
import { wanted } from "../matrix/settings.js";
import { compare, spread } from "./compare.js";
import { heapRows, idleRow, timedRows } from "./samples.js";
import { parseArguments, rowsOf, usage } from "./settings.js";
import { terminalTables } from "./table.js";

async function main(settings) {
  if (settings.keepMemory) keepMemory();
  const { filters, ...shown } = settings;
  const chosen = runtimes().filter(({ id }) => wanted(filters.runtimes, id));
  const missing = missingRuntimes().filter((id) => wanted(filters.runtimes, id));
  const failures = missing.map((id) => ({ what: id, reason: "not installed" }));
  const {
    commit: _,
    sealwire: __,
    runtimes: ___,
    packages: ____,
    ...machine
  } = describeMachine(chosen, settings);
  const progress = new Progress();
  const results = [];
  for (const { section, measure, resultOf } of plan(chosen, settings, progress)) {
    progress.enter(section);
    for (const measured of [await measure()].flat()) {
      if (measured.failure === undefined) results.push({ section, ...resultOf(measured, settings) });
      else failures.push({ what: nameOf(section, measured), reason: firstLines(measured.failure) });
    }
  }
  machine.durationMs = Math.round(progress.finish());
  const versions = chosen.map(({ id, label, version }) => ({ id, label, version }));
  return { machine, settings: shown, builds: settings.builds, runtimes: versions, failures, results };
}

function plan(chosen, settings, progress) {
  const { timed, heap, idle, bodies } = rowsOf(settings.filters);
  const perBodies = (section, rows, measure, resultOf) =>
    chosen.flatMap((runtime) =>
      bodies.map((kind) => ({
        section,
        measure: () => measure(rows, runtime, kind, settings, progress),
        resultOf,
      })),
    );
  return [
    ...(timed.length > 0 ? perBodies("timed", timed, timedRows, timedResult) : []),
    ...(heap.length > 0 ? perBodies("heap", heap, heapRows, heapResult) : []),
    ...chosen.flatMap((runtime) =>
      idle.map((row) => ({
        section: "idle",
        measure: () => idleRow(row, runtime, settings, progress),
        resultOf: idleResult,
      })),
    ),
  ];
}

const labels = ({ row: { name, size }, runtime, bodies }) => ({
  runtime: runtime.id,
  row: name,
  size,
  bodies,
});

function timedResult(measured, { tolerance }) {
  const compared = (value) =>
    compare(
      measured.pairs.map(({ a, b, start }) => ({ a: value(a), b: value(b), start })),
      tolerance,
    );
  return {
    ...labels(measured),
    outstanding: measured.row.outstanding,
    count: measured.count,
    cpuNs: compared(({ clientCpuNs, serverCpuNs }) => clientCpuNs + serverCpuNs),
    clientCpuNs: compared(({ clientCpuNs }) => clientCpuNs),
    serverCpuNs: compared(({ serverCpuNs }) => serverCpuNs),
    elapsedNs: compared(({ ns }) => ns),
  };
}

function heapResult(measured) {
  const ends = ({ client, server }) => ({ client: spread(client), server: spread(server) });
  const { a, b, method } = measured;
  return { ...labels(measured), method, a: ends(a), b: ends(b) };
}

function idleResult({ row, runtime, pairs }, { tolerance, idleConnections }) {
  return {
    runtime: runtime.id,
    row: row.name,
    connections: idleConnections,
    cpuUsPerSecond: compare(pairs, tolerance),
  };
}

function nameOf(section, { row, runtime, bodies }) {
  const what = row.size === undefined ? row.name : `${row.name} ${row.size} B, ${bodies}`;
  return `${section} ${what} in ${runtime.label}`;
}

function firstLines(error) {
  return String(error?.message ?? error)
    .split("\n")
    .slice(0, 2)
    .join(" ");
}

if (process.argv.includes("--help")) {
  console.log(usage);
} else {
  const settings = settingsOrUsage(parseArguments, usage);
  const comparison = await main(settings);
  console.log(settings.json ? JSON.stringify(comparison, undefined, 1) : terminalTables(comparison));
  if (comparison.failures.length > 0 || comparison.results.length === 0) process.exitCode = 1;
}
