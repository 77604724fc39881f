// A Node that gives its modules to imports only (before 20.16): the first dial and the first listener wait for them.

import assert from "node:assert/strict";
import * as nodeModule from "node:module";
import { runtimeId, test } from "../../support/harness.ts";

const { process } = globalThis;
const given = process.getBuiltinModule;
Object.defineProperty(process, "getBuiltinModule", { value: undefined, configurable: true });
const { modulesLoading } = await import("../../../src/adapters/nodeModules.ts");
const { nodeAdapter } = await import("../../../src/adapters/nodeSockets.ts");
const { createApi } = await import("../../../src/rpc/api.ts");
const { bunSockets } = await import("../../../src/entry/pickAdapter.ts");
Object.defineProperty(process, "getBuiltinModule", { value: given, configurable: true });

type Resolve = (
  specifier: string,
  context: object,
  next: (specifier: string, context: object) => object,
) => object;
/** Not in every version of Node. */
const { registerHooks } = nodeModule as {
  registerHooks?: (hooks: { resolve: Resolve }) => { deregister(): void };
};

/** How a dial ends that can't succeed, because nobody listens there. */
function dialled(giveUp: boolean): Promise<unknown> {
  return new Promise((resolve) => {
    const unexpected = (): never => assert.fail("an event of a connection");
    const cancel = nodeAdapter.dial(
      { host: "127.0.0.1", port: 1 },
      {
        onConnected: unexpected,
        onReceiveBuffer: unexpected,
        onData: unexpected,
        onWritten: unexpected,
        onEnd: unexpected,
        onClose: resolve,
      },
    );
    if (giveUp) cancel();
  });
}

test("imports that failed are made again by the next use", async () => {
  // The machine's Node can't be kept from importing, nor can Bun and Deno.
  if (registerHooks === undefined || runtimeId === "bun" || runtimeId === "deno") return;
  let failures = 0;
  const hooks = registerHooks({
    resolve(specifier, context, next) {
      if (specifier !== "node:net") return next(specifier, context);
      failures++;
      throw new Error("not today");
    },
  });
  try {
    for (let i = 1; i <= 2; i++) {
      const loading = modulesLoading();
      assert.equal(modulesLoading(), loading, "one after the other");
      await loading;
      assert.equal(failures, i);
    }
  } finally {
    hooks.deregister();
  }
});

test("dials wait for node:net, fail as they always do, and can be given up meanwhile", async () => {
  const dials = [dialled(false), dialled(true)];
  assert.notEqual(modulesLoading(), undefined);
  for (const error of await Promise.all(dials)) {
    assert.equal((error as { code?: unknown }).code, "ERR_DIAL_FAILED");
  }
  assert.equal(modulesLoading(), undefined);
  assert.equal(((await dialled(true)) as { code?: unknown }).code, "ERR_DIAL_FAILED");
});

for (const [name, adapter] of Object.entries({ "node:net": nodeAdapter, "this runtime": bunSockets() })) {
  test(`a server and a client on the sockets of ${name}, by a name that is resolved`, async () => {
    const { connect, listen } = createApi(adapter);
    const psk = "5e".repeat(32);
    const server = await listen({ port: 0, psk, onMessage: (message) => message.reply(message.body) });
    const client = connect({ endpoints: [{ host: "127.0.0.1", port: server.port }], psk });
    assert.deepEqual([...(await client.request(Uint8Array.of(1, 2, 3)))], [1, 2, 3]);
    await client.close();
    await server.close();
    assert.ok((await adapter.resolve!("localhost")).length > 0);
  });
}
