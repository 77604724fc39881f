// The contract of every adapter (rpc/transport.ts), whatever its sockets are, tested below any protocol. A suite per
// adapter calls `testAdapter`.

import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  existsSync,
  linkSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import * as net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SealwireError } from "../../src/base/errors.ts";
import { acquireSlot, releaseSlot, slotsInUse } from "../../src/core/slotPool.ts";
import { memory } from "../../src/core/wasmModule.ts";
import type { Adapter, Address, Listener, Transport } from "../../src/rpc/transport.ts";
import { onAfterEachTest, runtimeId, type TestOptions, test } from "./harness.ts";
import { startHelper } from "./helperProcess.ts";
import { acceptInto, SocketProbe, streamBytes } from "./socketProbe.ts";

const SEGMENT_BYTES = 65_536;
const MEBIBYTE = 1_048_576;

/** A connected pair over this adapter, and how to take it down. */
class Pair {
  readonly client = new SocketProbe();
  readonly server = new SocketProbe();
  readonly listener: Listener;
  #stopped: Promise<void> | undefined;

  constructor(listener: Listener) {
    this.listener = listener;
  }

  /** Closes the listener, once. It may resolve only when the accepted sockets are gone. */
  stopListening(): Promise<void> {
    this.#stopped ??= this.listener.close();
    return this.#stopped;
  }

  async close(): Promise<void> {
    for (const probe of [this.client, this.server]) {
      if (probe.transport !== undefined && probe.closes === 0) probe.call((transport) => transport.destroy());
    }
    await this.client.closed();
    await this.server.closed();
    await this.stopListening();
    for (const probe of [this.client, this.server]) {
      assert.deepEqual(probe.violations, []);
      assert.equal(probe.closes, 1);
      assert.equal(probe.firstWrongByte, -1, "the stream differs");
    }
  }
}

/** Writes `total` bytes of the test stream from pool slots, as a connection does. */
async function writeStream(probe: SocketProbe, seed: number, total: number): Promise<void> {
  for (let sent = 0; sent < total; ) {
    const length = Math.min(SEGMENT_BYTES, total - sent);
    const slot = acquireSlot();
    assert.notEqual(slot, 0);
    memory.set(streamBytes(seed, sent, length), slot);
    const complete = await probe.write(memory.subarray(slot, slot + length));
    // The socket owns no memory any more: scribbling must not reach the peer.
    memory.fill(0xee, slot, slot + length);
    releaseSlot(slot);
    assert.ok(complete, "the socket closed while writing");
    sent += length;
  }
}

/** Listens and never accepts: its loop stands still. Prints its port. */
const HOLE = `import net from "node:net";
const server = net.createServer().listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => {
  process.stdout.write(server.address().port + "\\n", () => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60_000);
  });
});`;
/** Connects three times to every port that it is told, and tells how many of all its connections have ended. */
/** Opens so many connections to a port, and resets them all. */
const RESETS = `
  const { connect } = require("node:net");
  const [port, count] = process.argv.slice(1).map(Number);
  const sockets = [];
  const next = () => {
    if (sockets.length === count) {
      for (const socket of sockets) socket.resetAndDestroy();
      return;
    }
    const socket = connect(port, "127.0.0.1", () => { sockets.push(socket); next(); });
    socket.on("error", () => {});
  };
  next();
`;

const CLIENTS = `import net from "node:net";
let ended = 0;
process.stdout.write("0\\n");
process.stdin.on("data", (text) => {
  for (let i = 0; i < 3; i++) {
    const socket = net.connect(Number(String(text)), "127.0.0.1");
    socket.on("error", () => {});
    socket.on("data", () => {});
    socket.on("close", () => process.stdout.write("ended " + ++ended + "\\n"));
  }
});`;

/** Nothing of this has an effect on a socket that is destroyed before the turn ends. */
const USES_OF_A_DESTROYED_SOCKET: Readonly<Record<string, (transport: Transport) => void>> = {
  "destroy, resume": (transport) => {
    transport.destroy();
    transport.resume();
  },
  "resume, pause, destroy": (transport) => {
    transport.resume();
    transport.pause();
    transport.destroy();
  },
  "destroy, pause, resume": (transport) => {
    transport.destroy();
    transport.pause();
    transport.resume();
  },
  "destroy, write, destroy": (transport) => {
    transport.destroy();
    transport.write(streamBytes(0, 0, 10));
    transport.unwrittenBytes();
    transport.destroy();
  },
  "destroy, end, keepAlive": (transport) => {
    transport.destroy();
    transport.end();
    transport.keepAlive?.(false);
    transport.keepAlive?.(true);
  },
};

