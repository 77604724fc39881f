// `npm run fuzz -- --minutes N [--seed S] [--runs R | --inputs I] [--level NAME] [--runtime node20,bun] [--keep]
// [--tape BASE64]` runs the levels of test/fuzz, guided by the blocks of the library that inputs reach. For an input
// that fails, the arguments that play it again are printed. `--keep` shortens the inputs that reached something new and
// writes them to test/fuzz/corpus. SIGINT and SIGTERM end the run with its counts.
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { bundleFuzzer } from "./fuzz/bundles.js";
import { isNamed, runtimes } from "./runtimes.js";
import { StoppableRuns } from "./stoppableRuns.js";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "1" },
    seed: { type: "string", default: "1" },
    runs: { type: "string", default: "0" },
    inputs: { type: "string", default: "0" },
    level: { type: "string", multiple: true, default: [] },
    runtime: { type: "string", default: "node" },
    keep: { type: "boolean", default: false },
    tape: { type: "string" },
  },
});
const programs = new StoppableRuns();
const folder = fileURLToPath(new URL("../build/fuzz", import.meta.url));
const corpus = fileURLToPath(new URL("../test/fuzz/corpus", import.meta.url));
mkdirSync(folder, { recursive: true });
const bundles = await bundleFuzzer(folder);
const all = bundles.flatMap(({ levels }) => levels);
const unknown = values.level.filter((name) => !all.includes(name));
if (unknown.length > 0) {
  console.error(`no level ${unknown.join(", ")}; there are: ${all.join(", ")}`);
  process.exit(2);
}
const chosen = values.level.length === 0 ? all : values.level;
const isCounted = values.runs !== "0" || values.inputs !== "0";
const seconds = !isCounted ? 60 * Number(values.minutes) : 0;
for (const runtime of runtimes().filter((one) =>
  values.runtime.split(",").some((name) => isNamed(one, name)),
)) {
  console.log(`${runtime.label} ${runtime.version}, ${new Date().toISOString()}`);
  for (const { path, levels, blocks } of bundles) {
    const here = levels.filter((name) => chosen.includes(name));
    if (here.length === 0) continue;
    const options = {
      seed: Number(values.seed),
      seconds: (seconds * here.length) / chosen.length,
      runs: Number(values.runs),
      inputs: Number(values.inputs),
      levels: here,
      corpus,
      keep: values.keep,
      tape: values.tape,
      blocks,
    };
    await programs.run(runtime.path, [...runtime.args, path, JSON.stringify(options)]);
  }
}
