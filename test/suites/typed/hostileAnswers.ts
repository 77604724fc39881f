// A server that holds the keys and wants harm, against typed clients. Its answers are made by hand. Whatever it says, promises
// settle with typed errors, streams end at both sides, and nothing stays open.

import assert from "node:assert/strict";
import type { CallHead, Connection, Message } from "../../../src/index.ts";
import { typed } from "../../../src/rpc.ts";
import { test } from "../../support/harness.ts";
import { v2 } from "../../support/protocols.ts";
import { checkLeaksAfterEachTest, deferred, sleep, startPair, waitFor } from "../../support/rpcHarness.ts";
import { rejectsWithRpc } from "../../support/typedHarness.ts";
import { About, bytes, NO_BYTES, type Parts, place, typedHead } from "../../support/typedWire.ts";

checkLeaksAfterEachTest();

/** A server whose answers are made by hand; and a typed client of it. */
async function answeredBy(answer: (message: Message) => unknown) {
  const { client } = await startPair(
    { ...v2.options, onMessage: answer, onHandlerError() {} },
    { ...v2.options, maxConnections: 1 },
  );
  return { client, remote: typed<{ ask: (value?: unknown) => unknown }>(client) };
}

test("answers of another shape reject with a code of this package and the method's name, and leave nothing open", async () => {
  const value = (parts?: Parts): CallHead => typedHead(About.value, parts);
  const answers: [what: string, code: string, head: CallHead | undefined, body: Uint8Array][] = [
    ["no head", "ERR_BAD_ANSWER", undefined, bytes("1")],
    ["no typed head", "ERR_BAD_ANSWER", { contentType: 1 }, bytes("1")],
    [
      "a field that is too short",
      "ERR_BAD_ANSWER",
      { contentType: 1, fields: new Map([[255, bytes("1")]]) },
      NO_BYTES,
    ],
    ["a call", "ERR_BAD_ANSWER", typedHead(About.call), bytes("1")],
    ["nothing known", "ERR_BAD_ANSWER", typedHead(200), bytes("1")],
    ["another version of typed calls", "ERR_BAD_ANSWER", value({ version: 2 }), bytes("1")],
    ["another codec", "ERR_CODEC", value({ contentType: 2 }), bytes("1")],
    ["another version of the codec", "ERR_CODEC", value({ codecVersion: 2 }), bytes("1")],
    [
      "another version of the codec, with no value",
      "ERR_CODEC",
      typedHead(About.idempotentValue, { codecVersion: 2 }),
      NO_BYTES,
    ],
    [
      "an error of another version of the codec, whose code needs none",
      "TAKEN",
      typedHead(About.error, { codecVersion: 2 }),
      bytes("\u0005TAKEN\u0000\u0002no{"),
    ],
    ["no JSON", "ERR_BAD_ANSWER", value(), bytes("{")],
    ["__proto__", "ERR_BAD_ANSWER", value(), bytes('{"__proto__":1}')],
    ["an escaped __proto__", "ERR_BAD_ANSWER", value(), bytes('{"\\u005f_proto__":1}')],
    ["deep", "ERR_BAD_ANSWER", value(), bytes("[".repeat(5_000) + "]".repeat(5_000))],
    ["an error cut off", "ERR_BAD_ANSWER", typedHead(About.error), Uint8Array.of(3, 65)],
    ["an error without a code", "ERR_BAD_ANSWER", typedHead(About.error), Uint8Array.of(0, 0, 0)],
    ["an error of odd letters", "ERR_BAD_ANSWER", typedHead(About.error), Uint8Array.of(1, 10, 0, 0)],
    ["an empty error", "ERR_BAD_ANSWER", typedHead(About.error), NO_BYTES],
    ["streams cut off", "ERR_BAD_ANSWER", value({ streams: [0, 0] }), bytes("null")],
    ["streams where none may be", "ERR_BAD_ANSWER", value({ streams: place(1, "a") }), bytes("[null]")],
    [
      "a stream in a prototype",
      "ERR_BAD_ANSWER",
      value({ streams: place(1, "__proto__", "x") }),
      bytes("{}"),
    ],
    ["a stream in length", "ERR_BAD_ANSWER", value({ streams: place(1, "length") }), bytes("[1]")],
    ["a stream beside a value", "ERR_BAD_ANSWER", value({ streams: place(1) }), bytes("1")],
    [
      "one place twice",
      "ERR_BAD_ANSWER",
      value({ streams: [...place(1, "0"), ...place(2, "0")] }),
      bytes("[null]"),
    ],
    [
      "17 streams",
      "ERR_BAD_ANSWER",
      value({ streams: Array.from({ length: 17 }, (_, i) => place(i, "0")).flat() }),
      bytes("[null]"),
    ],
  ];
  const { client, remote } = await answeredBy((message) => {
    // Streams that are opened stay open: only who opened them can end them.
    if (message.head.fields?.get(255)?.[1] === About.openStream) return;
    const [, , head, body] = answers[Number(JSON.parse(new TextDecoder().decode(message.body))[0])]!;
    message.reply(body, head);
  });
  for (const [i, [what, code]] of answers.entries()) {
    for (const call of [remote.ask(i), remote.ask.$with({ timeoutMs: 5_000 })(i)]) {
      const error = await rejectsWithRpc(call, code, "ask").catch((other) => {
        throw new Error(`${what}: ${other.message}`);
      });
      assert.doesNotMatch(error.message, /own text/);
    }
  }
  await waitFor(() => client.stats.inFlightRequests === 0, "the streams that were opened");
  assert.equal(({} as { x?: unknown }).x, undefined);
});

