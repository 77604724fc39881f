// `sealwire proxy` between plain clients and a plain server, both sides as processes, every runtime on each side:
// digests, half-closed connections, back-pressure, many connections, killed processes, admission, and the end. The gate
// tries each of them between two of the runtimes, with 32 MiB and 100 connections; SEALWIRE_PROXY_LOAD=full (`npm run proxy:load`) moves 1 GiB and 1,000.

import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect as connectPlain, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { connect, encodeKey, generateKeyPair } from "../dist/index.js";
import { runtimeKinds } from "../scripts/runtimes.js";
import { isInTurn } from "../scripts/shares.js";
import { PeerShares } from "../src/cli/proxy/peerShares.ts";
import { SIGNAL_ONCE_MS } from "../src/entry/signalCount.ts";
import type { Connection } from "../src/rpc/peer.ts";
import { readProxyHeader } from "../src/rpc/proxyHeader.ts";
import { type Runtime, until } from "./support/childProcess.ts";
import { HostNames } from "./support/hostNames.ts";
import { PlainClient, plainServer, type RunningProxy, startProxy, statusOf } from "./support/proxyPair.ts";
import { skipTitle } from "./support/skipTitle.ts";
import { testsInTurn } from "./support/testsInTurn.ts";

const full = process.env.SEALWIRE_PROXY_LOAD === "full";
const MIB = 1_048_576;
const BYTES_EACH_WAY = (full ? 512 : 16) * MIB;
const CONNECTIONS = full ? 1_000 : 100;
/** Dialled at once: half of Bun's accept queue of 512, whatever the backlog asked for. What is beyond a queue, the kernel
 * drops and dials again after pauses that grow to half a minute, when the process gets no processor for some seconds. */
const MOST_DIALLED = 256;
const LIMIT_MS = full ? 900_000 : 60_000;

const folder = mkdtempSync(join(tmpdir(), "sealwire-proxy-"));
afterAll(() => rmSync(folder, { recursive: true }));
const env = { SEALWIRE_PSK: "5e".repeat(32) };

const all = runtimeKinds();
const givesNames = HostNames.work;
const ifNames = givesNames ? "" : " (skipped: needs Linux and the right to make mount namespaces)";

/** Each runtime seals for the next one, so that each is on both sides once. */
const pairs = all.map((sealing, i) => ({ sealing, opening: all[(i + 1) % all.length]! }));

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0)) await clean();
});

async function started(runtime: Runtime, args: string[], more: object = env): Promise<RunningProxy> {
  const proxy = await startProxy(runtime, args, more as Record<string, string>);
  cleanups.push(() => proxy.process.stop());
  return proxy;
}

async function served(...[onSocket, where]: Parameters<typeof plainServer>) {
  const server = await plainServer(onSocket, where);
  cleanups.push(server.close);
  return server;
}

function dial(where: number | string): PlainClient {
  const client = new PlainClient(where);
  cleanups.push(() => client.socket.destroy());
  return client;
}

/** Dials until a client gets its bytes back. */
async function servesAgain(port: number): Promise<void> {
  await until(async () => {
    const again = dial(port);
    again.write("again");
    await until(() => again.received === "again" || again.socket.destroyed, "an echo or an end");
    return again.received === "again";
  }, "service once more");
}

const echo = (socket: Socket): void => {
  socket.pipe(socket);
};
const at = (port: number): string => `127.0.0.1:${port}`;

/** Bytes that differ everywhere, in pieces. */
function* pieces(total: number): Generator<Buffer> {
  const piece = Buffer.alloc(MIB);
  for (let i = 0; i < piece.length; i += 4) piece.writeUInt32LE(Math.imul(i, 2_654_435_761) >>> 0, i);
  for (let sent = 0; sent < total; sent += piece.length) {
    piece.writeUInt32LE(sent / MIB, 0);
    yield Buffer.from(piece);
  }
}

async function pour(socket: Socket, total: number): Promise<string> {
  const digest = createHash("sha256");
  for (const piece of pieces(total)) {
    digest.update(piece);
    if (!socket.write(piece)) await once(socket, "drain");
  }
  socket.end();
  return digest.digest("hex");
}

/** Digest and length of what comes until its end. */
function drained(socket: Socket): Promise<{ digest: string; bytes: number }> {
  const digest = createHash("sha256");
  let bytes = 0;
  return new Promise((resolve, reject) => {
    socket.on("data", (piece: Buffer) => {
      digest.update(piece);
      bytes += piece.length;
    });
    socket.on("end", () => resolve({ digest: digest.digest("hex"), bytes }));
    socket.on("error", reject);
  });
}

