// After everything is closed, no key or plaintext is left in any memory that the process can write: after good ends and
// bad ones, changes of keys, evictions from the memory of the module, and failed handshakes, in both protocols. This
// holds with the module's own AES. With the runtime's AES it holds except for the bytes that the runtimes leave behind
// (docs/SECURITY.md).

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { randomBytes } from "../../../src/core/random.ts";
import { secretCopy } from "../../../src/core/wipe.ts";
import {
  type Client,
  type ConnectionLimits,
  connect,
  generateKeyPair,
  listen,
  type Message,
  monteV1,
  type Server,
} from "../../../src/index.ts";
import { noise } from "../../../src/noise.ts";
import type { HandshakeFactory } from "../../../src/protocol/handshake.ts";
import { PreparedHead } from "../../../src/protocol/preparedHead.ts";
import { runtimeId, type TestOptions, test } from "../../support/harness.ts";
import { findSecrets, HiddenSecret, leftInMemory, searchMemory } from "../../support/processMemory.ts";
import { deferred, sleep, someTurns, waitFor } from "../../support/rpcHarness.ts";

const options: TestOptions = existsSync("/proc/self/mem")
  ? { timeoutMs: 120_000 }
  : { skip: "no /proc/self/mem" };

/** More connections than the module has entries for expanded keys. */
const EXPANDED_KEYS = 40;

const random = randomBytes;

/**
 * What the AES of a runtime leaves in memory that it freed: Node the result of every `update`, which it copies before it
 * gives it, Deno the expanded keys of its cipher objects.
 */
const leftByRuntime = runtimeId.startsWith("node")
  ? /^plaintext/
  : runtimeId === "deno"
    ? /sending key/
    : /^$/;

/** The same key exchange; its keys are noted. */
function noting(factory: HandshakeFactory, secrets: HiddenSecret[]): HandshakeFactory {
  return {
    name: factory.name,
    format: factory.format,
    anonymous: factory.anonymous,
    firstMessageBytes: factory.firstMessageBytes?.bind(factory),
    destroy: () => factory.destroy?.(),
    create(role, info) {
      const handshake = factory.create(role, info);
      const finish = handshake.finish.bind(handshake);
      handshake.finish = () => {
        const result = finish();
        secrets.push(new HiddenSecret(`${role}'s sending key ${secrets.length}`, secretCopy(result.sendKey)));
        return result;
      };
      return handshake;
    },
  };
}

/** A server and its client, whose keys are noted in `secrets`; with v1, which has no psk, where there is none among them. */
async function start(
  secrets: HiddenSecret[],
  onMessage: (message: Message) => unknown,
  engine: "wasm" | "auto" = "wasm",
  limits: ConnectionLimits = {},
) {
  const [psk] = secrets;
  const make = (role: "client" | "server") => {
    if (psk === undefined) return monteV1();
    const revealed = psk!.reveal();
    const factory = noise({ psk: revealed }, role);
    revealed.fill(0);
    return factory;
  };
  const factories = [make("server"), make("client")] as const;
  const common = { ...limits, engine, maxFrameBytes: 400_000, onHandlerError() {} } as const;
  const server = await listen({ port: 0, ...common, handshake: noting(factories[0], secrets), onMessage });
  const client = connect({
    port: server.port,
    ...common,
    maxConnections: 1,
    handshake: noting(factories[1], secrets),
  });
  return { server, client, factories };
}

async function stop(client: Client, server: Server, factories: readonly HandshakeFactory[]): Promise<void> {
  await client.close();
  await server.close();
  for (const factory of factories) factory.destroy?.();
  await someTurns();
}

const newSecrets = () => [new HiddenSecret("psk", random(32))];

test("a planted copy is found, wherever it is, until it is wiped", options, () => {
  const secret = new HiddenSecret("planted", random(32));
  const copies = [new Uint8Array(1_000), Buffer.alloc(5_000_000)];
  for (const copy of copies) {
    const revealed = secret.reveal();
    copy.set(revealed, copy.length - 77);
    revealed.fill(0);
  }
  const { found, longest } = findSecrets([secret]);
  assert.ok(found.planted! >= copies.length);
  assert.equal(longest.planted, 32, "all of it");
  for (const copy of copies) copy.fill(0);
  assert.deepEqual(findSecrets([secret]).found, {});
});

