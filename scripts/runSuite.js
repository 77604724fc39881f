// Runs bundled suites in one runtime, in a child process, and gathers what they report.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const defaultRunner = fileURLToPath(new URL("../build/suites/support/runner.js", import.meta.url));

/** A process that runs longer than this for each of its suites is killed and fails; with every case, much longer. */
const suiteTimeoutMs = () => (process.env.SEALWIRE_EVERY === "1" ? 3_600_000 : 300_000);
const OUTPUT_TAIL_CHARS = 4_000;

/**
 * @typedef {{ name: string, status: "pass" | "fail" | "skip", ms: number, cpuMs?: number, share?: string, error?: string, reason?: string }} CaseResult
 * @typedef {{ cases: CaseResult[], ms: number, cpuMs: number }} SuiteResult ms and cpuMs: 0 where it came to no end
 */

function readReport(path) {
  try {
    return readFileSync(path, "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line));
  } catch (error) {
    if (error.code === "ENOENT") return [];
    throw error;
  }
}

function spawnRunner(runtime, suitePaths, reportPath, options) {
  const { echo, env, filter, names, signal, runner = defaultRunner } = options;
  const timeoutMs = options.timeoutMs ?? suiteTimeoutMs() * suitePaths.length;
  return new Promise((resolve) => {
    const nodeArgs = runtime.id.startsWith("node") ? ["--enable-source-maps"] : [];
    const child = spawn(runtime.path, [...nodeArgs, ...runtime.args, runner, reportPath, ...suitePaths], {
      env: {
        ...process.env,
        ...env,
        ...(filter === undefined ? {} : { SEALWIRE_TEST_FILTER: filter }),
        ...(names === undefined ? {} : { SEALWIRE_TEST_NAMES: names.join("\n") }),
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    let timedOut = false;
    const onData = (chunk) => {
      output = (output + chunk).slice(-OUTPUT_TAIL_CHARS * 4);
      if (echo) process.stdout.write(chunk);
    };
    child.stdout.setEncoding("utf8").on("data", onData);
    child.stderr.setEncoding("utf8").on("data", onData);
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill("SIGKILL");
    }, timeoutMs);
    const stop = () => child.kill("SIGKILL");
    signal?.addEventListener("abort", stop);
    const finish = (exit) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
      resolve({ exit, output });
    };
    child.on("error", (error) => finish(`could not start: ${error.message}`));
    child.on("close", (code, killedBy) => {
      finish(timedOut ? `killed after ${timeoutMs} ms` : (killedBy ?? code));
    });
  });
}

/** What one suite of a process reported; `untold` says why the process told no more, where it did not come to its end. */
function suiteResult(entries, untold, filtered) {
  const cases = entries.filter((entry) => entry.type === "test");
  const started = entries.find((entry) => entry.type === "start");
  const ran = entries.find((entry) => entry.type === "ran");
  const missing = !filtered && started !== undefined && cases.length < started.tests;
  if (ran === undefined || missing)
    cases.push({ name: "the suite runs to its end", status: "fail", ms: 0, error: untold });
  return { cases, ms: ran?.ms ?? 0, cpuMs: ran?.cpuMs ?? 0 };
}

/**
 * Runs bundled suites one after another in one process. A process that dies, hangs, or leaves before its last test is a
 * failed case of the suite that ran then, and of those that it did not come to.
 *
 * @param {ReturnType<typeof import("./runtimes.js").runtimes>[number]} runtime
 * @param {string[]} suitePaths the bundles of the suites
 * @param {object} [options]
 * @param {boolean} [options.echo] pass the child's output on
 * @param {Record<string, string>} [options.env] added to the child's environment
 * @param {string} [options.filter] only tests whose name contains this
 * @param {string[]} [options.names] only tests with one of these names, in which … stands for any text
 * @param {string} [options.runner] the runner bundled together with the suites
 * @param {AbortSignal} [options.signal] kills the process
 * @param {number} [options.timeoutMs] kills the process after so long (300,000 for each suite)
 * @returns {Promise<SuiteResult[]>} in the order of the paths
 */
export async function runSuites(runtime, suitePaths, options = {}) {
  const folder = mkdtempSync(join(tmpdir(), "sealwire-suite-"));
  try {
    const reportPath = join(folder, "report.jsonl");
    const { exit, output } = await spawnRunner(runtime, suitePaths, reportPath, options);
    const entries = readReport(reportPath);
    const untold = `the process ended early or badly (exit: ${exit}); its last output:\n${output.slice(-OUTPUT_TAIL_CHARS)}`;
    const results = suitePaths.map((_, i) =>
      suiteResult(
        entries.filter(({ suite }) => suite === i),
        untold,
        options.filter !== undefined || options.names !== undefined,
      ),
    );
    const failed = results.some(({ cases }) => cases.some(({ status }) => status === "fail"));
    const ended = entries.some(({ type }) => type === "end");
    if (!failed && (exit !== 0 || !ended))
      results.at(-1).cases.push({ name: "the suite runs to its end", status: "fail", ms: 0, error: untold });
    return results;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Runs a bundled suite in a process of its own.
 *
 * @param {Parameters<typeof runSuites>[0]} runtime
 * @param {string} suitePath the suite's bundle
 * @param {Parameters<typeof runSuites>[2]} [options]
 * @returns {Promise<CaseResult[]>}
 */
export async function runSuite(runtime, suitePath, options) {
  const [result] = await runSuites(runtime, [suitePath], options);
  return result.cases;
}
