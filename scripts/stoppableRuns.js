// Long runs of programs that count what they try. A terminal sends Ctrl-C to all processes. A signal that reaches only
// the starting process is passed on, so that the program can print its counts. One that does not end soon is killed: it
// is in a loop that no signal's handler interrupts.
import { spawn } from "node:child_process";
import { once } from "node:events";

/** Longer than a program waits for what it does (test/fuzz/main.ts). */
const KILLED_AFTER_MS = 12_000;

/** Programs one after the other, until SIGINT or SIGTERM. */
export class StoppableRuns {
  stopped = false;
  #child;
  #timer;

  /** `killedAfterMs`: how long a program may take to end after a signal. A second signal kills it at once. */
  constructor(killedAfterMs = KILLED_AFTER_MS) {
    for (const signal of ["SIGINT", "SIGTERM"]) {
      process.on(signal, () => {
        if (this.stopped) this.#kill();
        else this.#timer = setTimeout(() => this.#kill(), killedAfterMs).unref();
        this.stopped = true;
        this.#child?.kill(signal);
      });
    }
  }

  #kill() {
    if (this.#child === undefined) return;
    console.error(`it does not end, and is killed: ${this.#child.spawnargs.join(" ").slice(0, 200)}`);
    this.#child.kill("SIGKILL");
  }

  /**
   * Runs a program whose output is this one's, unless they were stopped. A status other than 0 becomes this process's.
   *
   * @param {string} path
   * @param {string[]} args
   * @returns {Promise<boolean>} whether its status was 0
   */
  async run(path, args) {
    if (this.stopped) return false;
    this.#child = spawn(path, args, { stdio: "inherit" });
    const [status] = await once(this.#child, "close");
    this.#child = undefined;
    clearTimeout(this.#timer);
    if (status !== 0) process.exitCode = 1;
    return status === 0;
  }
}
