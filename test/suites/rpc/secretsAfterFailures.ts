// Intermediate values of handshakes, keys that were replaced, and bodies that no handler got because their connection
// failed: none of them is left in any memory that the process can write (test/support/processMemory.ts).

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mlKem768EncapsulateInternal, mlKem768KeyPair } from "../../../src/core/mlKem768.ts";
import { randomBytes } from "../../../src/core/random.ts";
import { secretBytes, secretCopy } from "../../../src/core/wipe.ts";
import { x25519, x25519PublicKey } from "../../../src/core/x25519.ts";
import { aes256gcm } from "../../../src/crypto.ts";
import { type Client, connect, listen, type Message } from "../../../src/index.ts";
import { type NoiseOptions, noise } from "../../../src/noise.ts";
import { type Attack, attackProxy } from "../../support/attackProxy.ts";
import { runtimeId, type TestOptions, test } from "../../support/harness.ts";
import { findSecrets, HiddenSecret, leftInMemory } from "../../support/processMemory.ts";
import { sleep, someTurns, waitFor } from "../../support/rpcHarness.ts";

const options: TestOptions = existsSync("/proc/self/mem")
  ? { timeoutMs: 120_000 }
  : { skip: "no /proc/self/mem" };
/** Bun keeps bodies of up to 1,000 bytes in its heap, and leaves a copy there when one has to wait (docs/SECURITY.md). */
const SHORT_BODY = runtimeId === "bun" ? 1_280 : 128;
const COMMON = { engine: "wasm", onHandlerError() {}, onConnectionState() {} } as const;
/** What `randomBytes` draws beyond what is asked for. */
const PASSED_BYTES = 1_024;

function assertGone(secrets: readonly HiddenSecret[]): void {
  assert.deepEqual(findSecrets(secrets).found, {}, `left in memory (${runtimeId})`);
}

/** Runs `use`, and hides what was drawn for keys meanwhile, which are of 32 or 64 bytes. */
async function drawnDuring(
  name: string,
  use: () => Promise<void>,
): Promise<{ length: number; secret: HiddenSecret }[]> {
  const drawn: { length: number; secret: HiddenSecret }[] = [];
  const original = crypto.getRandomValues;
  let isNoting = true;
  crypto.getRandomValues = <T extends ArrayBufferView | null>(bytes: T): T => {
    original.call(crypto, bytes as never);
    const length = (bytes as unknown as Uint8Array).byteLength - PASSED_BYTES;
    if (!isNoting || (length !== 32 && length !== 64)) return bytes;
    isNoting = false; // the masks of what is hidden
    const copy = secretCopy((bytes as unknown as Uint8Array).subarray(0, length));
    drawn.push({ length, secret: new HiddenSecret(`${name}: draw ${drawn.length}, ${length} bytes`, copy) });
    isNoting = true;
    return bytes;
  };
  try {
    await use();
  } finally {
    crypto.getRandomValues = original;
  }
  return drawn;
}

/** What both ends computed of what they drew: the X25519 and the ML-KEM shared secret. */
function sharedSecrets(drawn: readonly { length: number; secret: HiddenSecret }[]): HiddenSecret[] {
  const [seed] = drawn.filter(({ length }) => length === 64).map(({ secret }) => secret.reveal());
  const short = drawn.filter(({ length }) => length === 32).map(({ secret }) => secret.reveal());
  // In the order in which they are drawn: the client's scalar, the server's, and what the server encapsulates.
  const [client, server, message] = short as [Uint8Array, Uint8Array, Uint8Array];
  const shared = [new HiddenSecret("X25519's shared secret", x25519(client, x25519PublicKey(server)))];
  const { encapsulationKey, decapsulationKey } = mlKem768KeyPair(seed!);
  const { sharedSecret } = mlKem768EncapsulateInternal(encapsulationKey, message);
  shared.push(
    new HiddenSecret("ML-KEM's shared secret", sharedSecret as Uint8Array),
    new HiddenSecret("ML-KEM's decapsulation key", decapsulationKey as Uint8Array),
  );
  for (const bytes of [seed!, ...short]) bytes.fill(0);
  return shared;
}

test(
  "nothing is left of what a handshake draws and computes, whether it ends well or is refused",
  options,
  async () => {
    const psk = randomBytes(32);
    const server = await listen({
      port: 0,
      ...COMMON,
      psk,
      onMessage: (message) => message.reply(message.body),
    });
    const good = await drawnDuring("a good one", async () => {
      const client = connect({ port: server.port, ...COMMON, psk });
      await client.request(randomBytes(5));
      await client.close();
    });
    assert.deepEqual(good.map(({ length }) => length).sort(), [32, 32, 32, 64]);
    const wrongPsk = randomBytes(32);
    const refused = await drawnDuring("a refused one", async () => {
      const stranger = connect({ port: server.port, ...COMMON, psk: wrongPsk });
      await assert.rejects(stranger.request(randomBytes(5)));
      await stranger.close();
    });
    assert.ok(refused.length >= 2);
    await server.close();
    await someTurns();
    const shared = sharedSecrets(good);
    assertGone([...good, ...refused].map(({ secret }) => secret));
    assertGone(shared);
  },
);

