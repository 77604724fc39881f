// The section "typed" of the bench by itself, with more rounds: processor time of both ends together, and allocated bytes,
// for an echo of a small JSON object.
//
//   node bench/typed/main.js [--runtime node20,node26,bun,deno] [--rounds 9] [--ms 200] [--write]    after npm run build
//
// With --write the tables go into docs/PERFORMANCE-LOG.md, too, between the marks of bench:typed-calls.
import { readFileSync, writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { isNamed, runtimes } from "../../scripts/runtimes.js";
import { markdownTable } from "../report/markdown.js";
import { typedTables } from "../report/typedTables.js";
import { measureTyped } from "./measure.js";

const { values } = parseArgs({
  options: {
    runtime: { type: "string" },
    rounds: { type: "string", default: "9" },
    ms: { type: "string", default: "200" },
    write: { type: "boolean", default: false },
  },
});
const asked = values.runtime?.split(",");
const chosen = runtimes().filter((one) => asked === undefined || asked.some((name) => isNamed(one, name)));
const [rounds, sliceMs] = [Number(values.rounds), Number(values.ms)];
const parts = [];
for (const runtime of chosen) {
  const results = await measureTyped(runtime, { rounds, sliceMs, warmUpMs: 4 * sliceMs });
  const [table] = typedTables({ machine: { runtimes: chosen }, results });
  const part = `**${runtime.label} (${runtime.version})**\n\n${markdownTable({ ...table, title: undefined })}`;
  console.log(part);
  parts.push(part);
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
  writeFileSync(file, `${before}${begin}\n${about}\n\n${parts.join("\n")}${after}`);
}
