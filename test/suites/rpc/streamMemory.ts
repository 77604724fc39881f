// The bytes of memory that the streams of one connection make their receiver hold if nobody takes anything, compared
// with the sum that docs/API.md states: 16 KiB and one chunk for each stream, and 8 MiB for all that were widened.

import assert from "node:assert/strict";
import { setProcessLimits } from "../../../src/index.ts";
import { u32Value } from "../../../src/protocol/fields.ts";
import { encodeWithHead } from "../../../src/protocol/head.ts";
import { Kind } from "../../../src/protocol/wire.ts";
import { memoryBudget } from "../../../src/rpc/memoryBudget.ts";
import { collectGarbage } from "../../support/garbage.ts";
import { test } from "../../support/harness.ts";
import { v2 } from "../../support/protocols.ts";
import { RawPeer } from "../../support/rawPeer.ts";
import type { RawSession } from "../../support/rawSession.ts";
import {
  checkLeaksAfterEachTest,
  deferred,
  fromText,
  rejectsWith,
  someTurns,
  startClient,
  startServer,
  text,
  waitFor,
} from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

const EMPTY = new Uint8Array(0);
const STREAMS = 128;
const FIRST_CREDIT = 16_384;
const CHUNK_COST = 64;
/** The longest chunk that fits a frame which every peer takes: its bytes. */
const LONGEST_CHUNK = 65_514;
const SHARED_BYTES = 8_388_608;
const DOCUMENTED_BYTES = STREAMS * (FIRST_CREDIT + LONGEST_CHUNK) + SHARED_BYTES;
/** What the collector leaves, and what the rest of the process takes meanwhile. */
const TOLERANCE_BYTES = 16_777_216;
const MIB = 1_048_576;
/** Items of one stream that are copied before the peer can take them, beside the last of them. */
const AHEAD_BYTES = 131_072;

/** Live bytes: of the heap, and outside of it. */
async function liveBytes(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    collectGarbage?.();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** A peer that sends what it may, and counts it. */
class Glutton {
  readonly session: RawSession;
  readonly #balances = new Map<number, number>();
  sent = 0;

  constructor(session: RawSession) {
    this.session = session;
  }

  open(number: number): void {
    this.#say(number, Kind.call, encodeWithHead({ streams: true }, EMPTY));
    this.#balances.set(number, FIRST_CREDIT);
  }

  /** One short of its balance, and then the longest chunk on a balance of 1. */
  fill(number: number): void {
    for (let balance = this.#balances.get(number)!; balance > 0; ) {
      const bytes =
        balance > CHUNK_COST + 1 ? Math.min(balance - CHUNK_COST - 1, LONGEST_CHUNK) : LONGEST_CHUNK;
      this.#chunk(number, bytes);
      balance = this.#balances.get(number)!;
    }
  }

  #chunk(number: number, bytes: number): void {
    this.#balances.set(number, this.#balances.get(number)! - bytes - CHUNK_COST);
    this.#say(number, Kind.chunk, new Uint8Array(1 + bytes));
    this.sent += bytes;
  }

  /** Waits until the other side has taken in everything. What it gave counts. */
  async settle(): Promise<void> {
    this.#say(0, Kind.ping, EMPTY);
    for (;;) {
      const { kind, sequence, body } = await this.session.receiveRecord();
      if (kind === Kind.pong) return;
      if (kind !== Kind.credit || sequence === 0) continue;
      const more = new DataView(body.buffer, body.byteOffset).getUint32(0);
      this.#balances.set(sequence, this.#balances.get(sequence)! + more);
    }
  }

  askForMore(number: number): void {
    this.#say(number, Kind.blocked, EMPTY);
  }

  #say(number: number, kind: number, body: Uint8Array): void {
    this.session.peer.write(this.session.seal(number, body, kind));
  }
}

