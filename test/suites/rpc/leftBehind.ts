// Received plaintext after connections have ended: none is left in linear memory, and none in the memory that is lent
// to handlers. A handler can reach no memory of this package except its body.

import assert from "node:assert/strict";
import { memory } from "../../../src/core/wasmModule.ts";
import { test } from "../../support/harness.ts";
import { usedMemory } from "../../support/linearMemory.ts";
import { protocols } from "../../support/protocols.ts";
import { RawListener } from "../../support/rawPeer.ts";
import {
  checkLeaksAfterEachTest,
  startClient,
  startPair,
  startServer,
  waitFor,
} from "../../support/rpcHarness.ts";
import { SearchedBytes } from "../../support/searchedBytes.ts";

checkLeaksAfterEachTest();

/** Bundled, alone in the window, joined from reads, collected in chunks. */
const LENGTHS = [40, 900, 5_000, 40_000, 70_000, 300_000];
/** Every 64 bytes of a secret body; 32 of them are found nowhere else. */
const PERIOD_BYTES = 64;

/** A body that says in each of its parts whose it is. */
function secretBody(length: number): { body: Uint8Array; mark: Uint8Array } {
  const mark = crypto.getRandomValues(new Uint8Array(PERIOD_BYTES));
  const body = new Uint8Array(length);
  for (let at = 0; at < length; at += PERIOD_BYTES) body.set(mark.subarray(0, length - at), at);
  return { body, mark };
}

/** Looks for 16 bytes of the mark, at every place where a cut may have begun. */
function assertGone(where: SearchedBytes, marks: readonly Uint8Array[], what: string): void {
  for (const [i, mark] of marks.entries()) {
    for (let at = 0; at + 16 <= 40; at += 8) {
      const found = where.indexOf(mark.subarray(at, at + 16));
      assert.equal(found, -1, `${what}: message ${i} is left at ${found}`);
    }
  }
}

/** The same for what was lent; where the runtime opened a frame, its memory is gone (detached) altogether. */
function assertLentIsGone(lent: ReadonlySet<ArrayBufferLike>, marks: readonly Uint8Array[]): void {
  for (const buffer of lent)
    if (buffer.byteLength > 0) assertGone(new SearchedBytes(new Uint8Array(buffer)), marks, "lent memory");
}

for (const { name, options } of protocols) {
  for (const messageBodies of ["copy", "view"] as const) {
    for (const engine of ["auto", "wasm"] as const) {
      test(`${name}, ${messageBodies}, ${engine}: nothing of any message is left after the end`, async () => {
        const lent = new Set<ArrayBufferLike>();
        const { server, client } = await startPair(
          {
            ...options,
            messageBodies,
            engine,
            onMessage: (message) => {
              assert.notEqual(message.body.buffer, memory.buffer, "a body lies in the module's memory");
              assert.ok(message.body.buffer.byteLength < 8_388_608);
              lent.add(message.body.buffer);
              if (message.expectsReply) message.reply(message.body);
            },
          },
          { ...options, messageBodies, engine, maxConnections: 1 },
        );
        const marks: Uint8Array[] = [];
        for (let round = 0; round < 3; round++) {
          await Promise.all(
            LENGTHS.map(async (length) => {
              const { body, mark } = secretBody(length);
              marks.push(mark);
              assert.ok(client.sendNoWait(body));
              const answer = await client.request(body);
              assert.notEqual(answer.buffer, memory.buffer);
              assert.ok(Buffer.from(answer).equals(body));
            }),
          );
        }
        await client.close();
        await server.close();
        assertGone(usedMemory(), marks, "linear memory");
        if (messageBodies === "copy") return;
        assert.ok(lent.size >= 1);
        assertLentIsGone(lent, marks);
      });
    }
  }

  test(`${name}: nothing is left when a handler ends its connection inside a read, or the peer's is cut`, async () => {
    for (const messageBodies of ["copy", "view"] as const) {
      const lent = new Set<ArrayBufferLike>();
      let handled = 0;
      let closed = 0;
      const server = await startServer({
        ...options,
        messageBodies,
        drainTimeoutMs: 0,
        onMessage: (message) => {
          handled++;
          lent.add(message.body.buffer);
          if (handled % 3 === 0) void message.connection.close().then(() => closed++);
        },
      });
      const marks: Uint8Array[] = [];
      for (const length of [100, 3_000, 40_000]) {
        const client = startClient({ ...options, port: server.port, maxConnections: 1, drainTimeoutMs: 0 });
        for (let i = 0; i < 4; i++) {
          const { body, mark } = secretBody(length);
          marks.push(mark);
          client.sendNoWait(body);
        }
        await client.connected();
        await waitFor(() => closed > 0, "the third message to close its connection");
        await client.close();
        handled = 0;
        closed = 0;
      }
      await server.close();
      assertGone(usedMemory(), marks, "linear memory");
      if (messageBodies === "view") {
        assertLentIsGone(lent, marks);
      }
    }
  });

  test(`${name}: a handler that transfers lent memory away harms nobody else, and no end`, async () => {
    let transferred = 0;
    const { server, client } = await startPair(
      {
        ...options,
        engine: "wasm",
        messageBodies: "view",
        onMessage: (message) => {
          const { length } = message.body;
          const answer = message.body.slice();
          structuredClone(message.body, { transfer: [message.body.buffer as ArrayBuffer] });
          transferred++;
          assert.equal(message.body.length, 0);
          assert.equal(answer.length, length);
          if (message.expectsReply) message.reply(answer);
        },
      },
      { ...options, maxConnections: 1 },
    );
    for (const length of LENGTHS) {
      const { body } = secretBody(length);
      assert.ok(Buffer.from(await client.request(body)).equals(body));
    }
    await client.close();
    const other = startClient({ ...options, port: server.port });
    const { body } = secretBody(1_000);
    assert.ok(Buffer.from(await other.request(body)).equals(body));
    await other.close();
    assert.equal(transferred, LENGTHS.length + 1);
    await waitFor(() => server.connections.length === 0, "both to end in order");
  });

  test(`${name}: what was sent and never taken is not left as plaintext`, async () => {
    // A peer whose handshake never ends: what it was given waits as plaintext until the end.
    const listener = await RawListener.listen();
    const { port } = listener;
    const client = startClient({ ...options, port, maxConnections: 1, drainTimeoutMs: 0 });
    const marks: Uint8Array[] = [];
    const sent = Array.from({ length: 30 }, (_, i) => {
      const { body, mark } = secretBody([100, 3_000, 40_000][i % 3]!);
      marks.push(mark);
      return client.send(body).catch(() => {});
    });
    const closed = client.close();
    await Promise.all(sent);
    await listener.close();
    await closed;
    assertGone(usedMemory(), marks, "linear memory");
  });
}
