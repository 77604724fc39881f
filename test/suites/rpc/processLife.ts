// What keeps a process alive: ref() and unref() of clients and servers, and `await using`. Each case is a process of
// its own in the runtime under test, from the built package.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { runtimeId, test } from "../../support/harness.ts";
import { PSK } from "../../support/protocols.ts";
import { checkLeaksAfterEachTest, echo, startServer, waitFor } from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

const entry = pathToFileURL(resolve("dist/index.js")).href;
const head = `
  import { connect, listen } from ${JSON.stringify(entry)};
  const psk = "${PSK}";
  const echo = (message) => message.expectsReply && message.reply(message.body);
  const port = Number(process.env.PORT);
`;

interface Outcome {
  readonly code: number | null;
  readonly lines: string[];
}

/** Runs a program to its end; it is killed, and the code null, when it does not end by itself. */
async function run(
  program: string,
  port = 0,
  whileRunning?: (output: () => string) => Promise<void>,
): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), "sealwire-life-"));
  try {
    const file = join(folder, "program.mjs");
    writeFileSync(file, head + program);
    const args = runtimeId === "deno" ? ["run", "-A", "--no-config", file] : [file];
    const child = spawn(process.execPath, args, {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, PORT: String(port) },
      timeout: 30_000,
    });
    const exited = once(child, "exit");
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      output += chunk;
    });
    await whileRunning?.(() => output);
    const [code] = await exited;
    return { code, lines: output.split("\n").filter((line) => line !== "") };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("a client that was unref'd lets its process end, open connections and heartbeats or not", async () => {
  const server = await startServer({ psk: PSK, onMessage: echo });
  const program = `
    const client = connect({ port, psk, heartbeatIntervalMs: 1_000, keepConnected: true });
    const before = connect({ port, psk });
    before.unref();
    for (const each of [client, before]) console.log((await each.request(new Uint8Array(5))).length);
    client.unref();
  `;
  assert.deepEqual(await run(program, server.port), { code: 0, lines: ["5", "5"] });
});

test("a client of several endpoints that was unref'd lets its process end, before and after they are open", async () => {
  const [a, b] = [
    await startServer({ psk: PSK, onMessage: echo }),
    await startServer({ psk: PSK, onMessage: echo }),
  ];
  const program = `
    const endpoints = process.env.PORTS.split(" ").map((port) => ({ port: Number(port) }));
    const client = connect({ endpoints, psk, heartbeatIntervalMs: 1_000, keepConnected: true });
    const before = connect({ endpoints, psk, heartbeatIntervalMs: 1_000 });
    before.unref();
    for (const each of [client, before]) console.log((await each.request(new Uint8Array(5), { timeoutMs: 20_000 })).length);
    client.unref();
  `;
  process.env.PORTS = `${a.port} ${b.port}`;
  try {
    assert.deepEqual(await run(program), { code: 0, lines: ["5", "5"] });
  } finally {
    delete process.env.PORTS;
  }
});

test("a server with health probes that was unref'd lets its process end", async () => {
  const program = `
    const server = await listen({ port: 0, psk, health: { port: 0 }, maxConnectionAgeMs: 60_000, onMessage: echo });
    server.unref();
    const client = connect({ port: server.port, psk });
    client.unref();
    console.log((await client.request(new Uint8Array(3), { timeoutMs: 20_000 })).length);
  `;
  assert.deepEqual(await run(program), { code: 0, lines: ["3"] });
});

test("a client whose server is gone and that waits to dial again lets its process end when unref'd", async () => {
  const program = `
    const server = await listen({ port: 0, psk });
    const client = connect({ port: server.port, psk, keepConnected: true });
    await client.connected();
    await server.close();
    await client.request(new Uint8Array(1)).catch(() => {});
    client.unref();
    console.log("idle");
  `;
  assert.deepEqual(await run(program), { code: 0, lines: ["idle"] });
});

test("a server that was unref'd lets its process end, with connections or without", async () => {
  const program = `
    const server = await listen({ port: 0, psk, onMessage: echo });
    server.unref();
    const client = connect({ port: server.port, psk });
    console.log((await client.request(new Uint8Array(3))).length);
    client.unref();
  `;
  assert.deepEqual(await run(program), { code: 0, lines: ["3"] });
});

test("a request with a time limit keeps the process of an unref'd client alive until it is answered", async () => {
  const server = await startServer({
    psk: PSK,
    onMessage: async (message) => {
      await new Promise((later) => setTimeout(later, 200));
      message.reply(message.body);
    },
  });
  const program = `
    const client = connect({ port, psk });
    client.unref();
    console.log((await client.request(new Uint8Array(7), { timeoutMs: 20_000 })).length);
  `;
  assert.deepEqual(await run(program, server.port), { code: 0, lines: ["7"] });
});

test("ref takes unref back: the process lives until the connection is closed", async () => {
  const server = await startServer({ psk: PSK, onMessage: echo });
  const program = `
    const client = connect({ port, psk, onConnectionState: (_, state) => console.log(state) });
    client.unref();
    await client.request(new Uint8Array(1));
    client.ref();
    console.log("idle");
  `;
  const outcome = await run(program, server.port, async (output) => {
    await waitFor(() => output().includes("idle"), "the child's request");
    // Time in which a process that nothing keeps alive ends.
    await new Promise((later) => setTimeout(later, 300));
    assert.equal(server.connections.length, 1, "the process has ended though the client was ref'd");
    await server.connections[0]!.close();
  });
  assert.deepEqual(outcome, { code: 0, lines: ["open", "idle", "draining", "closed"] });
});

test("clients, servers and connections close at the end of `await using`", async () => {
  const program = `
    const states = [];
    const server = await listen({ port: 0, psk, onMessage: echo });
    const client = connect({ port: server.port, psk, onConnectionState: (_, state) => states.push(state) });
    const connection = await client.connected();
    await connection[Symbol.asyncDispose]();
    console.log(connection.state);
    console.log((await client.request(new Uint8Array(2))).length);
    await client[Symbol.asyncDispose]();
    await client.request(new Uint8Array(1)).catch((error) => console.log(error.code));
    await server[Symbol.asyncDispose]();
    console.log(states.filter((state) => state === "closed").length);
  `;
  assert.deepEqual(await run(program), { code: 0, lines: ["closed", "2", "ERR_CLOSED", "2"] });
});
