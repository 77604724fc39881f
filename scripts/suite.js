// Runs suites by hand: node scripts/suite.js [part of a suite's name …] [--runtime node20,bun] [--test text]
import { parseArgs } from "node:util";
import { bundleSuites, suiteNames, suitePath } from "./bundle-suites.js";
import { runSuite } from "./run-suite.js";
import { runtimes } from "./runtimes.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { runtime: { type: "string" }, test: { type: "string" } },
});

const names = suiteNames().filter(
  (name) => positionals.length === 0 || positionals.some((part) => name.includes(part)),
);
const wanted = values.runtime?.split(",");
const targets = runtimes().filter((runtime) => wanted === undefined || wanted.includes(runtime.id));
if (names.length === 0 || targets.length === 0) {
  console.error(
    `nothing to run; suites: ${suiteNames().join(", ")}; runtimes: ${runtimes()
      .map((r) => r.id)
      .join(", ")}`,
  );
  process.exit(2);
}

await bundleSuites(names);
let passed = 0;
let failed = 0;
for (const name of names) {
  for (const runtime of targets) {
    console.log(`${name} · ${runtime.label} (${runtime.version})`);
    const cases = await runSuite(runtime, suitePath(name), { echo: true, filter: values.test });
    passed += cases.filter((result) => result.status === "pass").length;
    failed += cases.filter((result) => result.status === "fail").length;
    for (const result of cases) {
      if (result.name === "the suite runs to its end") console.log(`  ✗ ${result.name}: ${result.error}`);
    }
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
