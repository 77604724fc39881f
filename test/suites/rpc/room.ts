// Reading continues after anything that frees a handler: also an answer that is given long after the handler returned,
// from a kept message.

import assert from "node:assert/strict";
import { type Message, setProcessLimits } from "../../../src/index.ts";
import { memoryBudget } from "../../../src/rpc/memoryBudget.ts";
import { onAfterEachTest, test } from "../../support/harness.ts";
import { protocols } from "../../support/protocols.ts";
import {
  checkLeaksAfterEachTest,
  deferred,
  fromText,
  someTurns,
  startPair,
  text,
  waitFor,
} from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();
onAfterEachTest(() => setProcessLimits({}));

for (const { name, options, withKinds } of protocols) {
  test(`${name}: messages that were kept for later answers leave room when they are answered`, async () => {
    // Whoever has looked at the signal may wait for it. Protocol v1 counts such a message among the handlers until it
    // is answered, protocol v2 among the requests: the caller keeps the others back.
    const most = withKinds ? 128 : 2;
    const count = most + 9;
    const kept: Message[] = [];
    const { client } = await startPair(
      {
        ...options,
        maxConcurrentHandlers: 2,
        maxRequests: 128,
        onMessage(message) {
          assert.equal(message.signal.aborted, false);
          kept.push(message);
        },
      },
      { ...options, maxConnections: 1 },
    );
    const answers = Array.from({ length: count }, (_, i) => client.request(text(`request ${i}`)));
    await waitFor(() => kept.length >= most, "the limit to be reached");
    for (let answered = 0; answered < count; answered++) {
      await waitFor(() => kept.length > answered, `request ${answered} to be handled`);
      assert.ok(kept.length <= answered + most, "no more than the limit");
      kept[answered]!.reply(kept[answered]!.body);
    }
    assert.deepEqual(
      (await Promise.all(answers)).map(fromText),
      answers.map((_, i) => `request ${i}`),
    );
  });
}

for (const { name, options } of protocols) {
  test(`${name}: requests that fail leave room, also if their handlers have looked at the signal`, async () => {
    let failed = 0;
    const { client } = await startPair(
      {
        ...options,
        maxConcurrentHandlers: 2,
        onHandlerError: () => void failed++,
        onMessage(message) {
          if (fromText(message.body) === "works") return void message.reply(message.body);
          assert.equal(message.signal.aborted, false);
          if (failed % 2 === 0) throw new Error("at once");
          return Promise.reject(new Error("later"));
        },
      },
      { ...options, maxConnections: 1 },
    );
    // Protocol v1 can't say that a request failed: its caller gets no answer.
    const abort = new AbortController();
    const { signal } = abort;
    const outcomes = Array.from({ length: 9 }, (_, i) =>
      client.request(text(`fails ${i}`), { signal }).catch((error) => error.code),
    );
    await waitFor(() => failed === 9, "all to fail");
    assert.equal(fromText(await client.request(text("works"))), "works");
    abort.abort();
    for (const code of await Promise.all(outcomes)) assert.match(code, /^ERR_(REMOTE|ABORTED)$/);
  });
}

test("messages of the peer are handled while this side's own wait for its credit, however many those are", async () => {
  // The server's only handler waits for an answer of the client, which has more waiting than half of the process's memory.
  setProcessLimits({ maxPendingBytes: 1_048_576 });
  const mayCallBack = deferred();
  const { client } = await startPair(
    {
      maxConcurrentHandlers: 1,
      async onMessage(message) {
        await mayCallBack.promise;
        message.reply(await message.connection.request(text("back")));
      },
    },
    { maxConnections: 1, requestTimeoutMs: 0, onMessage: (message) => message.reply(message.body) },
  );
  const connection = await client.connected();
  const body = new Uint8Array(5_000);
  const most = 524_288;
  const answers: Promise<Uint8Array>[] = [];
  while (memoryBudget.used <= most) {
    answers.push(connection.request(body));
    assert.ok(answers.length < 1_000, "the requests wait");
    if (answers.length % 50 === 0) await someTurns();
  }
  mayCallBack.resolve();
  for (const answer of await Promise.all(answers)) assert.equal(fromText(answer), "back");
});
