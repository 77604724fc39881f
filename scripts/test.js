// `npm test`: builds everything, checks format, lint and types, then runs all tests. Ends with the counts, and
// leaves them in build/test-summary.json for continuous integration. A check that fails counts as one failure.
// `npm test -- rpc docs` builds what they need and runs the suites and test files whose names contain "rpc" or "docs".
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { suiteNames } from "./bundleSuites.js";
import { checks, runCheck } from "./check.js";
import { selectParts } from "./parts.js";

const root = fileURLToPath(new URL("..", import.meta.url));
process.chdir(root);
const vitestReport = "build/vitest.json";
const summaryFile = "build/test-summary.json";

mkdirSync("build", { recursive: true });
rmSync(vitestReport, { force: true });
rmSync(summaryFile, { force: true });

let failedSteps = 0;

/** Counts a step that failed; where later ones need it, that ends the run. */
function step(title, succeeds, { required = false } = {}) {
  console.log(`\n> ${title}`);
  if (succeeds()) return;
  failedSteps += 1;
  console.error(`${title}: failed`);
  if (required) finish();
}

/** Runs a Node program. */
function runs(args, env = {}) {
  return () =>
    spawnSync(process.execPath, args, { stdio: "inherit", env: { ...process.env, ...env } }).status === 0;
}

/** Counts of vitest's JSON report; files that could not even be collected count as failures. */
function vitestCounts() {
  try {
    const report = JSON.parse(readFileSync(vitestReport, "utf8"));
    const broken = report.testResults.filter(
      (file) => file.status === "failed" && file.assertionResults.length === 0,
    );
    return { passed: report.numPassedTests, failed: report.numFailedTests + broken.length };
  } catch {
    return { passed: 0, failed: 0 };
  }
}

function finish() {
  const counts = vitestCounts();
  const failed = counts.failed + (counts.failed === 0 ? failedSteps : Math.max(0, failedSteps - 1));
  writeFileSync(summaryFile, JSON.stringify({ passed: counts.passed, failed }) + "\n");
  console.log(`\n${counts.passed} passed, ${failed} failed`);
  process.exit(failed === 0 && counts.passed > 0 ? 0 : 1);
}

const parts = process.argv.slice(2);
const { suites, files, env } = parts.length > 0 ? selectParts(parts, suiteNames()) : { files: [], env: {} };
if (parts.length > 0 && files.length === 0) {
  console.error(`nothing is named ${parts.join(" or ")}; suites: ${suiteNames().join(", ")}`);
  process.exit(2);
}

step("compile assembly/ to wasm", runs(["scripts/buildWasm.js"]), { required: true });
step("build dist/", runs(["scripts/buildDist.js"]), { required: true });
step("bundle the suites", runs(["scripts/bundleSuites.js"]), { required: true });
if (parts.length === 0) {
  for (const name of ["format", "types"]) step(checks[name].title, () => runCheck(name));
}
if (suites !== undefined) console.log(`\nsuites: ${suites.join(", ") || "none"}; files: ${files.join(", ")}`);
step(
  "tests in every runtime",
  runs(
    [
      "node_modules/vitest/vitest.mjs",
      "run",
      ...files,
      "--reporter=default",
      "--reporter=json",
      `--outputFile.json=${vitestReport}`,
    ],
    env,
  ),
);
finish();
