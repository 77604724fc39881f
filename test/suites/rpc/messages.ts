import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Connection, Message } from "../../../src/index.ts";
import { test } from "../../support/harness.ts";
import { protocols } from "../../support/protocols.ts";
import {
  assertSameBytes,
  checkLeaksAfterEachTest,
  deferred,
  echo,
  fromText,
  patternBytes,
  rejectsWith,
  sleep,
  startPair,
  text,
  throwsWith,
  waitFor,
} from "../../support/rpcHarness.ts";

const MEBIBYTE = 1_048_576;

checkLeaksAfterEachTest();

for (const { name, options, withKinds } of protocols) {
  test(`${name}: echo of every interesting length`, async () => {
    const { client } = await startPair({ ...options, onMessage: echo }, options);
    // Around a vector register, a shared body, a small frame, a segment, two segments, and the frame limit.
    const around = [0, 16, 64, 4_096, 32_768, 65_536, 131_072].flatMap((at) =>
      [-30, -24, -20, -1, 0, 1].map((d) => at + d),
    );
    const lengths = [...around.filter((length) => length >= 0), MEBIBYTE - 21];
    const bodies = lengths.map((length, index) => patternBytes(length, index));
    const answers = await Promise.all(bodies.map((body) => client.request(body)));
    for (let i = 0; i < bodies.length; i++) assertSameBytes(answers[i]!, bodies[i]!, `${lengths[i]} bytes`);
  });

  test(`${name}: the body is copied when the call returns`, async () => {
    const { client } = await startPair({ ...options, onMessage: echo }, options);
    for (const length of [10, 1_000, 100_000]) {
      const body = patternBytes(length);
      const answer = client.request(body);
      body.fill(0xee);
      assertSameBytes(await answer, patternBytes(length), `${length} bytes`);
    }
  });

  test(`${name}: 16 MiB in both directions with the limit raised`, async () => {
    const limits = { ...options, maxFrameBytes: 17 * MEBIBYTE };
    const { client } = await startPair({ ...limits, onMessage: echo }, limits);
    const body = patternBytes(16 * MEBIBYTE, 3);
    const small = Promise.all(Array.from({ length: 100 }, (_, i) => client.request(patternBytes(i))));
    assertSameBytes(await client.request(body), body);
    (await small).forEach((answer, i) => {
      assertSameBytes(answer, patternBytes(i));
    });
  });

  test(`${name}: 20,000 one-way messages arrive once, in order`, async () => {
    const count = 20_000;
    let next = 0;
    const done = deferred();
    const onMessage = (message: Message) => {
      const number = new DataView(message.body.buffer, message.body.byteOffset).getUint32(0);
      assert.equal(number, next);
      assert.equal(message.body.length, 4 + (number % 61));
      assert.equal(message.expectsReply, false);
      if (++next === count) done.resolve();
    };
    const { client } = await startPair({ ...options, onMessage }, { ...options, maxConnections: 1 });
    let last: Promise<void> | undefined;
    for (let i = 0; i < count; i++) {
      const body = patternBytes(4 + (i % 61));
      new DataView(body.buffer).setUint32(0, i);
      if (i % 3 === 0) {
        last = client.send(body);
      } else {
        while (!client.sendNoWait(body)) await sleep(1);
      }
      if (i % 1_000 === 999) await last;
    }
    await done.promise;
    assert.equal(next, count);
  });

  test(`${name}: both ends call each other at once`, async () => {
    let serverConnection: Connection | undefined;
    const { client } = await startPair(
      {
        ...options,
        onMessage: async (message) => {
          serverConnection = message.connection;
          message.reply(await message.connection.request(message.body));
        },
      },
      {
        ...options,
        maxConnections: 1,
        onMessage: (message) => message.reply(text(`${fromText(message.body)} back`)),
      },
    );
    const answers = await Promise.all(
      Array.from({ length: 500 }, (_, i) => client.request(text(`call ${i}`))),
    );
    answers.forEach((answer, i) => {
      assert.equal(fromText(answer), `call ${i} back`);
    });
    assert.equal(fromText(await serverConnection!.request(text("later"))), "later back");
  });

  test(`${name}: answers may come in another order than the requests`, async () => {
    const held: Message[] = [];
    const onMessage = (message: Message) => {
      held.push(message);
      if (held.length === 50) for (const each of held.reverse()) each.reply(each.body);
    };
    const { client } = await startPair({ ...options, onMessage }, { ...options, maxConnections: 1 });
    const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => client.request(text(String(i)))));
    assert.deepEqual(
      answers.map(fromText),
      Array.from({ length: 50 }, (_, i) => String(i)),
    );
  });

  test(`${name}: a handler that waits does not hold up the reading`, async () => {
    const release = deferred();
    const onMessage = async (message: Message) => {
      if (fromText(message.body) === "wait") await release.promise;
      message.reply(message.body);
    };
    const { client } = await startPair({ ...options, onMessage }, { ...options, maxConnections: 1 });
    const waiting = client.request(text("wait"));
    assert.equal(fromText(await client.request(text("quick"))), "quick");
    release.resolve();
    assert.equal(fromText(await waiting), "wait");
  });

  test(`${name}: an answer into the caller's buffer, and one that does not fit`, async () => {
    const { client } = await startPair({ ...options, onMessage: echo }, options);
    for (const length of [0, 5, 5_000, 200_000]) {
      const into = new Uint8Array(length + 3).fill(0xaa);
      const answer = await client.request(patternBytes(length), { into });
      assert.equal(answer.buffer, into.buffer);
      assertSameBytes(answer, patternBytes(length));
      assert.deepEqual([...into.subarray(length)], [0xaa, 0xaa, 0xaa]);
    }
    await rejectsWith(client.request(patternBytes(5), { into: new Uint8Array(4) }), "ERR_MESSAGE_TOO_LARGE");
    assert.equal(fromText(await client.request(text("still usable"))), "still usable");
  });

  test(`${name}: bodies are the handler's to keep`, async () => {
    const kept: Uint8Array[] = [];
    const onMessage = (message: Message) => {
      kept.push(message.body);
      message.reply(new Uint8Array(0));
    };
    const { client } = await startPair({ ...options, onMessage }, options);
    const lengths = [1, 100, 4_096, 4_097, 70_000];
    for (const length of lengths) await client.request(patternBytes(length, length));
    for (let i = 0; i < 100; i++) await client.request(new Uint8Array(3_000).fill(0xff));
    lengths.forEach((length, i) => {
      assertSameBytes(kept[i]!, patternBytes(length, length), `${length} bytes`);
    });
  });

  test(`${name}: bodies that came together in long frames are the handler's to keep, at multiples of 8`, async () => {
    const kept: Uint8Array[] = [];
    const onMessage = (message: Message) => {
      kept.push(message.body);
      if (message.expectsReply) message.reply(message.body);
    };
    const { client } = await startPair({ ...options, onMessage }, { ...options, maxConnections: 1 });
    await client.connected();
    const lengths = Array.from({ length: 400 }, (_, i) => [1_400 + i, i, 3_001, 600][i % 4]!);
    for (let round = 0; round < 3; round++) {
      const answers = await Promise.all(
        lengths.map((length, i) => {
          if (i % 3 === 0) return client.request(patternBytes(length, i));
          client.sendNoWait(patternBytes(length, i));
          return undefined;
        }),
      );
      answers.forEach((answer, i) => {
        if (answer === undefined) return;
        assertSameBytes(answer, patternBytes(lengths[i]!, i), `answer ${i}`);
        assert.equal(answer.byteOffset % 8, 0);
      });
    }
    await waitFor(() => kept.length === 3 * lengths.length, "all messages");
    const left = new Map<string, number>();
    const nameOf = (bytes: Uint8Array) => `${bytes.length}:${bytes[0]}:${bytes.at(-1)}`;
    lengths.forEach((length, i) => {
      const body = nameOf(patternBytes(length, i));
      left.set(body, (left.get(body) ?? 0) + 3);
    });
    for (const body of kept) {
      assert.equal(body.byteOffset % 8, 0);
      left.set(nameOf(body), left.get(nameOf(body))! - 1);
    }
    assert.ok([...left.values()].every((count) => count === 0));
  });

  test(`${name}: bodies hold the bytes while the handler runs, as body and as bytes[start, end)`, async () => {
    const seen: number[] = [];
    const onMessage = (message: Message) => {
      const { bytes, start, end } = message;
      assertSameBytes(bytes.slice(start, end), patternBytes(end - start));
      assertSameBytes(message.body, patternBytes(end - start));
      if (message.expectsReply) message.reply(message.body);
      else seen.push(end - start);
    };
    for (const messageBodies of ["view", "copy"] as const) {
      const { client } = await startPair(
        { ...options, onMessage, messageBodies },
        { ...options, maxConnections: 1 },
      );
      const lengths = [0, 1, 100, 4_097, 32_000, 70_000];
      for (const length of lengths) client.sendNoWait(patternBytes(length));
      const answers = await Promise.all(lengths.map((length) => client.request(patternBytes(length))));
      answers.forEach((answer, i) => {
        assertSameBytes(answer, patternBytes(lengths[i]!));
      });
      assert.deepEqual(seen.splice(0), lengths);
    }
  });

  test(`${name}: answers are the caller's to keep, body views or not`, async () => {
    const { client } = await startPair(
      { ...options, onMessage: echo, messageBodies: "view" },
      { ...options, messageBodies: "view" },
    );
    const lengths = [1, 100, 4_097, 32_000, 70_000];
    for (let round = 0; round < 2; round++) {
      const answers = await Promise.all(
        Array.from({ length: 50 }, (_, i) => client.request(patternBytes(lengths[i % 5]!, i))),
      );
      await Promise.all(Array.from({ length: 50 }, () => client.request(new Uint8Array(30_000))));
      answers.forEach((answer, i) => {
        assertSameBytes(answer, patternBytes(lengths[i % 5]!, i));
      });
    }
  });

  test(`${name}: a second reply() is the handler's mistake, one to a one-way message does nothing`, async () => {
    const seen: string[] = [];
    const onMessage = (message: Message) => {
      if (!message.expectsReply) {
        assert.equal(message.reply(text("nobody asked")), false);
        assert.equal(message.reply(text("nobody asked")), false);
        seen.push("one way");
        return;
      }
      assert.equal(message.reply(text("first")), true);
      seen.push(throwsWith(() => message.reply(text("second")), "ERR_ALREADY_ANSWERED").code);
    };
    const { client } = await startPair({ ...options, onMessage }, options);
    await client.send(text("one way"));
    assert.equal(fromText(await client.request(text("request"))), "first");
    await waitFor(() => seen.length === 2, "both handlers");
    assert.deepEqual(seen.sort(), ["ERR_ALREADY_ANSWERED", "one way"]);
    assert.equal(client.stats.droppedReplies, 0);
  });

  test(`${name}: a handler that throws is reported, and the connection lives on`, async () => {
    const reported: unknown[] = [];
    const onMessage = (message: Message) => {
      const what = fromText(message.body);
      if (what === "throw") throw Object.assign(new Error("thrown on purpose"), { code: "E_PURPOSE" });
      if (what === "reject") return Promise.reject(new Error("rejected on purpose"));
      message.reply(message.body);
    };
    const { client } = await startPair(
      { ...options, onMessage, onHandlerError: (error) => reported.push(error), exposeErrorMessages: true },
      { ...options, maxConnections: 1 },
    );
    // The connection is there: what is asked now reaches its handler, however soon protocol v1's callers give up.
    await client.request(text("first"));
    const [thrown, rejected] = ["throw", "reject"].map((what) =>
      client.request(text(what), { timeoutMs: withKinds ? 30_000 : 100 }),
    ) as [Promise<Uint8Array>, Promise<Uint8Array>];
    if (withKinds) {
      const error = await rejectsWith(thrown, "ERR_REMOTE");
      assert.equal(error.remoteCode, "E_PURPOSE");
      assert.equal(error.message, "thrown on purpose");
      assert.equal((await rejectsWith(rejected, "ERR_REMOTE")).message, "rejected on purpose");
    } else {
      // Protocol v1 has no error replies.
      await Promise.all([
        rejectsWith(thrown, "ERR_REQUEST_TIMEOUT"),
        rejectsWith(rejected, "ERR_REQUEST_TIMEOUT"),
      ]);
    }
    await waitFor(() => reported.length === 2, "what the handlers threw");
    assert.deepEqual(
      reported.map((error) => (error as Error).message),
      ["thrown on purpose", "rejected on purpose"],
    );
    assert.equal(fromText(await client.request(text("still usable"))), "still usable");
  });

  test(`${name}: over a Unix socket`, async () => {
    const folder = mkdtempSync(join(tmpdir(), "sealwire-"));
    try {
      const path = join(folder, "socket");
      const { server, client } = await startPair({ ...options, path, onMessage: echo }, options);
      assert.equal(server.path, path);
      const answers = await Promise.all(
        [0, 1_000, 300_000].map((length) => client.request(patternBytes(length))),
      );
      answers.forEach((answer, i) => {
        assertSameBytes(answer, patternBytes([0, 1_000, 300_000][i]!));
      });
      await client.close();
      await server.close();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test(`${name}: every engine talks to every engine`, async () => {
    const engines = ["auto", "wasm", "keystream", "native"] as const;
    for (const engine of engines) {
      for (const other of engines) {
        const { client } = await startPair(
          { ...options, engine, onMessage: echo },
          { ...options, engine: other },
        );
        const lengths = [0, 40, 1_400, 40_000, 200_000];
        const answers = await Promise.all(lengths.map((length) => client.request(patternBytes(length))));
        answers.forEach((answer, i) => {
          assertSameBytes(answer, patternBytes(lengths[i]!), `${engine} to ${other}`);
        });
      }
    }
  });
}
