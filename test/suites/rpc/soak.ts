// Long and mixed loads: many messages on one connection, everything at once from a seeded generator, and a pool without
// a free slot.

import assert from "node:assert/strict";
import { acquireSlot, releaseSlot } from "../../../src/core/slotPool.ts";
import type { Client, Connection, Message } from "../../../src/index.ts";
import { runsEvery } from "../../support/every.ts";
import { test } from "../../support/harness.ts";
import { protocols, v2 } from "../../support/protocols.ts";
import {
  assertSameBytes,
  checkLeaksAfterEachTest,
  deferred,
  patternBytes,
  sleep,
  startClient,
  startPair,
  startServer,
  waitFor,
} from "../../support/rpcHarness.ts";
import { generator } from "../../support/seeded.ts";

checkLeaksAfterEachTest();

function u32At(body: Uint8Array, at: number): number {
  return new DataView(body.buffer, body.byteOffset).getUint32(at);
}

const [MESSAGES, REQUESTS] = runsEvery ? [200_000, 70_000] : [66_000, 4_000];
const seeds = runsEvery ? [1, 2, 3] : [1];

for (const { name, options, withKinds } of protocols) {
  test(`${name}: many messages and requests on one connection, through more than one key`, async () => {
    let next = 0;
    const onMessage = (message: Message) => {
      if (message.expectsReply) message.reply(message.body);
      else assert.equal(u32At(message.body, 0), next++);
    };
    const { client } = await startPair(
      { ...options, onMessage, messageBodies: "view" },
      // Each in a frame of its own: a key serves 65,536 of them.
      { ...options, maxConnections: 1, bundleBytes: 0 },
    );
    const body = new Uint8Array(20);
    const view = new DataView(body.buffer);
    for (let i = 0; i < MESSAGES; i++) {
      view.setUint32(0, i);
      while (!client.sendNoWait(body)) await sleep(1);
    }
    for (let i = 0; i < REQUESTS; i += 1_000) {
      const answers = await Promise.all(
        Array.from({ length: 1_000 }, (_, j) => {
          view.setUint32(0, i + j);
          return client.request(body);
        }),
      );
      answers.forEach((answer, j) => {
        assert.equal(u32At(answer, 0), i + j);
      });
    }
    await waitFor(() => next === MESSAGES, "the last message");
    assert.equal(client.stats.droppedReplies, 0);
  });

  for (const seed of seeds) {
    test(`${name}: everything at once, seed ${seed}`, async () => {
      const random = generator(seed);
      const sizes = [0, 1, 20, 300, 4_096, 4_097, 20_000, 32_720, 32_768, 65_536, 200_000];
      const pick = () => sizes[random(sizes.length)]! + random(3);
      let oneWay = 0;
      let expectedOneWay = 0;

      // The first byte says what to do with a request; the rest is a pattern of the second byte's seed.
      const onMessage = async (message: Message) => {
        const { body } = message;
        if (body.length >= 2) assertSameBytes(body.subarray(2), patternBytes(body.length - 2, body[1]));
        if (!message.expectsReply) {
          oneWay++;
          return;
        }
        if (body[0] === 1) await sleep(random(5));
        else if (body[0] === 2) {
          const inner = makeBody(pick(), 0);
          assertSameBytes(await message.connection.request(inner), inner);
        } else if (body[0] === 3) await sleep(40);
        if (message.expectsReply) message.reply(body);
      };
      const makeBody = (length: number, action: number): Uint8Array => {
        const body = new Uint8Array(length + 2);
        body[0] = action;
        body[1] = random(256);
        body.set(patternBytes(length, body[1]), 2);
        return body;
      };

      const { client } = await startPair(
        { ...options, onMessage, maxConcurrentHandlers: 50 },
        {
          ...options,
          onMessage: (message) => message.expectsReply && message.reply(message.body),
          maxConnections: 3,
        },
      );

      const step = async (caller: Client | Connection) => {
        const kind = random(10);
        const body = makeBody(pick(), kind < 3 ? kind : 0);
        if (kind < 5) {
          assertSameBytes(await caller.request(body), body);
        } else if (kind === 5) {
          const into = new Uint8Array(300_000);
          assertSameBytes(await caller.request(body, { into }), body);
        } else if (kind === 6) {
          // Given up on before the answer: aborted or timed out, never anything else.
          const slow = makeBody(pick(), 3);
          const controller = new AbortController();
          const outcome = random(2) === 0 ? { signal: controller.signal } : { timeoutMs: 1 + random(10) };
          setTimeout(() => controller.abort(), random(10));
          const code = await caller.request(slow, outcome).then(
            () => "answered",
            (error) => error.code,
          );
          assert.match(code, /^(answered|ERR_ABORTED|ERR_REQUEST_TIMEOUT)$/);
        } else if (kind < 9) {
          await caller.send(body);
          expectedOneWay++;
        } else if (caller.sendNoWait(body)) {
          expectedOneWay++;
        }
      };
      const worker = async () => {
        for (let i = 0; i < 40; i++) await step(client);
      };
      await Promise.all(Array.from({ length: 25 }, worker));
      await waitFor(() => oneWay === expectedOneWay, `${expectedOneWay} one-way messages`);
      assert.equal(client.stats.inFlightRequests, 0);
      if (withKinds) assert.ok(client.connections.length >= 1);
    });
  }

  test(`${name}: with every pool slot taken, everything still works, in order`, async () => {
    const slots: number[] = [];
    for (let slot = acquireSlot(); slot !== 0; slot = acquireSlot()) slots.push(slot);
    try {
      let next = 0;
      const onMessage = (message: Message) => {
        if (message.expectsReply) message.reply(message.body);
        else assert.equal(u32At(message.body, 0), next++);
      };
      const { client } = await startPair({ ...options, onMessage }, { ...options, maxConnections: 1 });
      for (let i = 0; i < 2_000; i++) {
        const body = patternBytes(4 + ((i * 37) % 3_000));
        new DataView(body.buffer).setUint32(0, i);
        client.sendNoWait(body) || (await client.send(body));
        // In the middle a slot comes back, so that frames in and out of slots take turns.
        if (i % 100 === 50) releaseSlot(slots.pop()!);
      }
      const bodies = [0, 10, 5_000, 100_000].map((length) => patternBytes(length));
      const answers = await Promise.all(bodies.map((body) => client.request(body)));
      answers.forEach((answer, i) => {
        assertSameBytes(answer, bodies[i]!);
      });
      // Requests may overtake messages.
      await waitFor(() => next === 2_000, "the last message");
      await client.close();
    } finally {
      for (const slot of slots) releaseSlot(slot);
    }
  });

  test(`${name}: with few pool slots left and a peer that reads slowly, nothing is lost and the order holds`, async () => {
    const slots: number[] = [];
    for (let slot = acquireSlot(); slot !== 0; slot = acquireSlot()) slots.push(slot);
    for (let i = 0; i < 12; i++) releaseSlot(slots.pop()!);
    const CONNECTIONS = 8;
    const MESSAGES = 400;
    try {
      const next = new Map<Connection, number>();
      let seen = 0;
      const gate = deferred();
      const onMessage = async (message: Message) => {
        const { connection } = message;
        const expected = next.get(connection) ?? 0;
        assertSameBytes(message.body, numbered(expected), `message ${expected}`);
        next.set(connection, expected + 1);
        seen++;
        await gate.promise;
      };
      // The first handlers stop the reading, so that sockets fill up and segments wait behind writes.
      const server = { ...options, onMessage, maxConcurrentHandlers: 1 };
      const limits = {
        ...options,
        maxConnections: 1,
        maxPendingBytes: 16 << 20,
        highWaterMarkBytes: 8 << 20,
      };
      const { port } = await startServer(server);
      const clients = Array.from({ length: CONNECTIONS }, () => startClient({ port, ...limits }));
      const sent: Promise<void>[] = [];
      for (let from = 0; from < MESSAGES; from += 10) {
        for (const client of clients) {
          for (let i = from; i < from + 10; i++) sent.push(client.send(numbered(i)));
        }
        await sleep(0);
      }
      gate.resolve();
      await Promise.all(sent);
      await waitFor(() => seen === CONNECTIONS * MESSAGES, "every message");
      assert.ok([...next.values()].every((count) => count === MESSAGES));
      await Promise.all(clients.map((client) => client.close()));
    } finally {
      for (const slot of slots) releaseSlot(slot);
    }
  });
}

