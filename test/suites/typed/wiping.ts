// What the layer of typed calls has of a body is wiped when the value was made of it; what somebody else may hold stays.

import assert from "node:assert/strict";
import type { Client, Message } from "../../../src/index.ts";
import { PendingCall } from "../../../src/rpc/call.ts";
import type { StickyClient } from "../../../src/rpc/stickyClient.ts";
import { type Codec, jsonCodec, RpcError, serve, typed } from "../../../src/rpc.ts";
import { test } from "../../support/harness.ts";
import { v2 } from "../../support/protocols.ts";
import {
  checkLeaksAfterEachTest,
  fromText,
  startClient,
  startPair,
  startServer,
} from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

const secret = { text: "a secret of this call", list: [1, 2, 3] };
const api = {
  echo: (value: unknown) => value,
  fail: (value: unknown) => {
    throw new RpcError("FAILED", "on purpose", value);
  },
};
const isWiped = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);

/** The bodies of answers that calls of this process resolve with, while `run` runs. */
async function bodiesOfAnswers(run: () => Promise<void>): Promise<Uint8Array[]> {
  const bodies: Uint8Array[] = [];
  const { resolve } = PendingCall.prototype;
  PendingCall.prototype.resolve = function (body) {
    if ((body as unknown) instanceof Uint8Array) bodies.push(body);
    resolve.call(this, body);
  };
  try {
    await run();
  } finally {
    PendingCall.prototype.resolve = resolve;
  }
  return bodies;
}

test("a call's body is wiped at its server when the arguments were read, whatever they are; not one that was given away before", async () => {
  const lain: Uint8Array[] = [];
  const given: Uint8Array[] = [];
  const served = serve(api);
  let gives = false;
  const { client } = await startPair(
    {
      ...v2.options,
      onMessage: (message: Message & Partial<{ bytes: Uint8Array; start: number; end: number }>) => {
        if (gives) given.push(message.body);
        else lain.push(message.bytes!.subarray(message.start, message.end));
        return served(message);
      },
    },
    { ...v2.options },
  );
  const remote = typed<typeof api>(client);
  assert.deepEqual(await remote.echo(secret), secret);
  assert.deepEqual(await remote.echo({ ...secret, long: "x".repeat(5_000) }), {
    ...secret,
    long: "x".repeat(5_000),
  });
  assert.deepEqual(await remote.echo(new Map([["a", secret]])), new Map([["a", secret]]));
  await assert.rejects(remote.fail(secret), { code: "FAILED" });
  const head = { method: "echo", contentType: 1, fields: new Map([[255, Uint8Array.of(1, 1, 1)]]) };
  await client.call(new TextEncoder().encode("[no json"), { head, streams: false }).answer;
  assert.equal(lain.length, 5);
  for (const bytes of lain) assert.ok(bytes.length > 0 && isWiped(bytes));
  gives = true;
  assert.deepEqual(await remote.echo(secret), secret);
  assert.deepEqual(given.map(fromText), [JSON.stringify([secret])]);
});

test("an answer's body is read where it lies, or wiped when it was read: with options, of endpoints, sticky; a wrapper's stays", async () => {
  const { server, client } = await startPair({ ...v2.options, onMessage: serve(api) }, { ...v2.options });
  const endpoints = [{ host: "127.0.0.1", port: server.port }];
  const several = startClient({ ...v2.options, endpoints }) as StickyClient;
  const callers = [client, several, several.sticky("key")];
  const own = await bodiesOfAnswers(async () => {
    for (const caller of callers) {
      for (const remote of [
        typed<typeof api>(caller),
        typed<typeof api>(caller, { use: [(_, next) => next()] }),
      ]) {
        assert.deepEqual(await remote.echo(secret), secret);
        assert.deepEqual(await remote.echo.$with({ timeoutMs: 5_000 })(secret), secret);
        await assert.rejects(remote.fail(secret), { code: "FAILED", data: secret });
        await assert.rejects(remote.fail.$with({ timeoutMs: 5_000 })(secret), {
          code: "FAILED",
          data: secret,
        });
      }
    }
  });
  assert.ok(own.length > 0);
  for (const body of own) assert.ok(isWiped(body), fromText(body));
  const wrapper: Pick<Client, "call" | "send"> = {
    call: (body, options) => client.call(body, options),
    send: (body, options) => client.send(body, options),
  };
  const wrapped = await bodiesOfAnswers(async () => {
    assert.deepEqual(await typed<typeof api>(wrapper).echo(secret), secret);
  });
  assert.deepEqual(wrapped.map(fromText), [JSON.stringify(secret)]);
});

test("bodies that endpoint clients and sticky ones were given are wiped, too", async () => {
  const server = await startServer({ ...v2.options, onMessage: serve(api) });
  const endpoints = [{ host: "127.0.0.1", port: server.port }];
  const client = startClient({ ...v2.options, endpoints }) as StickyClient;
  for (const caller of [client, client.sticky("key")]) {
    const given: Uint8Array[] = [];
    const json = jsonCodec();
    // A codec of the application's gives bodies that it may need: they are left alone.
    const codec: Codec = {
      ...json,
      encode: (value) => {
        const body = json.encode(value);
        given.push(body);
        return body;
      },
    };
    const remote = typed<typeof api>(caller, { codec });
    assert.deepEqual(await remote.echo(secret), secret);
    assert.deepEqual(given.map(fromText), [JSON.stringify([secret])]);
    // Before anything of it was sent, while the client still dials, and afterwards.
    assert.deepEqual(await typed<typeof api>(caller).echo({ ...secret, long: "y".repeat(3_000) }), {
      ...secret,
      long: "y".repeat(3_000),
    });
  }
});

test("items of streams are wiped when they were read, at both ends", async () => {
  const read: Uint8Array[] = [];
  const json = jsonCodec();
  const codec: Codec = {
    ...json,
    decode: (bytes) => {
      read.push(bytes);
      return json.decode(bytes);
    },
  };
  const streams = {
    watch: async function* () {
      yield secret;
      yield { ...secret, long: "z".repeat(40_000) };
    },
    take: async (items: AsyncIterable<typeof secret>) => {
      let count = 0;
      for await (const item of items) if (item.text === secret.text) count++;
      return count;
    },
  };
  const { client } = await startPair(
    { ...v2.options, onMessage: serve(streams, { codec }) },
    { ...v2.options },
  );
  const remote = typed<typeof streams>(client, { codec });
  const items: unknown[] = [];
  for await (const item of await remote.watch()) items.push(item);
  assert.equal(items.length, 2);
  assert.equal(await remote.take(streams.watch()), 2);
  assert.ok(read.length >= 4);
  for (const bytes of read) assert.ok(isWiped(bytes), fromText(bytes.subarray(0, 80)));
});
