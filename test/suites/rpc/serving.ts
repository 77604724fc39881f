// The life of a server: ready, draining, stopped, and how clients learn of it; connections that get too old; signals.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, constants, fstatSync, mkdtempSync, openSync, rmSync } from "node:fs";
import * as net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ownSockets } from "../../../src/entry/pickAdapter.ts";
import { SIGNAL_ONCE_MS, SignalRepeats } from "../../../src/entry/signalCount.ts";
import {
  type Call,
  type Connection,
  closeOnSignal,
  generateKeyPair,
  type Health,
  listen,
  type Message,
  type Server,
  type ServerOptions,
} from "../../../src/index.ts";
import { noise } from "../../../src/noise.ts";
import { HealthProbes } from "../../../src/rpc/healthProbes.ts";
import { freePort } from "../../support/freePorts.ts";
import { test } from "../../support/harness.ts";
import { v1, v2 } from "../../support/protocols.ts";
import { RawPeer } from "../../support/rawPeer.ts";
import {
  checkLeaksAfterEachTest,
  deferred,
  echo,
  rejectsWith,
  sleep,
  startClient,
  startPair,
  startServer,
  text,
  throwsWith,
  waitFor,
} from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

/** What comes back for `request` until the server closes. Empty where nobody listens. */
function ask(where: net.NetConnectOpts, request: string, pieceBytes = request.length): Promise<string> {
  return new Promise((resolve) => {
    let answer = "";
    const socket = net.connect(where, async () => {
      for (let at = 0; at < request.length; at += pieceBytes) {
        await new Promise((written) => socket.write(request.slice(at, at + pieceBytes), written));
      }
    });
    socket.setNoDelay(true);
    socket.setEncoding("latin1").on("data", (part: string) => {
      answer += part;
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(answer));
  });
}

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: probe\r\n\r\n`;

test("health is told by callback and by HTTP, from ready to stopped", async () => {
  const told: Health[] = [];
  const release = deferred();
  const server = await startServer({
    ...v2.options,
    health: { port: 0 },
    onHealth: (health) => told.push(health),
    onMessage: async (message) => {
      await release.promise;
      message.reply(message.body);
    },
  });
  assert.equal(server.health, "ready");
  assert.notEqual(server.healthPort, server.port);
  const where = { host: "127.0.0.1", port: server.healthPort };
  assert.match(await ask(where, get("/readyz")), /^HTTP\/1\.1 200 OK\r\n.*\r\n\r\nready\n$/s);
  const client = startClient({ ...v2.options, port: server.port });
  const answer = client.request(text("x"));
  await waitFor(() => server.connections.length === 1, "the connection");
  const closed = server.close();
  assert.equal(server.health, "draining");
  assert.match(
    await ask(where, get("/readyz")),
    /^HTTP\/1\.1 503 Service Unavailable\r\n.*\r\n\r\ndraining\n$/s,
  );
  assert.match(await ask(where, get("/livez")), /^HTTP\/1\.1 200 /);
  release.resolve();
  await answer;
  await closed;
  assert.equal(server.health, "stopped");
  assert.equal(await ask(where, get("/livez")), "");
  assert.deepEqual(told, ["ready", "draining", "stopped"]);
});

test("the health responder takes any pace, tells what it does not know, and cuts what is no probe", async () => {
  const server = await startServer({ ...v2.options, health: { host: "127.0.0.1", port: 0 } });
  const where = { host: "127.0.0.1", port: server.healthPort };
  for (const [request, wanted] of [
    [get("/"), /^HTTP\/1\.1 200 .*Content-Length: 6\r\n.*\r\n\r\nready\n$/s],
    ["HEAD /readyz HTTP/1.0\r\n\r\n", /^HTTP\/1\.1 200 (.|\r|\n)*\r\n\r\n$/],
    ["OPTIONS / HTTP/1.0\r\n\r\n", /^HTTP\/1\.1 200 (.|\r|\n)*\r\n\r\n$/],
    [get("/readyz?verbose=1"), /^HTTP\/1\.1 200 /],
    [get("/else"), /^HTTP\/1\.1 404 /],
    ["POST / HTTP/1.1\r\n\r\n", /^HTTP\/1\.1 405 /],
    ["what\r\n\r\n", /^HTTP\/1\.1 400 /],
    [`GET / HTTP/1.1\r\nX: ${"x".repeat(4_100)}\r\n\r\n`, /^$/],
  ] as const) {
    assert.match(await ask(where, request), wanted);
    if (request.length < 100) assert.match(await ask(where, request, 1), wanted);
  }
  const silent = Array.from({ length: 80 }, () => net.connect(where));
  for (const socket of silent) socket.on("error", () => {});
  let closed = 0;
  for (const socket of silent) socket.resume().on("close", () => closed++);
  await waitFor(() => closed >= 16, "those above 64 to be closed");
  // Sockets that say nothing keep no probe out.
  assert.match(await ask(where, get("/")), /^HTTP\/1\.1 200 /);
  await server.close();
  await waitFor(() => closed === 80, "all to be closed with the server");
});

test("further pages are JSON in UTF-8, of any length, and no name that every object has is one", async () => {
  const page = { text: "\u00e9\u{1f511}".repeat(200_000) };
  const probes = new HealthProbes(() => "ready", { "/big": () => page });
  await probes.listen(ownSockets(), { host: "127.0.0.1", port: 0 });
  const where = { host: "127.0.0.1", port: probes.port };
  const answer = await ask(where, "GET /big HTTP/1.1\r\n\r\n");
  const [head, body] = answer.split("\r\n\r\n") as [string, string];
  const bytes = Buffer.from(body, "latin1");
  assert.match(head, /^HTTP\/1\.1 200 OK\r\nContent-Type: application\/json\r\n/);
  assert.equal(Number(/Content-Length: (\d+)/.exec(head)![1]), bytes.length);
  assert.deepEqual(JSON.parse(bytes.toString()), page);
  for (const path of ["/toString", "__proto__", "/big/"])
    assert.match(await ask(where, `GET ${path} HTTP/1.1\r\n\r\n`), /^HTTP\/1\.1 404 /);
  await probes.close();
});

test("the health responder on a Unix socket", async () => {
  const path = join(tmpdir(), `sealwire-health-${process.pid}`);
  const server = await startServer({ ...v2.options, health: { path } });
  assert.equal(server.healthPort, 0);
  assert.match(await ask({ path }, get("/")), /^HTTP\/1\.1 200 /);
});

test("an address that health can't have fails the start, and nothing is left", async () => {
  const server = await startServer({ ...v2.options });
  const options = { ...v2.options, health: { port: server.port } };
  await rejectsWith(startServer(options), "ERR_LISTEN_FAILED");
  await rejectsWith(
    startServer({ ...v2.options, port: server.port, health: { port: 0 } }),
    "ERR_LISTEN_FAILED",
  );
});

test("close with a grace serves on, new connections too, and says that it drains", async () => {
  const port = await freePort();
  const { server, client } = await startPair({ ...v2.options, port, onMessage: echo }, v2.options);
  await client.request(text("before"));
  const closed = server.close({ graceMs: 60_000 });
  assert.equal(server.health, "draining");
  await client.request(text("in the grace"));
  const late = startClient({ ...v2.options, port: server.port });
  await late.request(text("a new connection"));
  assert.equal(server.connections.length, 2);
  assert.equal(server.close(), closed, "a call without a grace cuts it short");
  await closed;
  assert.equal(server.health, "stopped");
  await rejectsWith(startClient({ ...v2.options, port: server.port }).request(text("x")), "ERR_DIAL_FAILED");
});

test("a grace ends by itself, and a longer one later does not stretch it", async () => {
  const { server, client } = await startPair({ ...v2.options, onMessage: echo }, v2.options);
  await client.request(text("before"));
  const closed = server.close({ graceMs: 50 });
  server.close({ graceMs: 60_000 });
  await closed;
  assert.equal(server.health, "stopped");
  for (const graceMs of [-1, 1.5, Number.NaN, 0x80000000])
    throwsWith(() => server.close({ graceMs }), "ERR_INVALID_ARGUMENT");
});

test("a connection that is too old is drained: its calls finish, and the client goes on with another", async () => {
  const answered: Connection[] = [];
  const states: string[] = [];
  const release = deferred();
  let calls = 0;
  const { server, client } = await startPair(
    {
      ...v2.options,
      // The next connection gets old, too: not before the first one is closed, also on a machine that is late.
      maxConnectionAgeMs: 3_000,
      onConnectionState: (_connection, state, error) => states.push(`${state}${error ?? ""}`),
      onMessage: async (message) => {
        answered.push(message.connection);
        if (calls++ === 0) await release.promise;
        message.reply(message.body);
      },
    },
    { ...v2.options, maxConnections: 2 },
  );
  const first = client.request(text("held across the drain"));
  await waitFor(() => client.connections.length === 1, "the connection");
  await waitFor(() => client.connections.length === 0, "its age to end");
  await client.request(text("on the next one"));
  assert.notEqual(answered[1], answered[0]);
  release.resolve();
  assert.equal(new TextDecoder().decode(await first), "held across the drain");
  await waitFor(() => states.includes("closed"), "the old one to close");
  assert.deepEqual(states.slice(0, 4), ["open", "draining", "open", "closed"]);
  await server.close();
});

/** Answers a stream item by item. */
const mirror = async (message: Message): Promise<void> => {
  for await (const item of message) await message.write(item);
  message.reply(message.body);
};

/** Sends an item into a mirrored stream and waits until it is back. */
async function mirrored(call: Call, items: AsyncIterator<Uint8Array>, item: string): Promise<void> {
  await call.write(text(item));
  assert.equal(new TextDecoder().decode((await items.next()).value), item);
}

test("a stream goes on when its connection is too old, to its end", async () => {
  const { server, client } = await startPair(
    { ...v2.options, maxConnectionAgeMs: 1_000, drainTimeoutMs: 60_000, onMessage: mirror },
    { ...v2.options, maxConnections: 2 },
  );
  const call = client.call(text("answer"));
  const items = call[Symbol.asyncIterator]();
  await mirrored(call, items, "before");
  await waitFor(() => client.connections.length === 0, "its age to end");
  for (const item of ["in the drain", "and on"]) await mirrored(call, items, item);
  call.end();
  assert.equal((await items.next()).done, true);
  assert.equal(new TextDecoder().decode(await call.answer), "answer");
  await server.close();
});

test("a stream goes on through the grace of a server that closes, and is cut when the time of its drain is over", async () => {
  const { server, client } = await startPair(
    { ...v2.options, drainTimeoutMs: 100, onMessage: mirror },
    { ...v2.options },
  );
  const call = client.call(text("answer"));
  const items = call[Symbol.asyncIterator]();
  await mirrored(call, items, "before");
  const closing = server.close({ graceMs: 60_000 });
  await mirrored(call, items, "in the grace");
  // Ends the grace.
  const closed = server.close();
  const error = await rejectsWith(items.next() as Promise<unknown>, "ERR_CONNECTION_LOST");
  assert.equal(error.notBegun, false);
  await rejectsWith(call.answer, "ERR_CONNECTION_LOST");
  await Promise.all([closing, closed]);
});

test("options that are none are refused, and the message names them", async () => {
  const wrong: [Partial<ServerOptions>, RegExp][] = [
    [{ maxConnectionAgeMs: 999 }, /maxConnectionAgeMs/],
    [{ ...v1.options, psk: undefined, maxConnectionAgeMs: 5_000 } as ServerOptions, /./],
    [{ health: {} as { port: number } }, /port/],
    [{ health: { port: 0, path: "x" } as { port: number } }, /path/],
    [{ health: 80 as unknown as { port: number } }, /health/],
    [{ onHealth: 1 as unknown as () => void }, /onHealth/],
    [{ fd: 3 }, /fd/],
    [{ reusePort: 1 as unknown as boolean }, /reusePort/],
  ];
  for (const [options, named] of wrong) {
    const error = await rejectsWith(startServer({ ...v2.options, ...options }), "ERR_INVALID_ARGUMENT");
    assert.match(error.message, named);
  }
  const v1Options = { ...v1.options, maxConnectionAgeMs: 5_000 };
  assert.match(
    (await rejectsWith(startServer(v1Options), "ERR_INVALID_ARGUMENT")).message,
    /maxConnectionAgeMs/,
  );
});

test("a server has the options that it was given: frozen ones, inherited ones, and not what becomes of the object", async () => {
  const keys: ServerOptions = Object.freeze({ psk: "5e".repeat(32), onMessage: echo });
  const given: ServerOptions = Object.create(keys);
  given.port = 0;
  given.maxConnections = 1;
  const starting = listen(given);
  Object.assign(given, { maxConnections: "many", health: "none", port: -1, reusePort: "yes" });
  const servers = [await starting, await listen(Object.freeze({ ...keys, port: 0 }))];
  for (const server of servers) {
    const client = startClient({ port: server.port, psk: "5e".repeat(32) });
    assert.deepEqual(await client.request(text("hello")), text("hello"));
    await client.close();
    await server.close();
  }
});

test("a handshake that runs when the server closes comes to its end, and its first call is answered", async () => {
  const decided = deferred<boolean>();
  const asked = deferred();
  const server = await startServer({
    staticKey: generateKeyPair(),
    authorize: () => {
      asked.resolve();
      return decided.promise;
    },
    onMessage: echo,
  });
  const client = startClient({ staticKey: generateKeyPair(), port: server.port });
  const answer = client.request(text("on the way"));
  await asked.promise;
  const closed = server.close();
  decided.resolve(true);
  assert.equal(new TextDecoder().decode(await answer), "on the way");
  await closed;
});

test("a handshake that does not come to its end holds a closing server for a while only", async () => {
  const server = await startServer({ ...v2.options, drainTimeoutMs: 100 });
  const raw = await RawPeer.connect(server.port);
  const handshake = noise({ psk: v2.options.psk! }, "client").create("client", { remoteAddress: "" });
  raw.write(handshake.send()!);
  await raw.read(4);
  await server.close();
  await raw.destroy();
  handshake.destroy();
});

// ---- Signals ------------------------------------------------------------------------------------------------

/** Records the calls, and closes when told. */
function fakeServer() {
  const graces: (number | undefined)[] = [];
  const done = deferred();
  const server = {
    close: (options?: { graceMs?: number }) => {
      graces.push(options?.graceMs);
      return done.promise;
    },
  } as Server;
  return { server, graces, done };
}

test("a signal closes every server, a second one cuts the grace short, and the handlers go", async () => {
  const before = process.listenerCount("SIGTERM");
  const one = fakeServer();
  const other = fakeServer();
  closeOnSignal([one.server, other.server], { graceMs: 7, exit: false, signals: ["SIGTERM"] });
  assert.equal(process.listenerCount("SIGTERM"), before + 1);
  process.kill(process.pid, "SIGTERM");
  await waitFor(() => one.graces.length === 1, "the first signal");
  await sleep(SIGNAL_ONCE_MS + 20);
  process.kill(process.pid, "SIGTERM");
  await waitFor(() => one.graces.length === 2, "the second signal");
  assert.deepEqual(one.graces, [7, undefined]);
  assert.deepEqual(other.graces, one.graces);
  one.done.resolve();
  other.done.resolve();
  await waitFor(() => process.listenerCount("SIGTERM") === before, "the handler to go");
});

test("a signal that comes twice, as GNU timeout sends it, counts once", async () => {
  const { exit } = process;
  const exits: unknown[] = [];
  process.exit = ((code: unknown) => void exits.push(code)) as typeof process.exit;
  const { server, graces, done } = fakeServer();
  const stop = closeOnSignal(server, { graceMs: 7, exit: false, signals: ["SIGTERM", "SIGINT"] });
  // All at one time: the process may be stopped between two of them.
  const realNow = performance.now;
  performance.now = () => 1;
  try {
    for (let i = 0; i < 5; i++) process.emit("SIGTERM");
    assert.deepEqual(graces, [7]);
    // Another signal is another wish.
    for (let i = 0; i < 5; i++) process.emit("SIGINT");
    assert.deepEqual(graces, [7, undefined]);
    assert.deepEqual(exits, []);
    process.emit("SIGTERM");
    assert.deepEqual(exits, [128 + 15]);
  } finally {
    performance.now = realNow;
    process.exit = exit;
    stop();
    done.resolve();
  }
});

test("when a signal is the last one once more", () => {
  let time = 5;
  const repeats = new SignalRepeats(() => time);
  const outcomes = [
    [0, "SIGTERM"],
    [0, "SIGTERM"],
    [SIGNAL_ONCE_MS - 1, "SIGTERM"],
    [1, "SIGTERM"],
    [1, "SIGINT"],
    [1, "SIGTERM"],
    [1, "SIGTERM"],
  ].map(([later, signal]) => {
    time += later as number;
    return repeats.isNew(signal as string);
  });
  assert.deepEqual(outcomes, [true, false, false, true, true, true, false]);
});

test("several calls of closeOnSignal: the process ends when the last server is closed, and tells a failure", async () => {
  const { exit } = process;
  const { error: report } = console;
  const exits: unknown[] = [];
  const reports: unknown[] = [];
  process.exit = ((code: unknown) => void exits.push(code)) as typeof process.exit;
  console.error = (...told: unknown[]) => void reports.push(told);
  const before = process.listenerCount("SIGTERM");
  try {
    for (const fails of [false, true]) {
      const [quick, slow] = [fakeServer(), fakeServer()];
      // The same server twice, too: it is closed twice, which is closing it once.
      for (const servers of [[quick.server], [quick.server, slow.server], [slow.server]])
        closeOnSignal(servers, { signals: ["SIGTERM"], graceMs: 5 });
      process.kill(process.pid, "SIGTERM");
      await waitFor(() => slow.graces.length === 2 && quick.graces.length === 2, "the signal");
      quick.done.resolve();
      await waitFor(() => process.listenerCount("SIGTERM") === before + 2, "the first one to be closed");
      await new Promise((resolve) => setTimeout(resolve, 0));
      assert.deepEqual(exits, [], "the other one still drains");
      if (fails) slow.done.reject(new Error("not today"));
      else slow.done.resolve();
      await waitFor(() => exits.length > 0, "the end");
      assert.deepEqual(exits.splice(0), [fails ? 1 : 0]);
      assert.equal(reports.length, fails ? 2 : 0);
      assert.equal(process.listenerCount("SIGTERM"), before);
    }
  } finally {
    process.exit = exit;
    console.error = report;
  }
});

test("a descriptor that is no listening socket fails the start, and stays open", async () => {
  const folder = mkdtempSync(join(tmpdir(), "sealwire-descriptors-"));
  execFileSync("mkfifo", [join(folder, "pipe")]);
  const file = openSync(folder, "r");
  const pipe = openSync(join(folder, "pipe"), constants.O_RDWR | constants.O_NONBLOCK);
  const before = [file, pipe].map((fd) => fstatSync(fd).ino);
  try {
    for (const fd of [file, pipe, 987_654]) {
      const error = await rejectsWith(listen({ ...v2.options, fd }), "ERR_LISTEN_FAILED");
      assert.match(error.message, new RegExp(`descriptor ${fd}`));
    }
    // A runtime may close it in a later turn.
    await new Promise((resolve) => setTimeout(resolve, 0));
    assert.deepEqual(
      [file, pipe].map((fd) => fstatSync(fd).ino),
      before,
    );
  } finally {
    for (const fd of [file, pipe]) closeSync(fd);
    rmSync(folder, { recursive: true });
  }
});

test("what closeOnSignal returns takes the handlers away, and wrong arguments are refused", () => {
  const { server } = fakeServer();
  const before = process.listenerCount("SIGINT");
  closeOnSignal(server)();
  assert.equal(process.listenerCount("SIGINT"), before);
  throwsWith(() => closeOnSignal({} as Server), "ERR_INVALID_ARGUMENT");
  throwsWith(() => closeOnSignal(server, { graceMs: -1 }), "ERR_INVALID_ARGUMENT");
  throwsWith(() => closeOnSignal(server, { signals: ["SIGKILL" as "SIGTERM"] }), "ERR_INVALID_ARGUMENT");
  throwsWith(() => closeOnSignal(server, { exit: 1 as unknown as boolean }), "ERR_INVALID_ARGUMENT");
});
