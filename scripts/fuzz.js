// npm run fuzz -- --minutes N [--seed S] [--rounds R] [--level NAME] [--runtime node20,bun]: the five levels of
// test/fuzz. A round that fails is told with its seed: --seed THAT --rounds 1 --level ITS runs it again.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { bundle } from "./bundleSuites.js";
import { isNamed, runtimes } from "./runtimes.js";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "1" },
    seed: { type: "string", default: "1" },
    rounds: { type: "string", default: "0" },
    level: { type: "string" },
    runtime: { type: "string", default: "node" },
  },
});
const folder = fileURLToPath(new URL("../build/fuzz", import.meta.url));
await bundle(["test/fuzz/main.ts"], folder);
const names = values.runtime.split(",");
const seconds = values.rounds === "0" ? String(60 * Number(values.minutes)) : "0";
const level = values.level === undefined ? [] : [values.level];
for (const runtime of runtimes().filter((one) => names.some((name) => isNamed(one, name)))) {
  console.log(`${runtime.label} ${runtime.version}`);
  const args = [...runtime.args, `${folder}/fuzz/main.js`, values.seed, seconds, values.rounds, ...level];
  if (spawnSync(runtime.path, args, { stdio: "inherit" }).status !== 0) process.exitCode = 1;
}
