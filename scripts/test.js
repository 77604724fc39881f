// `npm test`: builds everything, checks format, lint and types, then runs all tests. Ends with the counts, and
// leaves them in build/test-summary.json for continuous integration. A check that fails counts as one failure.
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
process.chdir(root);
const vitestReport = "build/vitest.json";
const summaryFile = "build/test-summary.json";

mkdirSync("build", { recursive: true });
rmSync(vitestReport, { force: true });
rmSync(summaryFile, { force: true });

let failedSteps = 0;

/** Runs a Node program; a failed step is counted and, where later ones need it, ends the run. */
function step(title, args, { required = false } = {}) {
  console.log(`\n> ${title}`);
  const { status } = spawnSync(process.execPath, args, { stdio: "inherit" });
  if (status === 0) return true;
  failedSteps += 1;
  console.error(`${title}: failed (exit ${status})`);
  if (required) finish();
  return false;
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

step("compile assembly/ to wasm", ["scripts/build-wasm.js"], { required: true });
step("build dist/", ["scripts/build-dist.js"], { required: true });
step("bundle the suites", ["scripts/bundle-suites.js"], { required: true });
step("format and lint", ["node_modules/@biomejs/biome/bin/biome", "check"]);
step("check types", ["node_modules/typescript/bin/tsc", "-p", "."]);
step("tests in every runtime", [
  "node_modules/vitest/vitest.mjs",
  "run",
  "--reporter=default",
  "--reporter=json",
  `--outputFile.json=${vitestReport}`,
]);
finish();