/** Noise, section 11.3: the key that replaces this one. */
function successor(key: Uint8Array): Uint8Array {
  const cipher = aes256gcm(key, "wasm");
  const nonce = Uint8Array.of(0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255);
  // Longer, so that the result is not where a collector moves it.
  const sealed = cipher.seal(nonce, new Uint8Array(1_000));
  cipher.destroy();
  const next = secretCopy(sealed.subarray(0, 32));
  sealed.fill(0);
  return next;
}

test("of a key that was replaced nothing is left while its session lives on", options, async () => {
  const REPLACED = 3;
  const EVERY = 20;
  const psk = randomBytes(32);
  const keys: HiddenSecret[][] = [];
  const noting = (role: "client" | "server") => {
    const factory = noise({ psk, unsafeRekeyAfterFramesForTests: EVERY } as NoiseOptions, role);
    return {
      ...factory,
      create: (...of: Parameters<typeof factory.create>) => {
        const handshake = factory.create(...of);
        const finish = handshake.finish.bind(handshake);
        handshake.finish = () => {
          const result = finish();
          const chain: HiddenSecret[] = [];
          let key: Uint8Array = secretCopy(result.sendKey);
          for (let i = 0; i < 8; i++) {
            const next = successor(key);
            chain.push(new HiddenSecret(`the ${role}'s key ${i}`, key));
            key = next;
          }
          key.fill(0);
          keys.push(chain);
          return result;
        };
        return handshake;
      },
    };
  };
  const server = await listen({
    port: 0,
    ...COMMON,
    handshake: noting("server"),
    onMessage: (message) => message.reply(message.body),
  });
  const client = connect({ port: server.port, ...COMMON, maxConnections: 1, handshake: noting("client") });
  // Alone in its frame, each in both directions.
  for (let i = 0; i < REPLACED * EVERY + EVERY / 2; i++) await client.request(randomBytes(5));
  const all = keys.flat();
  const { found } = findSecrets(all);
  const current = Object.keys(found);
  for (const role of ["client", "server"]) {
    const there = current.filter((name) => name.includes(role)).map((name) => Number(name.at(-1)));
    assert.ok(there.length > 0, `nothing of the ${role}'s current key: the search sees nothing`);
    assert.ok(Math.min(...there) >= REPLACED, `the ${role}'s keys ${there} are there`);
    assert.equal(there.length, 1, `the ${role}'s keys ${there} are there`);
  }
  await client.close();
  await server.close();
  await someTurns();
  assertGone(all);
});

/** A body that is full of a secret, which the caller wipes. */
function bodyOf(secret: HiddenSecret, length: number): Uint8Array {
  const body = secretBytes(length);
  const revealed = secret.reveal();
  for (let at = 0; at + 64 <= length; at += 64) body.set(revealed, at);
  revealed.fill(0);
  return body;
}

interface Scene {
  readonly client: Client;
  /** A fresh body, its copies with whom it is handed to; wiped at the end. */
  body(length: number): Uint8Array;
  /** How many messages a handler was given. */
  handled(): number;
  /** Cuts the connection with a reset. */
  reset(): void;
}

const psk = randomBytes(32);

interface Failure {
  readonly name: string;
  readonly server?: object;
  readonly client?: object;
  readonly attack?: Attack;
  onMessage?(message: Message): unknown;
  run(scene: Scene): Promise<void>;
}

