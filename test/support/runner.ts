// Runs bundled suites in this runtime, one after another: `<runtime> build/suites/support/runner.js <report file>
// <suite.js>…`. Prints a line per test for people and appends a JSON line per test to the report file for the parent.
// The process must end by itself: a socket or timer that a test left behind fails the last suite.

import { appendFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import {
  afterEachHooks,
  afterEveryHooks,
  awaited,
  describeUnfinished,
  type RegisteredTest,
  registeredTests,
  runtimeId,
  told,
} from "./harness.ts";
import { expireAfter } from "./patience.ts";

const DEFAULT_TIMEOUT_MS = 60_000;
/** How long the process may live after its last test. */
const EXIT_GRACE_MS = 5_000;
const MAX_STRAY_SHOWN = 3;

const [reportPath, ...suitePaths] = process.argv.slice(2);
const nameFilter = process.env.SEALWIRE_TEST_FILTER;
/** Whole names of what is to be run, one in a line, with … for any text. */
const wholeNames = process.env.SEALWIRE_TEST_NAMES?.split("\n").map(
  (name) => new RegExp(`^${name.split("…").map(escaped).join(".*")}$`),
);
/** No test gets more time than this. */
const mostMs = Number(process.env.SEALWIRE_TEST_TIMEOUT_MS ?? Number.POSITIVE_INFINITY);
/** The first test that fails ends the process: who only asks whether any fails need not wait for the others. */
const stopAtFailure = process.env.SEALWIRE_TEST_BAIL === "1";

/** Rejections and exceptions that nobody caught since the current test began. */
let strayErrors: unknown[] = [];
process.on("unhandledRejection", (reason) => strayErrors.push(reason));
process.on("uncaughtException", (error) => strayErrors.push(error));

/** The place of the suite that runs now among those of this process. */
let suite = 0;

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

function report(entry: Record<string, unknown>): void {
  appendFileSync(reportPath!, JSON.stringify({ suite, ...entry }) + "\n");
}

function describeError(error: unknown): string {
  if (!(error instanceof Error)) return `thrown: ${String(error)}`;
  const head = "code" in error ? `${String(error.code)} ${error.message}` : error.message;
  const stack = error.stack ?? "";
  const cause = error.cause === undefined ? "" : `\ncaused by ${describeError(error.cause)}`;
  return (stack.includes(error.message) ? stack : `${head}\n${stack}`) + cause;
}

/** Lets pending callbacks run, so that what a test left unhandled is counted against that test. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setTimeout(resolve, 0));
}

async function withTimeout(body: () => void | Promise<void>, timeoutMs: number): Promise<void> {
  const startCpuMs = cpuMs();
  let endWait!: () => void;
  const expired = new Promise<never>((_, reject) => {
    endWait = expireAfter(timeoutMs, ({ stoodStillMs }) => {
      const took = `${cpuMs() - startCpuMs} ms of the processor, stood still for ${Math.round(stoodStillMs)} ms more`;
      reject(new Error([`not finished after ${timeoutMs} ms (${took})`, ...describeUnfinished()].join("\n")));
    });
  });
  try {
    await Promise.race([body(), expired]);
  } finally {
    endWait();
  }
}

function skipReason({ options }: RegisteredTest): string | undefined {
  if (options.skip !== undefined) return options.skip;
  if (options.only !== undefined && !options.only.includes(runtimeId)) return `not for ${runtimeId}`;
  return undefined;
}

/** Runs a test and its hooks; returns everything that went wrong. */
async function runTest(test: RegisteredTest): Promise<string[]> {
  const failures: string[] = [];
  strayErrors = [];
  awaited.clear();
  for (const step of [test.body, ...afterEveryHooks, ...afterEachHooks]) {
    try {
      await withTimeout(step, Math.min(test.options.timeoutMs ?? DEFAULT_TIMEOUT_MS, mostMs));
    } catch (error) {
      failures.push(describeError(error));
    }
    await settle();
  }
  for (const error of strayErrors.slice(0, MAX_STRAY_SHOWN))
    failures.push(`unhandled: ${describeError(error)}`);
  if (strayErrors.length > MAX_STRAY_SHOWN) failures.push(`… ${strayErrors.length} unhandled errors in all`);
  return failures;
}

function fail(name: string, error: string): void {
  console.log(`  ✗ ${name}\n${error.replace(/^/gm, "      ")}`);
  report({ type: "test", name, status: "fail", ms: 0, error });
  process.exitCode = 1;
  if (stopAtFailure) process.exit(1);
}

async function runSuite(path: string): Promise<void> {
  registeredTests.length = 0;
  afterEachHooks.length = 0;
  await import(pathToFileURL(path).href);
  if (registeredTests.length === 0) throw new Error("the suite registers no test");
  report({ type: "start", tests: registeredTests.length });
  for (const test of registeredTests) {
    if (nameFilter !== undefined && !test.name.includes(nameFilter)) continue;
    if (wholeNames !== undefined && !wholeNames.some((name) => name.test(test.name))) continue;
    const skipped = skipReason(test);
    if (skipped !== undefined) {
      console.log(`  - ${test.name} (${skipped})`);
      report({ type: "test", name: test.name, status: "skip", ms: 0, reason: skipped });
      continue;
    }
    const [startMs, startCpuMs] = [performance.now(), cpuMs()];
    delete told.share;
    const failures = await runTest(test);
    const ms = Math.round(performance.now() - startMs);
    const took = { ms, cpuMs: cpuMs() - startCpuMs, ...told };
    if (failures.length > 0) {
      fail(test.name, failures.join("\n"));
    } else {
      console.log(`  ✓ ${test.name} (${ms} ms${told.share === undefined ? "" : `; ${told.share}`})`);
      report({ type: "test", name: test.name, status: "pass", ...took });
    }
  }
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return Math.round((user + system) / 1_000);
}

if (suitePaths.length === 0) throw new Error("usage: runner <report file> <suite.js>…");
for (suite = 0; suite < suitePaths.length; suite++) {
  const [startMs, startCpuMs] = [performance.now(), suite === 0 ? 0 : cpuMs()];
  try {
    await runSuite(suitePaths[suite]!);
  } catch (error) {
    fail("the suite loads", describeError(error));
  }
  report({ type: "ran", ms: Math.round(performance.now() - startMs), cpuMs: cpuMs() - startCpuMs });
}
suite = suitePaths.length - 1;
strayErrors = [];
// Unreferenced: it fires only if something else keeps the process alive.
const graceTimer = setTimeout(() => {
  const resources = process.getActiveResourcesInfo?.().join(", ") ?? "";
  fail("the process ends by itself", `something keeps the process alive after the last test: ${resources}`);
  report({ type: "end" });
  process.exit(1);
}, EXIT_GRACE_MS);
graceTimer.unref();
process.on("exit", () => {
  for (const error of strayErrors) fail("nothing is left unhandled", describeError(error));
  report({ type: "end" });
});