test("a server's streams that never begin, stop, lie, or end as no answer ends", async () => {
  const modes = ["silent", "garbage", "badEnd", "untyped", "error", "cut"] as const;
  let mode: (typeof modes)[number] = "silent";
  const { client, remote } = await answeredBy(async (message) => {
    const about = message.head.fields?.get(255)?.[1];
    if (about !== About.openStream) {
      message.reply(NO_BYTES, typedHead(About.value, { streams: place(7) }));
      return;
    }
    if (mode === "silent") return;
    await message.write(bytes("1"));
    if (mode === "garbage") await message.write(bytes('{"__proto__":{"x":1}}')).catch(() => {});
    else if (mode === "badEnd") message.reply(bytes("]["), typedHead(About.value));
    else if (mode === "untyped") message.reply(bytes("1"));
    else if (mode === "error") message.reply(bytes("\u0001A\u0000\u0004text"), typedHead(About.error));
    else (message.connection as Connection & { close(): unknown }).close();
  });
  for (mode of modes) {
    const stream = (await remote.ask()) as AsyncIterableIterator<unknown>;
    if (mode === "silent") {
      const next = stream.next();
      await sleep(5);
      await stream.return!();
      assert.equal((await next).done, true);
      continue;
    }
    assert.equal((await stream.next()).value, 1, mode);
    await assert.rejects(stream.next(), (error: Error & { code: string }) => {
      assert.match(error.message, /ask|^text$|not/, `${mode}: ${error.message}`);
      return typeof error.code === "string";
    });
    assert.deepEqual(await stream.next(), { done: true, value: undefined }, mode);
  }
  await waitFor(() => client.stats.inFlightRequests === 0, "the ends");
});

test("a server that takes streams of arguments badly: the producer ends and the call settles", async () => {
  const modes = ["refuses", "answers first", "fails", "never reads", "ends the stream"] as const;
  let mode: (typeof modes)[number] = "refuses";
  let stream: Message | undefined;
  const { client, remote } = await answeredBy(async (message) => {
    if (message.head.fields?.get(255)?.[1] === About.sendStream) {
      stream = message;
      if (mode === "refuses") throw new Error("no streams here");
      if (mode === "ends the stream") message.reply(NO_BYTES);
      return;
    }
    if (mode === "answers first" || mode === "ends the stream")
      message.reply(bytes("1"), typedHead(About.value));
    if (mode === "fails") message.reply(Uint8Array.of(1, 65, 0, 0), typedHead(About.error));
  });
  for (mode of modes) {
    const closed = deferred();
    const items = async function* () {
      try {
        for (;;) yield "x".repeat(1_000);
      } finally {
        closed.resolve();
      }
    };
    const outcome = await remote.ask
      .$with({ timeoutMs: mode === "never reads" ? 1_000 : 20_000 })(items())
      .then(
        (result) => result,
        (error) => error.code,
      );
    await closed.promise;
    const expected = { refuses: "ERR_REMOTE", fails: "A", "never reads": "ERR_REQUEST_TIMEOUT" } as Record<
      string,
      unknown
    >;
    assert.equal(outcome, expected[mode] ?? 1, mode);
    stream = undefined;
  }
  void stream;
  await waitFor(() => client.stats.inFlightRequests === 0, "the ends");
});
