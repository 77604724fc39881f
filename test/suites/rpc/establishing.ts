// Between the open socket and the keys: bytes that a peer may send meanwhile, and handshakes that decide, fail and end.

import assert from "node:assert/strict";
import type { Handshake, HandshakeResult } from "../../../src/protocol/handshake.ts";
import { AcceptedSocket, type SocketOwner } from "../../../src/rpc/acceptedSocket.ts";
import { AddressShare } from "../../../src/rpc/addressShare.ts";
import type { RpcConnection } from "../../../src/rpc/connection.ts";
import { Establishing, type EstablishingEvents } from "../../../src/rpc/establishing.ts";
import { HandshakeTurns } from "../../../src/rpc/handshakeTurns.ts";
import { Line } from "../../../src/rpc/line.ts";
import { type ProxyReader, proxyReader } from "../../../src/rpc/proxyReader.ts";
import { TIMER_TICK_MS, timers } from "../../../src/rpc/timers.ts";
import { Writer } from "../../../src/rpc/writer.ts";
import { FakeTransport } from "../../support/fakeTransport.ts";
import { test } from "../../support/harness.ts";
import { deferred, sleep, waitFor } from "../../support/rpcHarness.ts";

/** What may arrive behind the first message, or behind the last one, before this side goes on. */
const LIMIT = 262_144;
const identity = {
  protocol: "test",
  authenticated: false,
  remoteStaticKey: undefined,
  handshakeHash: undefined,
};

/** A handshake of one message of 10 bytes, about which the application decides. */
class Decided implements Handshake {
  done = false;
  expects = 10;
  destroyed = 0;
  readonly decision = deferred();

  send(): undefined {}

  receive(): Promise<void> {
    this.expects = 0;
    return this.decision.promise.then(() => {
      this.done = true;
    });
  }

  finish(): HandshakeResult {
    return { sendKey: new Uint8Array(32), receiveKey: new Uint8Array(32), identity };
  }

  destroy(): void {
    this.destroyed++;
  }
}

/** Longer than a read that need not wait. */
const A_WHILE_MS = 2 * TIMER_TICK_MS;

function start(takeKeys = () => {}, turns?: HandshakeTurns) {
  const handshake = new Decided();
  const writer = new Writer(0, { onIdle() {}, onStall() {} });
  writer.attach(new FakeTransport());
  const told = {
    early: undefined as Uint8Array | undefined,
    deciding: [] as boolean[],
    errors: [] as unknown[],
  };
  const events: EstablishingEvents = {
    onKeys: (_result, early) => {
      told.early = new Uint8Array(early);
      takeKeys();
    },
    onFailure: (error) => {
      told.errors.push(error);
      establishing.destroy();
    },
    onReading: (on) => told.deciding.push(on),
  };
  const establishing = new Establishing(handshake, writer, events, turns);
  establishing.advance();
  return { handshake, establishing, told };
}

test("what comes during the decision waits up to a limit, and is handed on whole", async () => {
  const { handshake, establishing, told } = start();
  establishing.receive(new Uint8Array(10));
  assert.deepEqual(told.deciding, [false]);
  const early = Uint8Array.from({ length: LIMIT }, (_, i) => i);
  for (let at = 0; at < LIMIT; at += 4_096) establishing.receive(early.subarray(at, at + 4_096));
  assert.deepEqual(told.errors, []);
  handshake.decision.resolve();
  await handshake.decision.promise;
  for (let i = 0; i < 10 && told.early === undefined; i++) await Promise.resolve();
  assert.deepEqual(told.deciding, [false, true]);
  assert.ok(Buffer.from(told.early!).equals(early));
});

test("a byte more than the limit ends it, once, and nothing is taken afterwards", async () => {
  for (const pieces of [[LIMIT + 1], [LIMIT, 1], [1, LIMIT]]) {
    const { handshake, establishing, told } = start();
    establishing.receive(new Uint8Array(10));
    for (const length of pieces) establishing.receive(new Uint8Array(length));
    establishing.receive(new Uint8Array(1_000_000));
    assert.equal(told.errors.length, 1, String(pieces));
    assert.equal((told.errors[0] as { code: string }).code, "ERR_HANDSHAKE");
    handshake.decision.resolve();
    await new Promise((resolve) => setTimeout(resolve, 1));
    assert.equal(told.early, undefined, "the decision came too late");
    assert.ok(handshake.destroyed > 0);
  }
});

