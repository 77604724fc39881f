// In every runtime: a bundler may have chosen the Node adapter where Bun or Deno runs the program.
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { CLOSED_PER_POLL, closeInTurn } from "../../../src/adapters/closingTurns.ts";
import { handOutReceiveBuffer } from "../../../src/adapters/nodeReceiveBuffer.ts";
import { nodeAdapter } from "../../../src/adapters/nodeSockets.ts";
import type { Transport, TransportEvents } from "../../../src/rpc/transport.ts";
import { testAdapter } from "../../support/adapterContract.ts";
import { runtimeId, test } from "../../support/harness.ts";

testAdapter(nodeAdapter, { wholeWritesOnly: runtimeId === "bun" || runtimeId === "deno" });

test("the shared receive buffer has one owner at a time", () => {
  const received: number[] = [];
  const events = (onReceiveBuffer: (length: number) => void): TransportEvents => ({
    onReceiveBuffer,
    onData: () => assert.fail("data"),
    onWritten: () => assert.fail("written"),
    onEnd: () => assert.fail("end"),
    onClose: () => assert.fail("close"),
  });
  const quiet = events((length) => received.push(length));
  handOutReceiveBuffer(quiet, 1);
  const nested = events(() => handOutReceiveBuffer(quiet, 2));
  assert.throws(() => handOutReceiveBuffer(nested, 3), /two owners/);
  // It is free again, whatever was thrown.
  handOutReceiveBuffer(quiet, 4);
  assert.deepEqual(received, [1, 4]);
});

for (const end of ["resetAndDestroy", "destroy"] as const) {
  test(`sockets that end at the same time are closed in several turns of the event loop (${end})`, async () => {
    // The emulations of Bun and Deno close sockets as they do.
    if (runtimeId === "bun" || runtimeId === "deno") return;
    const count = 5 * CLOSED_PER_POLL;
    let [turn, open] = [0, 0];
    const closedIn = new Map<number, number>();
    const listener = await nodeAdapter.listen({ host: "127.0.0.1", port: 0 }, (transport) => {
      open++;
      // A socket learns of an end when it reads.
      queueMicrotask(() => transport.resume());
      return {
        onReceiveBuffer() {},
        onData() {},
        onWritten() {},
        onEnd: () => transport.destroy(),
        onClose() {
          open--;
          closedIn.set(turn, (closedIn.get(turn) ?? 0) + 1);
        },
      };
    });
    const clients = Array.from({ length: count }, () => net.connect(listener.port, "127.0.0.1"));
    await Promise.all(clients.map((client) => once(client, "connect")));
    const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    while (open < count) await nextTurn();
    // All of these ends lie with the server when the calls return: they were sent on loopback.
    for (const client of clients) client[end]();
    while (open > 0) {
      turn++;
      await nextTurn();
    }
    const most = Math.max(...closedIn.values());
    assert.ok(most <= CLOSED_PER_POLL, `${most} in one turn`);
    await listener.close();
  });
}

test("a close that throws tells its own end only: the sockets behind it are closed as well", async () => {
  const [closed, failures]: [number[], unknown[]] = [[], []];
  const count = 3 * CLOSED_PER_POLL;
  const failure = new Error("not today");
  await new Promise<void>((resolve) => {
    for (let i = 0; i < count; i++) {
      const close = (): void => {
        closed.push(i);
        if (closed.length === count) resolve();
        if (i % 3 === 0) throw failure;
      };
      closeInTurn(close, (error) => void failures.push(error));
    }
  });
  assert.deepEqual(
    closed,
    Array.from({ length: count }, (_, i) => i),
  );
  assert.deepEqual(failures, new Array(CLOSED_PER_POLL).fill(failure));
});

test("a socket whose close fails in its turn reports that as its end, and the others end as always", async () => {
  if (runtimeId === "bun" || runtimeId === "deno") return;
  const count = 3 * CLOSED_PER_POLL;
  const transports: Transport[] = [];
  const ends: unknown[] = [];
  const listener = await nodeAdapter.listen({ host: "127.0.0.1", port: 0 }, (transport) => {
    transports.push(transport);
    const never = (): void => assert.fail("an event of a socket that says nothing");
    return {
      onReceiveBuffer: never,
      onData: never,
      onWritten: never,
      onEnd() {},
      onClose: (error) => void ends.push(error),
    };
  });
  const clients = Array.from({ length: count }, () => net.connect(listener.port, "127.0.0.1"));
  await Promise.all(clients.map((client) => once(client, "connect")));
  const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  while (transports.length < count) await nextTurn();
  const { _destroy } = net.Socket.prototype;
  const failure = new Error("not today");
  const dialled = new Set(clients);
  let calls = 0;
  net.Socket.prototype._destroy = function (this: net.Socket, error, done) {
    if (dialled.has(this)) return _destroy.call(this, error, done);
    // Some of them at once, some in a later turn.
    const fails = calls++ % 40 === 0;
    _destroy.call(this, error, fails ? () => {} : done);
    if (fails) throw failure;
  };
  try {
    for (const transport of transports) transport.destroy();
    while (ends.length < count) await nextTurn();
  } finally {
    net.Socket.prototype._destroy = _destroy;
  }
  assert.equal(calls, count);
  assert.equal(ends.filter((error) => error === failure).length, Math.ceil(count / 40));
  assert.equal(ends.filter((error) => error === undefined).length, count - Math.ceil(count / 40));
  for (const client of clients) client.destroy();
  await listener.close();
});

test("a socket that waits for its close reads nothing more, whatever its peer sends", async () => {
  if (runtimeId === "bun" || runtimeId === "deno") return;
  const count = 5 * CLOSED_PER_POLL;
  const transports: Transport[] = [];
  let [open, destroyed, readAfterwards] = [0, false, 0];
  const onReceiveBuffer = (): void => {
    if (destroyed) readAfterwards++;
    destroyed = true;
    for (const transport of transports.splice(0)) transport.destroy();
  };
  const listener = await nodeAdapter.listen({ host: "127.0.0.1", port: 0 }, (transport) => {
    open++;
    transports.push(transport);
    queueMicrotask(() => transport.resume());
    return {
      onReceiveBuffer,
      onData: onReceiveBuffer,
      onWritten() {},
      onEnd() {},
      onClose: () => void open--,
    };
  });
  const clients = Array.from({ length: count }, () => net.connect(listener.port, "127.0.0.1"));
  await Promise.all(clients.map((client) => once(client, "connect")));
  const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  while (open < count) await nextTurn();
  for (const client of clients) client.on("error", () => {}).write(new Uint8Array(590));
  while (open > 0) await nextTurn();
  assert.equal(readAfterwards, 0);
  for (const client of clients) client.destroy();
  await listener.close();
});