/** `before`: what the handler waits for before it takes an item. */
async function attacked(before: () => Promise<void> | undefined) {
  const ends: unknown[] = [];
  let taken = 0;
  const server = await startServer({
    ...v2.options,
    maxStreams: STREAMS,
    maxConcurrentHandlers: STREAMS,
    onConnectionState: (_connection, state, error) => state === "closed" && ends.push(error?.code),
    onMessage: async (message) => {
      await before();
      for await (const item of message) {
        taken += item.length;
        await before();
      }
    },
    onHandlerError: () => {},
  });
  const glutton = new Glutton(await v2.rawSession(await RawPeer.connect(server.port), "client"));
  return {
    glutton,
    taken: () => taken,
    ends,
    async leave(): Promise<void> {
      glutton.session.destroy();
      await glutton.session.peer.destroy();
      await waitFor(() => ends.length === 1, "the end");
    },
  };
}

test("128 streams that nobody reads are held within the documented sum, measured", async () => {
  const hold = deferred();
  const { glutton, taken, ends, leave } = await attacked(() => hold.promise);
  for (let i = 0; i < STREAMS; i++) glutton.open(2 * i + 1);
  await glutton.settle();
  const before = await liveBytes();
  for (let i = 0; i < STREAMS; i++) {
    glutton.fill(2 * i + 1);
    glutton.askForMore(2 * i + 1);
    await glutton.settle();
    // Asking brings nothing.
    glutton.fill(2 * i + 1);
  }
  await glutton.settle();
  const grown = (await liveBytes()) - before;
  const held = glutton.sent - taken();
  console.log(
    `held ${(held / MIB).toFixed(1)} MiB of items, memory grew by ${(grown / MIB).toFixed(1)} MiB, documented ${(DOCUMENTED_BYTES / MIB).toFixed(1)} MiB`,
  );
  assert.deepEqual(ends, [], "the peer kept to its credit");
  assert.ok(
    held > STREAMS * (LONGEST_CHUNK + FIRST_CREDIT - 200) && held <= DOCUMENTED_BYTES,
    `${held} of ${DOCUMENTED_BYTES} bytes`,
  );
  assert.ok(grown > held / 2, `${grown} bytes were measured, ${held} are held`);
  assert.ok(
    grown <= DOCUMENTED_BYTES + TOLERANCE_BYTES,
    `${grown} bytes, ${DOCUMENTED_BYTES} are documented`,
  );
  hold.resolve();
  await leave();
});

test("windows that were widened as far as they go, and then nobody reads: the same sum", async () => {
  let hold: Promise<void> | undefined;
  const stop = deferred();
  const { glutton, taken, ends, leave } = await attacked(() => hold);
  const before = await liveBytes();
  // As many as share everything: each asks for more whenever it has used up what it had, until nothing grows.
  const numbers = [1, 3, 5, 7];
  for (const number of numbers) glutton.open(number);
  for (let round = 0; round < 24; round++) {
    for (const number of numbers) {
      glutton.fill(number);
      glutton.askForMore(number);
    }
    await glutton.settle();
    // A path that is long: whoever lets others wait gets no more than the sum for it.
    await new Promise((resolve) => setTimeout(resolve, 20));
    await glutton.settle();
  }
  hold = stop.promise;
  const from = glutton.sent - taken();
  for (let round = 0; round < 3; round++) {
    for (const number of numbers) glutton.fill(number);
    await glutton.settle();
  }
  const held = glutton.sent - taken();
  const grown = (await liveBytes()) - before;
  const documented = numbers.length * (FIRST_CREDIT + LONGEST_CHUNK) + SHARED_BYTES;
  console.log(
    `held ${(held / MIB).toFixed(1)} MiB of items, memory grew by ${(grown / MIB).toFixed(1)} MiB, documented ${(documented / MIB).toFixed(1)} MiB`,
  );
  assert.deepEqual(ends, [], "the peer kept to its credit");
  assert.ok(held > from && held <= documented, `${held} of ${documented} bytes`);
  assert.ok(grown <= documented + TOLERANCE_BYTES, `${grown} bytes, ${documented} are documented`);
  stop.resolve();
  await leave();
});

