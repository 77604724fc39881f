// Heads: calls without streams, one-way messages with heads, and heads that are repeated. A head from the cache equals
// the one that was sent, and each handler has a copy of its own.

import assert from "node:assert/strict";
import type { SealwireError } from "../../../src/base/errors.ts";
import type { CallHead, Message } from "../../../src/index.ts";
import { encodeWithHead } from "../../../src/protocol/head.ts";
import { copyHead, encodePrepared, HeadReader, PreparedHead } from "../../../src/protocol/preparedHead.ts";
import { test } from "../../support/harness.ts";
import { v1, v2 } from "../../support/protocols.ts";
import {
  assertSameBytes,
  checkLeaksAfterEachTest,
  deferred,
  fromText,
  patternBytes,
  rejectsWith,
  sleep,
  startPair,
  text,
  throwsWith,
  waitFor,
} from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

const EMPTY = new Uint8Array(0);

function pair(onMessage: (message: Message) => unknown, options = {}) {
  return startPair({ ...v2.options, onMessage, ...options }, { ...v2.options, maxConnections: 1 });
}

test("a call without streams: its head both ways, no items, and no stream at the server", async () => {
  const seen: CallHead[] = [];
  const { client } = await pair(async (message) => {
    seen.push(message.head);
    await rejectsWith(message.write(EMPTY), "ERR_UNSUPPORTED");
    for await (const _ of message) assert.fail("an item");
    message.reply(message.body, { contentType: 7 });
  });
  const call = client.call(text("body"), { head: { method: "a.b", contentType: 1 }, streams: false });
  await rejectsWith(call.write(EMPTY), "ERR_UNSUPPORTED");
  for await (const _ of call) assert.fail("an item");
  call.end();
  assert.equal(fromText(await call.answer), "body");
  assert.equal(call.answerHead?.contentType, 7);
  assert.equal(call.connection, client.connections[0]);
  assert.deepEqual(seen, [{ method: "a.b", contentType: 1, fields: new Map() }]);
});

test("calls without streams are none of the peer's maxStreams", async () => {
  const gate = deferred();
  let running = 0;
  const { client } = await pair(async (message) => {
    running++;
    await gate.promise;
    message.reply(EMPTY);
  });
  await client.connected();
  const calls = Array.from({ length: 200 }, () => client.call(EMPTY, { streams: false }).answer);
  const refused = Array.from({ length: 140 }, () => client.call(EMPTY));
  const errors = await Promise.all(refused.slice(128).map((call) => rejectsWith(call.answer, "ERR_REMOTE")));
  assert.deepEqual(
    new Set(errors.map(({ remoteCode, notBegun }) => `${remoteCode} ${notBegun}`)),
    new Set(["ERR_TOO_MANY_REQUESTS true"]),
  );
  await waitFor(() => running === 200 + 128, "every handler to begin");
  gate.resolve();
  await Promise.all([...calls, ...refused.slice(0, 128).map(({ answer }) => answer)]);
});

test("deadlines, aborts and failures end a call without streams, once", async () => {
  const { client } = await pair(
    (message) =>
      new Promise((_, reject) => {
        message.signal.addEventListener("abort", () => reject(message.signal.reason));
      }),
  );
  await client.connected();
  const late = await rejectsWith(
    client.call(EMPTY, { streams: false, timeoutMs: 20 }).answer,
    "ERR_REQUEST_TIMEOUT",
  );
  assert.equal(late.notBegun, false);
  const abort = new AbortController();
  const { answer } = client.call(EMPTY, { streams: false, signal: abort.signal });
  abort.abort();
  await rejectsWith(answer, "ERR_ABORTED");
  const gone = client.call(EMPTY, { streams: false, signal: AbortSignal.abort() });
  await rejectsWith(gone.answer, "ERR_ABORTED");
  throwsWith(() => client.call(EMPTY, { streams: 1 as unknown as boolean }), "ERR_INVALID_ARGUMENT");
});

test("one-way messages with heads", async () => {
  const got = deferred<[CallHead, string, boolean, number | undefined]>();
  const { client } = await pair((message) => {
    got.resolve([message.head, fromText(message.body), message.expectsReply, message.remainingMs]);
  });
  const fields = new Map([[200, text("own")]]);
  await client.send(text("log"), { head: { method: "log", fields } });
  const [head, body, expectsReply, remainingMs] = await got.promise;
  assert.deepEqual([body, expectsReply, remainingMs], ["log", false, undefined]);
  assert.equal(head.method, "log");
  assert.equal(fromText(head.fields!.get(200)!), "own");
  throwsWith(() => client.send(EMPTY, { head: { method: "x".repeat(1_025) } }), "ERR_INVALID_ARGUMENT");
  throwsWith(() => client.send(EMPTY, 1 as never), "ERR_INVALID_ARGUMENT");
});

