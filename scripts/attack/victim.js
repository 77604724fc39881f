// The server that is attacked, as a process of its own, and what the kernel says of a process.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** A second has so many ticks in /proc. */
const TICKS = 100;
const program = fileURLToPath(new URL("../../test/load/victimServer.js", import.meta.url));

/** Processor milliseconds and resident bytes of a process. */
export function usage(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return {
    cpuMs: ((Number(fields[11]) + Number(fields[12])) * 1_000) / TICKS,
    bytes: Number(/VmRSS:\s+(\d+)/.exec(status)[1]) * 1_024,
  };
}

export class Victim {
  #lines;
  port = 0;

  constructor(runtime, psk, waiting) {
    const args = [...runtime.args, program, psk, `${waiting}`];
    this.process = spawn(runtime.path, args, { stdio: ["pipe", "pipe", "ignore"] });
    this.process.stdin.on("error", () => {}); // the next line that is missing says it
    this.#lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]();
  }

  async #line() {
    const { value } = await this.#lines.next();
    if (value === undefined) throw new Error("the server is gone");
    return JSON.parse(value);
  }

  async listening() {
    this.port = await this.#line();
  }

  /** How late its event loop was since this was last asked. */
  async lateness() {
    this.process.stdin.write("\n");
    return this.#line();
  }

  async stop() {
    const gone = once(this.process, "exit");
    this.process.stdin.end();
    await gone;
  }
}
