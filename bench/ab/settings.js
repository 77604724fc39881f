// The settings of a comparison of two builds, from the command line: what it does and for how long.
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { wanted } from "../matrix/settings.js";

/** Everything that can be compared. Those with a `kind` are timed in slices, in this order. */
export const ROWS = [
  { name: "SendNoWait", kind: "sendNoWait", size: 1_400, outstanding: 1 },
  { name: "SendNoWait", kind: "sendNoWait", size: 64, outstanding: 1 },
  { name: "Request", kind: "request", size: 1_400, outstanding: 1 },
  { name: "ParallelRequest", kind: "request", size: 1_400, outstanding: 64 },
  { name: "SendNoWait", kind: "sendNoWait", size: 65_536, outstanding: 1 },
  { name: "SendNoWait", kind: "sendNoWait", size: 1_048_576, outstanding: 1 },
];

/** Bytes allocated per operation: these rows, again in processes of their own. */
export const HEAP_ROWS = ROWS.filter(({ name, size }) => size === 1_400 && name !== "Request");

/**
 * Processor time of connections that carry nothing. Between two heartbeats, by default 15 s apart, an idle
 * connection costs what its timers cost; in the second row every connection has one about once a second: after a
 * heartbeat, the next one waits for the time-out of its answer.
 */
export const IDLE_ROWS = [
  { name: "idle", options: {} },
  { name: "heartbeats", options: { heartbeatIntervalMs: 500, heartbeatTimeoutMs: 1_000 } },
];

const BODIES = ["copy", "view"];
const RUNTIMES = { node20: "node20", node26: "node26", "node-current": "node26", bun: "bun", deno: "deno" };
export const RUNTIME_NAMES = Object.keys(RUNTIMES);
const SECTIONS = ["heap", ...IDLE_ROWS.map(({ name }) => name)];
const ROW_NAMES = [...new Set(ROWS.map(({ name }) => name)), ...SECTIONS];
const LEAST = 6; // of rounds and of starts: with fewer, no interval says anything with 95 % confidence

// Many short slices rather than a few long ones: what disturbs one build then disturbs its neighbour as well, and the
// interval around the ratio narrows with the root of their number.
export const usage = `npm run bench:ab -- <dist A> <dist B> [options] [filter ...]

  --rounds <n>       slices of each build per row, at least ${LEAST} (default 96)
  --starts <n>       fresh processes so many times, at least ${LEAST}, the rounds spread over them (default 6)
  --slice <ms>       length of one timed slice (default 20)
  --warm-up <ms>     how long the first row of a kind runs before it is timed (default 1500)
  --idle <n>         connections of the idle rows (default 200)
  --tolerance <%>    a difference below this is none (default 3)
  --keep-memory      allocators keep freed memory, for machines where the first touch of a page takes microseconds
  --set <name=value>    an option for both ends of both builds, e.g. engine=wasm, bundleBytes=0, server.maxHandshakes=9
  --set-a, --set-b      the same for one build, which may be the same folder twice
  --json             the results as JSON on standard output, instead of tables
  --help

A filter is a runtime (${RUNTIME_NAMES.join(", ")}), a payload size in bytes, what becomes of bodies (${BODIES.join(", ")}),
or a row (${ROW_NAMES.join(", ")}). Filters of one kind add up, filters of different
kinds narrow each other down.`;

const options = {
  rounds: { type: "string", default: "96" },
  starts: { type: "string", default: "6" },
  slice: { type: "string", default: "20" },
  // Longer than the matrix's: as long as one build runs code that is less compiled than the other's, the ratio is that of the
  // compilers.
  "warm-up": { type: "string", default: "1500" },
  idle: { type: "string", default: "200" },
  tolerance: { type: "string", default: "3" },
  "keep-memory": { type: "boolean", default: false },
  set: { type: "string", multiple: true, default: [] },
  "set-a": { type: "string", multiple: true, default: [] },
  "set-b": { type: "string", multiple: true, default: [] },
  json: { type: "boolean", default: false },
};