/** How many of this process's descriptors are sockets. Linux only. */
function openSockets(): number {
  let sockets = 0;
  for (const name of readdirSync("/proc/self/fd")) {
    try {
      if (readlinkSync(`/proc/self/fd/${name}`).startsWith("socket:")) sockets++;
    } catch {
      // The folder itself, closed by now.
    }
  }
  return sockets;
}

/** Opens files until the system refuses; undefined where it would take too many. */
function takeAllDescriptors(): number[] | undefined {
  const taken: number[] = [];
  try {
    while (taken.length < 70_000) taken.push(openSync("/dev/null", "r"));
  } catch {
    return taken;
  }
  for (const descriptor of taken) closeSync(descriptor);
  return undefined;
}

/** Keeps the event loop from everything else for this time. */
function stall(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end; );
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}

/**
 * Lets `probe` write more than the kernel holds to a peer that does not read, and the peer vanish: a socket that
 * is closed with unread bytes sends a reset.
 */
async function expectReset(probe: SocketProbe, vanish: () => void): Promise<void> {
  const returned = probe.call((transport) => transport.write(streamBytes(0, 0, 64 * MEBIBYTE)));
  assert.equal(returned, false, "64 MiB were taken at once");
  vanish();
  await probe.closed();
  assert.equal(probe.written, 0, "the write was reported as complete");
  await pause();
  assert.equal(probe.closes, 1);
  assert.deepEqual(probe.violations, []);
}

/**
 * Registers the contract's tests for this adapter. `wholeWritesOnly`: it sees no progress within a write. `inMemory`: no
 * socket, file and descriptor of a kernel stands behind it.
 */