describe.each(pairs)("$sealing.label seals, $opening.label opens", ({ sealing, opening }) => {
  const pairNumber = pairs.findIndex((other) => other.sealing === sealing);
  const inTurn = testsInTurn(
    (place) => full || isInTurn(place + pairNumber, pairs.length),
    `1 in ${pairs.length} of these for each pair, the commit decides which`,
  );

  /** Both proxies in front of a port. */
  async function pair(
    target: number,
    more: string[] = [],
  ): Promise<{ seal: RunningProxy; open: RunningProxy }> {
    const limit = ["--max-connections", "1024", "--status", "127.0.0.1:0", ...more];
    const open = await started(opening, ["--open", "-l", at(0), "-t", at(target), ...limit]);
    const seal = await started(sealing, ["--seal", "-l", at(0), "-t", at(open.port), ...limit]);
    return { seal, open };
  }

  /** The server behind the pair that tests share which kill nothing. */
  let serve: (socket: Socket) => void = echo;
  let shared: { seal: RunningProxy; open: RunningProxy };
  let kept: (() => unknown)[] = [];
  beforeAll(async () => {
    const server = await served((socket) => serve(socket));
    shared = await pair(server.port);
    kept = cleanups.splice(0);
  });
  afterAll(async () => {
    for (const clean of kept) await clean();
  });

  const counts = () =>
    Promise.all(
      [shared.seal, shared.open].map(async (proxy): Promise<Record<string, number>> => {
        const { connections, plainBytes, sealedBytes } = await statusOf(proxy);
        return { ...connections, plainBytes, sealedBytes };
      }),
    );

  /** What both count since then, once nothing is open. */
  async function counted(before: Record<string, number>[]) {
    await until(async () => (await counts()).every(({ open }) => open === 0), "the ends of the connections");
    return (await counts()).map((now, i) =>
      Object.fromEntries(Object.entries(now).map(([name, value]) => [name, value - before[i]![name]!])),
    );
  }

  inTurn(
    `${BYTES_EACH_WAY / MIB} MiB there, then as many back behind the client's end`,
    {
      timeout: LIMIT_MS,
    },
    async () => {
      let atServer: { digest: string; bytes: number } | undefined;
      let sentBack: string | undefined;
      const before = await counts();
      serve = async (socket) => {
        atServer = await drained(socket);
        sentBack = await pour(socket, BYTES_EACH_WAY);
      };
      const client = connectPlain({ port: shared.seal.port, host: "127.0.0.1", allowHalfOpen: true });
      cleanups.push(() => client.destroy());
      const back = drained(client);
      const sent = await pour(client, BYTES_EACH_WAY);
      expect(await back).toEqual({ digest: sentBack, bytes: BYTES_EACH_WAY });
      expect(atServer).toEqual({ digest: sent, bytes: BYTES_EACH_WAY });
      const expected = { open: 0, total: 1, failed: 0, refused: 0 };
      const moved = { plainBytes: BYTES_EACH_WAY, sealedBytes: BYTES_EACH_WAY };
      expect(await counted(before)).toEqual([
        { ...expected, ...moved },
        { ...expected, ...moved },
      ]);
    },
  );

  inTurn(`${CONNECTIONS} connections at once, none disturbs another`, { timeout: LIMIT_MS }, async () => {
    serve = echo;
    const before = await counts();
    const { seal } = shared;
    const clients: PlainClient[] = [];
    while (clients.length < CONNECTIONS) {
      const more = Math.min(MOST_DIALLED, CONNECTIONS - clients.length);
      const dialled = Array.from({ length: more }, () => dial(seal.port));
      clients.push(...dialled);
      await Promise.all(dialled.map(({ connected }) => connected));
    }
    const said = (i: number): string => `client ${i} `.repeat(200);
    clients.forEach((client, i) => {
      client.write(said(i));
    });
    await until(() => clients.every(({ received }, i) => received.length === said(i).length), "all echoes");
    expect((await counts()).map(({ open }) => open)).toEqual([CONNECTIONS, CONNECTIONS]);
    for (const client of clients) client.end();
    await Promise.all(clients.map(({ closed }) => closed));
    expect(clients.map(({ received }) => received)).toEqual(clients.map((_, i) => said(i)));
    expect(clients.filter(({ error, ended }) => error !== undefined || !ended)).toEqual([]);
    const expected = { total: CONNECTIONS, failed: 0 };
    expect(await counted(before)).toMatchObject([expected, expected]);
  });

  inTurn("a server that does not read holds up its client, and nobody else", async () => {
    const held: Socket[] = [];
    let bytes = 0;
    serve = (socket) => {
      if (held.length > 0) return echo(socket);
      socket.pause();
      held.push(socket);
    };
    const { seal } = shared;
    const client = dial(seal.port);
    const total = 64 * MIB;
    for (const piece of pieces(total)) client.socket.write(piece);
    client.end();
    await until(() => held.length === 1, "the server to have the connection");
    const left = (): number => client.socket.writableLength;
    let before = -1;
    for (let same = 0; same < 10; before = left()) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      same = left() === before ? same + 1 : 0;
    }
    // Kernel buffers and a stream's credit at each hop are what has left.
    expect(total - left()).toBeLessThan(40 * MIB);
    expect(held).toHaveLength(1);
    const other = dial(seal.port);
    other.write("not held up");
    await until(() => other.received === "not held up", "the other connection");
    held[0]!.on("data", (piece) => {
      bytes += piece.length;
    });
    held[0]!.on("end", () => held[0]!.end());
    held[0]!.resume();
    await client.closed;
    expect(bytes).toBe(total);
    expect(client.error).toBeUndefined();
  });

  inTurn("when the opening side is killed, clients are cut, and served again once it is back", async () => {
    const server = await served(echo);
    const { seal, open } = await pair(server.port);
    const client = dial(seal.port);
    client.write("first");
    await until(() => client.received === "first", "the first echo");
    await open.process.stop();
    await client.closed;
    expect(client).toMatchObject({ ended: false, error: "ECONNRESET" });
    const refused = dial(seal.port);
    await refused.closed;
    expect(refused.ended).toBe(false);
    await started(opening, ["--open", "-l", at(open.port), "-t", at(server.port)]);
    await servesAgain(seal.port);
  });

  inTurn(
    "when the sealing side is killed, the server's connections are cut, and the next one serves",
    async () => {
      const broken: string[] = [];
      const server = await served((socket) => {
        socket.on("error", (error: NodeJS.ErrnoException) => broken.push(error.code!));
        echo(socket);
      });
      const { seal, open } = await pair(server.port);
      const client = dial(seal.port);
      client.write("first");
      await until(() => client.received === "first", "the first echo");
      await seal.process.stop();
      await client.closed;
      await until(() => broken.length === 1, "the end at the server");
      expect(broken).toEqual(["ECONNRESET"]);
      expect((await statusOf(open)).connections).toMatchObject({ open: 0, failed: 1 });
      const next = await started(sealing, ["--seal", "-l", at(0), "-t", at(open.port)]);
      const again = dial(next.port);
      again.write("again");
      await until(() => again.received === "again", "an echo through the next one");
    },
  );

  inTurn("clients that read nothing are cut, too, when the opening side is gone", async () => {
    const server = await served((socket) => {
      const piece = Buffer.alloc(MIB);
      const fill = (): void => {
        while (!socket.destroyed && socket.write(piece));
      };
      socket.on("drain", fill);
      fill();
    });
    const { seal, open } = await pair(server.port);
    const client = dial(seal.port);
    client.socket.pause();
    let before = -1;
    for (let same = 0; same < 10; ) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      const { sealedBytes } = await statusOf(seal);
      same = sealedBytes > 0 && sealedBytes === before ? same + 1 : 0;
      before = sealedBytes;
    }
    await open.process.stop();
    await until(async () => (await statusOf(seal)).connections.open === 0, "its place");
    expect((await statusOf(seal)).connections.failed).toBe(1);
    client.socket.destroy();
  });

  inTurn("a second signal at the opening side is a reset for its target, not an end", async () => {
    const seen: string[] = [];
    const server = await served((socket) => {
      socket.on("end", () => seen.push("end"));
      socket.on("error", (error: NodeJS.ErrnoException) => seen.push(error.code!));
      socket.on("data", (piece) => socket.write(piece));
    });
    const { seal, open } = await pair(server.port);
    const client = dial(seal.port);
    client.write("a part");
    await until(() => client.received === "a part", "an echo");
    open.process.kill("SIGTERM");
    await until(async () => (await statusOf(open)).state === "draining", "the drain");
    await new Promise((resolve) => setTimeout(resolve, 2 * SIGNAL_ONCE_MS));
    open.process.kill("SIGTERM");
    expect(await open.process.exited).toBe(0);
    await client.closed;
    expect(client).toMatchObject({ ended: false, error: "ECONNRESET" });
    await until(() => seen.length > 0, "the cut at the target");
    expect(seen).toEqual(["ECONNRESET"]);
  });

  const acceptsAll = /bun/i.test(sealing.label);
  test.runIf(acceptsAll)(
    skipTitle(
      "clients beyond the last descriptor are cut, not left waiting",
      acceptsAll ? undefined : "only Bun accepts all at once",
    ),
    async () => {
      const server = await served(echo);
      const open = await started(opening, ["--open", "-l", at(0), "-t", at(server.port)]);
      const args = ["-c", 'ulimit -n 64; exec "$@"', "sh", sealing.path, ...sealing.args];
      const limited = { ...sealing, path: "sh", args };
      const seal = await started(limited, ["--seal", "-l", at(0), "-t", at(open.port)]);
      const clients = Array.from({ length: 160 }, () => dial(seal.port));
      await until(
        () => clients.filter(({ socket }) => socket.destroyed).length > 50,
        "the cut of most others",
      );
      for (const { socket } of clients) socket.destroy();
    },
  );

  inTurn("a reset of either plain side becomes a reset of the other", async () => {
    const broken: string[] = [];
    let last: Socket | undefined;
    serve = (socket) => {
      last = socket;
      socket.on("error", (error: NodeJS.ErrnoException) => broken.push(error.code!));
      echo(socket);
    };
    const { seal } = shared;
    const leaves = dial(seal.port);
    leaves.write("hello");
    await until(() => leaves.received === "hello", "an echo");
    leaves.socket.resetAndDestroy();
    await until(() => broken.length === 1, "the reset at the server");
    const stays = dial(seal.port);
    stays.write("hello");
    await until(() => stays.received === "hello", "an echo");
    last!.resetAndDestroy();
    await stays.closed;
    expect(stays).toMatchObject({ error: "ECONNRESET", ended: false });
  });

  inTurn("sockets that say nothing keep nobody from the status port", async () => {
    const { seal } = shared;
    const silent = Array.from({ length: 64 }, () => dial(seal.statusPort));
    await Promise.all(silent.map(({ connected }) => connected));
    expect((await statusOf(seal)).state).toBe("ready");
    for (const { socket } of silent) socket.destroy();
  });

  inTurn("the status port answers health probes as well", async () => {
    const { seal } = shared;
    const asked = async (path: string, method = "GET") => {
      const response = await fetch(`http://127.0.0.1:${seal.statusPort}${path}`, { method });
      return [response.status, response.headers.get("content-type"), await response.text()];
    };
    expect(await asked("/readyz")).toEqual([200, "text/plain", "ready\n"]);
    expect(await asked("/livez")).toEqual([200, "text/plain", "ready\n"]);
    expect((await asked("/status?x"))[1]).toBe("application/json");
    expect(await asked("/status", "HEAD")).toEqual([200, "application/json", ""]);
    expect(await asked("/toString")).toEqual([404, "text/plain", "not found\n"]);
    expect((await asked("/status", "POST"))[0]).toBe(405);
  });

  inTurn("SIGTERM lets open connections end, takes no new ones, and a second one cuts", async () => {
    const server = await served(echo);
    const { seal, open } = await pair(server.port);
    const client = dial(seal.port);
    client.write("first");
    await until(() => client.received === "first", "the first echo");
    for (const proxy of [open, seal]) proxy.process.kill("SIGTERM");
    await until(async () => (await statusOf(seal)).state === "draining", "the drain");
    const ready = await fetch(`http://127.0.0.1:${seal.statusPort}/readyz`);
    expect(ready.status).toBe(503);
    const late = dial(seal.port);
    await late.closed;
    expect(late.error).toBe("ECONNREFUSED");
    client.write(", second");
    await until(() => client.received === "first, second", "an echo while it drains");
    client.end();
    await client.closed;
    expect(client).toMatchObject({ ended: true, error: undefined });
    expect(await seal.process.exited).toBe(0);
    expect(await open.process.exited).toBe(0);

    const next = await pair(server.port);
    const cut = dial(next.seal.port);
    cut.write("first");
    await until(() => cut.received === "first", "the first echo");
    // Twice at once, as GNU timeout sends it: that is one signal.
    next.seal.process.kill("SIGTERM");
    next.seal.process.kill("SIGTERM");
    await until(async () => (await statusOf(next.seal)).state === "draining", "the drain");
    cut.write(", second");
    await until(() => cut.received === "first, second", "an echo after the repeated signal");
    await new Promise((resolve) => setTimeout(resolve, 2 * SIGNAL_ONCE_MS));
    next.seal.process.kill("SIGTERM");
    await cut.closed;
    expect(cut.ended).toBe(false);
    expect(await next.seal.process.exited).toBe(0);
  });

  inTurn(
    "SIGHUP: who is on the list no more loses the connection; a damaged list changes nothing",
    async () => {
      const keys = { server: generateKeyPair(), client: generateKeyPair() };
      const list = join(folder, `clients-${sealing.id}`);
      const allow = (text: string): void => writeFileSync(list, text, { mode: 0o600 });
      const line = `@client app ${encodeKey(keys.client.publicKey)}\n`;
      allow(line);
      const server = await served(echo);
      const own = { SEALWIRE_KEY: encodeKey(keys.server.privateKey) };
      const open = await started(
        opening,
        ["--open", "-l", at(0), "-t", at(server.port), "--known-peers", list, "--grace", "100"],
        own,
      );
      const peer = ["--peer", encodeKey(keys.server.publicKey)];
      const seal = await started(sealing, ["--seal", "-l", at(0), "-t", at(open.port), ...peer], {
        SEALWIRE_KEY: encodeKey(keys.client.privateKey),
      });
      const client = dial(seal.port);
      client.write("let in");
      await until(() => client.received === "let in", "an echo");
      const events = (name: string) => open.process.entries.filter(({ event }) => event === name);
      open.process.kill("SIGHUP");
      await until(() => events("reloaded").length === 1, "the first reload");
      client.write(", still");
      await until(() => client.received === "let in, still", "an echo after a reload");
      allow("what is this\n");
      open.process.kill("SIGHUP");
      await until(() => events("reload-failed").length === 1, "the refusal of the list");
      client.write(", and still");
      await until(() => client.received === "let in, still, and still", "an echo after a failed reload");
      allow(`@revoked app ${encodeKey(keys.client.publicKey)}\n`);
      open.process.kill("SIGHUP");
      await client.closed;
      expect(client.ended).toBe(false);
      const refused = dial(seal.port);
      await refused.closed;
      expect(refused.received).toBe("");
      expect(events("reloaded").at(-1)).toMatchObject({ dropped: 1 });
      allow(line);
      await servesAgain(seal.port);
    },
  );

  inTurn(
    "SIGHUP at the sealing side: other keys for new connections, those that are open go on",
    async () => {
      const keys = { server: generateKeyPair(), before: generateKeyPair(), after: generateKeyPair() };
      const file = join(folder, `key-${sealing.id}`);
      writeFileSync(file, encodeKey(keys.before.privateKey), { mode: 0o600 });
      const peers = [keys.before, keys.after].flatMap(({ publicKey }) => ["--peer", encodeKey(publicKey)]);
      const server = await served(echo);
      const open = await started(opening, ["--open", "-l", at(0), "-t", at(server.port), ...peers], {
        SEALWIRE_KEY: encodeKey(keys.server.privateKey),
      });
      const trust = ["--key", file, "--peer", encodeKey(keys.server.publicKey)];
      const seal = await started(sealing, ["--seal", "-l", at(0), "-t", at(open.port), ...trust], {});
      const stays = dial(seal.port);
      stays.write("before");
      await until(() => stays.received === "before", "an echo");
      const events = (name: string): number =>
        seal.process.entries.filter((entry) => entry.event === name).length;
      writeFileSync(file, "no key\n");
      seal.process.kill("SIGHUP");
      await until(() => events("reload-failed") === 1, "the refusal of the key");
      writeFileSync(file, encodeKey(keys.after.privateKey));
      seal.process.kill("SIGHUP");
      await until(() => events("reloaded") === 1, "the reload");
      const next = dial(seal.port);
      next.write("after");
      await until(() => next.received === "after", "an echo with the other key");
      const seen = open.process.entries.filter(({ event }) => event === "open").map(({ peer }) => peer);
      expect(seen).toEqual([encodeKey(keys.before.publicKey), encodeKey(keys.after.publicKey)]);
      stays.write(", and on");
      await until(() => stays.received === "before, and on", "an echo on what was open");
      for (const client of [stays, next]) client.end();
      await Promise.all([stays.closed, next.closed]);
      expect([stays.error, next.error, stays.ended, next.ended]).toEqual([undefined, undefined, true, true]);
    },
  );

  inTurn("SIGHUP: a psk changes without an outage, in the three steps that the documents name", async () => {
    const [old, next] = ["a1".repeat(32), "b2".repeat(32)] as const;
    const file = (label: string, text: string): string => {
      const path = join(folder, `${label}-${sealing.id}.psk`);
      writeFileSync(path, `${text}\n`, { mode: 0o600 });
      return path;
    };
    // The flags stay for all steps: what changes is what their files hold.
    const serving = [file("server", old), file("server-other", old)] as const;
    const dialling = file("client", old);
    const server = await served(echo);
    const keys = ["--psk", serving[0], "--other-psk", serving[1]];
    const open = await started(opening, ["--open", "-l", at(0), "-t", at(server.port), ...keys], {});
    const ends = ["-l", at(0), "-t", at(open.port)];
    const seal = await started(sealing, ["--seal", ...ends, "--psk", dialling], {});
    const late = await started(sealing, ["--seal", ...ends, "--psk", file("late", old)], {});
    const reloaded = async ({ process }: RunningProxy): Promise<object> => {
      const told = () => process.entries.filter(({ event }) => /^reload/.test(`${event}`));
      const before = told().length;
      process.kill("SIGHUP");
      await until(() => told().length > before, "the reload");
      return told().at(-1)!;
    };
    const passes = async ({ port }: RunningProxy): Promise<boolean> => {
      const client = dial(port);
      client.write("passes");
      client.end();
      await client.closed;
      return client.received === "passes";
    };
    const stays = dial(seal.port);
    stays.write("before");
    await until(() => stays.received === "before", "an echo");
    expect(await passes(late)).toBe(true);

    file("server-other", next);
    expect(await reloaded(open)).toMatchObject({ event: "reloaded", dropped: 0 });
    expect([await passes(seal), await passes(late)]).toEqual([true, true]);
    file("client", next);
    expect(await reloaded(seal)).toMatchObject({ event: "reloaded" });
    expect([await passes(seal), await passes(late)]).toEqual([true, true]);
    // What is open goes on with the keys that it began with, as long as those are accepted: it ends before step 3.
    stays.write(", and on");
    await until(() => stays.received === "before, and on", "an echo on what was open");
    stays.end();
    await stays.closed;
    expect([stays.error, stays.ended]).toEqual([undefined, true]);
    file("server", next);
    expect(await reloaded(open)).toMatchObject({ event: "reloaded" });
    expect(await passes(seal)).toBe(true);
    await until(async () => !(await passes(late)), "the end of who did not take part");
  });

  inTurn(
    `a name that moves is followed by the next connection${ifNames}`,
    { skip: !givesNames },
    async () => {
      const names = new HostNames(join(folder, `hosts-${sealing.id}`));
      const [before, after] = ["127.0.0.11", "127.0.0.12"];
      const greet = (text: string) => (socket: Socket) => void socket.end(text);
      const { port } = await served(greet("before"), { host: before, port: 0 });
      await served(greet("after"), { host: after, port });
      names.set("service.test", before);
      names.set("opening.test", before);
      const opens = (host: string, at: number) =>
        started(names.seenBy(opening), ["--open", "-l", `${host}:${at}`, "-t", `service.test:${port}`]);
      const open = await opens(before, 0);
      const target = ["-l", at(0), "-t", `opening.test:${open.port}`];
      const seal = await started(names.seenBy(sealing), ["--seal", ...target]);
      const greeting = async (): Promise<string> => {
        const client = dial(seal.port);
        await client.closed;
        return client.received;
      };
      expect([await greeting(), await greeting()]).toEqual(["before", "before"]);
      names.set("service.test", after);
      expect([await greeting(), await greeting()]).toEqual(["after", "after"]);
      names.set("service.test", before);
      expect(await greeting()).toBe("before");

      // The sealed connections of the other side are kept, and made anew where the name leads once they are gone.
      await opens(after, open.port);
      names.set("opening.test", after);
      expect(await greeting()).toBe("before");
      await open.process.stop();
      await until(async () => (await greeting()) === "before", "service through the other address");
    },
  );

  inTurn("Unix sockets on the plain sides, for their user alone", async () => {
    const [target, listen] = ["target", "listen"].map((name) => join(folder, `${name}-${sealing.id}.sock`));
    const got: string[] = [];
    await served((socket) => {
      let text = "";
      socket.on("data", (piece: Buffer) => {
        text += piece;
        if (text === "ask") socket.write("answer", () => socket.destroy());
        if (text === "by path") socket.write(text);
      });
      socket.on("end", () => {
        if (text === "last words") got.push(text);
        socket.end();
      });
    }, target);
    const open = await started(opening, ["--open", "-l", at(0), "-t", `unix:${target}`]);
    const seal = await started(sealing, ["--seal", "-l", `unix:${listen}`, "-t", at(open.port)]);
    expect((statSync(listen!).mode & 0o777).toString(8)).toBe("600");
    const client = dial(listen!);
    client.write("by path");
    client.end();
    await client.closed;
    expect(client).toMatchObject({ received: "by path", ended: true, error: undefined });
    // Who has sent everything may close at once, on either side.
    for (let i = 0; i < 4; i++) {
      const sender = dial(listen!);
      sender.socket.write("last words", () => sender.socket.destroy());
      await until(() => got.length > i, "the end at the target");
      const asker = dial(listen!);
      asker.write("ask");
      await asker.closed;
      expect(asker).toMatchObject({ received: "answer", ended: true, error: undefined });
    }
    expect(got).toEqual(Array(4).fill("last words"));
    // What others put there stays.
    rmSync(listen!);
    writeFileSync(listen!, "of others");
    await seal.process.stop();
    expect(readFileSync(listen!, "utf8")).toBe("of others");
  });
});