/**
 * @param {string[]} args without the program's name
 * @throws {Error} that names the argument that means nothing
 */
export function parseArguments(args) {
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true, strict: true });
  const [distA, distB, ...filterTexts] = positionals;
  const settings = {
    json: values.json === true,
    keepMemory: values["keep-memory"] === true,
    rounds: wholeNumber("--rounds", values.rounds, LEAST),
    starts: wholeNumber("--starts", values.starts, LEAST),
    sliceMs: wholeNumber("--slice", values.slice, 5),
    warmUpMs: wholeNumber("--warm-up", values["warm-up"], 5),
    idleConnections: wholeNumber("--idle", values.idle, 1),
    tolerance: wholeNumber("--tolerance", values.tolerance, 1) / 100,
    builds: [
      { id: "A", dist: distFolder("A", distA), options: optionsFrom([...values.set, ...values["set-a"]]) },
      { id: "B", dist: distFolder("B", distB), options: optionsFrom([...values.set, ...values["set-b"]]) },
    ],
    filters: filtersFrom(filterTexts),
  };
  if (settings.starts > settings.rounds) throw new Error("--starts must not be above --rounds");
  const { timed, heap, idle } = rowsOf(settings.filters);
  if (timed.length + heap.length + idle.length === 0)
    throw new Error(`no row is left by ${filterTexts.join(" ")}`);
  return settings;
}

export function wholeNumber(option, text, least) {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least) throw new Error(`${option} must be a whole number ≥ ${least}`);
  return value;
}

export function distFolder(id, text) {
  if (text === undefined) throw new Error(`dist ${id} is missing: the path of a folder with a build`);
  const folder = resolve(text);
  if (!existsSync(join(folder, "node.js")))
    throw new Error(`dist ${id}, ${text}, is no folder with a build: it has no node.js`);
  return folder;
}

/** `name=value` texts → options of each end; a value that reads as JSON is that value, any other is a text. */
function optionsFrom(texts) {
  const ends = { client: {}, server: {} };
  for (const text of texts) {
    const match = /^(?:(client|server)\.)?(\w+)=(.*)$/.exec(text);
    if (match === null) throw new Error(`${text} is no option: name=value`);
    const [, end, name, value] = match;
    for (const each of end === undefined ? ["client", "server"] : [end]) ends[each][name] = readValue(value);
  }
  return ends;
}

function readValue(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

export function filtersFrom(texts) {
  const filters = { runtimes: [], sizes: [], bodies: [], rows: [] };
  for (const text of texts) {
    const name = text.toLowerCase();
    const row = ROW_NAMES.find((candidate) => candidate.toLowerCase() === name);
    if (Object.hasOwn(RUNTIMES, name)) filters.runtimes.push(RUNTIMES[name]);
    else if (/^\d+$/.test(name)) filters.sizes.push(Number(name));
    else if (BODIES.includes(name)) filters.bodies.push(name);
    else if (row !== undefined) filters.rows.push(row);
    else throw new Error(`${text} is no runtime, size, kind of body or row`);
  }
  return filters;
}

/** What the filters leave: rows that are timed, rows whose bytes are counted, rows of idle connections. */
export function rowsOf({ rows, sizes, bodies }) {
  const chosen = ({ name, size }) => wanted(rows, name) && wanted(sizes, size);
  const heap = wanted(rows, "heap") ? HEAP_ROWS.filter(({ size }) => wanted(sizes, size)) : [];
  // Idle connections have neither size nor bodies: asking for one of those asks for other rows.
  const idle = sizes.length > 0 || (bodies.length > 0 && rows.length === 0) ? [] : IDLE_ROWS.filter(chosen);
  return { timed: ROWS.filter(chosen), heap, idle, bodies: BODIES.filter((kind) => wanted(bodies, kind)) };
}
