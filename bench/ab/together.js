// `npm run bench:together -- <dist A> <dist B> [runtime …]` compares two builds in one process, with both ends of both.
// Slices take turns within milliseconds, so a processor that changes its speed changes both: starts agree within a
// few hundredths where those of bench:ab scatter by a tenth. What it can't see is what depends on having two processes: how much a read
// brings, and memory that one end alone uses.
import { execFileSync } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { runtimes } from "../../scripts/runtimes.js";
import { settingsOrUsage } from "../matrix/commandLine.js";
import { keepMemory } from "../matrix/memory.js";
import { wanted } from "../matrix/settings.js";
import { median, readable } from "../matrix/statistics.js";
import { textTable } from "../matrix/table.js";
import { distFolder, filtersFrom, RUNTIME_NAMES, wholeNumber } from "./settings.js";

const usage = `npm run bench:together -- <dist A> <dist B> [options] [runtime ...]

  --starts <n>       fresh processes so many times (default 6)
  --time <ms>        how long each row is timed in a start (default 2000)
  --warm-up <ms>     how long each row runs before (default 2000)
  --views            bodies are views instead of copies
  --keep-memory      allocators keep freed memory, for machines where the first touch of a page takes microseconds
  --help

A runtime is one of ${RUNTIME_NAMES.join(", ")}. Each row has as many slices of A as of B, side by side. The ratio of
the first row, of A to itself, shows what the method can tell.`;

const options = {
  starts: { type: "string", default: "6" },
  time: { type: "string", default: "2000" },
  "warm-up": { type: "string", default: "2000" },
  views: { type: "boolean", default: false },
  "keep-memory": { type: "boolean", default: false },
  help: { type: "boolean", default: false },
};
const worker = fileURLToPath(new URL("togetherWorker.js", import.meta.url));

/** @throws {Error} that names the argument that means nothing */
function parseArguments(args) {
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true, strict: true });
  if (values.help) return undefined;
  const [distA, distB, ...names] = positionals;
  const { runtimes: chosen, ...others } = filtersFrom(names);
  if (Object.values(others).some((list) => list.length > 0)) throw new Error("only runtimes can be chosen");
  return {
    dists: [distFolder("A", distA), distFolder("B", distB)],
    chosen,
    starts: wholeNumber("--starts", values.starts, 1),
    timeMs: wholeNumber("--time", values.time, 5),
    warmUpMs: wholeNumber("--warm-up", values["warm-up"], 5),
    bodies: values.views ? "view" : "copy",
    keepsMemory: values["keep-memory"],
  };
}

/** The rows of one start: pairs of slices of each. */
function measure(runtime, { dists, bodies, timeMs, warmUpMs }) {
  const entry = runtime.id.replace(/\d+$/, "");
  const args = [...runtime.args, worker, entry, bodies, String(timeMs), String(warmUpMs), ...dists];
  const text = execFileSync(runtime.path, args, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  return JSON.parse(text);
}

const ratioOf = (pairs) => median(pairs.map(([a, b]) => b / a));

function tableOf(runtime, settings) {
  const rows = [];
  for (let start = 0; start < settings.starts; start++) {
    for (const [i, { name, pairs }] of measure(runtime, settings).entries()) {
      rows[i] ??= { name, pairs: [], starts: [] };
      rows[i].pairs.push(...pairs);
      rows[i].starts.push(ratioOf(pairs));
    }
  }
  return {
    title: `${runtime.label} (${runtime.version}): processor time of both ends, ns per operation; ratio of pairs, median (lowest–highest start)`,
    head: ["row", "A", "B", "B/A"],
    rows: rows.map(({ name, pairs, starts }) => {
      const [a, b] = [0, 1].map((build) => readable(median(pairs.map((pair) => pair[build]))));
      const range = [Math.min(...starts), Math.max(...starts)].map((each) => each.toFixed(3)).join("–");
      return [name, a, b, `${ratioOf(pairs).toFixed(3)} (${range})`];
    }),
  };
}

const settings = settingsOrUsage(parseArguments, usage);
if (settings === undefined) console.log(usage);
else {
  if (settings.keepsMemory) keepMemory();
  const chosen = runtimes().filter(({ id }) => wanted(settings.chosen, id));
  for (const runtime of chosen) console.log(textTable(tableOf(runtime, settings)));
  if (chosen.length === 0) process.exitCode = 1;
}