test("items for a peer that gives any credit and reads nothing: few are copied ahead, and their writers wait", async () => {
  const streams = 16;
  const itemBytes = 60_000;
  let written = 0;
  const failures: unknown[] = [];
  const server = await startServer({
    ...v2.options,
    onMessage: async (message) => {
      // Every write is awaited, so nobody may be told that too much waits.
      for (let i = 0; i < 400; i++) {
        await message.write(new Uint8Array(itemBytes));
        written += itemBytes;
      }
    },
    onHandlerError: (error) => failures.push(error),
  });
  const session = await v2.rawSession(await RawPeer.connect(server.port), "client");
  const { peer } = session;
  const before = await countedAtRest(server);
  const head = encodeWithHead({ streamCredit: 0x7fffffff }, EMPTY);
  for (let i = 0; i < streams; i++) peer.write(session.seal(2 * i + 1, head, Kind.call));
  peer.socket.pause();
  let last = -1;
  let same = 0;
  await waitFor(() => {
    same = written === last ? same + 1 : 0;
    last = written;
    return written > 0 && same > 100;
  }, "the writers to wait");
  const counted = memoryBudget.used - before;
  console.log(`${written} bytes were written, ${counted} wait`);
  assert.deepEqual(failures, []);
  // The rest is in the buffers of the two sockets.
  assert.ok(written < streams * (AHEAD_BYTES + 2 * itemBytes) + 16 * MIB, `${written} bytes were written`);
  // Of each stream the items ahead and the one that its writer awaits.
  const most = streams * (AHEAD_BYTES + 2 * (itemBytes + CHUNK_COST));
  assert.ok(counted > streams * itemBytes && counted <= most, `${counted} bytes`);
  session.destroy();
  await peer.destroy();
  await waitFor(() => memoryBudget.used === before, "what was counted to be free again");
});

for (const [what, itemBytes, answerBytes] of [
  ["answers behind items", 3, 200_000],
  ["items that their handlers await", 200_000, 3],
] as const) {
  test(`${what} count where the peer gives their streams no credit: calls wait, and go on with credit`, async () => {
    const calls = 100;
    const LIMIT = 4 * MIB;
    let begun = 0;
    const server = await startServer({
      ...v2.options,
      onMessage: async (message) => {
        if (message.head.method === undefined) return void message.reply(message.body);
        begun++;
        // Longer than the credit of one byte, which takes the first byte.
        await message.write(new Uint8Array(itemBytes));
        message.reply(new Uint8Array(answerBytes));
      },
      onHandlerError: () => {},
    });
    const session = await v2.rawSession(await RawPeer.connect(server.port), "client");
    const { peer } = session;
    const before = await countedAtRest(server);
    setProcessLimits({ maxPendingBytes: LIMIT });
    try {
      const head = encodeWithHead({ method: "streams", streamCredit: 1 }, EMPTY);
      const early: Awaited<ReturnType<RawSession["receiveUntilPong"]>> = [];
      for (let i = 0; i < calls; i++) {
        peer.write(session.seal(2 * i + 1, head, Kind.call));
        // Handlers that have begun may answer all the same.
        early.push(...(await session.receiveUntilPong()));
      }
      await waitFor(() => memoryBudget.used - before > LIMIT / 4, "something to be held");
      const other = startClient({ ...v2.options, port: server.port });
      for (let i = 0; i < 10; i++) assert.equal(fromText(await other.request(text("served"))), "served");
      console.log(`${begun} of ${calls} calls began, ${memoryBudget.used - before} bytes count`);
      assert.ok(begun < calls / 2, `${begun} calls began`);
      assert.ok(memoryBudget.used - before <= LIMIT / 2 + 2 * 200_064, `${memoryBudget.used - before} bytes`);
      // With credit everything leaves, and the calls that waited begin. Each stream gets it at its first byte.
      const given = new Set<number>();
      const answered = new Set<number>();
      while (answered.size < calls) {
        const { kind, sequence } = early.shift() ?? (await session.receiveRecord());
        if (kind === Kind.reply) answered.add(sequence);
        if (kind === Kind.ping) peer.write(session.seal(sequence, EMPTY, Kind.pong));
        if (kind === Kind.chunk && !given.has(sequence)) {
          given.add(sequence);
          peer.write(session.seal(sequence, u32Value(1_000_000), Kind.credit));
        }
      }
      assert.equal(begun, calls);
    } finally {
      setProcessLimits({});
      session.destroy();
      await peer.destroy();
    }
    await waitFor(() => memoryBudget.used === before, "what was counted to be free again");
  });
}

