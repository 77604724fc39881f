// `npm run simulate -- --seeds N --from S [--fault NAME] [--runtime node20,bun]` runs simulated worlds, one per seed
// (test/simulation). The seed of a world that breaks a promise is printed; `--from SEED --seeds 1` runs that world
// again. SIGINT and SIGTERM end the run with its counts. `--fault` plants a fault, and ends with the first world that
// shows it.
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { isNamed, runtimes } from "./runtimes.js";
import { bundleWorld } from "./simulation/bundle.js";
import { faults } from "./simulation/faults.js";
import { StoppableRuns } from "./stoppableRuns.js";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "200" },
    from: { type: "string", default: "1" },
    fault: { type: "string" },
    runtime: { type: "string", default: "node" },
  },
});

const programs = new StoppableRuns();
const folder = fileURLToPath(new URL("../build/simulation/", import.meta.url));
mkdirSync(folder, { recursive: true });
if (values.fault !== undefined && faults[values.fault] === undefined) {
  console.error(`no fault ${values.fault}; there are: ${Object.keys(faults).join(", ")}`);
  process.exit(2);
}
const bundle = `${folder}worlds.js`;
await bundleWorld(
  "test/simulation/main.ts",
  bundle,
  values.fault === undefined ? [] : faults[values.fault].edits,
);
const names = values.runtime.split(",");
const chosen = runtimes().filter((runtime) => names.some((name) => isNamed(runtime, name)));
if (chosen.length === 0) throw new Error(`no runtime ${values.runtime}`);
for (const { label, version, path, args } of chosen) {
  console.log(
    `${label} ${version}: seeds ${values.from} to ${Number(values.from) + Number(values.seeds) - 1}`,
  );
  const untilFound = values.fault === undefined ? [] : ["1"];
  const isClean = await programs.run(path, [...args, bundle, values.from, values.seeds, ...untilFound]);
  if (!isClean && values.fault === undefined)
    console.error("run one again with: npm run simulate -- --seeds 1 --from SEED");
}
