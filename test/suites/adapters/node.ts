// In every runtime: a bundler may have chosen the Node adapter where Bun or Deno runs the program.
import assert from "node:assert/strict";
import { handOutReceiveBuffer } from "../../../src/adapters/nodeReceiveBuffer.ts";
import { nodeAdapter } from "../../../src/adapters/nodeSockets.ts";
import type { TransportEvents } from "../../../src/rpc/transport.ts";
import { testAdapter } from "../../support/adapterContract.ts";
import { runtimeId, test } from "../../support/harness.ts";

testAdapter(nodeAdapter, { wholeWritesOnly: runtimeId === "bun" || runtimeId === "deno" });

test("the shared receive buffer has one owner at a time", () => {
  const received: number[] = [];
  const events = (onReceiveBuffer: (length: number) => void): TransportEvents => ({
    onReceiveBuffer,
    onData: () => assert.fail("data"),
    onWritten: () => assert.fail("written"),
    onEnd: () => assert.fail("end"),
    onClose: () => assert.fail("close"),
  });
  const quiet = events((length) => received.push(length));
  handOutReceiveBuffer(quiet, 1);
  const nested = events(() => handOutReceiveBuffer(quiet, 2));
  assert.throws(() => handOutReceiveBuffer(nested, 3), /two owners/);
  // It is free again, whatever was thrown.
  handOutReceiveBuffer(quiet, 4);
  assert.deepEqual(received, [1, 4]);
});
