// Processes that the commands of this folder start, the lines of JSON that they print, and the processor time that the
// system has counted for them (Linux). None of them outlives the command.
import { execFileSync, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";

const WAIT_MS = 90_000;
const ticksPerSecond = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));

/** User and system time of a process so far, in milliseconds; as exact as the system's tick (10 ms). */
export function processorMs(pid) {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  // Fields behind the name, which may hold anything; the 12th and 13th are utime and stime.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return ((Number(fields[11]) + Number(fields[12])) * 1_000) / ticksPerSecond;
}

/** Resident memory of a process, in bytes. */
export function residentBytes(pid) {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) * 1_024;
}

export async function until(ready, what) {
  const end = performance.now() + WAIT_MS;
  while (!ready()) {
    if (performance.now() > end) throw new Error(`waited ${WAIT_MS / 1_000} s for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const running = new Set();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));

export class Program {
  entries = [];
  #hasExited = false;

  constructor(runtime, script, args = [], env = {}) {
    const command = [...runtime.args, script, ...args];
    this.child = spawn(runtime.path, command, {
      env: { ...process.env, ...env },
      stdio: ["pipe", "pipe", "inherit"],
    });
    running.add(this.child);
    this.exited = new Promise((resolve) => {
      this.child.on("exit", () => {
        this.#hasExited = true;
        running.delete(this.child);
        resolve();
      });
    });
    // Who has exited can't be told anything; that is noticed where its answer is waited for.
    this.child.stdin.on("error", () => {});
    createInterface({ input: this.child.stdout }).on("line", (line) => {
      if (line.startsWith("{")) this.entries.push(JSON.parse(line));
    });
  }

  all(key) {
    return this.entries.filter((entry) => key in entry);
  }

  /** Waits until there are more than `seen` entries with this key; the first one of those that are new. */
  async next(key, seen = 0) {
    await until(() => this.all(key).length > seen || this.#hasExited, key);
    if (this.all(key).length <= seen) throw new Error(`a process ended before it told ${key}`);
    return this.all(key)[seen];
  }

  first(key) {
    return this.next(key);
  }

  async end(signal = "SIGTERM") {
    this.child.kill(signal);
    await this.exited;
  }
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}
