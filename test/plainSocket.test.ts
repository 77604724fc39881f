// The plain side of a proxy cuts a connection at once, whatever its peer reads, and so that the peer can't take a part for
// the whole.

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { dialPlain } from "../src/cli/proxy/plainSide.ts";
import { PlainSocket } from "../src/cli/proxy/plainSocket.ts";
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
