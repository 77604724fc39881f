import assert from "node:assert/strict";
import { denoAdapter } from "../../../src/adapters/denoSockets.ts";
import { DenoTransport } from "../../../src/adapters/denoTransport.ts";
import { testAdapter } from "../../support/adapterContract.ts";
import { runtimeId, test } from "../../support/harness.ts";

if (runtimeId === "deno") testAdapter(denoAdapter);
else test("the contract", { only: ["deno"] }, () => {});

test("a socket whose option can't be set, because its peer is gone, ends by itself: accepting goes on", async () => {
  const gone = (): never => {
    throw new Error("invalid argument");
  };
  const conn = {
    remoteAddr: {},
    setNoDelay: gone,
    read: async () => gone(),
    write: async () => gone(),
    closeWrite: async () => {},
    close() {},
    ref() {},
    unref() {},
  };
  const errors: unknown[] = [];
  const events = {
    onData() {},
    onReceiveBuffer() {},
    onWritten() {},
    onEnd() {},
    onClose: (error?: unknown) => void errors.push(error),
  };
  new DenoTransport(conn, () => events).resume();
  for (let i = 0; i < 100 && errors.length === 0; i++) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.match(String(errors[0]), /invalid argument/);
});
