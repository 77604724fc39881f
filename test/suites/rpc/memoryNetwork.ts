// sealwire/testing: clients and servers without sockets behave as those with sockets, and a test can make the network
// slow, silent and broken.

import assert from "node:assert/strict";
import * as msgpack from "@msgpack/msgpack";
import { SealwireError } from "../../../src/base/errors.ts";
import { linkedPair, memoryNetwork } from "../../../src/entry/memoryNetwork.ts";
import { generateKeyPair } from "../../../src/protocol/noise/keys.ts";
import { monteV1 } from "../../../src/protocol/v1.ts";
import type { Message } from "../../../src/rpc/peer.ts";
import { jsonCodec } from "../../../src/typed/codec/jsonCodec.ts";
import { msgpackCodec } from "../../../src/typed/codec/msgpackCodec.ts";
import { serve } from "../../../src/typed/serve.ts";
import { typed } from "../../../src/typed/typed.ts";
import { test } from "../../support/harness.ts";

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const psk = "5e".repeat(32);
const echo = (message: Message): void => {
  message.reply(message.body);
};

async function failure(promise: Promise<unknown>): Promise<SealwireError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof SealwireError, String(error));
    return error;
  }
  throw new Error("nothing failed");
}

test("a linked pair talks both ways, with streams, and each side has proven itself", async () => {
  const pair = await linkedPair({
    server: {
      onMessage: async (message) => {
        for await (const item of message) await message.write(item);
        message.reply(message.body);
      },
    },
    client: { onMessage: (message) => message.reply(text("from the client")) },
  });
  const call = pair.client.call(text("hello"));
  await call.write(text("one"));
  call.end();
  const items: Uint8Array[] = [];
  for await (const item of call) items.push(item);
  assert.deepEqual(items, [text("one")]);
  assert.deepEqual(await call.answer, text("hello"));
  assert.deepEqual(await pair.connection.request(text("?")), text("from the client"));
  assert.equal(pair.connection.authenticated, true);
  assert.equal(pair.connection.remoteAddress, "127.0.0.1");
  assert.equal(pair.network.connections, 1);
  await pair[Symbol.asyncDispose]();
  assert.equal(pair.connection.state, "closed");
  assert.equal(pair.network.connections, 0);
});

test("keys, authorize and its refusal are those of real connections", async () => {
  const [serverKeys, clientKeys] = [generateKeyPair(), generateKeyPair()];
  let allowed = true;
  const options = {
    server: { staticKey: serverKeys, authorize: () => allowed, onMessage: echo },
    client: { staticKey: clientKeys, remoteStatic: serverKeys.publicKey },
  };
  const pair = await linkedPair(options);
  assert.deepEqual(pair.connection.remoteStaticKey, clientKeys.publicKey);
  await pair.close();
  allowed = false;
  const error = await failure(linkedPair(options));
  assert.ok(["ERR_UNAUTHORIZED", "ERR_CONNECTION_LOST", "ERR_HANDSHAKE"].includes(error.code), error.code);
});

test("protocol v1 and every limit work over it", async () => {
  const v1 = { handshake: monteV1() };
  const pair = await linkedPair({ server: { ...v1, onMessage: echo }, client: v1 });
  assert.deepEqual(await pair.client.request(text("x")), text("x"));
  await pair.close();
  const small = await linkedPair({
    server: { onMessage: echo },
    network: { bufferBytes: 1_000 },
  });
  const big = new Uint8Array(900_000).fill(7);
  assert.deepEqual(await small.client.request(big), big);
  await small.close();
});

test("hosts, ports and paths: who listens where, and what a dial to nobody says", async () => {
  const network = memoryNetwork();
  const options = { psk, onMessage: echo };
  const servers = [
    await network.listen({ ...options, port: 7_000 }),
    await network.listen({ ...options, host: "other", port: 7_000 }),
    await network.listen({ ...options, host: "0.0.0.0", port: 7_001 }),
    await network.listen({ ...options, path: "/socket" }),
    await network.listen({ ...options, port: 0 }),
    await network.listen({ ...options, port: 0 }),
  ];
  const [first, , , unix, some, more] = servers;
  assert.equal(first!.port, 7_000);
  assert.equal(unix!.port, 0);
  assert.notEqual(some!.port, more!.port);
  assert.equal((await failure(network.listen({ ...options, port: 7_000 }))).code, "ERR_LISTEN_FAILED");
  for (const address of [
    { port: 7_000 },
    { host: "other", port: 7_000 },
    { host: "anybody", port: 7_001 },
    { path: "/socket" },
    { port: some!.port },
  ]) {
    const client = network.connect({ psk, ...address });
    assert.deepEqual(await client.request(text("x")), text("x"));
    await client.close();
  }
  const lost = network.connect({ psk, host: "third", port: 7_000 });
  const error = await failure(lost.request(text("x")));
  assert.equal(error.code, "ERR_DIAL_FAILED");
  assert.match(error.message, /third:7000.*ECONNREFUSED/);
  await lost.close();
  for (const server of servers) await server.close();
  // A closed server's place is free again.
  await (await network.listen({ ...options, port: 7_000 })).close();
  assert.equal((await failure(network.listen({ psk, fd: 3 }))).code, "ERR_UNSUPPORTED");
});