export function testAdapter(adapter: Adapter, { wholeWritesOnly = false, inMemory = false } = {}): void {
  const ofKernel: TestOptions = inMemory ? { skip: "a network in memory has no kernel" } : {};
  onAfterEachTest(() => {
    assert.equal(slotsInUse(), 0, "pool slots are left");
  });

  /** `listening` runs before the dial. */
  async function connectPair(
    address: Address = { host: "127.0.0.1", port: 0 },
    listening = async () => {},
  ): Promise<Pair> {
    let pair: Pair | undefined;
    const listener = await adapter.listen(address, (transport) => acceptInto(pair!.server, transport));
    pair = new Pair(listener);
    await listening();
    const target = address.path === undefined ? { host: "127.0.0.1", port: listener.port } : address;
    adapter.dial(target, pair.client);
    await pair.client.until(() => pair.client.opens + pair.client.closes > 0, "onConnected");
    assert.equal(pair.client.opens, 1, `the dial failed: ${String(pair.client.closeError)}`);
    // A socket starts paused; the first byte proves that the other end was accepted too.
    pair.client.call((transport) => transport.resume());
    for (let turn = 0; turn < 1_000 && pair.server.transport === undefined; turn++) {
      await pause();
    }
    pair.server.call((transport) => transport.resume());
    return pair;
  }

  test("bytes pass in both directions", async () => {
    const pair = await connectPair();
    pair.server.expectStream(1);
    pair.client.expectStream(2);
    await pair.client.write(streamBytes(1, 0, 1_000));
    await pair.server.write(streamBytes(2, 0, 3));
    await pair.server.until(() => pair.server.receivedBytes === 1_000, "1,000 bytes");
    await pair.client.until(() => pair.client.receivedBytes === 3, "3 bytes");
    await pair.close();
  });

  test("the listener tells its port, the socket its peer's address, also when it is closed", async () => {
    const pair = await connectPair();
    assert.ok(pair.listener.port > 0 && pair.listener.port < 65_536);
    const transports = [pair.server.transport!, pair.client.transport!];
    for (const { remoteAddress } of transports) assert.match(remoteAddress, /127\.0\.0\.1/);
    await pair.close();
    for (const { remoteAddress } of transports) assert.match(remoteAddress, /127\.0\.0\.1/);
  });

  test("16 MiB in both directions at once arrive whole, written from reused memory", async () => {
    const pair = await connectPair();
    const total = 16 * MEBIBYTE;
    pair.server.expectStream(3);
    pair.client.expectStream(4);
    await Promise.all([writeStream(pair.client, 3, total), writeStream(pair.server, 4, total)]);
    await pair.server.until(() => pair.server.receivedBytes === total, "16 MiB at the server");
    await pair.client.until(() => pair.client.receivedBytes === total, "16 MiB at the client");
    await pair.close();
  });

  test("5,000 small writes arrive in order", async () => {
    const pair = await connectPair();
    pair.server.expectStream(5);
    let sent = 0;
    for (let i = 0; i < 5_000; i++) {
      const length = 1 + (i % 37);
      await pair.client.write(streamBytes(5, sent, length));
      sent += length;
    }
    await pair.server.until(() => pair.server.receivedBytes === sent, "all small writes");
    await pair.close();
  });

  test("a paused reader stops the writer and loses nothing", async () => {
    const pair = await connectPair();
    const total = 32 * MEBIBYTE;
    pair.server.expectStream(6);
    pair.server.call((transport) => transport.pause());
    let finished = false;
    const writing = writeStream(pair.client, 6, total).then(() => {
      finished = true;
    });
    // Long enough for a writer that nothing stops to pass all of it: wait until it makes no more progress.
    for (let quiet = 0, last = -1; quiet < 10; ) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      quiet = pair.client.written === last ? quiet + 1 : 0;
      last = pair.client.written;
    }
    assert.equal(finished, false, "32 MiB were taken although nobody reads");
    // What was already on its way to this process when it paused may still be delivered, but no more than a few reads.
    assert.ok(
      pair.server.receivedBytes <= 4 * SEGMENT_BYTES,
      `${pair.server.receivedBytes} bytes arrived while paused`,
    );
    pair.server.call((transport) => transport.resume());
    await writing;
    await pair.server.until(() => pair.server.receivedBytes === total, "all bytes after resume");
    await pair.close();
  });

  test("pausing and resuming again and again loses nothing", async () => {
    const pair = await connectPair();
    const total = 4 * MEBIBYTE;
    pair.server.expectStream(7);
    let pauses = 0;
    pair.server.onBytes = () => {
      // Inside an event, as a connection does it.
      pair.server.transport!.pause();
      pauses++;
      setTimeout(() => pair.server.transport!.resume(), pauses % 8 === 0 ? 1 : 0);
    };
    await writeStream(pair.client, 7, total);
    await pair.server.until(() => pair.server.receivedBytes === total, "all bytes");
    assert.ok(pauses > 1);
    await pair.close();
  });

  test("pause and resume in one turn change nothing", async () => {
    const pair = await connectPair();
    pair.server.expectStream(8);
    pair.server.call((transport) => {
      transport.pause();
      transport.resume();
      transport.resume();
      transport.pause();
      transport.resume();
    });
    await pair.client.write(streamBytes(8, 0, 100_000));
    await pair.server.until(() => pair.server.receivedBytes === 100_000, "all bytes");
    await pair.close();
  });

  for (const [reader, writer] of [
    ["client", "server"],
    ["server", "client"],
  ] as const) {
    test(`a ${reader} that is paused in the turn of its resume stays paused`, async () => {
      const pair = await connectPair();
      const total = 4 * MEBIBYTE;
      pair[reader].expectStream(9);
      pair[reader].call((transport) => {
        transport.pause();
        transport.resume();
        transport.pause();
      });
      const writing = writeStream(pair[writer], 9, total);
      // Turns in which a reader that is not paused would read most of it.
      for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setTimeout(resolve, 5));
      const { receivedBytes } = pair[reader];
      assert.ok(receivedBytes <= 4 * SEGMENT_BYTES, `${receivedBytes} bytes arrived while paused`);
      pair[reader].call((transport) => transport.resume());
      await writing;
      await pair[reader].until(() => pair[reader].receivedBytes === total, "all bytes after resume");
      await pair.close();
    });
  }

  test("half-close: after end() the peer is told, and its answer still arrives", async () => {
    const pair = await connectPair();
    pair.server.expectStream(9);
    pair.client.expectStream(10);
    await pair.client.write(streamBytes(9, 0, 200_000));
    pair.client.call((transport) => transport.end());
    await pair.server.until(() => pair.server.ends === 1, "onEnd at the server");
    assert.equal(pair.server.receivedBytes, 200_000, "onEnd came before the last bytes");
    assert.equal(pair.server.closes, 0, "the server's socket closed although it still may write");
    await writeStream(pair.server, 10, 300_000);
    pair.server.call((transport) => transport.end());
    await pair.client.until(() => pair.client.ends === 1, "onEnd at the client");
    assert.equal(pair.client.receivedBytes, 300_000);
    await pair.close();
  });

  test(
    "an accepted socket that the peer resets closes once, and its pending write with it",
    ofKernel,
    async () => {
      const probe = new SocketProbe();
      const listener = await adapter.listen({ host: "127.0.0.1", port: 0 }, (transport) =>
        acceptInto(probe, transport),
      );
      const raw = net.connect({ host: "127.0.0.1", port: listener.port });
      raw.on("error", () => {});
      await new Promise<void>((resolve) => raw.once("connect", () => resolve()));
      raw.write(streamBytes(0, 0, 1));
      for (let turn = 0; turn < 1_000 && probe.transport === undefined; turn++) await pause();
      probe.call((transport) => transport.resume());
      await probe.until(() => probe.receivedBytes === 1, "the byte");
      await expectReset(probe, () => raw.destroy());
      await listener.close();
    },
  );

  test(
    "a dialled socket that the peer resets closes once, and its pending write with it",
    ofKernel,
    async () => {
      let accepted: net.Socket | undefined;
      const server = net.createServer((socket) => {
        accepted = socket;
        socket.on("error", () => {});
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
      const probe = new SocketProbe();
      adapter.dial({ host: "127.0.0.1", port: (server.address() as net.AddressInfo).port }, probe);
      await probe.until(() => probe.opens === 1, "onConnected");
      probe.call((transport) => transport.resume());
      for (let turn = 0; turn < 1_000 && accepted === undefined; turn++) await pause();
      await expectReset(probe, () => accepted!.destroy());
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  );

  test("destroy() while a write is pending: onClose once, later, and the memory is free after it", async () => {
    const pair = await connectPair();
    pair.server.call((transport) => transport.pause());
    const big = streamBytes(0, 0, 64 * MEBIBYTE);
    const returned = pair.client.call((transport) => transport.write(big));
    assert.equal(returned, false, "64 MiB were taken at once");
    pair.client.call((transport) => transport.destroy());
    assert.equal(pair.client.closes, 0, "onClose came from inside destroy()");
    pair.client.call((transport) => transport.destroy());
    await pair.client.closed();
    big.fill(0);
    pair.server.call((transport) => transport.resume());
    await pair.close();
  });

  test("dialling a closed port fails with onClose and an error, without onConnected", async () => {
    const listener = await adapter.listen({ host: "127.0.0.1", port: 0 }, () => assert.fail("accepted"));
    const { port } = listener;
    await listener.close();
    const probe = new SocketProbe();
    adapter.dial({ host: "127.0.0.1", port }, probe);
    assert.equal(probe.closes, 0, "onClose came from inside dial()");
    await probe.closed();
    assert.equal(probe.opens, 0);
    assert.ok(probe.closeError instanceof Error);
    assert.deepEqual(probe.violations, []);
  });

  test("giving up a dial at once: onClose, no onConnected", async () => {
    const probe = new SocketProbe();
    const accepted: SocketProbe[] = [];
    const listener = await adapter.listen({ host: "127.0.0.1", port: 0 }, (transport) => {
      const server = new SocketProbe();
      accepted.push(server);
      const events = acceptInto(server, transport);
      transport.resume();
      return events;
    });
    const giveUp = adapter.dial({ host: "127.0.0.1", port: listener.port }, probe);
    giveUp();
    assert.equal(probe.closes, 0, "onClose came from inside the call");
    await probe.closed();
    giveUp();
    assert.equal(probe.opens, 0);
    assert.deepEqual(probe.violations, []);
    await listener.close();
    for (const server of accepted) {
      if (server.closes === 0 && server.ends === 0)
        await server.until(() => server.closes + server.ends > 0, "the end");
      if (server.closes === 0) server.call((transport) => transport.destroy());
      await server.closed();
    }
  });

  test("an address in use can't be bound", async () => {
    const listener = await adapter.listen({ host: "127.0.0.1", port: 0 }, () => assert.fail("accepted"));
    await assert.rejects(
      Promise.resolve().then(() =>
        adapter.listen({ host: "127.0.0.1", port: listener.port }, () => assert.fail("accepted")),
      ),
    );
    await listener.close();
  });

  test("a closed listener accepts nobody, accepted sockets live on", async () => {
    const pair = await connectPair();
    const stopped = pair.stopListening();
    let refused = false;
    for (let attempt = 0; attempt < 100 && !refused; attempt++) {
      await pause();
      const probe = new SocketProbe();
      adapter.dial({ host: "127.0.0.1", port: pair.listener.port }, probe);
      await probe.until(() => probe.opens + probe.closes > 0, "the dial");
      refused = probe.opens === 0;
      if (!refused) probe.call((transport) => transport.destroy());
      await probe.closed();
    }
    assert.ok(refused, "a closed listener still accepts");
    pair.server.expectStream(11);
    await pair.client.write(streamBytes(11, 0, 50_000));
    await pair.server.until(() => pair.server.receivedBytes === 50_000, "bytes after the listener closed");
    await pair.close();
    await stopped;
  });

  test("Unix sockets", async () => {
    const folder = mkdtempSync(join(tmpdir(), "sealwire-"));
    try {
      const pair = await connectPair({ path: join(folder, "socket") });
      assert.equal(pair.listener.port, 0);
      assert.equal(pair.server.transport!.remoteAddress, "");
      pair.server.expectStream(12);
      pair.client.expectStream(13);
      const total = 2 * MEBIBYTE;
      await Promise.all([writeStream(pair.client, 12, total), writeStream(pair.server, 13, total)]);
      await pair.server.until(() => pair.server.receivedBytes === total, "2 MiB at the server");
      await pair.client.until(() => pair.client.receivedBytes === total, "2 MiB at the client");
      pair.client.call((transport) => transport.end());
      await pair.server.until(() => pair.server.ends === 1, "onEnd");
      await pair.close();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test("peers that reset before they are accepted hold up nobody", ofKernel, async () => {
    const probes: SocketProbe[] = [];
    let greeted = false;
    const listener = await adapter.listen({ host: "127.0.0.1", port: 0 }, (transport) => {
      const probe = new SocketProbe();
      probes.push(probe);
      const events = acceptInto(probe, transport);
      probe.onBytes = () => {
        greeted = true;
      };
      // Deferred: the adapter learns of `events` only when this returns.
      setTimeout(() => transport.resume(), 0);
      return events;
    });
    // While this waits, nothing is accepted: all of them are in the queue, and gone, before the first is looked at.
    const { status } = spawnSync("node", ["-e", RESETS, `${listener.port}`, "300"]);
    assert.equal(status, 0);
    const good = new SocketProbe();
    adapter.dial({ host: "127.0.0.1", port: listener.port }, good);
    await good.until(() => good.opens === 1, "onConnected");
    await good.write(streamBytes(14, 0, 100));
    for (let turn = 0; turn < 10_000 && !greeted; turn++) await pause();
    assert.ok(greeted, "the one that stayed was not served");
    assert.equal(listener.acceptFailures, 0, "accepting paused");
    good.call((transport) => transport.destroy());
    await good.closed();
    for (const probe of probes) {
      if (probe.closes === 0) probe.call((transport) => transport.destroy());
      await probe.closed();
    }
    await listener.close();
  });

  test("200 sockets open and close", async () => {
    let accepted = 0;
    let gone = 0;
    const listener = await adapter.listen({ host: "127.0.0.1", port: 0 }, (transport) => {
      accepted++;
      const server = new SocketProbe();
      const events = acceptInto(server, transport);
      server.closed().then(() => gone++);
      // Deferred: the adapter learns of `events` only when this returns.
      setTimeout(() => transport.resume(), 0);
      server.until(() => server.ends === 1, "the end").then(() => transport.destroy());
      return events;
    });
    const probes = Array.from({ length: 200 }, () => new SocketProbe());
    for (const probe of probes) adapter.dial({ host: "127.0.0.1", port: listener.port }, probe);
    for (const probe of probes) {
      await probe.until(() => probe.opens === 1, "onConnected");
      probe.call((transport) => transport.resume());
      probe.call((transport) => transport.end());
    }
    for (const probe of probes)
      await probe.until(() => probe.ends === 1 || probe.closes === 1, "the server's end");
    for (const probe of probes) if (probe.closes === 0) probe.call((transport) => transport.destroy());
    for (const probe of probes) await probe.closed();
    for (let turn = 0; turn < 2_000 && gone < 200; turn++)
      await new Promise((resolve) => setTimeout(resolve, 1));
    assert.equal(accepted, 200);
    assert.equal(gone, 200);
    await listener.close();
  });

  for (const [order, use] of Object.entries(USES_OF_A_DESTROYED_SOCKET)) {
    test(`sockets that are destroyed at the same time read nothing more and end once: ${order}`, async () => {
      const servers: SocketProbe[] = [];
      const listener = await adapter.listen({ host: "127.0.0.1", port: 0 }, (transport) => {
        const server = new SocketProbe();
        servers.push(server);
        return acceptInto(server, transport);
      });
      // More than are closed between two polls of the event loop, so most of them wait for their close.
      const clients = Array.from({ length: 200 }, () => new SocketProbe());
      for (const client of clients) adapter.dial({ host: "127.0.0.1", port: listener.port }, client);
      for (const client of clients) await client.until(() => client.opens === 1, "onConnected");
      while (servers.length < clients.length) await pause();
      for (const client of clients) await client.write(streamBytes(0, 0, 600));
      for (const server of servers) server.call(use);
      // A connection may learn of its socket's end later than it happened.
      for (let turn = 0; turn < 3; turn++) {
        await new Promise((resolve) => setImmediate(resolve));
        for (const server of servers) if (server.closes === 0) server.call(use);
      }
      for (const server of servers) {
        await server.closed();
        assert.deepEqual(server.violations, []);
        assert.equal(server.receivedBytes, 0, "it read after it was destroyed");
      }
      for (const client of clients) {
        client.call((transport) => transport.destroy());
        await client.closed();
      }
      await listener.close();
      for (const server of servers) assert.equal(server.closes, 1);
    });
  }

  test("defer runs its callback in this turn, after promise reactions that are due", async () => {
    const order: string[] = [];
    await new Promise<void>((resolve) => {
      setTimeout(() => {
        order.push("timer");
        resolve();
      }, 0);
      adapter.defer(() => order.push("deferred"));
      order.push("now");
    });
    assert.deepEqual(order, ["now", "deferred", "timer"]);
  });

  test(
    "yieldToEventLoop runs its callback after what lies in the kernel was handed out, from any turn",
    ofKernel,
    async () => {
      const probes = [new SocketProbe(), new SocketProbe()] as const;
      const [probe, other] = probes;
      let accepted = 0;
      const listener = await adapter.listen({ host: "127.0.0.1", port: 0 }, (transport) =>
        acceptInto(probes[accepted++]!, transport),
      );
      const raws: net.Socket[] = [];
      for (const each of probes) {
        const socket = net.connect({ host: "127.0.0.1", port: listener.port, noDelay: true });
        raws.push(socket);
        await once(socket, "connect");
        for (let turn = 0; turn < 1_000 && each.transport === undefined; turn++) await pause();
        each.call((transport) => transport.resume());
      }
      const [raw, otherRaw] = raws as [net.Socket, net.Socket];
      const starts: Record<string, (body: () => void) => void> = {
        timer: (body) => setTimeout(body, 1),
        microtask: (body) => queueMicrotask(body),
        defer: (body) => adapter.defer(body),
        yieldToEventLoop: (body) => adapter.yieldToEventLoop(body),
        event: (body) => {
          other.onBytes = () => {
            other.onBytes = undefined;
            body();
          };
          otherRaw.write("y");
        },
      };
      const cases = Object.entries(starts).flatMap(([name, start]) =>
        [false, true].map((stalls) => ({ name, start, stalls })),
      );
      for (const { name, start, stalls } of cases) {
        let received = -1;
        let written: Promise<void> | undefined;
        await new Promise<void>((resolve) =>
          start(() => {
            // Written on loopback in this call, in every runtime: it lies with the receiver when write returns.
            written = new Promise((done) => raw.write("x", () => done()));
            const before = probe.receivedBytes;
            adapter.yieldToEventLoop(() => {
              received = probe.receivedBytes - before;
              resolve();
            });
            // Whatever the callback waits for is due when the loop comes to it, and is the socket's event as well.
            if (stalls) stall(5);
          }),
        );
        assert.equal(received, 1, `from a callback of ${name}${stalls ? ", after a stall" : ""}`);
        // A write that begins before the last one is reported as written would wait in the socket's queue.
        await written;
      }
      for (const each of raws) each.destroy();
      for (const each of probes) each.call((transport) => transport.destroy());
      for (const each of probes) await each.closed();
      await listener.close();
    },
  );

  test("callbacks run in no caller's asynchronous context", async () => {
    const storage = new AsyncLocalStorage<string>();
    const seen = new Map<string, unknown>();
    const note = (what: string): void => {
      const store = storage.getStore();
      if (store !== undefined) seen.set(what, store);
    };
    const pair = { client: new SocketProbe(), server: new SocketProbe() };
    pair.server.onEvent = (event) => note(`server ${event}`);
    pair.client.onEvent = (event) => note(`client ${event}`);
    const listener = await storage.run("listen", () =>
      adapter.listen({ host: "127.0.0.1", port: 0 }, (transport) => {
        note("accept");
        return acceptInto(pair.server, transport);
      }),
    );
    const target = { host: "127.0.0.1", port: listener.port };
    storage.run("dial", () => adapter.dial(target, pair.client));
    await pair.client.until(() => pair.client.opens === 1, "onConnected");
    for (let turn = 0; turn < 1_000 && pair.server.transport === undefined; turn++) await pause();
    for (const probe of [pair.client, pair.server]) {
      storage.run("resume", () => probe.call((transport) => transport.resume()));
    }
    const big = streamBytes(0, 0, 8 * MEBIBYTE);
    for (const [from, to] of [
      [pair.client, pair.server],
      [pair.server, pair.client],
    ] as const) {
      const before = to.receivedBytes;
      storage.run("pause", () => to.call((transport) => transport.pause()));
      const writing = storage.run("write", () => from.write(big));
      await pause();
      storage.run("resume again", () => to.call((transport) => transport.resume()));
      await writing;
      await to.until(() => to.receivedBytes === before + big.length, "all bytes");
    }
    for (const name of ["defer", "yieldToEventLoop"] as const) {
      await new Promise<void>((resolve) =>
        storage.run(name, () =>
          adapter[name](() => {
            note(name);
            resolve();
          }),
        ),
      );
    }
    storage.run("end", () => pair.client.call((transport) => transport.end()));
    await pair.server.until(() => pair.server.ends === 1, "onEnd");
    for (const probe of [pair.server, pair.client]) {
      storage.run("destroy", () => probe.call((transport) => transport.destroy()));
      await probe.closed();
    }
    await storage.run("close", () => listener.close());
    for (const cancelled of [false, true]) {
      const failed = new SocketProbe();
      failed.onEvent = (event) => note(`failed dial ${event}`);
      storage.run("dial", () => {
        const giveUp = adapter.dial(target, failed);
        if (cancelled) giveUp();
      });
      await failed.closed();
    }
    assert.deepEqual(Object.fromEntries(seen), {});
  });

  test("unwrittenBytes falls while the peer takes bytes of a pending write, and not while it takes none", async () => {
    const pair = await connectPair();
    pair.server.call((transport) => transport.pause());
    assert.equal(pair.client.transport!.unwrittenBytes(), 0);
    const big = streamBytes(0, 0, 64 * MEBIBYTE);
    assert.equal(
      pair.client.call((transport) => transport.write(big)),
      false,
      "64 MiB were taken at once",
    );
    const unwritten = (): number => pair.client.call((transport) => transport.unwrittenBytes());
    let last = -1;
    for (let quiet = 0; quiet < 10; ) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      quiet = unwritten() === last ? quiet + 1 : 0;
      last = unwritten();
    }
    assert.ok(last > 0 && last <= big.length, `${last} bytes are not written`);
    if (!wholeWritesOnly) {
      // The peer reads some of it: less than all, more than the kernel's buffers hold.
      const target = pair.server.receivedBytes + 16 * MEBIBYTE;
      pair.server.onBytes = () => {
        if (pair.server.receivedBytes >= target) pair.server.transport!.pause();
      };
      pair.server.call((transport) => transport.resume());
      await pair.server.until(() => pair.server.receivedBytes >= target, "16 MiB");
      for (let turn = 0; turn < 2_000 && unwritten() >= last; turn++) await pause();
      assert.ok(unwritten() < last, "no progress was seen");
      assert.equal(pair.client.written, 0);
      pair.server.onBytes = undefined;
    }
    pair.server.call((transport) => transport.resume());
    await pair.client.until(() => pair.client.written === 1, "the write to complete");
    assert.equal(unwritten(), 0);
    await pair.server.until(() => pair.server.receivedBytes === big.length, "all bytes");
    await pair.close();
  });

  test("failed dials and listens name the address and the runtime's reason", async () => {
    const listener = await adapter.listen({ host: "127.0.0.1", port: 0 }, () => assert.fail("accepted"));
    const { port } = listener;
    await assert.rejects(
      adapter.listen({ host: "127.0.0.1", port }, () => assert.fail("accepted")),
      (error: SealwireError) => {
        assert.equal(error.code, "ERR_LISTEN_FAILED");
        assert.ok(error.message.includes(`127.0.0.1:${port}`), error.message);
        assert.match(error.message, /EADDRINUSE|in use/i);
        assert.ok(error.cause instanceof Error);
        return true;
      },
    );
    await listener.close();
    const missing = join(tmpdir(), "sealwire-nobody-listens-here");
    for (const [address, where, reason] of [
      [{ host: "127.0.0.1", port }, `127.0.0.1:${port}`, /ECONNREFUSED/],
      [{ path: missing }, missing, /ENOENT/],
    ] as const) {
      const probe = new SocketProbe();
      adapter.dial(address, probe);
      await probe.closed();
      const { code, message, cause } = probe.closeError as SealwireError;
      assert.equal(code, "ERR_DIAL_FAILED");
      assert.ok(message.includes(where), message);
      assert.match(message, reason);
      assert.ok(cause instanceof Error);
    }
  });

  test(
    "a listener that closes removes the path that it bound, and nothing that others put there",
    ofKernel,
    async () => {
      if (process.platform === "win32") return;
      const folder = mkdtempSync(join(tmpdir(), "sealwire-"));
      const path = join(folder, "socket");
      const listen = () => adapter.listen({ path }, () => assert.fail("accepted"));
      try {
        const first = await listen();
        await first.close();
        assert.deepEqual(readdirSync(folder), []);
        for (const put of [
          (other: string) => renameSync(other, path),
          (other: string) => {
            rmSync(path);
            linkSync(other, path);
            rmSync(other);
          },
        ]) {
          const listener = await listen();
          writeFileSync(join(folder, "other"), "of others");
          put(join(folder, "other"));
          const closed = listener.close();
          // Nothing is lost in a process that exits now, if the runtime closes at once.
          if (runtimeId !== "deno") assert.equal(readFileSync(path, "utf8"), "of others");
          await closed;
          assert.equal(readFileSync(path, "utf8"), "of others");
          assert.deepEqual(readdirSync(folder), ["socket"]);
          rmSync(path);
        }
        const before = await listen();
        rmSync(path);
        const pair = await connectPair({ path }, () => before.close());
        assert.deepEqual(readdirSync(folder), ["socket"]);
        await pair.close();
        assert.deepEqual(readdirSync(folder), []);
        const removed = await listen();
        rmSync(path);
        await removed.close();
        assert.deepEqual(readdirSync(folder), []);
        const several = [];
        for (let i = 0; i < 3; i++) {
          rmSync(path, { force: true });
          several.push(await listen());
        }
        await Promise.all(several.map((each) => each.close()));
        assert.deepEqual(readdirSync(folder), []);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
  );

  test("a path that the system would cut off is refused, the longest one works", ofKernel, async () => {
    if (process.platform === "win32") return;
    const limit = process.platform === "linux" ? 107 : 103;
    const folder = mkdtempSync(join(tmpdir(), "sealwire-"));
    try {
      // One name of two-byte characters: bytes count.
      const room = limit - folder.length - 1;
      const longest = join(folder, "é".repeat(room >>> 1) + "x".repeat(room & 1));
      const tooLong = `${longest}y`;
      for (const path of [tooLong, join(folder, "z".repeat(300)), join(folder, "a\0b"), "\0abstract"]) {
        const reason = path.includes("\0") ? /zero byte/ : new RegExp(`at most ${limit} bytes.*sun_path`);
        await assert.rejects(
          adapter.listen({ path }, () => assert.fail("accepted")),
          (error: SealwireError) => error.code === "ERR_LISTEN_FAILED" && reason.test(error.message),
        );
        const probe = new SocketProbe();
        adapter.dial({ path }, probe);
        assert.equal(probe.closes, 0, "onClose came from inside dial()");
        await probe.closed();
        assert.equal((probe.closeError as SealwireError).code, "ERR_DIAL_FAILED");
        assert.match((probe.closeError as SealwireError).message, reason);
      }
      assert.deepEqual(readdirSync(folder), []);
      const pair = await connectPair({ path: longest });
      assert.ok(existsSync(longest));
      await pair.close();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test(
    "a dial under way that is given up leaves nothing: no socket, nothing that keeps the process alive",
    ofKernel,
    async () => {
      if (!existsSync("/proc/self/fd")) return;
      const hole = await startHelper(HOLE);
      const fillers = Array.from({ length: 4 }, () =>
        net.connect(hole.port, "127.0.0.1").on("error", () => {}),
      );
      // Two of them fill the backlog of one; from then on a connect is not answered.
      await once(fillers[0]!, "connect");
      await new Promise((resolve) => setTimeout(resolve, 100));
      const before = openSockets();
      const probes = Array.from({ length: 3 }, () => new SocketProbe());
      const giveUps = probes.map((probe) => adapter.dial({ host: "127.0.0.1", port: hole.port }, probe));
      for (let turn = 0; turn < 1_000 && openSockets() < before + 3; turn++) await pause();
      assert.equal(openSockets(), before + 3);
      for (const giveUp of giveUps) giveUp();
      for (const probe of probes) {
        await probe.closed();
        assert.equal(probe.opens, 0);
        assert.deepEqual(probe.violations, []);
      }
      for (let turn = 0; turn < 1_000 && openSockets() > before; turn++) await pause();
      assert.equal(openSockets(), before);
      for (const filler of fillers) filler.destroy();
      await hole.stop();
    },
  );

  test("a listener without descriptors does not spin, and recovers", {
    ...ofKernel,
    timeoutMs: 60_000,
  }, async () => {
    const clients = await startHelper(CLIENTS);
    let accepted = 0;
    const probes: SocketProbe[] = [];
    const listener = await adapter.listen({ host: "127.0.0.1", port: 0 }, (transport) => {
      accepted++;
      const probe = new SocketProbe();
      probes.push(probe);
      return acceptInto(probe, transport);
    });
    const taken = takeAllDescriptors();
    if (taken !== undefined) {
      try {
        clients.tell(`${listener.port}`);
        if (process.versions.bun === undefined && process.versions.deno === undefined) {
          await clients.heard("ended 3");
        } else {
          for (let turn = 0; turn < 10_000 && listener.acceptFailures === 0; turn++) await pause();
          assert.ok(listener.acceptFailures > 0, "nothing was counted");
        }
        // A spinning loop fails thousands of times meanwhile.
        await new Promise((resolve) => setTimeout(resolve, 300));
        assert.ok(listener.acceptFailures < 20, `failed ${listener.acceptFailures} times`);
        assert.equal(accepted, 0);
      } finally {
        for (const descriptor of taken) closeSync(descriptor);
      }
      const before = accepted;
      clients.tell(`${listener.port}`);
      for (let turn = 0; turn < 10_000 && accepted < before + 3; turn++) await pause();
      assert.ok(accepted >= before + 3, "it accepts nobody any more");
    }
    await clients.stop();
    const stopped = listener.close();
    // Some may have been accepted meanwhile: the list grows under the loop.
    for (const probe of probes) {
      if (probe.closes === 0) probe.call((transport) => transport.destroy());
      await probe.closed();
    }
    await stopped;
  });
}