test("with body views, a message without a head does not have that of the message before it", async () => {
  const methods: (string | undefined)[] = [];
  const { client } = await pair((message) => void methods.push(message.head.method), {
    messageBodies: "view",
  });
  for (const method of ["first", undefined, "third", undefined, undefined]) {
    await client.send(text("body"), method === undefined ? undefined : { head: { method } });
  }
  await waitFor(() => methods.length === 5, "all messages");
  assert.deepEqual(methods, ["first", undefined, "third", undefined, undefined]);
});

test("with body views, a handler may transfer the memory of a request that waited", async () => {
  const busy = deferred();
  const lengths: number[] = [];
  const { client } = await pair(
    async (message) => {
      const { body } = message;
      lengths.push(body.length);
      if (lengths.length > 2) structuredClone(body.buffer, { transfer: [body.buffer as ArrayBuffer] });
      else await busy.promise;
      message.reply(EMPTY);
    },
    { messageBodies: "view", maxConcurrentHandlers: 2 },
  );
  const answers = [1, 2, 3_000, 5_000, 4].map((length) => client.request(new Uint8Array(length)));
  await waitFor(() => lengths.length === 2, "handlers that are busy");
  await sleep(10);
  busy.resolve();
  await Promise.all(answers);
  assert.deepEqual(lengths, [1, 2, 3_000, 5_000, 4]);
});

test("protocol v1 has no heads", async () => {
  const { client } = await startPair({ ...v1.options }, { ...v1.options });
  throwsWith(() => client.call(EMPTY, { streams: false }), "ERR_UNSUPPORTED");
  throwsWith(() => client.send(EMPTY, { head: { method: "log" } }), "ERR_UNSUPPORTED");
});

test("a head that comes again is the same to handlers, and each has its own copy", async () => {
  let calls = 0;
  const { client } = await pair((message) => {
    const { head } = message;
    assert.equal(message.head, head);
    assert.deepEqual([head.method, fromText(head.fields!.get(128)!)], ["m", "v"]);
    assert.ok(message.remainingMs! > 0 && message.remainingMs! <= 10_000 + calls);
    // What a handler does to its own copy is its own business.
    (head.fields as Map<number, Uint8Array>).get(128)!.fill(0);
    (head.fields as Map<number, Uint8Array>).clear();
    (head as { method: string }).method = "changed";
    message.reply(EMPTY, { fields: new Map([[130, text("back")]]) });
    calls++;
  });
  const head = { method: "m", fields: new Map([[128, text("v")]]) };
  for (let i = 0; i < 5; i++) {
    const call = client.call(EMPTY, { head, streams: i % 2 === 0, timeoutMs: 10_000 + i });
    await call.answer;
    const back = call.answerHead!.fields as Map<number, Uint8Array>;
    assert.equal(fromText(back.get(130)!), "back");
    back.get(130)!.fill(0);
    back.clear();
  }
  assert.equal(calls, 5);
});

test("a reader gives for every head what decoding gives, also for malformed ones, however often and in whatever order", () => {
  const reader = new HeadReader();
  const heads: Uint8Array[] = [
    encodeWithHead({}, EMPTY),
    encodeWithHead({ deadlineMs: 0xffffffff }, text("body")),
    ...[1, 2, 77].flatMap((deadlineMs) => [
      encodeWithHead({ deadlineMs, method: "a" }, EMPTY),
      encodeWithHead({ deadlineMs, method: "a", streams: true, streamCredit: 5 }, text("b")),
      encodeWithHead({ deadlineMs, method: "é".repeat(200), contentType: 3 }, text("c")),
      encodeWithHead({ deadlineMs, method: "t", traceParent: `00-${deadlineMs}` }, text("d")),
    ]),
    ...Array.from({ length: 300 }, (_, i) => encodeWithHead({ method: `method${i}` }, text("e"))),
  ];
  // A second deadline behind the first, one of 3 bytes, one behind the method, an unknown critical field.
  heads.push(Uint8Array.of(0, 14, 1, 0, 4, 0, 0, 0, 9, 1, 0, 4, 0, 0, 0, 9));
  heads.push(Uint8Array.of(0, 6, 1, 0, 3, 0, 0, 9));
  heads.push(Uint8Array.of(0, 11, 2, 0, 1, 97, 1, 0, 4, 0, 0, 0, 9));
  heads.push(Uint8Array.of(0, 3, 64, 0, 0));
  const said = (reading: HeadReader, bytes: Uint8Array) => {
    const { own, streams, streamCredit, fault } = reading.read(bytes, 0, bytes.length);
    const { bodyStart, deadlineMs } = reading;
    return {
      own,
      streams,
      streamCredit,
      fault: (fault as SealwireError | undefined)?.code,
      bodyStart,
      deadlineMs,
    };
  };
  for (let round = 0; round < 3; round++) {
    for (const bytes of heads) assert.deepEqual(said(reader, bytes), said(new HeadReader(), bytes));
    heads.reverse();
  }
  const faults = heads.filter((bytes) => said(reader, bytes).fault !== undefined);
  assert.equal(faults.length, 4);
  for (const bytes of [Uint8Array.of(0), Uint8Array.of(0, 9, 1)]) {
    throwsWith(() => reader.read(bytes, 0, bytes.length), "ERR_PROTOCOL");
  }
});

