import assert from "node:assert/strict";
import { ACCEPTS_PER_POLL } from "../../../src/adapters/acceptTurns.ts";
import { ReadBuffer } from "../../../src/adapters/denoReadBuffer.ts";
import { DenoListener, denoAdapter } from "../../../src/adapters/denoSockets.ts";
import { type DenoConn, DenoTransport } from "../../../src/adapters/denoTransport.ts";
import { yieldToEventLoop } from "../../../src/core/eventLoop.ts";
import type { Transport } from "../../../src/rpc/transport.ts";
import { testAdapter } from "../../support/adapterContract.ts";
import { runtimeId, test } from "../../support/harness.ts";

/** The part of Deno's sockets that is used here. */
interface Socket {
  read(into: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
  close(): void;
}
declare const Deno: {
  connect(where: { hostname: string; port: number }): Promise<Socket>;
  listen(where: { hostname: string; port: number }): {
    readonly addr: { readonly port: number };
    accept(): Promise<Socket>;
    close(): void;
  };
};

/** A connection that takes what is written, and reads by this function. */
function connReading(read: DenoConn["read"]): DenoConn {
  return {
    remoteAddr: {},
    read,
    write: async (bytes) => bytes.length,
    closeWrite: async () => {},
    close() {},
    ref() {},
    unref() {},
  };
}

if (runtimeId === "deno") testAdapter(denoAdapter);
else test("the contract", { only: ["deno"] }, () => {});

test("a socket whose option can't be set, because its peer is gone, ends by itself: accepting goes on", async () => {
  const gone = (): never => {
    throw new Error("invalid argument");
  };
  const conn = { ...connReading(async () => gone()), setNoDelay: gone, write: async () => gone() };
  const errors: unknown[] = [];
  const events = {
    onData() {},
    onReceiveBuffer() {},
    onWritten() {},
    onEnd() {},
    onClose: (error?: unknown) => void errors.push(error),
  };
  new DenoTransport(conn, events).resume();
  for (let i = 0; i < 100 && errors.length === 0; i++) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.match(String(errors[0]), /invalid argument/);
});

test("many sockets that wait to be accepted do not keep the event loop from its other work", async () => {
  const waiting = 10 * ACCEPTS_PER_POLL;
  let handedOut = 0;
  let close!: () => void;
  const closed = new Promise<never>((_, reject) => {
    close = () => reject(new Error("the listener is closed"));
  });
  closed.catch(() => {}); // nobody may wait for it when the listener is closed
  const conn = () => connReading(() => new Promise(() => {}));
  const listener = {
    addr: { port: 1 },
    // As from a kernel with a long queue: at once.
    accept: () => (handedOut++ < waiting ? Promise.resolve(conn()) : closed),
    ref() {},
    unref() {},
    close,
  };
  const transports: Transport[] = [];
  const listening = new DenoListener(listener, (transport) => {
    transports.push(transport);
    return { onReceiveBuffer() {}, onData() {}, onWritten() {}, onEnd() {}, onClose() {} };
  });
  const accepted: number[] = [];
  for (let i = 0; i < 1_000 && accepted.at(-1) !== waiting; i++) {
    accepted.push(transports.length);
    await new Promise<void>((resolve) => yieldToEventLoop(resolve));
  }
  assert.equal(transports.length, waiting, "all of them are accepted");
  // The listener's poll may be the same as the test's, before it or after it.
  const atOnce = accepted.slice(1).map((count, i) => count - accepted[i]!);
  assert.ok(Math.max(...atOnce) <= 2 * ACCEPTS_PER_POLL, `${atOnce} between two polls`);
  await listening.close();
  for (const transport of transports) transport.destroy();
});

test("the buffer of a socket goes to the next one when no read uses it any more, and to one only", async () => {
  let settle!: (length: number) => void;
  let first!: Uint8Array;
  const conn = connReading((into) => {
    first = into;
    return new Promise<number>((resolve) => {
      settle = resolve;
    });
  });
  const closed = new Promise<void>((resolve) => {
    const events = {
      onData() {},
      onReceiveBuffer() {},
      onWritten() {},
      onEnd() {},
      onClose: () => resolve(),
    };
    const transport = new DenoTransport(conn, events);
    transport.resume();
    transport.destroy();
  });
  await new Promise<void>((resolve) => yieldToEventLoop(resolve));
  const [early, other] = [new ReadBuffer(), new ReadBuffer()];
  settle(1);
  await closed;
  const [next, last] = [new ReadBuffer(), new ReadBuffer()];
  assert.equal(next.bytes, first);
  const buffers = new Set([early, other, next, last].map(({ bytes }) => bytes.buffer));
  assert.equal(buffers.size, 4);
  next.end();
  next.end();
  assert.equal(next.bytes.length, 0, "nothing is read into a buffer that was given back");
  const after = [new ReadBuffer(), new ReadBuffer()].map(({ bytes }) => bytes);
  assert.equal(after[0], first);
  assert.notEqual(after[1], first);
});

test("a read says that the event loop has polled if the one before left room in its buffer", async () => {
  const polls: boolean[] = [];
  // Undefined: the read fills its buffer.
  const lengths = [10, 10, undefined, undefined, 10, 10];
  const conn = connReading(async (into) => (lengths.length === 0 ? null : (lengths.shift() ?? into.length)));
  await new Promise<void>((resolve) => {
    const events = {
      onData: (_: Uint8Array, polled?: boolean) => void polls.push(polled === true),
      onReceiveBuffer() {},
      onWritten() {},
      onEnd: () => transport.destroy(),
      onClose: () => resolve(),
    };
    const transport = new DenoTransport(conn, events);
    transport.resume();
  });
  assert.deepEqual(polls, [false, true, true, false, false, true]);
});

test("Deno polls all sockets before a read that follows a short one, even if its bytes are there", {
  only: ["deno"],
}, async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const pair = async () => {
    const [near, far] = await Promise.all([
      Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port }),
      listener.accept(),
    ]);
    return { near, far };
  };
  const [busy, other] = [await pair(), await pair()];
  const buffer = new Uint8Array(64);
  let heard = false;
  const hears = other.near.read(new Uint8Array(64)).then(() => {
    heard = true;
  });
  // A short read comes first, and the bytes of the next ones are in the kernel before they begin.
  await busy.far.write(new Uint8Array(1));
  await busy.near.read(buffer);
  await other.far.write(new Uint8Array(1));
  let reads = 0;
  for (; !heard && reads < 100; reads++) {
    await busy.far.write(new Uint8Array(1));
    await busy.near.read(buffer);
  }
  assert.ok(reads <= 2, `${reads} reads until the other socket was heard`);
  await hears;
  for (const socket of [busy.near, busy.far, other.near, other.far, listener]) socket.close();
});
