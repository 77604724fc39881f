// The package works where globals are missing that only jsdom-like environments lack: it can be imported, and its ends
// talk.

import assert from "node:assert/strict";
import { test } from "../../support/harness.ts";

const missing = ["MessageChannel", "SharedArrayBuffer", "structuredClone"];
for (const name of missing) {
  Object.defineProperty(globalThis, name, { value: undefined, configurable: true, writable: true });
  delete (globalThis as Record<string, unknown>)[name];
}
// Deno's imitation of Node brings one of them back when it is loaded.
const left = missing.filter((name) => name in globalThis);
const { connect, listen } = await import("../../../src/index.ts");

test("a server and a client talk, with messages of every size class", async () => {
  assert.deepEqual(left, []);
  const psk = new Uint8Array(32).fill(7);
  const server = await listen({ port: 0, psk, onMessage: (message) => message.reply(message.body) });
  const client = connect({ port: server.port, psk });
  for (const length of [0, 10, 5_000, 200_000]) {
    const body = new Uint8Array(length).fill(length);
    assert.deepEqual(await client.request(body), body);
  }
  await client.close();
  await server.close();
});
