// A second process of the machine's Node, from a few lines of source. It prints a number first, then lines.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { expireAfter } from "./patience.ts";

const WAIT_MS = 20_000;

export interface HelperProcess {
  /** The number that it printed first. */
  readonly port: number;
  /** Writes a line to its standard input. */
  tell(line: string): void;
  /** Resolves when it has printed this line. */
  heard(line: string): Promise<void>;
  /** Kills it, and resolves when it is gone. */
  stop(): Promise<void>;
}

/** Reads whole lines, those that were printed before they are waited for, too. */
class Lines {
  readonly #lines: string[] = [];
  #rest = "";
  #wake: (() => void) | undefined;

  add(text: string): void {
    const parts = (this.#rest + text).split("\n");
    this.#rest = parts.pop()!;
    this.#lines.push(...parts);
    this.#wake?.();
  }

  async find(fits: (line: string) => boolean): Promise<string> {
    let isOver = false;
    const endWait = expireAfter(WAIT_MS, () => {
      isOver = true;
      this.#wake?.();
    });
    try {
      for (;;) {
        const found = this.#lines.find(fits);
        if (found !== undefined) return found;
        if (isOver) throw new Error(`the helper printed only: ${this.#lines.join(", ")}`);
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      endWait();
    }
  }
}

/** Starts ES module source in Node, whichever runtime this is. */
export async function startHelper(source: string): Promise<HelperProcess> {
  const child: ChildProcess = spawn("node", ["--input-type=module", "--eval", source], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  const lines = new Lines();
  child.stdout!.setEncoding("utf8").on("data", (text: string) => lines.add(text));
  const port = Number(await lines.find((line) => /^\d+$/.test(line)));
  return {
    port,
    tell: (line) => {
      child.stdin!.write(`${line}\n`);
    },
    heard: async (wanted) => {
      await lines.find((line) => line === wanted);
    },
    stop: async () => {
      child.kill("SIGKILL");
      await exited;
    },
  };
}
