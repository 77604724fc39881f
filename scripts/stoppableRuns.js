// Long runs of programs that count what they try. A terminal sends Ctrl-C to all processes. A signal that reaches only
// the starting process is passed on, so that the program can print its counts.
import { spawn } from "node:child_process";
import { once } from "node:events";

/** Programs one after the other, until SIGINT or SIGTERM. */
export class StoppableRuns {
  stopped = false;
  #child;

  constructor() {
    for (const signal of ["SIGINT", "SIGTERM"]) {
      process.on(signal, () => {
        this.stopped = true;
        this.#child?.kill(signal);
      });
    }
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
    if (status !== 0) process.exitCode = 1;
    return status === 0;
  }
}