/** What an item or message takes at least while it waits as an object. */
const LEAST_OBJECT_BYTES = 512;

/** What the process counts when all that was sent so far has left: settings and pongs leave in turns of their own. */
async function countedAtRest(
  ...ends: { readonly stats: { readonly pendingBytes: number } }[]
): Promise<number> {
  await waitFor(() => ends.every(({ stats }) => stats.pendingBytes === 0), "the first frames to leave");
  return memoryBudget.used;
}

test("items without bytes that wait for credit count as the objects that they are", async () => {
  const items = 1_000;
  const begun = deferred();
  const server = await startServer({
    ...v2.options,
    onMessage: (message) => {
      for (let i = 0; i < items; i++) message.write(EMPTY);
      begun.resolve();
    },
  });
  const session = await v2.rawSession(await RawPeer.connect(server.port), "client");
  await session.receiveUntilPong();
  const before = await countedAtRest(server);
  session.peer.write(session.seal(1, encodeWithHead({ streamCredit: 1 }, EMPTY), Kind.call));
  await begun.promise;
  // The first one leaves, with the credit of a byte.
  await waitFor(() => memoryBudget.used - before < items * 1_024, "the first item to leave");
  assert.ok(memoryBudget.used - before >= (items - 1) * LEAST_OBJECT_BYTES, `${memoryBudget.used - before}`);
  session.destroy();
  await session.peer.destroy();
  await waitFor(() => memoryBudget.used === before, "what was counted to be free again");
});

test("items without bytes: no more are copied ahead than their objects may take", async () => {
  let written = 0;
  const server = await startServer({
    ...v2.options,
    onMessage: async (message) => {
      for (;;) {
        await message.write(EMPTY);
        written++;
      }
    },
    onHandlerError: () => {},
  });
  const session = await v2.rawSession(await RawPeer.connect(server.port), "client");
  await session.receiveUntilPong();
  const before = await countedAtRest(server);
  // Credit for half of them: from then on, what is written waits.
  const credit = 64 * 4_000;
  session.peer.write(session.seal(1, encodeWithHead({ streamCredit: credit }, EMPTY), Kind.call));
  await session.receiveUntilPong();
  await waitFor(() => written >= 4_000, "the credit to be used up");
  await session.receiveUntilPong();
  assert.ok(written <= 4_000 + AHEAD_BYTES / LEAST_OBJECT_BYTES + 1, `${written} items were taken`);
  assert.ok(memoryBudget.used - before <= AHEAD_BYTES + 4 * LEAST_OBJECT_BYTES + 1_024);
  session.destroy();
  await session.peer.destroy();
  await waitFor(() => memoryBudget.used === before, "what was counted to be free again");
});

test("messages without bytes that wait for credit count as the objects that they are", async () => {
  const hold = deferred();
  const messageCreditBytes = 262_144;
  const server = await startServer({
    ...v2.options,
    messageCreditBytes,
    maxConcurrentHandlers: 1,
    onMessage: () => hold.promise,
  });
  const client = startClient({ ...v2.options, port: server.port, maxConnections: 1 });
  assert.equal(await client.connected(), client.connections[0]);
  const before = await countedAtRest(server, client);
  const paid = messageCreditBytes / 64;
  const waiting = 1_000;
  const sent: Promise<void>[] = [];
  for (let i = 0; i < paid + waiting; i++) sent.push(client.send(EMPTY));
  assert.ok(
    memoryBudget.used - before >= (waiting - 2) * LEAST_OBJECT_BYTES,
    `${memoryBudget.used - before}`,
  );
  // To the application, they are bytes that wait to be sent, as before.
  assert.ok(client.stats.pendingBytes < (paid + waiting) * 128);
  hold.resolve();
  await Promise.all(sent);
  await waitFor(() => memoryBudget.used === before, "what was counted to be free again");
});

