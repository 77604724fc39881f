// Processes that work on one file of known peers at the same time. A suite that starts them is its own program: its
// first statement calls `runWriter`, which takes over if the process is such a child.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { knownPeers } from "../../src/peers/knownPeers.ts";
import { decodeKey } from "../../src/protocol/noise/keys.ts";
import { runtimeId } from "./harness.ts";

/** One call of a writer. `firstUse` authorizes as a client that dialled `name`. */
export interface WriterStep {
  call: "add" | "remove" | "firstUse";
  name: string;
  key: string;
}

const VARIABLE = "SEALWIRE_TEST_WRITER";
const WRITER_TIMEOUT_MS = 50_000;

export const isWriter = process.env[VARIABLE] !== undefined;

/** What a writer is asked on one line; it answers "ready", waits for the word, takes its steps, prints the outcomes. */
interface Job {
  path: string;
  steps: readonly WriterStep[];
}

/** What the child does: one job after another, until its input ends. */
export async function runWriter(): Promise<void> {
  let job: Job | undefined;
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === "go") process.stdout.write(`${JSON.stringify(await outcomesOf(job!))}\n`);
    else {
      job = JSON.parse(line) as Job;
      process.stdout.write("ready\n");
    }
  }
  process.exit();
}

async function outcomesOf({ path, steps }: Job): Promise<string[]> {
  const peers = knownPeers(path);
  const outcomes: string[] = [];
  for (const { call, name, key } of steps) {
    try {
      if (call === "add") await peers.add(name, key);
      else if (call === "remove") await peers.remove(name, key);
      else
        await peers.authorize(decodeKey("key", key), { role: "client", remoteAddress: name, protocol: "" });
      outcomes.push("done");
    } catch (error) {
      outcomes.push(String((error as { code?: unknown }).code ?? error));
    }
  }
  return outcomes;
}

/** One child, and the lines that it prints. */
class Writer {
  readonly child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(command: string, args: readonly string[]) {
    this.child = spawn(command, args, {
      env: { ...process.env, [VARIABLE]: "1" },
      stdio: ["pipe", "pipe", "inherit"],
      timeout: WRITER_TIMEOUT_MS,
    });
    this.#lines = createInterface({ input: this.child.stdout! })[Symbol.asyncIterator]();
  }

  /** Writes a line; resolves with the one that is the answer. */
  async ask(line: string): Promise<string> {
    this.child.stdin!.write(`${line}\n`);
    const { done, value } = await this.#lines.next();
    if (done) throw new Error("a writer ended early");
    return value;
  }
}

/**
 * Processes that stay for several runs: a runtime takes longer to start than a writer to write.
 *
 * @param launcher a command and arguments that start the command which follows them
 */
export async function withWriters(
  suite: string,
  count: number,
  body: (
    run: (path: string, lists: readonly (readonly WriterStep[])[]) => Promise<string[][]>,
  ) => Promise<void>,
  launcher: readonly string[] = [],
): Promise<void> {
  const runtime = runtimeId === "deno" ? ["run", "-A", "--no-config"] : [];
  const [command, ...args] = [...launcher, process.execPath, ...runtime, fileURLToPath(suite)] as [string];
  const writers = Array.from({ length: count }, () => new Writer(command, args));
  try {
    // All take their steps from the same moment on. The outcomes: "done", or an error's code.
    await body(async (path, lists) => {
      assert.equal(lists.length, count);
      const jobs = lists.map((steps): Job => ({ path, steps }));
      await Promise.all(jobs.map((job, i) => writers[i]!.ask(JSON.stringify(job))));
      const outcomes = await Promise.all(writers.map((writer) => writer.ask("go")));
      return outcomes.map((line) => JSON.parse(line) as string[]);
    });
  } finally {
    await Promise.all(writers.map(({ child }) => stopped(child)));
  }
}

async function stopped(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await exited;
}