test("a decision against the peer is told once; one after the end is not told", async () => {
  const refused = start();
  refused.establishing.receive(new Uint8Array(10));
  const refusal = new Error("not this one");
  refused.handshake.decision.reject(refusal);
  await new Promise((resolve) => setTimeout(resolve, 1));
  assert.deepEqual(refused.told.errors, [refusal]);
  const ended = start();
  ended.establishing.receive(new Uint8Array(10));
  ended.establishing.destroy();
  ended.handshake.decision.reject(refusal);
  await new Promise((resolve) => setTimeout(resolve, 1));
  assert.deepEqual([ended.told.errors, ended.told.deciding], [[], [false]]);
});

test("a failure to go on with the keys is told, once", async () => {
  const failure = new Error("no session with these keys");
  const { handshake, establishing, told } = start(() => {
    throw failure;
  });
  establishing.receive(new Uint8Array(10));
  handshake.decision.resolve();
  await handshake.decision.promise;
  for (let i = 0; i < 10 && told.errors.length === 0; i++) await Promise.resolve();
  assert.deepEqual(told.errors, [failure]);
  assert.ok(handshake.destroyed > 0);
});

test("an accepted socket keeps as much while it waits for its place, and goes when more comes", () => {
  for (const isTooMuch of [false, true]) {
    const told = { spoke: 0, left: 0 };
    const owner: SocketOwner = {
      firstMessageBytes: () => 100,
      mostSurplusBytes: Number.POSITIVE_INFINITY,
      spoke: (socket) => {
        told.spoke++;
        socket.stage = "ready";
      },
      left: () => told.left++,
      addressTold: () => true,
      headerRefused: () => {},
    };
    const transport = new FakeTransport();
    transport.paused = false;
    const socket = new AcceptedSocket(owner, transport, new AddressShare("192.0.2.1"));
    const line = new Line<AcceptedSocket>();
    line.join(socket.byAge);
    socket.onData(new Uint8Array(99));
    assert.deepEqual([told.spoke, transport.paused], [0, false]);
    socket.onData(new Uint8Array(1));
    assert.deepEqual([told.spoke, transport.paused], [1, true]);
    // A socket may hand out what it has already read although it is paused.
    socket.onData(new Uint8Array(LIMIT - 100));
    if (isTooMuch) socket.onData(new Uint8Array(1));
    assert.deepEqual([transport.destroyed, line.length, told.spoke], [isTooMuch, isTooMuch ? 0 : 1, 1]);
  }
});

test("an accepted socket holds few bytes behind a first message of known length, however they come", () => {
  for (const reads of [[100, 50], [150], [100, 51], [151], [99, 52]]) {
    const owner: SocketOwner = {
      firstMessageBytes: () => 100,
      mostSurplusBytes: 50,
      spoke: (socket) => {
        socket.stage = "ready";
      },
      left: () => {},
      addressTold: () => true,
      headerRefused: () => {},
    };
    const transport = new FakeTransport();
    const socket = new AcceptedSocket(owner, transport, new AddressShare("192.0.2.1"));
    new Line<AcceptedSocket>().join(socket.byAge);
    for (const bytes of reads) socket.onData(new Uint8Array(bytes));
    assert.equal(transport.destroyed, reads.reduce((sum, bytes) => sum + bytes) > 150);
  }
});

test("an accepted socket whose bytes come one by one looks at them once it has as many as it needs", () => {
  const looks: number[] = [];
  let begun: Uint8Array | undefined;
  const owner: SocketOwner = {
    firstMessageBytes: (received) => {
      looks.push(received.length);
      return received.length < 4 ? 4 : 100;
    },
    mostSurplusBytes: 0,
    spoke: (socket) => {
      const link = { onConnected() {}, onData: (bytes: Uint8Array) => (begun = new Uint8Array(bytes)) };
      socket.become({ link } as unknown as RpcConnection);
    },
    left: () => {},
    addressTold: () => true,
    headerRefused: () => {},
  };
  const socket = new AcceptedSocket(owner, new FakeTransport(), new AddressShare("192.0.2.1"));
  new Line<AcceptedSocket>().join(socket.byAge);
  const message = Uint8Array.from({ length: 100 }, (_, i) => i + 1);
  for (let i = 0; i < message.length; i++) socket.onData(message.slice(i, i + 1));
  assert.deepEqual(looks, [1, 4, 100]);
  assert.deepEqual(begun, message);
});

