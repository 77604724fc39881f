// The option `stat`: which clients may ask a server for its counters. All other requests reach the application as
// before.

import assert from "node:assert/strict";
import type { Client, ServerOptions } from "../../../src/index.ts";
import { generateKeyPair } from "../../../src/index.ts";
import { test } from "../../support/harness.ts";
import { PSK } from "../../support/protocols.ts";
import {
  checkLeaksAfterEachTest,
  echo,
  fromText,
  rejectsWith,
  startPair,
  startServer,
  text,
} from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

const psk = PSK;
const METHOD = "sealwire.stat";

function ask(client: Client): Promise<Uint8Array> {
  const call = client.call(new Uint8Array(0), { head: { method: METHOD } });
  call.end();
  return call.answer;
}

async function refusedWith(client: Client, code: string): Promise<void> {
  assert.equal((await rejectsWith(ask(client), "ERR_REMOTE")).remoteCode, code);
}

test("true: a peer that was proven gets the counters, and the handler everything else", async () => {
  const { client, server } = await startPair({ psk, stat: true, onMessage: echo }, { psk });
  assert.deepEqual(await client.request(text("as before")), text("as before"));
  const told = JSON.parse(fromText(await ask(client)));
  assert.deepEqual(Object.keys(told), ["health", "uptimeMs", "stats"]);
  assert.equal(told.health, "ready");
  assert.equal(told.stats.openedConnections, 1);
  assert.deepEqual(Object.keys(told.stats).sort(), Object.keys(server.stats).sort());
  const call = client.call(text("another"), { head: { method: "sealwire.stat2" } });
  call.end();
  assert.deepEqual(await call.answer, text("another"));
});

test("true: a peer that could be anyone is refused; a function may let it in", async () => {
  const strict = await startPair({ stat: true, onMessage: echo }, {});
  await refusedWith(strict.client, "ERR_UNAUTHORIZED");
  const open = await startPair({ stat: () => true }, {});
  assert.equal(JSON.parse(fromText(await ask(open.client))).health, "ready");
  await refusedWith((await startPair({ stat: async () => false }, {})).client, "ERR_UNAUTHORIZED");
  // Only true is a yes.
  const sloppy = (() => "yes") as unknown as () => boolean;
  await refusedWith((await startPair({ stat: sloppy }, {})).client, "ERR_UNAUTHORIZED");
});

test("true: any client's key is no proof where nothing compares it", async () => {
  const staticKey = generateKeyPair();
  const own = { staticKey: generateKeyPair() };
  await refusedWith((await startPair({ staticKey, stat: true }, own)).client, "ERR_UNAUTHORIZED");
  const remoteStatic = own.staticKey.publicKey;
  for (const check of [{ remoteStatic }, { authorize: () => true }]) {
    const pair = await startPair({ staticKey, stat: true, ...check }, own);
    assert.equal(JSON.parse(fromText(await ask(pair.client))).health, "ready");
  }
});

test("a function that throws refuses", async () => {
  const errors: unknown[] = [];
  const broken = (): never => {
    throw new Error("no answer to that");
  };
  const onHandlerError = (error: unknown): void => void errors.push(error);
  const { client } = await startPair({ psk, stat: broken, onHandlerError }, { psk });
  await refusedWith(client, "ERR_HANDLER");
  assert.equal(errors.length, 1);
});

test("off: such a call is the application's; without a handler nothing changes", async () => {
  for (const stat of [undefined, false]) {
    const options: ServerOptions = { psk, onMessage: echo };
    if (stat !== undefined) options.stat = stat;
    const { client } = await startPair(options, { psk });
    assert.equal((await ask(client)).length, 0);
  }
  const { client } = await startPair({ psk, stat: true }, { psk });
  assert.equal((await rejectsWith(client.request(text("x")), "ERR_REMOTE")).remoteCode, "ERR_NO_HANDLER");
  await client.send(text("x"));
  assert.equal(JSON.parse(fromText(await ask(client))).health, "ready");
});

test("anything else than a boolean or a function is refused", async () => {
  for (const stat of [1, "true", null, {}]) {
    const options = { psk, stat } as unknown as ServerOptions;
    assert.match((await rejectsWith(startServer(options), "ERR_INVALID_ARGUMENT")).message, /stat/);
  }
});
