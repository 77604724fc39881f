// Processes that work on one file of known peers at the same time. A suite that starts them is its own program:
// its first statement hands over to `runWriter` when the process is such a child.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
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

/** What the child does: says that it is there, waits for the word, takes its steps, prints the outcomes. */
export async function runWriter(): Promise<void> {
  const { path, steps } = JSON.parse(process.env[VARIABLE]!) as { path: string; steps: WriterStep[] };
  process.stdout.write("ready\n");
  await new Promise((resolve) => process.stdin.once("data", resolve));
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
  process.stdout.write(`${JSON.stringify(outcomes)}\n`, () => process.exit());
}

/**
 * Runs a process per list of steps, all from the same moment on. The outcomes: "done", or an error's code.
 *
 * @param launcher a command and arguments that start the command which follows them
 */
export async function runWriters(
  suite: string,
  path: string,
  lists: readonly (readonly WriterStep[])[],
  launcher: readonly string[] = [],
): Promise<string[][]> {
  const runtime = runtimeId === "deno" ? ["run", "-A", "--no-config"] : [];
  const [command, ...args] = [...launcher, process.execPath, ...runtime, fileURLToPath(suite)] as [string];
  const children = lists.map((steps) =>
    spawn(command, args, {
      env: { ...process.env, [VARIABLE]: JSON.stringify({ path, steps }) },
      stdio: ["pipe", "pipe", "inherit"],
      timeout: WRITER_TIMEOUT_MS,
    }),
  );
  try {
    const outputs = children.map(collect);
    await Promise.all(outputs.map((output) => output.firstLine));
    for (const child of children) child.stdin!.write("go\n");
    const texts = await Promise.all(outputs.map((output) => output.whole));
    return texts.map((text) => JSON.parse(text.split("\n")[1] ?? "[]") as string[]);
  } finally {
    for (const child of children) child.kill("SIGKILL");
  }
}

function collect(child: ChildProcess): { firstLine: Promise<void>; whole: Promise<string> } {
  let text = "";
  let onLine: () => void;
  const firstLine = new Promise<void>((resolve) => {
    onLine = resolve;
  });
  child.stdout!.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
    if (text.includes("\n")) onLine();
  });
  const whole = new Promise<string>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", () => {
      onLine();
      try {
        assert.match(text, /^ready\n\[/, "a writer ended early");
        resolve(text);
      } catch (error) {
        reject(error);
      }
    });
  });
  return { firstLine, whole };
}
