// In every runtime: a bundler may have chosen the Node adapter where Bun or Deno runs the program.
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { CLOSED_PER_POLL } from "../../../src/adapters/closingTurns.ts";
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
