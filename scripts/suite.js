// Runs suites by hand: npm run suite -- [part of a suite's name …] [--runtime node,bun] [--test text]
//   [--every] [--busy]
//
// --runtime takes ids (node20, bun, deno) or roles (node: the machine's, node-current: the newest); all without it.
// --every: every offset, seed and process, where the tests otherwise try a sample (test/support/every.ts).
// --busy: as a busy machine runs the library, where every turn is over at once (scripts/busyMachine.js).
// --watch takes one suite and one runtime (the machine's Node) and runs them again whenever a source changes.
import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { bundleSuites, runnerPath, suiteNames, suitePath } from "./bundleSuites.js";
import { busyMachine } from "./busyMachine.js";
import { runSuite } from "./runSuite.js";
import { isNamed, missingRuntimes, runtimes } from "./runtimes.js";
import { watchSuite } from "./watchSuite.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runtime: { type: "string" },
    test: { type: "string" },
    watch: { type: "boolean", default: false },
    every: { type: "boolean", default: false },
    busy: { type: "boolean", default: false },
  },
});

/** A suite that tries every case is killed after so long; a sample has the limit of scripts/runSuite.js. */
const EVERY_TIMEOUT_MS = 3_600_000;
const limit = values.every ? { timeoutMs: EVERY_TIMEOUT_MS } : {};

if (values.every) process.env.SEALWIRE_EVERY = "1";

function giveUp(message) {
  console.error(message);
  process.exit(2);
}

function chooseSuites() {
  const all = suiteNames();
  const exact = all.filter((name) => positionals.includes(name));
  const named = all.filter((name) => positionals.some((part) => name.includes(part)));
  const chosen = positionals.length === 0 ? all : values.watch && exact.length > 0 ? exact : named;
  if (chosen.length === 0) giveUp(`no suite is named so; there are: ${all.join(", ")}`);
  if (values.watch && chosen.length > 1) giveUp(`--watch takes one suite; choose of: ${chosen.join(", ")}`);
  return chosen;
}

function chooseRuntimes() {
  const found = runtimes();
  const asked = values.runtime?.split(",") ?? (values.watch ? ["node"] : found.map(({ id }) => id));
  for (const name of asked) {
    if (found.some((runtime) => isNamed(runtime, name))) continue;
    const reasons = missingRuntimes().map(({ reason }) => `; ${reason}`);
    giveUp(`no runtime ${name}; there are: ${found.map(({ id }) => id).join(", ")}${reasons.join("")}`);
  }
  const chosen = found.filter((runtime) => asked.some((name) => isNamed(runtime, name)));
  if (values.watch && chosen.length > 1) giveUp("--watch takes one runtime");
  return chosen;
}

async function runOnce(names, targets) {
  // Of this run alone: several runs, and a whole test run, may go on side by side.
  const folder = `${root}build/suites-${process.pid}`;
  const remove = () => rmSync(folder, { recursive: true, force: true });
  process.on("exit", remove);
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ])
    process.on(signal, () => process.exit(code));
  await bundleSuites(names, { folder, plugins: values.busy ? [busyMachine] : [] });
  let passed = 0;
  let failed = 0;
  for (const name of names) {
    for (const runtime of targets) {
      console.log(`${name} · ${runtime.label} (${runtime.version})`);
      const cases = await runSuite(runtime, suitePath(name, folder), {
        echo: true,
        filter: values.test,
        runner: runnerPath(folder),
        ...limit,
      });
      passed += cases.filter((result) => result.status === "pass").length;
      failed += cases.filter((result) => result.status === "fail").length;
      for (const result of cases) {
        if (result.name === "the suite runs to its end") console.log(`  ✗ ${result.name}: ${result.error}`);
      }
    }
  }
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
}

const names = chooseSuites();
const targets = chooseRuntimes();
if (values.watch) await watchSuite(names[0], targets[0], values.test);
else await runOnce(names, targets);
