// Typed calls beside others: processor time of both ends together, and allocated bytes, for an echo of a small JSON object.
//
//   node bench/typed/main.js [--runtime node20,node26,bun,deno] [--rounds 9] [--ms 200] [--write]    after npm run build
//
// With --write the tables go into docs/PERFORMANCE-LOG.md, too, between the marks of bench:typed-calls.
// Both ends run in one process, so its processor time is that of both. Rounds of all contenders are interleaved; the table
// has medians. Contenders with JSON send and get the same value; each is checked before it is timed.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { isNamed, runtimes } from "../../scripts/runtimes.js";

const { values } = parseArgs({
  options: {
    runtime: { type: "string" },
    rounds: { type: "string", default: "9" },
    ms: { type: "string", default: "200" },
    write: { type: "boolean", default: false },
  },
});
const asked = values.runtime?.split(",");
const worker = fileURLToPath(new URL("worker.js", import.meta.url));
const lines = [];
const tell = (text) => {
  console.log(text);
  lines.push(...text.split("\n"));
};

for (const runtime of runtimes()) {
  if (asked !== undefined && !asked.some((name) => isNamed(runtime, name))) continue;
  const args = runtime.id === "deno" ? ["run", "-A"] : runtime.id.startsWith("node") ? ["--expose-gc"] : [];
  const output = execFileSync(runtime.path, [...args, worker, runtime.id, values.rounds, values.ms], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    timeout: 600_000,
  });
  const rows = JSON.parse(output);
  tell(`\n**${runtime.label} (${runtime.version})**\n`);
  tell("| call | µs of processor time, 64 outstanding | one outstanding | kB allocated |");
  tell("|---|---:|---:|---:|");
  for (const { label, many, one, bytes } of rows) {
    const allocated = bytes === undefined ? "–" : (bytes / 1_000).toFixed(1);
    tell(`| ${label} | ${many.toFixed(2)} | ${one.toFixed(1)} | ${allocated} |`);
  }
}

if (values.write) {
  const file = fileURLToPath(new URL("../../docs/PERFORMANCE-LOG.md", import.meta.url));
  const [begin, end] = ["<!-- bench:typed-calls -->", "<!-- /bench:typed-calls -->"];
  const text = readFileSync(file, "utf8");
  if (!text.includes(begin) || !text.includes(end)) throw new Error(`${file} has no ${begin}`);
  const load = loadavg()
    .map((average) => average.toFixed(1))
    .join(", ");
  const date = new Date().toISOString().slice(0, 10);
  const about = `${date}, ${cpus()[0].model}, medians of ${values.rounds} rounds of ${values.ms} ms, load at the end ${load}.`;
  const [before, after] = [text.slice(0, text.indexOf(begin)), text.slice(text.indexOf(end))];
  writeFileSync(file, `${before}${begin}\n${about}\n${lines.join("\n")}\n${after}`);
}
