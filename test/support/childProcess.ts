// Processes that tests start in a runtime, and the lines of JSON that they print.

import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { Patience } from "./patience.ts";

const WAIT_MS = 30_000;

export interface Runtime {
  readonly path: string;
  readonly args: readonly string[];
}

type Entry = Record<string, unknown>;

export class JsonProcess {
  readonly child: ChildProcess;
  readonly entries: Entry[] = [];
  readonly exited: Promise<number | null>;
  errors = "";

  constructor(
    { path, args }: Runtime,
    script: string,
    rest: readonly string[],
    options: { env?: Record<string, string>; inherit?: number } = {},
  ) {
    const { env, inherit } = options;
    this.child = spawn(path, [...args, script, ...rest], {
      env: { ...process.env, ...env },
      stdio: inherit === undefined ? ["ignore", "pipe", "pipe"] : ["ignore", "pipe", "pipe", inherit],
    });
    this.exited = new Promise((resolve) => this.child.on("exit", resolve));
    this.child.stderr!.on("data", (text) => {
      this.errors += text;
    });
    createInterface({ input: this.child.stdout! }).on("line", (line) => {
      if (line.startsWith("{")) this.entries.push(JSON.parse(line));
    });
  }

  /** The first entry, from the `from`-th on, that has this key. */
  async entryWith(key: string, from = 0): Promise<Entry> {
    await until(() => this.entries.slice(from).some((entry) => key in entry), `${key} from ${this.errors}`);
    return this.entries.slice(from).find((entry) => key in entry)!;
  }

  all(key: string): Entry[] {
    return this.entries.filter((entry) => key in entry);
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  async stop(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.exited;
  }
}

/** Waits until `ready` holds, for `withinMs` at most. */
export async function until(
  ready: () => boolean | Promise<boolean>,
  what: string,
  withinMs = WAIT_MS,
): Promise<void> {
  const patience = new Patience(withinMs);
  while (!(await ready())) {
    if (patience.look() === 0) throw new Error(`waited too long for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