test("items that wait for a server count, and the process's limit holds for them", async () => {
  const found = deferred<{ port: number }[]>();
  const client = startClient({ ...v2.options, endpoints: () => found.promise });
  const before = memoryBudget.used;
  setProcessLimits({ maxPendingBytes: MIB });
  try {
    const call = client.call(EMPTY);
    const written: Promise<unknown>[] = [];
    const code = (error: { code?: string }) => error.code;
    for (let i = 0; i < 2_000; i++) written.push(call.write(EMPTY).then(() => "written", code));
    assert.ok(memoryBudget.used - before >= (MIB / 2) * 0.9, `${memoryBudget.used - before}`);
    assert.ok(memoryBudget.used - before <= MIB / 2 + 2_048, `${memoryBudget.used - before}`);
    await client.close();
    const outcomes = await Promise.all(written);
    assert.deepEqual([...new Set(outcomes)].sort(), ["ERR_BACKPRESSURE", "ERR_CLOSED"]);
    await rejectsWith(call.answer, "ERR_CLOSED");
    assert.equal(memoryBudget.used, before);
  } finally {
    setProcessLimits({});
    found.resolve([]);
  }
});

test("an item for which there is credit leaves, though the process has no memory to take items ahead", async () => {
  const options = { ...v2.options, drainTimeoutMs: 0 };
  const server = await startServer({
    ...options,
    onMessage: async (message) => {
      const items = message[Symbol.asyncIterator]();
      if (message.head.method === "unread") await new Promise(() => {});
      message.reply((await items.next()).value!);
    },
  });
  const client = startClient({ ...options, port: server.port, maxConnections: 1 });
  await client.connected();
  const unread = client.call(EMPTY, { head: { method: "unread" }, timeoutMs: 0 });
  unread.answer.catch(() => {});
  const read = client.call(EMPTY);
  const before = await countedAtRest(client);
  setProcessLimits({ maxPendingBytes: MIB });
  try {
    for (let i = 0; i < 80; i++) unread.write(new Uint8Array(10_000)).catch(() => {});
    assert.ok(memoryBudget.used - before > MIB / 2);
    await read.write(text("an item"));
    assert.equal(fromText(await read.answer), "an item");
  } finally {
    setProcessLimits({});
    await client.close();
  }
});

test("messages that wait because the process's memory is used up go on when another connection frees it", async () => {
  const held = { first: deferred(), second: deferred() };
  const server = await startServer({
    ...v2.options,
    // No ping comes in place of the news that there is memory.
    heartbeatIntervalMs: 0,
    drainTimeoutMs: 0,
    onMessage: async (message) => {
      const { method } = message.head;
      if (method !== "first" && method !== "second") return message.reply(message.body);
      const items = method === "first" ? 80 : 45;
      for (let i = 0; i < items; i++) message.write(new Uint8Array(10_000)).catch(() => {});
      held[method].resolve();
      await new Promise((resolve) => message.signal.addEventListener("abort", resolve));
    },
  });
  const ofServer = { port: server.port, maxConnections: 1 };
  const options = { ...v2.options, ...ofServer, heartbeatIntervalMs: 0, drainTimeoutMs: 0 };
  const [first, second] = [startClient(options), startClient(options)];
  await Promise.all([first.connected(), second.connected()]);
  setProcessLimits({ maxPendingBytes: MIB });
  try {
    for (const [client, method] of [
      [first, "first"],
      [second, "second"],
    ] as const) {
      const call = client.call(EMPTY, { head: { method }, timeoutMs: 0 });
      // Its items are wanted, and never read.
      call[Symbol.asyncIterator]();
      call.answer.catch(() => {});
      await held[method].promise;
    }
    const waiting = second.request(text("waits"), { timeoutMs: 0 });
    let isAnswered = false;
    void waiting.then(() => {
      isAnswered = true;
    });
    await someTurns();
    assert.equal(isAnswered, false, "no memory is left for answers of this connection");
    await first.close();
    assert.equal(fromText(await waiting), "waits");
  } finally {
    setProcessLimits({});
    await second.close();
  }
});