for (const engine of ["wasm", "auto"] as const) {
  test(
    `${engine}: nothing is left of keys and plaintext after a session that ended well`,
    options,
    async () => {
      const secrets = newSecrets();
      const handled: number[] = [];
      const { server, client, factories } = await start(
        secrets,
        (message) => {
          handled.push(message.body.length);
          if (message.expectsReply) message.reply(message.body);
          message.body.fill(0); // the application's copy
        },
        engine,
      );
      // None so short that the runtime's collector would move the application's copies.
      for (const length of [128, 1_000, 30_000, 300_000]) {
        const marker = new HiddenSecret(`plaintext of ${length} bytes`, random(64));
        secrets.push(marker);
        const body = new Uint8Array(length);
        const revealed = marker.reveal();
        for (let at = 0; at + 64 <= length; at += 64) body.set(revealed, at);
        revealed.fill(0);
        const sent = client.send(body);
        const answer = await client.request(body);
        await sent;
        body.fill(0);
        answer.fill(0);
      }
      assert.equal(handled.length, 8);
      // While the session lives, its keys are there: the search sees what it has to see.
      assert.ok(Object.keys(findSecrets(secrets).found).some((name) => name.includes("sending key")));
      await stop(client, server, factories);
      const result = searchMemory(secrets);
      assert.ok(result.lookedAt > 0.9, `only ${result.lookedAt} of the memory were looked at`);
      assert.equal(secrets.length, 7);
      const ours = leftInMemory(result).filter((name) => engine === "wasm" || !leftByRuntime.test(name));
      assert.deepEqual(ours, [], `left in memory (${runtimeId})`);
    },
  );
}

test("what the runtime draws for keys is nowhere else", options, () => {
  const secrets: HiddenSecret[] = [];
  // Of the first draw to the last, and of lengths that a runtime may serve from a store of its own.
  for (const length of [32, 64, 32, 200, 300])
    secrets.push(new HiddenSecret(`draw of ${length} bytes, ${secrets.length}`, randomBytes(length)));
  assert.deepEqual(findSecrets(secrets).found, {}, `left in memory (${runtimeId})`);
});

test("nothing is left of short bodies that were put behind heads", options, async () => {
  const secrets = newSecrets();
  const answerHead = new PreparedHead({ contentType: 2 });
  const { server, client, factories } = await start(secrets, (message) => {
    if (!message.expectsReply) return void message.body.fill(0);
    const { body, head } = message;
    if (head.method === undefined) message.reply(body);
    else message.reply(body, head.contentType === 1 ? answerHead : { contentType: 3 });
    body.fill(0); // the application's copy
  });
  const prepared = new PreparedHead({ method: "prepared", contentType: 1 });
  for (const head of [prepared, { method: "plain" }]) {
    for (const length of [128, 600, 2_000]) {
      const marker = new HiddenSecret(
        `plaintext of ${length} bytes behind the head "${head.method}"`,
        random(64),
      );
      secrets.push(marker);
      const body = marker.reveal();
      const long = secretCopy(new Uint8Array(length));
      long.set(body, length - body.length);
      body.fill(0);
      await client.send(long, { head });
      const answer = await client.call(long, { head, streams: false, timeoutMs: 20_000 }).answer;
      assert.equal(answer.length, length);
      answer.fill(0);
      long.fill(0);
    }
  }
  // Everything that was sent before has been handled.
  await client.request(random(8));
  const bodies = secrets.filter(({ name }) => name.startsWith("plaintext"));
  assert.equal(bodies.length, 6);
  await stop(client, server, factories);
  assert.deepEqual(leftInMemory(findSecrets(bodies)), [], `left in memory (${runtimeId})`);
});