/** An accepted socket whose first message has 100 bytes, without the rest of a server. */
function accepted(awaitedBy?: ProxyReader) {
  const told = { spoke: 0 };
  const owner: SocketOwner = {
    firstMessageBytes: () => 100,
    mostSurplusBytes: 0,
    spoke: (socket) => {
      told.spoke++;
      socket.stage = "ready";
    },
    left: () => {},
    addressTold: () => true,
    headerRefused: () => {},
  };
  const transport = new FakeTransport();
  transport.paused = false;
  const socket = new AcceptedSocket(owner, transport, new AddressShare("192.0.2.1"), awaitedBy);
  new Line<AcceptedSocket>().join(socket.byAge);
  return { told, transport, socket };
}

test("an accepted socket whose first message takes its time is read less often, until that is complete", async () => {
  const armed = timers.size;
  const { told, transport, socket } = accepted();
  socket.onData(new Uint8Array(1));
  assert.equal(transport.paused, false, "the second piece may complete the message");
  await sleep(A_WHILE_MS);
  socket.onData(new Uint8Array(1));
  assert.equal(transport.paused, true);
  await waitFor(() => !transport.paused, "the socket is read again");
  socket.onData(new Uint8Array(1));
  assert.equal(transport.paused, true);
  // A socket may hand out what it has already read although it is paused.
  socket.onData(new Uint8Array(97));
  assert.equal(told.spoke, 1);
  await waitFor(() => timers.size === armed, "the rest is over");
  await sleep(A_WHILE_MS);
  assert.equal(
    transport.paused,
    true,
    "a rest that began before does not read a socket that waits for its place",
  );
});

for (const [who, close] of [
  ["this side", (socket: AcceptedSocket) => socket.drop()],
  ["its peer", (socket: AcceptedSocket) => socket.onClose(new Error("ECONNRESET"))],
] as const) {
  test(`an accepted socket that ${who} closes while it rests leaves no deadline`, async () => {
    const armed = timers.size;
    const { transport, socket } = accepted();
    socket.onData(new Uint8Array(1));
    await sleep(A_WHILE_MS);
    socket.onData(new Uint8Array(1));
    assert.deepEqual([transport.paused, timers.size], [true, armed + 1]);
    close(socket);
    assert.equal(timers.size, armed);
  });
}

test("the first message behind a proxy's header that came in pieces has its own time", async () => {
  const armed = timers.size;
  const text = (value: string) => new TextEncoder().encode(value);
  for (const isPaused of [false, true]) {
    const { told, transport, socket } = accepted(proxyReader);
    socket.onData(text("PROXY UNK"));
    await sleep(A_WHILE_MS);
    if (isPaused) socket.onData(text("NO"));
    assert.equal(transport.paused, isPaused);
    // A socket may hand out what it has already read although it is paused.
    socket.onData(text(isPaused ? "WN\r\n" : "NOWN\r\n"));
    assert.deepEqual([transport.paused, timers.size], [false, armed]);
    await sleep(A_WHILE_MS);
    socket.onData(new Uint8Array(50));
    assert.equal(transport.paused, false, "the second piece may complete the message");
    socket.onData(new Uint8Array(50));
    assert.deepEqual([told.spoke, timers.size], [1, armed]);
  }
});

test("a server reads a client less often whose message of the handshake takes its time; a client reads on", async () => {
  const armed = timers.size;
  for (const isServer of [true, false]) {
    const turns = isServer
      ? new HandshakeTurns({ someWait: false, spend() {}, askForPoll() {} }, () => 0)
      : undefined;
    const { handshake, establishing, told } = start(undefined, turns);
    establishing.receive(new Uint8Array(1));
    await sleep(A_WHILE_MS);
    establishing.receive(new Uint8Array(1));
    if (isServer) {
      assert.deepEqual(told.deciding, [false]);
      await waitFor(() => told.deciding.length === 2, "the socket is read again");
      establishing.receive(new Uint8Array(1));
    }
    // Paused, it hands out the rest: reading goes on, until the application decides.
    establishing.receive(new Uint8Array(8));
    assert.deepEqual(told.deciding, isServer ? [false, true, false, true, false] : [false]);
    assert.equal(timers.size, armed);
    handshake.decision.resolve();
    await handshake.decision.promise;
    for (let i = 0; i < 10 && told.early === undefined; i++) await Promise.resolve();
    assert.deepEqual(told.errors, []);
    assert.equal(told.early?.length, isServer ? 1 : 0);
  }
});