test("bodies behind heads of any length begin at a multiple of 8, also in frames of their own", async () => {
  const { client } = await pair((message) => {
    assert.equal(message.body.byteOffset % 8, 0);
    message.reply(message.body, { method: "x".repeat(message.head.method!.length) });
  });
  for (let i = 0; i < 9; i++) {
    for (const length of [0, 9, 5_000, 60_000, 70_000, 300_000]) {
      const body = patternBytes(length, i);
      const answer = await client.call(body, { streams: false, head: { method: "m".repeat(i + 1) } }).answer;
      assertSameBytes(answer, body);
      assert.equal(answer.byteOffset % 8, 0);
    }
  }
});

test("many fields of a head stay bytes until somebody asks for them, and are the same each time", () => {
  for (const count of [0, 1, 4, 5, 128]) {
    const reader = new HeadReader();
    const given = new Map(
      Array.from({ length: count }, (_, i) => [128 + i, Uint8Array.of(i, count)] as const),
    );
    for (const traceParent of [undefined, "00-1"]) {
      const bytes = encodeWithHead({ method: "m", traceParent, fields: given }, text("body"));
      for (let round = 0; round < 2; round++) {
        const { own } = reader.read(Uint8Array.from(bytes), 0, bytes.length);
        const { fields } = own;
        assert.equal(own.fields === fields, count <= 4, `${count} fields`);
        assert.deepEqual([...fields!], [...given]);
        assert.deepEqual([own.method, own.traceParent], ["m", traceParent]);
        const copy = copyHead(own);
        assert.deepEqual([...copy.fields!], [...given]);
        for (const value of copy.fields!.values()) value.fill(0xee);
      }
    }
  }
});

test("a head that answers the call itself when it is read: one answer is sent, and the connection goes on", async () => {
  const codes: unknown[] = [];
  const { client } = await pair((message) => {
    const answer = (): boolean => message.expectsReply && message.reply(text("first"));
    class Fields extends Map<number, Uint8Array> {
      override [Symbol.iterator]() {
        answer();
        return super[Symbol.iterator]();
      }
    }
    const heads: Record<string, CallHead> = {
      method: {
        get method() {
          answer();
          return "m";
        },
      },
      fields: { fields: new Fields([[128, text("f")]]) },
    };
    const head = heads[message.head.method ?? ""];
    try {
      message.reply(text("second"), head);
    } catch (error) {
      codes.push((error as SealwireError).code);
    }
  });
  for (const method of ["method", "fields"]) {
    const { answer } = client.call(EMPTY, { head: { method }, streams: false });
    assert.equal(fromText(await answer), "first");
  }
  assert.equal(fromText(await client.call(EMPTY, { head: { method: "none" } }).answer), "second");
  assert.deepEqual(codes, ["ERR_ALREADY_ANSWERED", "ERR_ALREADY_ANSWERED"]);
  assert.equal(client.stats.openedConnections, 1);
});

test("a prepared head is sent as any other", () => {
  const head = { method: "a.b", contentType: 2, fields: new Map([[255, text("xyz")]]) };
  const prepared = new PreparedHead(head);
  for (const deadlineMs of [1, 255, 65_536, 0x7fffffff, 0.5]) {
    assert.deepEqual(
      encodePrepared(prepared, deadlineMs, text("body"), deadlineMs > 255),
      encodeWithHead({ ...head, deadlineMs }, text("body")),
    );
  }
  assert.deepEqual(encodePrepared(prepared, 0, EMPTY, true), encodeWithHead(head, EMPTY));
  throwsWith(() => new PreparedHead({ method: "x".repeat(1_025) }), "ERR_INVALID_ARGUMENT");
  const most = new Map([[200, new Uint8Array(65_535 - 3)]]);
  throwsWith(() => new PreparedHead({ fields: most }), "ERR_INVALID_ARGUMENT");
});