/** Bytes with a secret of their own all over; the copy is the caller's to wipe. */
function marked(secrets: HiddenSecret[], name: string, length: number): Uint8Array {
  const marker = new HiddenSecret(`plaintext ${name}`, random(64));
  secrets.push(marker);
  const revealed = marker.reveal();
  const body = secretCopy(new Uint8Array(length));
  for (let at = 0; at + 64 <= length; at += 64) body.set(revealed, at);
  revealed.fill(0);
  return body;
}

test(
  "nothing is left of what no handler began and nobody took when the connection was cut",
  options,
  async () => {
    const secrets = newSecrets();
    const busy = deferred();
    let begun = 0;
    const { server, client, factories } = await start(
      secrets,
      () => {
        begun++;
        return busy.promise;
      },
      "wasm",
      { maxConcurrentHandlers: 2, drainTimeoutMs: 1 },
    );
    const { connection, bodies } = await (async () => {
      const opened = await client.connected();
      const given: Uint8Array[] = [];
      const give = (name: string, length: number): Uint8Array => {
        const body = marked(secrets, name, length);
        given.push(body);
        return body;
      };
      // Two handlers begin. Everything else waits, short, long, with a head and without.
      for (let i = 0; i < 2; i++) await client.send(random(4));
      await waitFor(() => begun === 2, "handlers that are busy");
      // None so short that it lies in the memory of a runtime's collector.
      for (const length of [1_100, 3_000, 90_000]) {
        await client.send(give(`message of ${length} bytes`, length));
        await client.send(give(`message with a head, ${length} bytes`, length), {
          head: { method: "waits" },
        });
        opened.request(give(`request of ${length} bytes`, length)).catch(() => {});
        // Given up while it waits: its end is a refusal.
        const late = opened.request(give(`late request of ${length} bytes`, length), { timeoutMs: 50 });
        await assert.rejects(late, { code: "ERR_REQUEST_TIMEOUT" });
        const call = opened.call(random(4), { head: { method: "streams" } });
        call.answer.catch(() => {});
        await call.write(give(`item of ${length} bytes`, length));
      }
      return { connection: opened, bodies: given };
    })();
    // Whatever was sent has arrived.
    await waitFor(() => connection.pendingBytes === 0, "an empty outbox");
    await someTurns();
    for (const body of bodies) body.fill(0);
    assert.ok(
      Object.keys(findSecrets(secrets).found).filter((name) => name.startsWith("plaintext")).length >= 9,
    );
    await stop(client, server, factories);
    busy.resolve();
    assert.equal(begun, 2);
    assert.deepEqual(leftInMemory(findSecrets(secrets)), [], `left in memory (${runtimeId})`);
  },
);

test("nothing is left of keys after sessions that ended badly", options, async () => {
  const secrets = newSecrets();
  const { server, client, factories } = await start(secrets, () => {
    throw new Error("on purpose");
  });
  await assert.rejects(client.request(random(100)), { code: "ERR_REMOTE" });
  // A client with another psk fails in its handshake.
  const stranger = connect({ port: server.port, psk: random(32), onConnectionState() {} });
  await assert.rejects(stranger.request(random(10)));
  await stranger.close();
  await stop(client, server, factories);
  assert.deepEqual(findSecrets(secrets).found, {}, `left in memory (${runtimeId})`);
});

