// The reason of a close arrives, also if the closing side has not read all that the other one had sent, and the other
// one goes on writing. A socket that is closed at once would answer with a reset in the place of the reason.

import assert from "node:assert/strict";
import * as net from "node:net";
import { type Client, connect, listen, type SealwireError, type Server } from "../../../src/index.ts";
import { Kind } from "../../../src/protocol/wire.ts";
import type { RpcConnection } from "../../../src/rpc/connection.ts";
import { LingeringClose } from "../../../src/rpc/lingeringClose.ts";
import type { Connection } from "../../../src/rpc/peer.ts";
import { timers } from "../../../src/rpc/timers.ts";
import { FakeTransport } from "../../support/fakeTransport.ts";
import { test } from "../../support/harness.ts";
import { PSK } from "../../support/protocols.ts";
import { RawPeer } from "../../support/rawPeer.ts";
import { RawSession } from "../../support/rawSession.ts";
import { checkLeaksAfterEachTest, deferred, echo, startServer, waitFor } from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

const ROUNDS = 5;
/** More than one read takes, and within the credit that settings give. */
const UNREAD = 12;
const UNREAD_BYTES = 60_000;
/** How long a socket waits for a peer that was told why its connection was closed. */
const LONGEST_MS = 1_000;

/** Breaks the protocol, with much more behind it in the same write or the next ones. */
function misbehave(connection: Connection): void {
  (connection as unknown as RpcConnection).link.outbox.controls.credit(0, 0);
  for (let i = 0; i < UNREAD; i++) connection.sendNoWait(new Uint8Array(UNREAD_BYTES));
}

/** What the callers of the side that misbehaved are told. */
async function heard(side: "client" | "server"): Promise<SealwireError> {
  const accepted = deferred<Connection>();
  const options = { psk: new Uint8Array(32).fill(3), requestTimeoutMs: 20_000 };
  const never = (): Promise<void> => new Promise(() => {});
  const server: Server = await listen({
    ...options,
    host: "127.0.0.1",
    port: 0,
    onMessage: (message) => {
      accepted.resolve(message.connection);
      if (message.expectsReply) return never();
    },
  });
  const client: Client = connect({ ...options, port: server.port, maxConnections: 1, onMessage: never });
  try {
    const own = await client.connected();
    own.sendNoWait(new Uint8Array(1));
    const connection = side === "client" ? own : await accepted.promise;
    await accepted.promise;
    const answer = connection.request(new Uint8Array(1)).then(
      () => assert.fail("it was answered"),
      (error: SealwireError) => error,
    );
    await new Promise((resolve) => setTimeout(resolve, 20));
    misbehave(connection);
    let told = false;
    void answer.then(() => {
      told = true;
    });
    // It goes on writing meanwhile, as whoever is in the middle of something does.
    for (let i = 0; i < 2_000 && !told; i++) {
      try {
        connection.sendNoWait(new Uint8Array(20_000));
      } catch {
        // It is closed, or waits for the kernel.
      }
      await new Promise((resolve) => setTimeout(resolve, i % 3));
    }
    return await answer;
  } finally {
    await Promise.all([client.close(), server.close()]);
  }
}

for (const side of ["client", "server"] as const) {
  test(`a ${side} that misbehaves learns why it is given up, whatever of it was not read`, async () => {
    for (let i = 0; i < ROUNDS; i++) {
      const error = await heard(side);
      assert.deepEqual(
        [error.code, error.remoteCode],
        ["ERR_CONNECTION_LOST", "ERR_PROTOCOL"],
        error.message,
      );
    }
  });
}

/** A peer that breaks the protocol, is told so, and does not leave. */
async function intruder(server: Server) {
  const socket = net.connect({ host: "127.0.0.1", port: server.port, allowHalfOpen: true });
  socket.on("error", () => {});
  await new Promise<void>((resolve) => socket.once("connect", () => resolve()));
  const peer = new RawPeer(socket);
  const session = await RawSession.v2(peer, "client", { psk: PSK });
  await waitFor(() => server.connections.length === 1, "the connection");
  const { link } = server.connections[0] as unknown as RpcConnection;
  peer.write(session.seal(0, new Uint8Array(4), Kind.credit));
  peer.write(new Uint8Array(UNREAD_BYTES));
  let last = await session.receive();
  while (last.kind !== Kind.close) last = await session.receive();
  await peer.ended();
  return { peer, session, link };
}

/** Where a side reads on for the longest time, it does so for `ms` instead. Returns what takes that back. */
function lingersFor(ms: number): () => void {
  const arm = timers.arm;
  timers.arm = (deadline, time) => arm.call(timers, deadline, time === LONGEST_MS ? ms : time);
  return () => {
    timers.arm = arm;
  };
}

test("a peer that is told why and does not leave is left behind", async () => {
  const server = await startServer({ psk: PSK, onMessage: () => {} });
  // The peer's end is looked at before, also on a machine that stands still for a second or two.
  const restore = lingersFor(4_000);
  const { peer, session, link } = await intruder(server).finally(restore);
  assert.deepEqual([server.connections.length, link.lifecycle.state], [0, "closed"]);
  await waitFor(() => link.lifecycle.state === "gone", "this side to close the socket");
  await peer.destroy();
  session.destroy();
});

test("peers that are told why and do not leave keep no client out: the oldest of them gives it its place", async () => {
  const server = await startServer({ psk: PSK, maxConnections: 2, onMessage: echo });
  // Without that they would have a minute.
  const restore = lingersFor(60_000);
  const intruders: Awaited<ReturnType<typeof intruder>>[] = [];
  try {
    for (let i = 0; i < 6; i++) intruders.push(await intruder(server));
    const states = (): string[] => intruders.map(({ link }) => link.lifecycle.state);
    assert.deepEqual(states(), ["gone", "gone", "gone", "gone", "closed", "closed"]);
    const client = connect({ psk: PSK, port: server.port, maxConnections: 1 });
    assert.deepEqual(await client.request(Uint8Array.of(1)), Uint8Array.of(1));
    assert.deepEqual(states(), ["gone", "gone", "gone", "gone", "gone", "closed"]);
    assert.deepEqual([server.stats.connections, server.refusedConnections], [2, 0]);
    await client.close();
  } finally {
    restore();
    for (const { peer, session } of intruders) {
      await peer.destroy();
      session.destroy();
    }
  }
});

/** A socket that notes when its stream was ended. */
class NotedTransport extends FakeTransport {
  ended = false;

  override end(): void {
    this.ended = true;
  }
}

test("a lingering close ends its stream behind what is written, and the socket with the peer's, the bytes or the time", async () => {
  const [told, waiting, flooded, silent] = Array.from({ length: 4 }, () => new NotedTransport());
  const close = new LingeringClose(told!, true, 5_000);
  assert.deepEqual([told!.ended, told!.paused, told!.destroyed], [true, false, false]);
  close.finish();
  assert.equal(told!.destroyed, true);

  const late = new LingeringClose(waiting!, false, 5_000);
  assert.deepEqual([waiting!.ended, waiting!.paused], [false, false]);
  late.written();
  assert.equal(waiting!.ended, true);
  late.stop();
  assert.equal(waiting!.destroyed, false);

  const full = new LingeringClose(flooded!, true, 5_000);
  full.received(16_777_216);
  assert.equal(flooded!.destroyed, false);
  full.received(1);
  assert.equal(flooded!.destroyed, true);

  new LingeringClose(silent!, true, 20);
  await waitFor(() => silent!.destroyed, "the time to be over");
  assert.equal(timers.size, 0);
});
