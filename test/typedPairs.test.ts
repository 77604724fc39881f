// Typed calls between every two runtimes: values, errors, streams, cancel, and back. One process for each runtime, which
// serves, and calls the others one after the other. Needs dist/.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runtimes } from "../scripts/runtimes.js";

const script = fileURLToPath(new URL("support/typedPeer.js", import.meta.url));

class Peer {
  readonly child;
  readonly #lines;
  port = 0;

  constructor({ path, args }: { path: string; args: string[] }) {
    this.child = spawn(path, [...args, script], { stdio: ["pipe", "pipe", "inherit"] });
    this.#lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  async read(): Promise<Record<string, unknown>> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("the process ended");
    return JSON.parse(value);
  }

  async check(port: number): Promise<Record<string, unknown>> {
    this.child.stdin.write(`${port}\n`);
    return this.read();
  }
}

const found = runtimes();
const peers = new Map<string, Peer>();

beforeAll(async () => {
  for (const runtime of found) peers.set(runtime.id, new Peer(runtime));
  for (const peer of peers.values()) peer.port = Number((await peer.read()).port);
}, 60_000);

afterAll(async () => {
  for (const { child } of peers.values()) {
    child.stdin.end();
    if (child.exitCode === null) await once(child, "exit");
  }
}, 60_000);

for (const server of found) {
  describe(`typed calls to ${server.label}`, () => {
    for (const client of found.filter(({ id }) => id !== server.id)) {
      test(`from ${client.label}: values, errors, streams, cancel, and back`, async () => {
        const result = await peers.get(client.id)!.check(peers.get(server.id)!.port);
        expect(result).toEqual({
          found: { values: "ok", errors: "ok", streams: "ok", cancel: "ok", "one way and back": "ok" },
          inFlightRequests: 0,
        });
      }, 60_000);
    }
  });
}
