// Handlers that transfer the memory of a body that they were lent (`messageBodies: "view"`), or that shares its memory. If
// the runtime allows it, messages behind it in the same frame are lost with it. The connection then ends, with an error
// that says why, and no other one is disturbed.

import assert from "node:assert/strict";
import type { SealwireError } from "../../../src/base/errors.ts";
import type { Message } from "../../../src/index.ts";
import { test } from "../../support/harness.ts";
import { v1, v2 } from "../../support/protocols.ts";
import { checkLeaksAfterEachTest, startClient, startPair } from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

const REQUESTS = 100;
const EMPTY = new Uint8Array(0);

/** By each way that there is. What is refused throws. */
function transfer(buffer: ArrayBuffer): void {
  try {
    structuredClone(buffer, { transfer: [buffer] });
  } catch {}
  try {
    // ES2024
    (buffer as { transfer?(bytes: number): unknown }).transfer?.(0);
  } catch {}
}

const modes = [v1, v2].flatMap((protocol) =>
  (["view", "copy"] as const).map((messageBodies) => ({ ...protocol, messageBodies })),
);

for (const { name, options, messageBodies } of modes) {
  for (const [what, bodyBytes, takesMs] of [
    ["short bodies", 100, 0],
    ["short bodies that wait for their turn", 100, 1],
    ["bodies of several to a frame", 3_000, 0],
    ["bodies of several to a frame that wait for their turn", 3_000, 1],
    ["bodies in frames of their own", 70_000, 0],
    ["bodies in frames of their own that wait for their turn", 70_000, 1],
  ] as const) {
    test(`${name}, ${messageBodies}: a handler transfers a body, and nobody else is disturbed: ${what}`, async () => {
      let transfers = true;
      const ends: (Error | undefined)[] = [];
      const { client, server } = await startPair(
        {
          ...options,
          messageBodies,
          onMessage(message: Message) {
            for (const until = performance.now() + takesMs; transfers && performance.now() < until; );
            const { buffer } = message.body;
            if (transfers) transfer(buffer as ArrayBuffer);
            message.reply(EMPTY);
          },
          onConnectionState(_connection, state, error) {
            if (state === "closed") ends.push(error);
          },
        },
        { ...options, maxConnections: 1 },
      );
      const asked = Array.from({ length: REQUESTS }, () => client.request(new Uint8Array(bodyBytes)));
      const failures = (await Promise.allSettled(asked))
        .filter((end): end is PromiseRejectedResult => end.status === "rejected")
        .map(({ reason }) => (reason as SealwireError).code);
      assert.deepEqual(
        [...new Set(failures)].filter((code) => code !== "ERR_CONNECTION_LOST"),
        [],
      );
      if (failures.length === 0) assert.deepEqual(ends, []);
      for (const end of ends) {
        assert.equal((end as SealwireError).code, "ERR_CONNECTION_LOST");
        assert.equal(
          (end!.cause as Error).message,
          "a handler transferred memory that held further messages",
        );
      }
      transfers = false;
      const other = startClient({ ...options, port: server.port });
      assert.equal((await other.request(new Uint8Array(bodyBytes))).length, 0);
    });
  }
}
