// Bench processes: starting them, talking to them, pinning them to cores, ending them.
import { execFileSync, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const workerPath = fileURLToPath(new URL("worker/worker.js", import.meta.url));
const COMMAND_TIMEOUT_MS = 30_000;
const STDERR_KEPT = 2_000;

/** One end of a pair. Every command is answered or fails within half a minute; a dead process fails them all. */
export class BenchProcess {
  constructor(runtime, contenderId, environment = {}) {
    this.runtime = runtime;
    this.contenderId = contenderId;
    this.pending = new Map();
    this.nextId = 1;
    this.stderr = "";
    this.child = spawn(runtime.path, [...workerArguments(runtime), contenderId], {
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, ...environment, NODE_NO_WARNINGS: "1", NO_COLOR: "1" },
    });
    this.child.stderr.setEncoding("utf8").on("data", (text) => {
      this.stderr = (this.stderr + text).slice(-STDERR_KEPT);
    });
    this.child.stdin.on("error", () => {});
    this.child.on("error", (error) => this.#end(error));
    this.child.on("exit", (code, signal) => this.#end(new Error(`ended with ${signal ?? code}`)));
    createInterface({ input: this.child.stdout }).on("line", (line) => this.#onLine(line));
  }

  /** Sends one command and resolves with its answer. */
  call(command, parameters = {}, timeoutMs = COMMAND_TIMEOUT_MS) {
    return new Promise((resolve, reject) => {
      if (this.failure !== undefined) {
        reject(this.failure);
        return;
      }
      const id = this.nextId++;
      const timer = setTimeout(() => {
        this.#end(new Error(`no answer to ${command} within ${timeoutMs} ms`));
        this.child.kill("SIGKILL");
      }, timeoutMs);
      this.pending.set(id, { resolve, reject, timer });
      this.child.stdin.write(`${JSON.stringify({ id, command, ...parameters })}\n`);
    });
  }

  #onLine(line) {
    if (!line.startsWith("{")) return;
    const { id, ok, error, ...result } = JSON.parse(line);
    const pending = this.pending.get(id);
    if (pending === undefined) return;
    this.pending.delete(id);
    clearTimeout(pending.timer);
    if (ok) pending.resolve(result);
    else pending.reject(new Error(error));
  }

  #end(reason) {
    if (this.failure !== undefined) return;
    const said = this.stderr.trim();
    this.failure = new Error(
      `${this.contenderId} in ${this.runtime.label}: ${reason.message}${said && `\n${said}`}`,
    );
    for (const { reject, timer } of this.pending.values()) {
      clearTimeout(timer);
      reject(this.failure);
    }
    this.pending.clear();
  }

  /** Lets every thread of the process run on these cores only, e.g. "0" or "0-1". */
  pin(cores) {
    execFileSync("taskset", ["-a", "-c", "-p", cores, String(this.child.pid)], { stdio: "ignore" });
  }

  stop() {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return Promise.resolve();
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    const killer = setTimeout(() => this.child.kill("SIGKILL"), 2_000);
    this.child.stdin.end();
    return ended.finally(() => clearTimeout(killer));
  }
}

/** A server and a client of their own, outside any pool, that end when `use` does. */
export async function withFreshPair(runtime, contender, environment, use) {
  const server = new BenchProcess(runtime, contender.id, environment);
  const client = new BenchProcess(runtime, contender.id, environment);
  try {
    return await use({ server, client });
  } finally {
    await Promise.all([server.stop(), client.stop()]);
  }
}

// Deno finds the control rows' npm packages through package.json, which --no-config would hide.
function workerArguments(runtime) {
  const args = runtime.args.filter((argument) => argument !== "--no-config");
  return runtime.id === "deno" ? [...args, "--node-modules-dir=manual", workerPath] : [...args, workerPath];
}

/**
 * The cores that a process may run on, from the text of its /proc/PID/status: not the machine's first ones in a
 * container with a set of its own.
 *
 * @returns {{ all: string, first: string }} as taskset takes them, e.g. "2-3" and "2"
 */
export function allowedCores(status) {
  const all = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] ?? "0";
  return { all, first: String(Number.parseInt(all, 10)) };
}

/** True where `taskset` can move a process of ours, so that [s] rows exist. */
export function canPin() {
  if (process.platform !== "linux") return false;
  try {
    execFileSync("taskset", ["-c", "-p", String(process.pid)], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
