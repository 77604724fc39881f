// Protocol v2's transport over real sockets: keys that change every few frames, and padding.

import assert from "node:assert/strict";
import {
  type ClientOptions,
  connect,
  generateKeyPair,
  listen,
  noise,
  type ServerOptions,
} from "../../../src/index.ts";
import { attackProxy, type Direction } from "../../support/attackProxy.ts";
import { test } from "../../support/harness.ts";
import { checkLeaksAfterEachTest } from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

const psk = crypto.getRandomValues(new Uint8Array(32));
const [clientKeys, serverKeys] = [generateKeyPair(), generateKeyPair()];
const TAG_BYTES = 16;
const LENGTH_BYTES = 4;

/** A body that tells its number and fills its length with bytes that depend on both. */
function numbered(number: number, length: number): Uint8Array {
  const body = Uint8Array.from({ length: 4 + length }, (_, i) => (number + i * 7) & 0xff);
  new DataView(body.buffer).setUint32(0, number);
  return body;
}

interface Traffic {
  atServer: Uint8Array[];
  atClient: Uint8Array[];
}

/** Both ends send `bodies` one way, in order, `together` at a time, with an echoed request now and then. */
async function exchange(
  clientOptions: Partial<ClientOptions>,
  serverOptions: Partial<ServerOptions>,
  bodies: Uint8Array[],
  together: number,
  onFrame?: (direction: Direction, frame: Uint8Array) => void,
): Promise<Traffic> {
  const traffic: Traffic = { atServer: [], atClient: [] };
  let allReceived = (): void => {};
  const received = new Promise<void>((resolve) => {
    allReceived = resolve;
  });
  const check = (): void => {
    if (traffic.atServer.length === bodies.length && traffic.atClient.length === bodies.length) allReceived();
  };
  const sendAll = async (send: (body: Uint8Array) => Promise<void>): Promise<void> => {
    for (let i = 0; i < bodies.length; i += together)
      await Promise.all(bodies.slice(i, i + together).map((body) => send(body)));
  };
  const server = await listen({
    port: 0,
    ...serverOptions,
    async onMessage(message) {
      if (message.expectsReply) return void message.reply(message.body);
      traffic.atServer.push(message.body);
      check();
      if (traffic.atServer.length === 1) await sendAll((body) => message.connection.send(body));
    },
  });
  const proxy = await attackProxy(server.port, {
    onFrame(link, direction, _index, frame) {
      onFrame?.(direction, frame);
      link.send(direction, frame);
    },
  });
  const client = connect({
    port: onFrame === undefined ? server.port : proxy.port,
    maxConnections: 1,
    ...clientOptions,
    onMessage(message) {
      traffic.atClient.push(message.body);
      check();
    },
  });
  try {
    const requests: Promise<void>[] = [];
    let count = 0;
    await sendAll((body) => {
      if (count++ % 10 === 5)
        requests.push(client.request(body).then((answer) => assert.deepEqual(answer, body)));
      return client.send(body);
    });
    await Promise.all(requests);
    await received;
  } finally {
    await client.close();
    await server.close();
    await proxy.close();
  }
  return traffic;
}

const mixedBodies = (count: number): Uint8Array[] =>
  Array.from({ length: count }, (_, i) => numbered(i, i % 50 === 49 ? 40_000 + i : (i * 37) % 1_500));

for (const every of [1, 2, 7, 64]) {
  test(`keys that change every ${every} frames: everything arrives, whatever the engines`, async () => {
    const bodies = mixedBodies(300);
    for (const [clientEngine, serverEngine, together] of [
      ["auto", "auto", 1],
      ["auto", "auto", 20],
      ["wasm", "auto", 5],
      ["auto", "wasm", 40],
    ] as const) {
      const hook = { unsafeRekeyAfterFramesForTests: every };
      const traffic = await exchange(
        { handshake: noise({ staticKey: clientKeys, ...hook }), engine: clientEngine },
        { handshake: noise({ staticKey: serverKeys, ...hook }), engine: serverEngine },
        bodies,
        together,
      );
      assert.deepEqual(traffic.atServer, bodies);
      assert.deepEqual(traffic.atClient, bodies);
    }
  });
}

test("ends that change keys at different frames part at the first difference, delivering nothing wrong", async () => {
  const delivered: number[] = [];
  const errors: (string | undefined)[] = [];
  const server = await listen({
    port: 0,
    handshake: noise({ psk, unsafeRekeyAfterFramesForTests: 5 }),
    onMessage: (message) =>
      void delivered.push(new DataView(message.body.buffer).getUint32(message.body.byteOffset)),
    onConnectionState: (_connection, state, error) => {
      if (state === "closed") errors.push(error?.code);
    },
  });
  const client = connect({
    port: server.port,
    maxConnections: 1,
    handshake: noise({ psk, unsafeRekeyAfterFramesForTests: 6 }),
  });
  try {
    const connection = await client.connected();
    // One at a time, or they would share a frame. Once the server has noticed they reject.
    for (let i = 0; i < 10; i++) {
      await connection.send(numbered(i, 20)).catch((error) => assert.equal(error.name, "SealwireError"));
    }
    while (errors.length === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    // The client's first frame, an unasked pong, is the first of the five under the first key.
    assert.deepEqual(delivered, [0, 1, 2, 3]);
    assert.equal(errors[0], "ERR_DECRYPT");
  } finally {
    await client.close();
    await server.close();
  }
});

test("padding: every frame of that direction has a multiple for its plaintext, bodies are untouched", async () => {
  const bodies = [
    ...Array.from({ length: 300 }, (_, i) => numbered(i, i)),
    numbered(300, 33_000),
    numbered(301, 65_530),
  ];
  for (const [clientPadding, serverPadding, together] of [
    [256, 0, 1],
    [0, 64, 1],
    [100, 32_768, 1],
    [256, 64, 10],
    [100, 5_000, 302],
  ] as const) {
    const seen: Record<Direction, Set<number>> = { toServer: new Set(), toClient: new Set() };
    let handshakeFrames = 2;
    const traffic = await exchange(
      { psk, padding: clientPadding },
      { psk, padding: serverPadding },
      bodies,
      together,
      (direction, frame) => {
        if (handshakeFrames-- > 0) return;
        seen[direction].add(frame.length - LENGTH_BYTES - TAG_BYTES);
      },
    );
    assert.deepEqual(traffic.atServer, bodies);
    assert.deepEqual(traffic.atClient, bodies);
    for (const [direction, padding] of [
      ["toServer", clientPadding],
      ["toClient", serverPadding],
    ] as const) {
      const lengths = [...seen[direction]];
      if (padding === 0) assert.ok(lengths.length > 250);
      else
        assert.deepEqual(
          lengths.filter((length) => length === 0 || length % padding !== 0),
          [],
        );
    }
  }
});

test("padding counts against the frame limit", async () => {
  const server = await listen({
    port: 0,
    psk,
    maxFrameBytes: 1_024,
    onMessage: (message) => message.reply(message.body),
  });
  const client = connect({ port: server.port, psk, maxFrameBytes: 1_024, padding: 500 });
  try {
    // 1,000 bytes of plaintext: header 5, pad length 2.
    const longest = numbered(1, 1_000 - 5 - 2 - 4);
    assert.deepEqual(await client.request(longest), longest);
    assert.throws(() => client.request(new Uint8Array(longest.length + 1)), {
      code: "ERR_MESSAGE_TOO_LARGE",
    });
    assert.deepEqual(await client.request(longest), longest);
  } finally {
    await client.close();
    await server.close();
  }
});
