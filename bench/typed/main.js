// Typed calls beside others: processor time of both ends together, and allocated bytes, for an echo of a small JSON object.
//
//   node bench/typed/main.js [--runtime node20,bun,deno] [--rounds 9] [--ms 200]        after npm run build
//
// Both ends run in one process, so its processor time is that of both. Rounds of all contenders are interleaved; the table
// has medians. Contenders with JSON send and get the same value; each is checked before it is timed.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { isNamed, runtimes } from "../../scripts/runtimes.js";

const { values } = parseArgs({
  options: {
    runtime: { type: "string" },
    rounds: { type: "string", default: "9" },
    ms: { type: "string", default: "200" },
  },
});
const asked = values.runtime?.split(",");
const worker = fileURLToPath(new URL("worker.js", import.meta.url));
for (const runtime of runtimes()) {
  if (asked !== undefined && !asked.some((name) => isNamed(runtime, name))) continue;
  const args = runtime.id === "deno" ? ["run", "-A"] : runtime.id.startsWith("node") ? ["--expose-gc"] : [];
  const output = execFileSync(runtime.path, [...args, worker, runtime.id, values.rounds, values.ms], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    timeout: 600_000,
  });
  const rows = JSON.parse(output);
  console.log(`\n## ${runtime.label} (${runtime.version})\n`);
  console.log("| call | µs of processor time, 64 outstanding | one outstanding | kB allocated |");
  console.log("|---|---:|---:|---:|");
  for (const { label, many, one, bytes } of rows) {
    const allocated = bytes === undefined ? "–" : (bytes / 1_000).toFixed(1);
    console.log(`| ${label} | ${many.toFixed(2)} | ${one.toFixed(1)} | ${allocated} |`);
  }
}
