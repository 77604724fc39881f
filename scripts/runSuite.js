// Runs one bundled suite in one runtime, in a child process, and gathers what it reports.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const defaultRunner = fileURLToPath(new URL("../build/suites/support/runner.js", import.meta.url));

/** A suite that runs longer than this is killed and fails. */
const SUITE_TIMEOUT_MS = 300_000;
const OUTPUT_TAIL_CHARS = 4_000;

/**
 * @typedef {{ name: string, status: "pass" | "fail" | "skip", ms: number, error?: string, reason?: string }} CaseResult
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

function spawnRunner(runtime, suitePath, reportPath, options) {
  const { echo, env, filter, signal, timeoutMs = SUITE_TIMEOUT_MS, runner = defaultRunner } = options;
  return new Promise((resolve) => {
    const nodeArgs = runtime.id.startsWith("node") ? ["--enable-source-maps"] : [];
    const child = spawn(runtime.path, [...nodeArgs, ...runtime.args, runner, suitePath, reportPath], {
      env: { ...process.env, ...env, ...(filter === undefined ? {} : { SEALWIRE_TEST_FILTER: filter }) },
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

/**
 * Runs a bundled suite. A process that dies, hangs, or leaves before its last test is a failed case of its own.
 *
 * @param {ReturnType<typeof import("./runtimes.js").runtimes>[number]} runtime
 * @param {string} suitePath the suite's bundle
 * @param {object} [options]
 * @param {boolean} [options.echo] pass the child's output on
 * @param {Record<string, string>} [options.env] added to the child's environment
 * @param {string} [options.filter] only tests whose name contains this
 * @param {string} [options.runner] the runner bundled together with the suite
 * @param {AbortSignal} [options.signal] kills the process
 * @param {number} [options.timeoutMs] kills the process after so long (300,000)
 * @param {(ms: number) => void} [options.onCpuTime] is told the processor time that a process took which came to its end
 * @returns {Promise<CaseResult[]>}
 */
export async function runSuite(runtime, suitePath, options = {}) {
  const folder = mkdtempSync(join(tmpdir(), "sealwire-suite-"));
  try {
    const reportPath = join(folder, "report.jsonl");
    const { exit, output } = await spawnRunner(runtime, suitePath, reportPath, options);
    const entries = readReport(reportPath);
    const cases = entries.filter((entry) => entry.type === "test");
    const started = entries.find((entry) => entry.type === "start");
    const end = entries.findLast((entry) => entry.type === "end");
    if (end?.cpuMs !== undefined) options.onCpuTime?.(end.cpuMs);
    const finished = end !== undefined;
    const anyFailed = cases.some((result) => result.status === "fail");
    const missing = options.filter === undefined && started !== undefined && cases.length < started.tests;
    if (!finished || missing || (exit !== 0 && !anyFailed)) {
      const error = `the process ended early or badly (exit: ${exit}); its last output:\n${output.slice(-OUTPUT_TAIL_CHARS)}`;
      cases.push({ name: "the suite runs to its end", status: "fail", ms: 0, error });
    }
    return cases;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
