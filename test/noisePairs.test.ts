// Protocol v2's handshakes between every two runtimes, each end in a process of its own: every pattern that options
// lead to, and the client's error if the options of the two ends do not fit.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bundle } from "../scripts/bundleSuites.js";
import { runtimes } from "../scripts/runtimes.js";
import { type CaseResult, cases } from "./support/noisePeer.ts";

const folder = fileURLToPath(new URL("../build/noise-pairs", import.meta.url));
const peer = join(folder, "support/noisePeer.js");
const found = runtimes();
type Runtime = (typeof found)[number];

const running: ChildProcess[] = [];

function start(runtime: Runtime, args: string[]): { child: ChildProcess; line: Promise<string> } {
  const child = spawn(runtime.path, [...runtime.args, peer, ...args], { stdio: ["pipe", "pipe", "inherit"] });
  running.push(child);
  let output = "";
  const line = new Promise<string>((resolve, reject) => {
    child.stdout!.setEncoding("utf8").on("data", (chunk) => {
      output += chunk;
      if (output.includes("\n")) resolve(output);
    });
    child.on("error", reject);
    child.on("close", (code) => reject(new Error(`${runtime.label} ended with ${code} and printed nothing`)));
  });
  return { child, line };
}

beforeAll(() => bundle(["test/support/noisePeer.ts"], folder));
afterAll(() => {
  for (const child of running) if (child.exitCode === null) child.kill();
});

for (const serverRuntime of found) {
  describe(`server on ${serverRuntime.label}`, () => {
    let server: ReturnType<typeof start>;
    let ports: string;

    beforeAll(async () => {
      server = start(serverRuntime, ["server"]);
      ports = (await server.line).trim();
    });

    for (const clientRuntime of found) {
      test(`client on ${clientRuntime.label}: every pattern, every misfit`, async () => {
        const client = start(clientRuntime, ["client", ports]);
        const results = JSON.parse(await client.line) as Record<string, CaseResult>;
        const expected = Object.entries(cases).map(([name, { expected }]) => [
          name,
          { outcome: expected, agreed: !expected.startsWith("ERR_") },
        ]);
        expect(results).toEqual(Object.fromEntries(expected));
      });
    }

    afterAll(async () => {
      if (server.child.exitCode !== null)
        throw new Error(`the server ended early with ${server.child.exitCode}`);
      const ended = once(server.child, "close");
      server.child.stdin!.end();
      const [code] = await ended;
      expect(code).toBe(0);
    });
  });
}
