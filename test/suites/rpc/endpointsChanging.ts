// Clients of endpoints that change while nobody calls (`keepConnected`), whose keys change or can't be used, and calls
// that are given up in the middle of a lookup.

import assert from "node:assert/strict";
import { type Endpoint, generateKeyPair } from "../../../src/index.ts";
import type { ClientStats } from "../../../src/rpc/client.ts";
import { test } from "../../support/harness.ts";
import { ask, at, clientOf, named } from "../../support/namedServers.ts";
import {
  checkLeaksAfterEachTest,
  rejectsWith,
  startClient,
  startServer,
  text,
  waitFor,
} from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

/** Calls again and again until that has come about. */
async function callsUntil(ready: () => Promise<boolean>, what: string): Promise<void> {
  for (let i = 0; i < 2_000; i++) {
    if (await ready()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.fail(`called in vain for ${what}`);
}

test("keepConnected looks up again without a call when the first lookup fails", async () => {
  const server = await named("a");
  let lookups = 0;
  const client = clientOf({
    keepConnected: true,
    endpoints: () => {
      if (lookups++ === 0) throw new Error("not yet");
      return [at(server)];
    },
  });
  await waitFor(() => client.connections.length === 1, "the connection");
  assert.equal(lookups, 2);
  assert.equal((client.stats as ClientStats).lookupError, undefined);
});

test("keepConnected finds a server that moved, without a call and without a storm", async () => {
  const before = await named("before");
  const after = await named("after");
  let list = [at(before)];
  const client = clientOf({ keepConnected: true, endpoints: () => list });
  await waitFor(() => client.connections.length === 1, "the first connection");
  list = [at(after)];
  await before.close();
  await waitFor(() => client.connections.length === 1, "the connection to where it is now");
  assert.equal(await ask(client), "after");
  // The first one, that after the drain, and as many as its dials failed meanwhile: pauses grow from a second on.
  const { lookups } = client.stats as ClientStats;
  assert.ok(lookups! >= 2 && lookups! <= 4, `${lookups} lookups`);
});

test("a client that stays connected looks up nothing more once it is closed, whenever that is", async () => {
  for (const close of ["at once", "after a failure"] as const) {
    let asked = 0;
    const client = clientOf({
      keepConnected: true,
      endpoints: () => {
        asked++;
        throw new Error("never");
      },
    });
    if (close === "after a failure") await waitFor(() => asked === 1, "the lookup");
    await client.close();
    assert.equal(asked, close === "at once" ? 0 : 1);
  }
});

test("an endpoint whose key can't be used fails its lookup as a whole, and the next one is not held up", async () => {
  const server = await named("a");
  const key = generateKeyPair().publicKey;
  let answer: Endpoint[] = [at(server), { port: 1, remoteStatic: key }];
  let lookups = 0;
  const client = clientOf({
    // It has no static keys, so that a server can't be known by one.
    pattern: "NNpsk0",
    endpoints: () => {
      lookups++;
      return answer;
    },
  });
  await rejectsWith(client.request(text("x")), "ERR_INVALID_ARGUMENT");
  assert.deepEqual((client.stats as ClientStats).endpoints, []);
  answer = [at(server)];
  // As soon as the floor between lookups allows it, and not when an answer would be old.
  assert.equal(await ask(client), "a");
  assert.equal(lookups, 2);
});

test("an answer that can't be used changes nothing about what was found before", async () => {
  const before = await named("before");
  const other = await named("other");
  const gone = await named("gone");
  let answer = [at(before), at(gone)];
  let lookups = 0;
  const client = clientOf({
    pattern: "NNpsk0",
    endpoints: () => {
      lookups++;
      return answer;
    },
  });
  await callsUntil(async () => (await ask(client)) === "gone", "the second one");
  answer = [at(other), { port: 1, remoteStatic: generateKeyPair().publicKey }];
  // A drain makes the next call look again.
  await gone.close();
  await callsUntil(async () => (await ask(client)) === "before" && lookups === 2, "the second lookup");
  assert.equal(await ask(client), "before");
  const { endpoints, lookupError } = client.stats as ClientStats;
  assert.deepEqual(endpoints!.map(({ port }) => port).sort(), [before.port, gone.port].sort());
  assert.equal((lookupError as { code: string }).code, "ERR_INVALID_ARGUMENT");
});

test("identities that change with every lookup: calls go on, and nothing of the old ones stays", async () => {
  const [first, second] = [generateKeyPair(), generateKeyPair()];
  const server = await startServer({
    staticKey: first,
    otherStaticKeys: [second.privateKey],
    authorize: () => true,
    onMessage: (message) => message.reply(message.body),
  });
  let lookups = 0;
  const client = startClient({
    staticKey: generateKeyPair(),
    endpoints: () => {
      const { publicKey } = lookups++ % 2 === 0 ? first : second;
      // What refuses every dial makes what was found old.
      return [{ port: server.port, remoteStatic: publicKey }, { port: 1 }];
    },
    remoteStatic: first.publicKey,
  });
  const seen = new Set<string>();
  await callsUntil(async () => {
    await client.request(text("x"));
    for (const { remoteStaticKey } of client.connections) seen.add(`${remoteStaticKey}`);
    return lookups >= 3 && seen.size === 2;
  }, "both keys to be seen");
  assert.equal((client.stats as ClientStats).endpoints!.length, 2);
  await client.request(text("x"));
  await waitFor(() => server.connections.length === 1, "those with the other key to be gone");
  assert.equal(client.connections.length, 1);
});

test("a call that is given up while endpoints are looked up ends there, and the lookup serves the others", async () => {
  const server = await named("a");
  const given = new AbortController();
  const client = clientOf({
    endpoints: () => {
      given.abort(new Error("enough"));
      return [at(server)];
    },
  });
  const up = client.request(text("x"), { signal: given.signal });
  const goesOn = ask(client);
  const error = await rejectsWith(up, "ERR_ABORTED");
  assert.equal(error.notBegun, true);
  assert.equal((error.cause as Error).message, "enough");
  assert.equal(await goesOn, "a");
  assert.equal((client.stats as ClientStats).requests, 1);
});
