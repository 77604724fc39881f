// `npm run bench:core [-- --quick] [--runtime node20,bun] [--filter text]` measures the crypto core, each runtime in a
// process of its own, with node:crypto, WebCrypto and others in the same run. It prints tables and writes them to
// bench/results/core.json and core.md.
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { isNamed, missingRuntimes, runtimes } from "../scripts/runtimes.js";
import { fullTables, targetTable } from "./core/report.js";
import { targets } from "./core/targets.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    runtime: { type: "string" },
    filter: { type: "string", default: "" },
  },
});
/** Timed milliseconds per row, after a third of that as a warm-up. */
const timeMs = options.quick ? 100 : 150;

await build({
  absWorkingDir: root,
  entryPoints: ["bench/core/worker.ts"],
  outfile: "build/bench-core.js",
  bundle: true,
  format: "esm",
  platform: "node",
  target: "es2022",
  logLevel: "warning",
  // Packages that are CommonJS inside call require().
  banner: {
    js: 'import { createRequire as createRequireForBundle } from "node:module"; const require = createRequireForBundle(import.meta.url);',
  },
});

/** Runs the worker in one runtime; resolves with its rows. */
async function runWorker({ label, path, args }) {
  const worker = spawn(
    path,
    [...args, `${root}/build/bench-core.js`, String(timeMs), options.quick ? "1" : "0", options.filter],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const exited = new Promise((resolve, reject) => {
    worker.once("error", reject);
    worker.once("exit", resolve);
  });
  const rows = [];
  let wasmBuild = "";
  for await (const line of createInterface({ input: worker.stdout })) {
    const message = JSON.parse(line);
    if (message.build !== undefined) wasmBuild = message.build;
    else rows.push(message);
    if (process.stderr.isTTY) process.stderr.write(`\r${label}: ${rows.length} rows`);
  }
  const status = await exited;
  if (status !== 0) throw new Error(`the bench failed in ${label} (exit ${status})`);
  console.error(`${process.stderr.isTTY ? "\r" : ""}${label}: ${rows.length} rows`);
  return { rows, wasmBuild };
}

const wanted = options.runtime?.split(",");
const chosen = runtimes().filter(
  (runtime) => wanted === undefined || wanted.some((name) => isNamed(runtime, name)),
);
for (const { reason } of missingRuntimes()) console.error(`no rows of ${reason}`);

const results = [];
for (const runtime of chosen) {
  const { rows, wasmBuild } = await runWorker(runtime);
  results.push({ id: runtime.id, label: runtime.label, version: runtime.version, wasmBuild, rows });
}

const heading = [
  `# The crypto core, ${new Date().toISOString().slice(0, 10)}`,
  `${cpus()[0]?.model.trim()}, ${cpus().length} cores; ${results.map(({ label, version, wasmBuild }) => `${label} (${version}, ${wasmBuild} SIMD)`).join(", ")}.`,
].join("\n\n");
const text = [heading, ...fullTables(results), "### Targets (minima)", targetTable(results, targets)].join(
  "\n\n",
);
console.log(text);
mkdirSync(new URL("./results/", import.meta.url), { recursive: true });
writeFileSync(new URL("./results/core.md", import.meta.url), text + "\n");
const machine = { model: cpus()[0]?.model.trim(), cores: cpus().length };
writeFileSync(
  new URL("./results/core.json", import.meta.url),
  JSON.stringify({ date: new Date().toISOString(), machine, timeMs, results }, null, 1) + "\n",
);