test("nothing is left of any psk where several are accepted or tried, replaced or not", options, async () => {
  const all = Array.from({ length: 8 }, (_, i) => new HiddenSecret(`psk ${i}`, random(32)));
  const statics = [
    new HiddenSecret("static key 0", random(32)),
    new HiddenSecret("static key 1", random(32)),
  ];
  const [server0, client0] = [generateKeyPair(), generateKeyPair()];
  /** Calls `use` with copies of some secrets, which are wiped when it has returned. */
  const revealed = <T>(secrets: readonly HiddenSecret[], use: (keys: Uint8Array[]) => T): T => {
    const keys = secrets.map((secret) => secret.reveal());
    try {
      return use(keys);
    } finally {
      for (const key of keys) key.fill(0);
    }
  };
  const common = { engine: "wasm", onHandlerError() {}, onConnectionState() {} } as const;
  const onMessage = (message: Message) => message.reply(message.body);
  // Tried by the server, on the first message (NNpsk0) and on the last one (XXpsk3, with two static keys).
  for (const staticKeys of [[], statics]) {
    const server = await revealed([...all.slice(0, 4), ...staticKeys], ([psk, a, b, c, staticKey, other]) =>
      listen({
        port: 0,
        ...common,
        psk: psk!,
        otherPsks: [a!, b!, c!],
        ...(other && { staticKey: staticKey!, otherStaticKeys: [other] }),
        onMessage,
      }),
    );
    const own = staticKeys.length > 0 ? { staticKey: client0, authorize: () => true } : {};
    const clients = [0, 3, 7].map((i) =>
      revealed([all[i]!], ([psk]) => connect({ port: server.port, ...common, ...own, psk: psk! })),
    );
    await clients[0]!.request(random(10));
    await clients[1]!.request(random(10));
    await assert.rejects(clients[2]!.request(random(10)));
    // What it accepts is there while it lives: the search sees what it has to see.
    if (staticKeys.length > 0) assert.ok(Object.keys(findSecrets([...all, ...statics]).found).length >= 6);
    await revealed([...all.slice(4, 8), ...staticKeys], ([psk, a, b, c, staticKey, other]) =>
      server.reload({
        psk: psk!,
        otherPsks: [a!, b!, c!],
        ...(other && { staticKey: staticKey!, otherStaticKeys: [other] }),
      }),
    );
    await Promise.all(clients.map((client) => client.close()));
    await server.close();
  }
  // Tried by the client (IKpsk2), at its one server and at an endpoint with a key of its own.
  const server = await revealed(all.slice(3, 4), ([psk]) =>
    listen({ port: 0, ...common, psk: psk!, staticKey: server0, onMessage }),
  );
  const { port } = server;
  const remoteStatic = server0.publicKey;
  for (const where of [{ port }, { endpoints: [{ port, remoteStatic }] }]) {
    const client = revealed(all.slice(0, 4), ([psk, ...otherPsks]) =>
      connect({ ...where, ...common, staticKey: client0, remoteStatic, psk: psk!, otherPsks }),
    );
    await client.request(random(10));
    await client.close();
  }
  await server.close();
  await someTurns();
  const { found } = findSecrets([...all, ...statics]);
  assert.deepEqual(found, {}, `left in memory (${runtimeId})`);
});

test("nothing is left of keys of protocol v1", options, async () => {
  const secrets: HiddenSecret[] = [];
  const { server, client, factories } = await start(secrets, (message) => message.reply(message.body));
  for (let i = 0; i < 20; i++) await client.request(random(100));
  assert.equal(secrets.length, 2);
  await stop(client, server, factories);
  assert.deepEqual(findSecrets(secrets).found, {}, `left in memory (${runtimeId})`);
});

test(
  "nothing is left of keys that were replaced, or that more connections than entries in the module pushed out",
  options,
  async () => {
    const secrets = newSecrets();
    const { server, client, factories } = await start(secrets, (message) => {
      if (message.expectsReply) message.reply(message.body);
    });
    const others: Client[] = [];
    const otherFactories: HandshakeFactory[] = [];
    const [psk] = secrets;
    // More keys than the module keeps expanded: each use pushes another one out.
    for (let i = 0; i < EXPANDED_KEYS; i++) {
      const revealed = psk!.reveal();
      const factory = noting(noise({ psk: revealed }, "client"), secrets);
      otherFactories.push(factory);
      revealed.fill(0);
      others.push(connect({ port: server.port, engine: "wasm", handshake: factory }));
    }
    for (let round = 0; round < 3; round++) for (const other of others) await other.request(random(50));
    // A key of a direction serves 65,536 frames.
    const connection = await client.connected();
    const body = random(8);
    for (let i = 0; i < 66_000; i++) {
      while (!connection.sendNoWait(body)) await sleep(1);
      if (i % 500 === 0) await connection.request(body);
    }
    for (const other of others) await other.close();
    await stop(client, server, [...factories, ...otherFactories]);
    assert.deepEqual(findSecrets(secrets).found, {}, `left in memory (${runtimeId})`);
  },
);
