// Reading goes on after whatever made room among the handlers: also an answer that is given long after the handler
// returned, by whoever kept the message.

import assert from "node:assert/strict";
import type { Message } from "../../../src/index.ts";
import { test } from "../../support/harness.ts";
import { checkLeaksAfterEachTest, fromText, startPair, text, waitFor } from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

test("messages that were kept for later answers leave room when they are answered", async () => {
  const kept: Message[] = [];
  const { client } = await startPair(
    {
      maxConcurrentHandlers: 1,
      onMessage(message) {
        // Whoever has looked at the signal may wait for it: such a message counts until it is answered.
        assert.equal(message.signal.aborted, false);
        kept.push(message);
      },
    },
    {},
  );
  const answers = Array.from({ length: 9 }, (_, i) => client.request(text(`request ${i}`)));
  for (let answered = 0; answered < 9; answered++) {
    await waitFor(() => kept.length > answered, `request ${answered} to be handled`);
    assert.ok(kept.length <= answered + 2, "no more than the limit and the one that reached it");
    kept[answered]!.reply(kept[answered]!.body);
  }
  assert.deepEqual(
    (await Promise.all(answers)).map(fromText),
    answers.map((_, i) => `request ${i}`),
  );
});