const failures: Failure[] = [
  {
    name: "a frame that never arrived whole",
    attack: {
      onFrame(link, direction, index, frame) {
        if (direction === "toServer" && index > 1 && frame.length > 100_000) {
          link.send(direction, frame.subarray(0, frame.length - 20));
          setTimeout(() => link.reset(), 50);
        } else link.send(direction, frame);
      },
    },
    onMessage: () => assert.fail("a frame that was cut was handed on"),
    run: async ({ client, body }) => {
      await client.connected();
      await assert.rejects(client.request(body(300_000)));
    },
  },
  {
    name: "a bundle of which the last frame was forged",
    attack: {
      onFrame(link, direction, index, frame) {
        if (direction === "toServer" && index > 1) frame[frame.length - 1]! ^= 1;
        link.send(direction, frame);
      },
    },
    onMessage: () => assert.fail("a forged frame was handed on"),
    run: async ({ client, body }) => {
      await client.connected();
      const bodies = Array.from({ length: 20 }, () => body(640));
      await Promise.all(bodies.map((one) => assert.rejects(client.request(one))));
    },
  },
  {
    name: "messages that waited for a handler",
    server: { maxConcurrentHandlers: 1 },
    run: async ({ client, body, reset, handled }) => {
      await client.connected();
      const bodies = Array.from({ length: 30 }, (_, i) => body(i % 3 === 0 ? 6_400 : SHORT_BODY));
      const requests = bodies.map((one) => client.request(one).catch(() => {}));
      await waitFor(() => handled() > 0, "the first of them at its handler");
      await sleep(30);
      reset();
      await Promise.all(requests);
    },
    onMessage: ({ body, signal }) => {
      body.fill(0); // the application's
      return new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        signal.addEventListener("abort", () => resolve());
      });
    },
  },
  {
    name: "items of a stream that nobody took",
    run: async ({ client, body, reset }) => {
      await client.connected();
      const call = client.call(new Uint8Array(3), { head: { method: "m" }, streams: true });
      call.answer.catch(() => {});
      for (let i = 0; i < 4; i++) await call.write(body(2_560));
      const late = call.write(body(60_800)).catch(() => {});
      await someTurns();
      reset();
      await late;
    },
    onMessage: ({ signal }) =>
      new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        signal.addEventListener("abort", () => resolve());
      }),
  },
  {
    name: "items of a stream whose call was answered",
    client: { handshakeTimeoutMs: 5_000 },
    run: async ({ client, body }) => {
      // Written before there is a connection, too.
      const call = client.call(new Uint8Array(3), { head: { method: "m" }, streams: true });
      const written = [call.write(body(2_560)), call.write(body(12_800)), call.write(body(300_032))];
      await Promise.allSettled([...written, call.answer]);
    },
    onMessage: async (message) => {
      await someTurns();
      message.reply(new Uint8Array(1));
    },
  },
  {
    name: "messages that were handled late",
    server: { maxConcurrentHandlers: 1, messageBodies: "view" },
    run: async ({ client, body }) => {
      const bodies = Array.from({ length: 12 }, (_, i) => body(i % 3 === 0 ? 6_400 : SHORT_BODY));
      await Promise.all(bodies.map((one) => client.request(one)));
    },
    onMessage: async (message) => {
      const first = message.body[0];
      assert.ok(
        message.body.every((byte, at) => byte === message.body[at % 64]) && message.body[64] === first,
      );
      await sleep(2);
      message.reply(new Uint8Array(1));
    },
  },
  {
    name: "what waited to be sent",
    server: { maxConcurrentHandlers: 1 },
    client: { highWaterMarkBytes: 10_000_000, maxPendingBytes: 20_000_000 },
    attack: { onFrame: (link, direction, index, frame) => void (index < 2 && link.send(direction, frame)) },
    run: async ({ client, body, reset }) => {
      await client.connected();
      const requests = Array.from({ length: 40 }, (_, i) =>
        client.request(body(i % 2 === 0 ? 640 : 300_032)).catch(() => {}),
      );
      const sends = Array.from({ length: 40 }, () => client.send(body(640)).catch(() => {}));
      await someTurns();
      reset();
      await Promise.all([...requests, ...sends]);
    },
  },
  {
    name: "what waited for a connection",
    attack: { onFrame: () => {} },
    client: { handshakeTimeoutMs: 300, requestTimeoutMs: 400 },
    run: async ({ client, body }) => {
      const calls = [client.request(body(640)), client.send(body(6_400)), client.call(body(3_200)).answer];
      await Promise.all(calls.map((call) => assert.rejects(call)));
    },
  },
];

for (const { name, attack = {}, onMessage, run, ...ends } of failures) {
  test(`nothing is left of ${name}`, options, async () => {
    const secret = new HiddenSecret(name, randomBytes(64));
    const bodies: Uint8Array[] = [];
    let handled = 0;
    const server = await listen({
      port: 0,
      ...COMMON,
      maxFrameBytes: 400_000,
      ...ends.server,
      psk,
      onMessage: (message) => {
        handled++;
        return onMessage === undefined ? void message.body.fill(0) : onMessage(message);
      },
    });
    const links: { reset(): void }[] = [];
    const proxy = await attackProxy(server.port, {
      ...attack,
      onFrame(link, direction, index, frame) {
        if (index === 0 && direction === "toServer") links.push(link);
        if (attack.onFrame === undefined) link.send(direction, frame);
        else attack.onFrame(link, direction, index, frame);
      },
    });
    const client = connect({
      port: proxy.port,
      ...COMMON,
      psk,
      maxConnections: 1,
      maxFrameBytes: 400_000,
      ...ends.client,
    });
    await run({
      client,
      handled: () => handled,
      reset: () => links[0]!.reset(),
      body(length) {
        const body = bodyOf(secret, length);
        bodies.push(body);
        return body;
      },
    });
    await client.close();
    await waitFor(() => server.stats.connections === 0, "the server's end of it");
    await server.close();
    await proxy.close();
    for (const body of bodies) body.fill(0);
    await someTurns();
    // A body is full of it: whoever copied one left all 64 bytes.
    const left = leftInMemory(findSecrets([secret]), () => true);
    assert.deepEqual(left, [], `left in memory (${runtimeId})`);
  });
}
