// The plain side of a proxy cuts a connection at once, whatever its peer reads, and so that the peer can't take a part for
// the whole.

import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { dialPlain } from "../src/cli/proxy/plainSide.ts";
import { PlainSocket } from "../src/cli/proxy/plainSocket.ts";
import { ProxyCounts } from "../src/cli/proxy/proxyStatus.ts";
import { SealingSide } from "../src/cli/proxy/sealingSide.ts";
import { listen, type Message } from "../src/index.ts";
import { until } from "./support/childProcess.ts";

const MIB = 1_048_576;
const cleanups: (() => unknown)[] = [];
afterEach(() => {
  for (const clean of cleanups.splice(0)) clean();
});

async function listening(onSocket: (socket: Socket) => unknown): Promise<number> {
  const server: Server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    cleanups.push(() => socket.destroy());
    onSocket(socket);
  });
  cleanups.push(() => server.close());
  await once(server.listen(0, "127.0.0.1"), "listening");
  return (server.address() as AddressInfo).port;
}

/** What comes until the end: the number of bytes, and the error if it is none in good order. */
async function readAll(plain: PlainSocket): Promise<{ bytes: number; error?: string }> {
  let bytes = 0;
  try {
    for (let piece = await plain.read(); piece !== undefined; piece = await plain.read())
      bytes += piece.length;
    return { bytes };
  } catch (error) {
    return { bytes, error: (error as { code: string }).code };
  }
}

/** A connected pair. */
async function pair(): Promise<[PlainSocket, PlainSocket]> {
  let other: PlainSocket | undefined;
  const port = await listening((socket) => {
    other = new PlainSocket(socket);
  });
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  await once(socket, "connect");
  await until(() => other !== undefined, "the other end");
  return [new PlainSocket(socket), other!];
}

/** A pair whose other end reads nothing yet, with more written than the kernel takes. */
async function filled() {
  const [plain, other] = await pair();
  const written = plain.write(Buffer.alloc(32 * MIB)).catch((error: Error) => error.message);
  return { plain, other, written };
}

test("a cut does not wait for a peer that reads nothing", async () => {
  const { plain, other, written } = await filled();
  const read = plain.read().catch((error: Error) => error.message);
  plain.reset();
  await plain.gone;
  expect(await written).toMatch(/cut/);
  expect(await read).toMatch(/cut/);
  expect((await readAll(other)).error).toBe("ECONNRESET");
});

test("an end that waits behind bytes is no end when the connection is cut", async () => {
  const { plain, other } = await filled();
  plain.end();
  plain.reset();
  await plain.gone;
  expect((await readAll(other)).error).toBe("ECONNRESET");
});

test("an end that is not cut follows all bytes", async () => {
  const { plain, other, written } = await filled();
  plain.end();
  expect(await readAll(other)).toEqual({ bytes: 32 * MIB });
  await written;
  other.end();
  expect(await plain.read()).toBeUndefined();
  await plain.closed();
});

test("a reset that arrives while nothing is read is no end", async () => {
  const [plain, other] = await pair();
  await plain.write(Buffer.alloc(1_000));
  plain.reset();
  await plain.gone;
  expect(await readAll(other)).toEqual({ bytes: 1_000, error: "ECONNRESET" });
});

/** A Unix socket whose peer runs `act`. It reads nothing before the peer's socket is gone. */
async function unixSocket(act: (peer: Socket) => unknown): Promise<PlainSocket> {
  const folder = mkdtempSync(join(tmpdir(), "sealwire-plain-"));
  cleanups.push(() => rmSync(folder, { recursive: true }));
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  cleanups.push(() => server.close());
  await once(server.listen(join(folder, "plain.sock")), "listening");
  const accepted = once(server, "connection") as Promise<[Socket]>;
  const peer = connect({ path: join(folder, "plain.sock"), allowHalfOpen: true });
  const [socket] = await accepted;
  cleanups.push(() => socket.destroy());
  act(peer);
  await once(peer, "close");
  return new PlainSocket(socket);
}

