// In every runtime: a bundler may have chosen the Node adapter where Bun or Deno runs the program.
import assert from "node:assert/strict";
import { handOutWindow, nodeAdapter } from "../../../src/adapters/nodeSockets.ts";
import type { TransportEvents } from "../../../src/rpc/transport.ts";
import { testAdapter } from "../../support/adapterContract.ts";
import { runtimeId, test } from "../../support/harness.ts";

testAdapter(nodeAdapter, { wholeWritesOnly: runtimeId === "bun" || runtimeId === "deno" });

test("the shared receive window has one owner at a time", () => {
  const received: number[] = [];
  const events = (onWindow: (length: number) => void): TransportEvents => ({
    onWindow,
    onData: () => assert.fail("data"),
    onWritten: () => assert.fail("written"),
    onEnd: () => assert.fail("end"),
    onClose: () => assert.fail("close"),
  });
  const quiet = events((length) => received.push(length));
  handOutWindow(quiet, 1);
  const nested = events(() => handOutWindow(quiet, 2));
  assert.throws(() => handOutWindow(nested, 3), /two owners/);
  // It is free again, whatever was thrown.
  handOutWindow(quiet, 4);
  assert.deepEqual(received, [1, 4]);
});
