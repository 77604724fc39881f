// `npm test` builds everything, checks format, lint and types, then runs all tests. At its end it prints the skipped
// tests with their reasons, then the counts, and writes these to build/test-summary.json for continuous integration. A
// check that fails counts as one failure. `npm test -- rpc docs` builds what these tests need and runs the suites and
// test files whose names contain "rpc" or "docs". `--every` (`npm run test:every`) tries every offset, seed and process
// in every runtime, of which the tests otherwise try a sample or a share (test/support/every.ts); it takes some hours.
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { suiteNames } from "./bundleSuites.js";
import { checks } from "./check.js";
import { selectParts } from "./parts.js";
import { sharesText } from "./shares.js";
import { skippedTests, skippedText } from "./skippedTests.js";

const root = fileURLToPath(new URL("..", import.meta.url));
process.chdir(root);
const vitestReport = "build/vitest.json";
const summaryFile = "build/test-summary.json";

mkdirSync("build", { recursive: true });
rmSync(vitestReport, { force: true });
rmSync(summaryFile, { force: true });

let failedSteps = 0;

/** Counts a step that failed; where later ones need it, that ends the run. */
async function step(title, succeeds, { required = false } = {}) {
  console.log(`\n> ${title}`);
  if (await succeeds()) return;
  failedSteps += 1;
  console.error(`${title}: failed`);
  if (required) finish();
}

/** A check that goes on beside the builds, which use one core; what it prints is shown when it is waited for. */
function startCheck(name) {
  const child = spawn(process.execPath, ["scripts/check.js", name], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
  const ended = new Promise((resolve) => {
    child.on("error", (error) => resolve({ status: error.message, output }));
    child.on("close", (status) => resolve({ status, output }));
  });
  return async () => {
    const { status, output: printed } = await ended;
    if (printed !== "") console.log(printed.trimEnd());
    return status === 0;
  };
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
    const skipped = skippedTests(report);
    const failed = report.numFailedTests + broken.length;
    return { passed: report.numPassedTests, failed, skipped, shares: sharesText(report) };
  } catch {
    return { passed: 0, failed: 0, skipped: new Map(), shares: "" };
  }
}

function finish() {
  const counts = vitestCounts();
  const failed = counts.failed + (counts.failed === 0 ? failedSteps : Math.max(0, failedSteps - 1));
  const skipped = [...counts.skipped.values()].reduce((sum, count) => sum + count, 0);
  writeFileSync(summaryFile, JSON.stringify({ passed: counts.passed, failed, skipped }) + "\n");
  if (skipped > 0) console.log(`\n${skippedText(counts.skipped)}`);
  if (counts.shares !== "") console.log(`\n${counts.shares}`);
  console.log(`\n${counts.passed} passed, ${failed} failed`);
  process.exit(failed === 0 && counts.passed > 0 ? 0 : 1);
}

const parts = process.argv.slice(2).filter((word) => word !== "--every");
if (process.argv.includes("--every")) process.env.SEALWIRE_EVERY = "1";
const { suites, files, env } = parts.length > 0 ? selectParts(parts, suiteNames()) : { files: [], env: {} };
if (parts.length > 0 && files.length === 0) {
  console.error(`nothing is named ${parts.join(" or ")}; suites: ${suiteNames().join(", ")}`);
  process.exit(2);
}

const isWhole = parts.length === 0;
const format = isWhole ? startCheck("format") : undefined;
await step("compile assembly/ to wasm", runs(["scripts/buildWasm.js"]), { required: true });
await step("build dist/", runs(["scripts/buildDist.js"]), { required: true });
// Tests import dist/, whose declarations are needed for their types.
const types = isWhole ? startCheck("types") : undefined;
await step("bundle the suites", runs(["scripts/bundleSuites.js"]), { required: true });
if (isWhole) {
  await step(checks.format.title, format);
  await step(checks.types.title, types);
}
if (suites !== undefined) console.log(`\nsuites: ${suites.join(", ") || "none"}; files: ${files.join(", ")}`);
await step(
  "tests in every runtime",
  runs(
    [
      "node_modules/vitest/vitest.mjs",
      "run",
      // Named, because vitest takes its defaults without a word where the file is not there.
      "--config=vitest.config.js",
      ...files,
      "--reporter=default",
      "--reporter=./scripts/slowestFiles.js",
      "--reporter=json",
      `--outputFile.json=${vitestReport}`,
    ],
    env,
  ),
);
finish();