test.each([
  ["writes everything and closes", (peer: Socket) => peer.write(Buffer.alloc(1_000), () => peer.destroy())],
  ["sends its end and closes", (peer: Socket) => peer.end(Buffer.alloc(1_000), () => peer.destroy())],
])("a Unix socket whose peer %s ends in good order", async (_name, act) => {
  const plain = await unixSocket(act);
  expect(await readAll(plain)).toEqual({ bytes: 1_000 });
  plain.end();
  await plain.closed();
});

test("a dial that is given up when the kernel has connected it is a reset for the server", async () => {
  const all: Promise<{ bytes: number; error?: string }>[] = [];
  const port = await listening((socket) => all.push(readAll(new PlainSocket(socket))));
  for (let ticks = 0; ticks < 40; ticks++) {
    const abort = new AbortController();
    const dial = dialPlain({ host: "127.0.0.1", port }, { anywhere: false }, 60_000, abort.signal);
    dial.then(
      (plain) => plain.reset(),
      () => {},
    );
    // The lookup takes a turn or more; the connection is made in one of the following ticks.
    if (ticks % 2 === 1) await new Promise((resolve) => setImmediate(resolve));
    for (let i = 0; i < ticks; i++) await undefined;
    abort.abort(new Error("given up"));
    await dial.catch(() => {});
  }
  const last = await dialPlain(
    { host: "127.0.0.1", port },
    { anywhere: false },
    60_000,
    new AbortController().signal,
  );
  last.reset();
  await until(() => all.length > 0, "the last connection");
  for (const { error } of await Promise.all(all)) expect(error).toBe("ECONNRESET");
});

test("a dial that is given up fails when its socket is gone, and so keeps its place until then", async () => {
  const sockets: Socket[] = [];
  // A target that does not answer: the kernel dials it for as long as it likes.
  const dialled = vi.spyOn(Socket.prototype, "connect").mockImplementation(function (this: Socket) {
    sockets.push(this);
    return Object.assign(this, { connecting: true });
  });
  cleanups.push(() => dialled.mockRestore());
  const abort = new AbortController();
  const dial = dialPlain({ host: "127.0.0.1", port: 1 }, { anywhere: false }, 60_000, abort.signal);
  const failed = dial.then(
    () => undefined,
    (error: Error) => ({ error, isGone: sockets[0]!.closed }),
  );
  await until(() => sockets.length > 0, "the dial");
  const error = new Error("given up");
  abort.abort(error);
  expect(await failed).toEqual({ error, isGone: true });
});

test("proxy --seal cuts a client that has not read everything of a call that was answered", async () => {
  const psk = new Uint8Array(32).fill(7);
  let answers = 0;
  const onMessage = async (message: Message): Promise<void> => {
    await message.write(new Uint8Array(0));
    message.reply(new Uint8Array(0));
    answers++;
  };
  const server = await listen({ port: 0, host: "127.0.0.1", psk, onMessage });
  cleanups.push(() => server.close());
  const endpoints = [{ host: "127.0.0.1", port: server.port }];
  const times = { dialTimeoutMs: 60_000, drainTimeoutMs: 60_000 };
  const counts = new ProxyCounts();
  const sealing = new SealingSide({ endpoints, maxConnections: 1, most: 4, ...times }, { psk }, counts);
  const { plain, other, written } = await filled();
  other.end();
  sealing.accept(plain);
  await until(() => answers === 1, "the call");
  const stats = () => sealing.stats as { inFlightRequests: number };
  await until(() => stats().inFlightRequests === 0, "the answer");
  expect(counts.open).toBe(1);
  const closed = sealing.close();
  sealing.cut();
  await closed;
  expect(await written).toMatch(/cut/);
  expect(counts).toMatchObject({ open: 0, failed: 1 });
});
