// Reading continues after anything that frees a handler: also an answer that is given long after the handler returned,
// from a kept message.

import assert from "node:assert/strict";
import type { Message } from "../../../src/index.ts";
import { test } from "../../support/harness.ts";
import { protocols } from "../../support/protocols.ts";
import { checkLeaksAfterEachTest, fromText, startPair, text, waitFor } from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

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
