// `npm run bench:profile -- <runtime> [contender] [Send | SendNoWait | Request | Parallel…] [bytes]` runs one row for a
// few seconds with the runtime's own sampling profiler on both ends, and prints where each spent its time.
import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { isNamed, runtimes } from "../../scripts/runtimes.js";
import { makeCredentials } from "./certificate.js";
import { BenchProcess } from "./processes.js";
import { parseArguments, ROW_SIZE, ROWS } from "./settings.js";

const SLICE_MS = 2_000;
const MAX_COUNT = 5_000_000;
const FUNCTIONS_SHOWN = 14;

// The first that matches a function's name or file wins. A frame of the runtime that does the AES call or
// the system call is named after it in all of them.
const KINDS = [
  ["idle", /^\(idle\)/],
  ["garbage collector", /^\(garbage collector\)/],
  ["runtime's AES", /^update |cipheriv|crypto\/cipher|FastBuffer/],
  ["wasm: GHASH, XOR, X25519", /wasm-function|wasm:/],
  ["copies and views", /^(set|fill|slice|subarray|Uint8Array|get buffer|transfer) $/],
  ["socket writes", /^(writeBuffer|writev|op_write|write) /],
  ["socket reads", /^op_read|^onStreamRead /],
  ["sealwire", /dist\/|chunks\//],
  ["bench", /matrix\//],
  ["the rest of the runtime", /./],
];

/** @returns {{ total: number, kinds: Map<string, number>, functions: Map<string, number> }} microseconds */
function readProfile(folder) {
  const file = readdirSync(folder).find((name) => name.endsWith(".cpuprofile"));
  if (file === undefined) throw new Error(`no profile was written to ${folder}`);
  const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(join(folder, file), "utf8"));
  const names = new Map(
    nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => {
      const place = url === "" ? "" : `${url.split("/").slice(-2).join("/")}:${lineNumber + 1}`;
      return [id, `${functionName || "(anonymous)"} ${place}`];
    }),
  );
  const functions = new Map();
  const kinds = new Map();
  samples.forEach((id, i) => {
    const name = names.get(id);
    const [kind] = KINDS.find(([, pattern]) => pattern.test(name));
    functions.set(name, (functions.get(name) ?? 0) + timeDeltas[i]);
    kinds.set(kind, (kinds.get(kind) ?? 0) + timeDeltas[i]);
  });
  const total = timeDeltas.reduce((sum, delta) => sum + delta, 0);
  return { total, kinds, functions };
}

function report(title, { total, kinds, functions }) {
  const idle = kinds.get("idle") ?? 0;
  const busy = total - idle;
  const share = (value) => `${((value / busy) * 100).toFixed(1).padStart(5)} %`;
  const descending = (map) =>
    [...map].filter(([name]) => !name.startsWith("(idle)") && name !== "idle").sort((a, b) => b[1] - a[1]);
  const lines = [
    `${title}: ${(busy / 1e6).toFixed(1)} s busy, ${(idle / 1e6).toFixed(1)} s idle; of the busy time`,
    ...descending(kinds).map(([kind, value]) => `  ${share(value)}  ${kind}`),
    "  in these functions",
    ...descending(functions)
      .slice(0, FUNCTIONS_SHOWN)
      .map(([name, value]) => `  ${share(value)}  ${name}`),
  ];
  return lines.join("\n");
}

function withProfiler(runtime, folder) {
  const profiler = ["--cpu-prof", `--cpu-prof-dir=${folder}`];
  return {
    ...runtime,
    args: runtime.id === "bun" ? [...profiler, ...runtime.args] : [...runtime.args, ...profiler],
  };
}

async function main() {
  const { filters } = parseArguments(process.argv.slice(2));
  const runtime = runtimes().find((candidate) => isNamed(candidate, filters.runtimes[0] ?? "node"));
  if (runtime === undefined) throw new Error(`${filters.runtimes[0]} is not installed`);
  const contender = filters.contenders[0] ?? "sealwire";
  const { row, kind, outstanding } = ROWS.find(
    (candidate) => candidate.row === (filters.rows[0] ?? "SendNoWait"),
  );
  const size = filters.sizes[0] ?? ROW_SIZE;
  const folder = mkdtempSync(join(tmpdir(), "bench-profile-"));
  const ends = ["server", "client"].map((name) => {
    const own = join(folder, name);
    return { name, folder: own, process: new BenchProcess(withProfiler(runtime, own), contender) };
  });
  const [server, client] = ends.map((end) => end.process);
  const credentials = makeCredentials();
  const { port } = await server.call("listen", { endpoint: { credentials } });
  await client.call("connect", { endpoint: { port, credentials }, name: "profiled" });
  const parameters = { name: "profiled", kind, size, outstanding };
  const { count } = await client.call("calibrate", { ...parameters, sliceMs: SLICE_MS, maxCount: MAX_COUNT });
  const { elapsedMs } = await client.call("run", { ...parameters, count });
  await Promise.all([server.stop(), client.stop()]);
  const ns = Math.round((elapsedMs * 1e6) / count);
  console.log(
    `${contender}, ${runtime.label} (${runtime.version}), ${row}, ${size} bytes: ${ns} ns/op with the profilers on\n`,
  );
  for (const end of ends) console.log(`${report(end.name, readProfile(end.folder))}\n`);
  console.log(`profiles: ${folder}`);
}

await main();