describe("the rules of the plain side", () => {
  const [runtime] = all;

  test("only this machine, unless it is said; one of --seal and --open", async () => {
    const start = (args: string[]) => startProxy(runtime!, args, env);
    await expect(start(["--seal", "-l", "0.0.0.0:0", "-t", at(1)])).rejects.toThrow(/--unsafe-plain/);
    await expect(start(["--seal", "--open", "-l", at(0), "-t", at(1)])).rejects.toThrow(/--seal or --open/);
    await expect(start(["-l", at(0), "-t", at(1)])).rejects.toThrow(/--seal or --open/);
    const sealed = ["--seal", "-l", at(0), "-t", at(1)];
    await expect(start([...sealed, "--other-key", "env:ANY"])).rejects.toThrow(
      /--other-key goes with --open/,
    );
    // A key as an argument shows in the list of processes.
    await expect(start([...sealed, "--other-psk", env.SEALWIRE_PSK])).rejects.toThrow(/seen by every user/);
    // Only a client that pins one static key besides tries several (IKpsk2).
    const both = { ...env, OTHER: "b2".repeat(32) };
    const several = [...sealed, "--other-psk", "env:OTHER"];
    await expect(startProxy(runtime!, several, both)).rejects.toThrow(/otherPsks/);
    await started(runtime!, ["--seal", "-l", "0.0.0.0:0", "-t", at(1), "--unsafe-plain"]);
    // A name is looked at when it is dialled.
    const open = await started(runtime!, ["--open", "-l", at(0), "-t", "192.0.2.1:1"]);
    const seal = await started(runtime!, ["--seal", "-l", at(0), "-t", at(open.port)]);
    const client = dial(seal.port);
    await client.closed;
    expect(client.ended).toBe(false);
    await until(() => open.process.errors.includes("--unsafe-plain"), "the reason");
  });

  test("a status port that is taken ends the proxy, whichever side it is", async () => {
    const { port } = await served(echo);
    for (const mode of ["--seal", "--open"]) {
      const args = [mode, "-l", at(0), "-t", at(1), "--status", at(port)];
      await expect(startProxy(runtime!, args, env)).rejects.toThrow(/--status can't listen: .*in use/);
    }
  });

  test("a target that does not listen cuts the client, and a call that is no proxy's is refused", async () => {
    const open = await started(runtime!, ["--open", "-l", at(0), "-t", at(1)]);
    const seal = await started(runtime!, ["--seal", "-l", at(0), "-t", at(open.port)]);
    const client = dial(seal.port);
    await client.closed;
    expect(client.ended).toBe(false);
    const other = connect({ port: open.port, psk: env.SEALWIRE_PSK });
    cleanups.push(() => other.close());
    await expect(other.request(new Uint8Array(1))).rejects.toMatchObject({ remoteCode: "ERR_PROXY_METHOD" });
  });

  test("above --max-connections clients are cut, and a place that is free is taken again", async () => {
    const server = await served(echo);
    const open = await started(runtime!, ["--open", "-l", at(0), "-t", at(server.port)]);
    const args = ["-l", at(0), "-t", at(open.port), "--max-connections", "2", "--status", at(0)];
    const seal = await started(runtime!, ["--seal", ...args]);
    const clients = [dial(seal.port), dial(seal.port)];
    for (const client of clients) client.write("in");
    await until(() => clients.every(({ received }) => received === "in"), "two echoes");
    const third = dial(seal.port);
    await third.closed;
    expect(third.ended).toBe(false);
    expect((await statusOf(seal)).connections).toMatchObject({ open: 2, refused: 1 });
    clients[0]!.end();
    await clients[0]!.closed;
    await until(async () => (await statusOf(seal)).connections.open === 1, "a free place");
    const fourth = dial(seal.port);
    fourth.write("in");
    await until(() => fourth.received === "in", "an echo");
  });

  test("without keys, peers are told apart as by the limits per address", () => {
    const shares = new PeerShares(1);
    const take = (remoteAddress: string) =>
      shares.take({ remoteStaticKey: undefined, remoteAddress } as Connection);
    const leave = take("2001:db8::1");
    expect(take("2001:db8::2")).toBeUndefined();
    expect(take("2001:db8:0:1::1")).toBeDefined();
    expect(take("10.0.0.1")).toBeDefined();
    expect(take("::ffff:10.0.0.1")).toBeUndefined();
    for (let i = 0; i < 2; i++) expect(take(""), "a Unix socket").toBeDefined();
    leave!();
    expect(take("2001:db8::2")).toBeDefined();
  });

  test("above --max-per-peer a peer is refused, another one is served, and a place that is free is taken again", async () => {
    const server = await served(echo);
    const keys = { server: generateKeyPair(), one: generateKeyPair(), other: generateKeyPair() };
    const limits = ["--max-per-peer", "2", "--status", at(0)];
    const allowed = ["--peer", encodeKey(keys.one.publicKey), "--peer", encodeKey(keys.other.publicKey)];
    const open = await started(
      runtime!,
      ["--open", "-l", at(0), "-t", at(server.port), ...limits, ...allowed],
      { SEALWIRE_KEY: encodeKey(keys.server.privateKey) },
    );
    const sealed = ["-l", at(0), "-t", at(open.port), "--peer", encodeKey(keys.server.publicKey)];
    const [one, other] = await Promise.all(
      [keys.one, keys.other].map(({ privateKey }) =>
        started(runtime!, ["--seal", ...sealed], { SEALWIRE_KEY: encodeKey(privateKey) }),
      ),
    );
    const clients = [dial(one!.port), dial(one!.port)];
    for (const client of clients) client.write("in");
    await until(() => clients.every(({ received }) => received === "in"), "two echoes");
    const third = dial(one!.port);
    await third.closed;
    expect(third.ended).toBe(false);
    expect((await statusOf(open)).connections).toMatchObject({ open: 2, refused: 1 });
    const stranger = dial(other!.port);
    stranger.write("in");
    await until(() => stranger.received === "in", "an echo of the other peer");
    clients[0]!.end();
    await clients[0]!.closed;
    await until(async () => (await statusOf(open)).connections.open === 2, "a free place");
    const fourth = dial(one!.port);
    fourth.write("in");
    await until(() => fourth.received === "in", "an echo");
  });

  test("--proxy-protocol tells the target who is there", async () => {
    const keys = { server: generateKeyPair(), client: generateKeyPair() };
    let got = Buffer.alloc(0);
    const server = await served((socket) => {
      socket.on("data", (piece: Buffer) => {
        got = Buffer.concat([got, piece]);
      });
      socket.on("end", () => socket.end());
    });
    const open = await started(
      runtime!,
      [
        "--open",
        "-l",
        at(0),
        "-t",
        at(server.port),
        "--proxy-protocol",
        "--peer",
        encodeKey(keys.client.publicKey),
      ],
      { SEALWIRE_KEY: encodeKey(keys.server.privateKey) },
    );
    const peer = ["--peer", encodeKey(keys.server.publicKey)];
    const seal = await started(runtime!, ["--seal", "-l", at(0), "-t", at(open.port), ...peer], {
      SEALWIRE_KEY: encodeKey(keys.client.privateKey),
    });
    const client = dial(seal.port);
    client.write("and then this");
    client.end();
    await client.closed;
    const header = readProxyHeader(got);
    expect(header).toMatchObject({ address: "127.0.0.1" });
    const { bytes } = header as { bytes: number };
    expect(got.subarray(bytes).toString()).toBe("and then this");
    expect(got.subarray(bytes - 35, bytes - 32)).toEqual(Buffer.of(0xe0, 0, 32));
    expect(got.subarray(bytes - 32, bytes)).toEqual(Buffer.from(keys.client.publicKey));
  });

  test("the command of the full load exists", () => {
    const { scripts } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
    expect(scripts["proxy:load"]).toBe("node scripts/proxyLoad.js");
  });
});