test("credit of many streams, due whenever a segment happens to be full: it arrives, and so does the rest; no slot is lost", async () => {
  const STREAMS = 100;
  const ITEMS = 15;
  let messages = 0;
  const onMessage = async (message: Message) => {
    if (!message.expectsReply) {
      assert.equal(u32At(message.body, 0), messages++);
      return;
    }
    for (let i = 0; i < ITEMS; i++) await message.write(new Uint8Array(9_000).fill(i));
    message.reply(message.body);
  };
  const { client } = await startPair({ ...v2.options, onMessage }, { ...v2.options, maxConnections: 1 });
  const random = generator(1);
  let sent = 0;
  let reading = STREAMS;
  const read = async (): Promise<void> => {
    const call = client.call(Uint8Array.of(1));
    let next = 0;
    for await (const item of call) assert.equal(item[0], next++);
    await call.answer;
    assert.equal(next, ITEMS);
    reading--;
  };
  /** Segments wait behind each write, the last of them filled to anywhere. */
  const send = async (): Promise<void> => {
    while (reading > 0) {
      const body = new Uint8Array(4 + random(4_000));
      new DataView(body.buffer).setUint32(0, sent);
      if (client.sendNoWait(body)) sent++;
      else await sleep(0);
    }
  };
  await Promise.all([send(), ...Array.from({ length: STREAMS }, read)]);
  await waitFor(() => messages === sent, "the last message");
  await client.close();
});

/** Up to 30,000 bytes that begin with their number. */
function numbered(number: number): Uint8Array {
  const body = patternBytes(4 + ((number * 7_919) % 30_000), number);
  new DataView(body.buffer).setUint32(0, number);
  return body;
}
