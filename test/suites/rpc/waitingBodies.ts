// A body is copied wherever it waits, whatever kind of Uint8Array it is. The `slice` of a Buffer is a view, and a copy
// that is wiped later must never be the caller's own memory.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { Endpoint, Message } from "../../../src/index.ts";
import { test } from "../../support/harness.ts";
import { protocols, v2 } from "../../support/protocols.ts";
import {
  assertSameBytes,
  checkLeaksAfterEachTest,
  deferred,
  startClient,
  startPair,
  startServer,
  waitFor,
} from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

/** A subclass whose methods hand out its own memory. */
class Sly extends Uint8Array {
  override slice(): never {
    return this as never;
  }
  override subarray(): never {
    return this as never;
  }
}

const kinds: [name: string, make: (length: number) => Uint8Array][] = [
  ["a Buffer", (length) => Buffer.alloc(length, 7)],
  ["a Buffer of the pool", (length) => Buffer.from(new Uint8Array(length).fill(7))],
  ["a subclass", (length) => new Sly(length).fill(7)],
];

/** The caller uses its buffer again as soon as the call returns. */
function reuse<T>(body: Uint8Array, call: (body: Uint8Array) => T): T {
  const result = call(body);
  body.fill(8);
  return result;
}

const isSeven = (body: Uint8Array, length: number) =>
  assertSameBytes(body, new Uint8Array(length).fill(7), "what arrived");
const isEight = (body: Uint8Array) =>
  assertSameBytes(new Uint8Array(body), new Uint8Array(body.length).fill(8), "the caller's own memory");

for (const [name, make] of kinds) {
  test(`${name} that waits for an endpoint`, async () => {
    const server = await startServer({ ...v2.options, onMessage: (message) => message.reply(message.body) });
    const found = deferred<Endpoint[]>();
    const client = startClient({ ...v2.options, endpoints: () => found.promise });
    const bodies = [make(100), make(100), make(100)];
    const request = reuse(bodies[0]!, (body) => client.request(body));
    const call = reuse(bodies[1]!, (body) => client.call(body));
    const sent = reuse(bodies[2]!, (body) => client.send(body));
    found.resolve([{ port: server.port }]);
    isSeven(await request, 100);
    isSeven(await call.answer, 100);
    await sent;
    for (const body of bodies) isEight(body);
  });

  for (const { name: protocol, options } of protocols) {
    test(`${protocol}: ${name} that waits for the handshake, in a segment or in a frame of its own`, async () => {
      const { client } = await startPair(
        { ...options, onMessage: (message) => message.reply(message.body) },
        options,
      );
      const sizes = [1, 3_000, 40_000, 60_000, 200_000];
      const bodies = sizes.map(make);
      const answers = bodies.map((body) => reuse(body, () => client.request(body)));
      for (const [i, answer] of answers.entries()) isSeven(await answer, sizes[i]!);
      for (const body of bodies) isEight(body);
    });
  }

  test(`${name} that waits for credit`, async () => {
    const held: Message[] = [];
    const release = deferred();
    const { client } = await startPair(
      {
        ...v2.options,
        maxConcurrentHandlers: 1,
        messageCreditBytes: 262_144,
        onMessage: async (message) => {
          held.push(message);
          await release.promise;
          message.reply(message.body);
        },
      },
      { ...v2.options, maxConnections: 1 },
    );
    const bodies = Array.from({ length: 12 }, () => make(60_000));
    const answers = bodies.map((body) => reuse(body, () => client.request(body)));
    const sent = bodies.map((body) => reuse(body.fill(7), () => client.send(body)));
    release.resolve();
    for (const answer of answers) isSeven(await answer, 60_000);
    await Promise.all(sent);
    for (const body of bodies) isEight(body);
    for (const { body } of held) isSeven(body, 60_000);
  });

  test(`${name} as an item of a stream, and as an answer behind items`, async () => {
    const answer = make(50_000);
    const { client } = await startPair(
      {
        ...v2.options,
        onMessage: async (message) => {
          for await (const item of message) {
            const copies = Array.from({ length: 10 }, () => make(50_000).fill(item[0]!));
            for (const copy of copies) void reuse(copy, () => message.write(copy));
          }
          reuse(answer, () => message.reply(answer));
        },
      },
      v2.options,
    );
    const call = client.call(new Uint8Array(1));
    const items = Array.from({ length: 10 }, () => make(50_000));
    for (const item of items) void reuse(item, () => call.write(item));
    call.end();
    let count = 0;
    for await (const item of call) {
      isSeven(item, 50_000);
      count++;
    }
    assert.equal(count, 100);
    isSeven(await call.answer, 50_000);
    for (const item of items) isEight(item);
    isEight(answer);
  });
}

for (const messageBodies of ["copy", "view"] as const) {
  test(`one-way messages with heads and without that wait for their handlers, with bodies as ${messageBodies}`, async () => {
    const release = deferred();
    const got: unknown[] = [];
    const bodies: Uint8Array[] = [];
    const { client, server } = await startPair(
      {
        ...v2.options,
        messageBodies,
        maxConcurrentHandlers: 1,
        onMessage: (message) => {
          if (message.expectsReply) return release.promise.then(() => void message.reply(new Uint8Array(1)));
          const { method, fields } = message.head;
          const field = fields?.get(200);
          got.push([method, field && Buffer.from(field).toString(), message.body.length]);
          isSeven(message.body, message.body.length);
          if (messageBodies === "copy") bodies.push(message.body);
          return undefined;
        },
      },
      { ...v2.options, maxConnections: 1 },
    );
    // More than may run: everything behind them waits.
    const busy = Array.from({ length: 3 }, () => client.request(new Uint8Array(1)));
    const expected: unknown[] = [];
    const sent: Promise<void>[] = [];
    for (const [i, length] of [0, 1, 100, 4_000, 4_096, 5_000, 70_000, 3].entries()) {
      const body = new Uint8Array(length).fill(7);
      const fields = new Map([[200, Buffer.from(`field ${i}`)]]);
      expected.push([`method${i}`, `field ${i}`, length], [undefined, undefined, length]);
      sent.push(client.send(body, { head: { method: `method${i}`, fields } }), client.send(body));
    }
    await Promise.all(sent);
    const { sentBytes } = client.stats;
    await waitFor(() => server.stats.receivedBytes === sentBytes, "all messages to arrive");
    assert.deepEqual(got, []);
    release.resolve();
    await Promise.all(busy);
    await waitFor(() => got.length === expected.length, "all messages");
    assert.deepEqual(got, expected);
    // Others have used the memory of what waited by now.
    for (const body of bodies) {
      isSeven(body, body.length);
      assert.equal(body.byteOffset % 8, 0);
    }
  });
}
