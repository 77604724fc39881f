// The layer of typed calls wipes its copies of a body after the value is decoded. Copies that other code may hold stay.

import assert from "node:assert/strict";
import * as msgpack from "@msgpack/msgpack";
import type { Client, Message } from "../../../src/index.ts";
import { PendingCall } from "../../../src/rpc/call.ts";
import type { StickyClient } from "../../../src/rpc/stickyClient.ts";
import { type Codec, jsonCodec, msgpackCodec, RpcError, serve, typed } from "../../../src/rpc.ts";
import { bodyLenderOf } from "../../../src/typed/codec/bodyLender.ts";
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

const long = { ...secret, long: "w".repeat(3_000) };
const holdsSecret = (bytes: Uint8Array): boolean => fromText(bytes).includes(secret.text);

/** Every text with the secret that becomes bytes in this process, while `run` runs. */
async function encodedTexts(run: () => Promise<void>): Promise<Uint8Array[]> {
  const texts: Uint8Array[] = [];
  const { encode } = TextEncoder.prototype;
  TextEncoder.prototype.encode = function (text) {
    const bytes = encode.call(this, text) as ReturnType<typeof encode>;
    if (holdsSecret(bytes)) texts.push(bytes);
    return bytes;
  };
  try {
    await run();
  } finally {
    TextEncoder.prototype.encode = encode;
  }
  return texts;
}

/** Every body that a codec of this package lends from here on. */
function lentBy(codec: Codec): Uint8Array[] {
  const lender = bodyLenderOf(codec);
  const lent: Uint8Array[] = [];
  for (const name of ["encode", "encodeList"] as const) {
    const own = lender[name] as (value: unknown) => Uint8Array;
    lender[name] = (value: unknown) => {
      const body = own(value);
      if (holdsSecret(body)) lent.push(body);
      return body;
    };
  }
  return lent;
}

test("texts on their way into a body, and bodies that nobody gets, are wiped: long ones, marks, errors, limits, streams", async () => {
  const streams = {
    ...api,
    fails: () => {
      throw new RpcError("FAILED", `${secret.text}, in its message`, long);
    },
    take: async (_: unknown, items: AsyncIterable<unknown>) => {
      for await (const _item of items);
    },
  };
  const items = async function* () {
    yield long;
  };
  const { client } = await startPair({ ...v2.options, onMessage: serve(streams) }, { ...v2.options });
  const codec = jsonCodec();
  const lent = lentBy(codec);
  const remote = typed<typeof streams>(client, { codec });
  const texts = await encodedTexts(async () => {
    assert.deepEqual(await remote.echo(long), long);
    const marked = new Map<unknown, unknown>([[long, Uint8Array.of(1, 2)]]);
    assert.deepEqual(await remote.echo(marked), marked);
    await remote.echo.$oneWay(long);
    await assert.rejects(remote.fails(), { code: "FAILED", data: long });
    const short = typed<typeof streams>(client, { codec: jsonCodec({ maxBytes: 100 }) });
    await assert.rejects(short.echo(long), { code: "ERR_ENCODE" });
    await assert.rejects(short.echo(marked), { code: "ERR_ENCODE" });
    const plain = jsonCodec({ maxBytes: 100 });
    assert.throws(() => plain.encode(long), { code: "ERR_ENCODE" });
    await remote.take(long, items());
    await client.close();
    await assert.rejects(remote.take(long, items()), { code: "ERR_CLOSED" });
  });
  assert.ok(lent.length >= 3 && texts.length >= 9, `${lent.length}, ${texts.length}`);
  for (const bytes of [...lent, ...texts]) assert.ok(isWiped(bytes), fromText(bytes));
});

test("the data of an error are wiped, also where a wrapper of the message gets the answer", async () => {
  const serveCodec = jsonCodec();
  const lent = lentBy(serveCodec);
  const served = serve(api, { codec: serveCodec });
  const kept: Uint8Array[] = [];
  const { client } = await startPair(
    {
      ...v2.options,
      onMessage: (message) => {
        const { reply } = message;
        message.reply = (body, head) => {
          kept.push(body);
          return reply.call(message, body, head);
        };
        return served(message);
      },
    },
    { ...v2.options },
  );
  const remote = typed<typeof api>(client);
  await assert.rejects(remote.fail(secret), { code: "FAILED", data: secret });
  await assert.rejects(remote.fail(long), { code: "FAILED", data: long });
  assert.equal(lent.length, 2);
  for (const bytes of lent) assert.ok(isWiped(bytes), fromText(bytes));
  // The answer itself is the wrapper's.
  assert.equal(kept.length, 2);
  for (const body of kept) assert.ok(holdsSecret(body));
});

test("MessagePack's bodies are wiped at both ends; a wrapper's stay", async () => {
  const [making, serving] = [msgpackCodec(msgpack), msgpackCodec(msgpack)];
  const lent = [lentBy(making), lentBy(serving)];
  const { client } = await startPair(
    { ...v2.options, onMessage: serve(api, { codec: serving }) },
    { ...v2.options },
  );
  const remote = typed<typeof api>(client, { codec: making });
  assert.deepEqual(await remote.echo(secret), secret);
  assert.deepEqual(await remote.echo(long), long);
  await remote.echo.$oneWay(long);
  await assert.rejects(remote.fail(secret), { code: "FAILED", data: secret });
  assert.deepEqual(
    lent.map(({ length }) => length),
    [4, 3],
  );
  for (const bytes of lent.flat()) assert.ok(isWiped(bytes), fromText(bytes));
  const kept: Uint8Array[] = [];
  const wrapper: Pick<Client, "call" | "send"> = {
    call: (body, options) => {
      kept.push(body);
      return client.call(body, options);
    },
    send: (body, options) => client.send(body, options),
  };
  assert.deepEqual(await typed<typeof api>(wrapper, { codec: making }).echo(secret), secret);
  assert.ok(kept.length === 1 && holdsSecret(kept[0]!));
});

test("who holds a body may wipe it: wrappers of a caller when its call returned, handlers around `serve` likewise", async () => {
  const held: Uint8Array[] = [];
  const later = { ...api, later: async (value: unknown) => Promise.resolve(value) };
  const served = serve(later);
  const { client } = await startPair(
    {
      ...v2.options,
      onMessage: (message) => {
        const { body } = message;
        const result = served(message);
        held.push(body);
        body.fill(0);
        return result;
      },
    },
    { ...v2.options },
  );
  const wrapper: Pick<Client, "call" | "send"> = {
    call: (body, options) => {
      const call = client.call(body, options);
      body.fill(0);
      // Behind whoever reads it.
      void call.answer.then((answer) => setTimeout(() => answer.fill(0)));
      return call;
    },
    send: (body, options) => {
      const sent = client.send(body, options);
      body.fill(0);
      return sent;
    },
  };
  const remote = typed<typeof later>(wrapper);
  for (const value of [secret, long, new Set([secret])]) {
    assert.deepEqual(await remote.echo(value), value);
    assert.deepEqual(await remote.later(value), value);
  }
  await remote.echo.$oneWay(secret);
  await assert.rejects(remote.fail(secret), { code: "FAILED", data: secret });
  assert.ok(held.length >= 7);
});