test("a client of several servers goes to another one when one is gone", async () => {
  const network = memoryNetwork();
  const name = (value: string) => (message: Message) => {
    message.reply(text(value));
  };
  const a = await network.listen({ psk, host: "a", port: 1, onMessage: name("a") });
  const b = await network.listen({ psk, host: "b", port: 1, onMessage: name("b") });
  const client = network.connect({
    psk,
    endpoints: [
      { host: "a", port: 1 },
      { host: "b", port: 1 },
    ],
  });
  const seen = new Set<string>();
  for (let i = 0; i < 20; i++) seen.add(new TextDecoder().decode(await client.request(text("?"))));
  await a.close();
  await client.connected({ timeoutMs: 10_000 });
  assert.equal(new TextDecoder().decode(await client.request(text("?"))), "b");
  assert.deepEqual(
    [...seen].filter((one) => one !== "a" && one !== "b"),
    [],
  );
  await client.close();
  await b.close();
});

test("cut: both sides lose the connection, what was pending fails, and a new one can be made", async () => {
  const states: string[] = [];
  const pair = await linkedPair({
    server: {
      onMessage: (message) => {
        if (message.body.length === 0) return;
        message.reply(message.body);
      },
      onConnectionState: (_, state) => {
        states.push(state);
      },
    },
  });
  const pending = failure(pair.client.request(new Uint8Array(0)));
  await pair.client.request(text("it is on its way"));
  assert.equal(await pair.network.cut(), 1);
  assert.equal(pair.connection.state, "closed");
  assert.equal((await pending).code, "ERR_CONNECTION_LOST");
  await pair.client.connected({ timeoutMs: 10_000 });
  assert.deepEqual(await pair.client.request(text("again")), text("again"));
  assert.deepEqual(states.slice(0, 2).sort(), ["closed", "open"]);
  assert.equal(pair.connection.state, "closed");
  await pair.close();
});

test("hold: nothing arrives and nobody is told; release: it arrives", async () => {
  const pair = await linkedPair({ server: { onMessage: echo } });
  pair.network.hold();
  let answered = false;
  const pending = pair.client.request(text("held")).then((answer) => {
    answered = true;
    return answer;
  });
  assert.equal(
    (await failure(pair.client.request(text("late"), { timeoutMs: 20 }))).code,
    "ERR_REQUEST_TIMEOUT",
  );
  assert.equal(answered, false);
  pair.network.release();
  assert.deepEqual(await pending, text("held"));
  await pair.close();
});

test("a peer that is silent is given up, as on a real network", async () => {
  const pair = await linkedPair({
    server: { onMessage: echo },
    client: { heartbeatIntervalMs: 20, heartbeatTimeoutMs: 20 },
  });
  const pending = failure(pair.client.request(text("x")));
  pair.network.hold();
  const error = await pending.catch(() => undefined);
  pair.network.release();
  // The answer may have been there before the hold.
  if (error !== undefined)
    assert.ok(["ERR_READ_TIMEOUT", "ERR_CONNECTION_LOST"].includes(error.code), error.code);
  await pair.close();
});

test("latency and rate: nothing is faster than the network", async () => {
  const slow = await linkedPair({ server: { onMessage: echo }, network: { latencyMs: 20 } });
  let began = performance.now();
  await slow.client.request(text("x"));
  // There and back; timers may be a millisecond early.
  assert.ok(performance.now() - began >= 38);
  await slow.close();
  const thin = await linkedPair({
    server: { onMessage: (message) => message.reply(new Uint8Array(0)) },
    network: { bytesPerSecond: 1_000_000, bufferBytes: 4_096 },
  });
  began = performance.now();
  const pending = thin.client.request(new Uint8Array(100_000));
  const { pendingBytes } = (await thin.client.connected()).stats;
  assert.ok(pendingBytes > 50_000, "a slow reader makes the writer wait");
  await pending;
  assert.ok(performance.now() - began >= 70, "100,000 bytes at 1,000,000 bytes a second");
  await thin.close();
});

test("typed calls work over a linked pair as over any client, with every codec", async () => {
  const api = {
    double: (bytes: Uint8Array) => ({ bytes, at: new Date(5), of: 2n ** 40n }),
    count: async function* (to: number) {
      for (let i = 0; i < to; i++) yield i;
    },
  };
  for (const codec of [jsonCodec(), msgpackCodec(msgpack)]) {
    const pair = await linkedPair({
      server: { onMessage: serve(api, { codec }) },
      network: { latencyMs: 1 },
    });
    const remote = typed<typeof api>(pair.client, { codec });
    const bytes = Uint8Array.of(1, 2);
    assert.deepEqual(await remote.double(bytes), { bytes, at: new Date(5), of: 2n ** 40n });
    const seen: number[] = [];
    for await (const item of await remote.count(3)) seen.push(item);
    assert.deepEqual(seen, [0, 1, 2]);
    await pair.close();
  }
});

test("options are checked", async () => {
  for (const options of [{ latencyMs: -1 }, { bytesPerSecond: 0.5 }, { bufferBytes: 0 }, null])
    assert.throws(() => memoryNetwork(options as never), /must be/);
  assert.throws(() => memoryNetwork({ latency: 1 } as never), /"latency" is unknown: latencyMs was/);
  assert.equal((await failure(linkedPair({ port: 1 } as never))).code, "ERR_INVALID_ARGUMENT");
  assert.equal(
    (await failure(linkedPair({ server: { maxFrameBytes: 1 } as never }))).code,
    "ERR_INVALID_ARGUMENT",
  );
  // Its server has begun to listen by then.
  const told: string[] = [];
  const onHealth = (health: string): void => void told.push(health);
  const refused = linkedPair({ client: { maxConnections: -1 }, server: { onHealth } });
  assert.equal((await failure(refused)).code, "ERR_INVALID_ARGUMENT");
  assert.equal(told.at(-1), "stopped");
});
