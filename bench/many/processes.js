// Processes that the commands of this folder start, the lines of JSON that those print, and the processor time that the
// system has counted for them (Linux).
import { execFileSync, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const WAIT_MS = 240_000;
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
    if (performance.now() > end) throw new Error(`waited too long for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export class Program {
  entries = [];

  constructor(runtime, script, args = [], env = {}) {
    const command = [...runtime.args, script, ...args];
    this.child = spawn(runtime.path, command, {
      env: { ...process.env, ...env },
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.exited = new Promise((resolve) => this.child.on("exit", resolve));
    createInterface({ input: this.child.stdout }).on("line", (line) => {
      if (line.startsWith("{")) this.entries.push(JSON.parse(line));
    });
  }

  all(key) {
    return this.entries.filter((entry) => key in entry);
  }

  async first(key) {
    await until(() => this.all(key).length > 0, key);
    return this.all(key)[0];
  }

  async end(signal = "SIGTERM") {
    this.child.kill(signal);
    await this.exited;
  }
}

export function median(values) {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}
