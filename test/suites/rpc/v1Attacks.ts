// The reasons not to use protocol v1, as programs: each attack runs on v1, where it succeeds, and on v2, where it
// fails. The attacker is between client and server and knows no key; in the first two attacks it only listens.

import assert from "node:assert/strict";
import { gcm } from "@noble/ciphers/aes.js";
import {
  type ClientOptions,
  connect,
  generateKeyPair,
  listen,
  monteV1,
  type Server,
  type ServerOptions,
} from "../../../src/index.ts";
import { type Attack, attackProxy, type Direction } from "../../support/attackProxy.ts";
import { blockToField, fieldToBlock, ghash, inverse, multiply, squareRoot } from "../../support/gf128.ts";
import { test } from "../../support/harness.ts";
import { checkLeaksAfterEachTest, waitFor } from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

interface Protocol {
  name: string;
  /** Bytes of the plaintext before the body. */
  headerBytes: number;
  preambleBytes: number;
  client: Partial<ClientOptions>;
  server: Partial<ServerOptions>;
  /** Handshake messages that each direction begins with. */
  handshakeFrames: Record<Direction, number>;
  /** Frames of each direction between the handshake and the first message. */
  settingsFrames: number;
}

const [clientKeys, serverKeys] = [generateKeyPair(), generateKeyPair()];
const psk = crypto.getRandomValues(new Uint8Array(32));
const v1: Protocol = {
  name: "v1",
  headerBytes: 4,
  preambleBytes: 32,
  client: { handshake: monteV1() },
  server: { handshake: monteV1() },
  handshakeFrames: { toServer: 1, toClient: 1 },
  settingsFrames: 0,
};
const v2: Protocol[] = [
  {
    name: "v2 NNpsk0",
    headerBytes: 5,
    preambleBytes: 0,
    client: { psk },
    server: { psk },
    handshakeFrames: { toServer: 1, toClient: 1 },
    settingsFrames: 1,
  },
  {
    name: "v2 NNpsk0, classical",
    headerBytes: 5,
    preambleBytes: 0,
    client: { psk, postQuantum: false },
    server: { psk, postQuantum: false },
    handshakeFrames: { toServer: 1, toClient: 1 },
    settingsFrames: 1,
  },
  {
    name: "v2 XX",
    headerBytes: 5,
    preambleBytes: 0,
    client: { staticKey: clientKeys, authorize: () => true },
    server: { staticKey: serverKeys, authorize: () => true },
    handshakeFrames: { toServer: 2, toClient: 1 },
    settingsFrames: 1,
  },
];

const LENGTH_BYTES = 4;
const TAG_BYTES = 16;
const encoder = new TextEncoder();
const decoder = new TextDecoder();
const text = (bytes: Uint8Array): string => decoder.decode(bytes);

/** The ciphertext of a frame, without length and tag. */
const ciphertextOf = (frame: Uint8Array): Uint8Array =>
  frame.subarray(LENGTH_BYTES, frame.length - TAG_BYTES);
const tagOf = (frame: Uint8Array): Uint8Array => frame.subarray(frame.length - TAG_BYTES);
const xor = (a: Uint8Array, b: Uint8Array): Uint8Array => a.map((byte, i) => byte ^ b[i]!);

interface Run {
  /** What the two applications were given. */
  atServer: string[];
  atClient: string[];
  /** What a listener sees: the sealed frames of both directions, handshake left out. */
  seen: Record<Direction, Uint8Array[]>;
  /** Why the connection ended, on either side. */
  errors: (string | undefined)[];
}

/**
 * A session in which the client sends its texts one way, waiting after each for the server's answer of the same
 * length, as one-way messages too: so frame number n goes each way under counter n. `attack` sees sealed frames
 * by their number after the handshake.
 */
async function run(
  protocol: Protocol,
  fromClient: string[],
  fromServer: string[],
  attack: (
    frame: Uint8Array,
    direction: Direction,
    n: number,
    seen: Run["seen"],
  ) => [Direction, Uint8Array][],
): Promise<Run> {
  const result: Run = { atServer: [], atClient: [], seen: { toServer: [], toClient: [] }, errors: [] };
  const common = { handshakeTimeoutMs: 2_000, drainTimeoutMs: 500 };
  let settle = (): void => {};
  const finished = new Promise<void>((resolve) => {
    settle = resolve;
  });
  const onConnectionState: ClientOptions["onConnectionState"] = (_connection, state, error) => {
    if (state !== "closed") return;
    // A session that is not open yet ends as a handshake that failed, and its cause tells why.
    const cause = error?.code === "ERR_HANDSHAKE" ? (error.cause as { code?: string } | undefined) : error;
    result.errors.push(cause?.code);
    settle();
  };
  const server: Server = await listen({
    port: 0,
    ...common,
    ...protocol.server,
    onConnectionState,
    onMessage: (message) => {
      result.atServer.push(text(message.body));
      const answer = fromServer[result.atServer.length - 1];
      if (answer !== undefined) message.connection.sendNoWait(encoder.encode(answer));
    },
  });
  const proxyAttack: Attack = {
    preambleBytes: protocol.preambleBytes,
    onFrame(link, direction, index, frame) {
      const n = index - protocol.handshakeFrames[direction];
      if (n < 0) {
        link.send(direction, frame);
        return;
      }
      result.seen[direction].push(frame);
      for (const [to, bytes] of attack(frame, direction, n, result.seen)) link.send(to, bytes);
    },
  };
  const proxy = await attackProxy(server.port, proxyAttack);
  const client = connect({
    port: proxy.port,
    ...common,
    ...protocol.client,
    maxConnections: 1,
    onConnectionState,
    onMessage: (message) => {
      result.atClient.push(text(message.body));
      const next = fromClient[result.atClient.length];
      if (next !== undefined) message.connection.sendNoWait(encoder.encode(next));
      else settle();
    },
  });
  try {
    // Before anything else is said in the session: the first frame is this message's.
    client.sendNoWait(encoder.encode(fromClient[0]!));
    await finished;
  } finally {
    await client.close();
    await server.close();
    await proxy.close();
  }
  return result;
}

const passOn = (frame: Uint8Array, direction: Direction): [Direction, Uint8Array][] => [[direction, frame]];

/**
 * Both directions of v1 have one key and count from 0, so their frames number n are XORed with the same
 * keystream. Who knows what one of them says (here: the greeting that the server sends to everybody) reads the
 * other.
 */
async function readByKnownPlaintext(protocol: Protocol): Promise<string> {
  const secret = "the launch code is 4711-0815";
  const greeting = "welcome to the public server";
  const { seen, atServer } = await run(protocol, [secret], [greeting], passOn);
  assert.deepEqual(atServer, [secret]);
  const known = encoder.encode("\0".repeat(protocol.headerBytes) + greeting); // sequence 0, and kind 0
  const keystream = xor(ciphertextOf(seen.toClient[protocol.settingsFrames]!), known);
  const plaintext = xor(ciphertextOf(seen.toServer[protocol.settingsFrames]!), keystream);
  return text(plaintext.subarray(protocol.headerBytes));
}

test("nonce reuse: a listener who knows one plaintext reads the other on v1", async () => {
  assert.equal(await readByKnownPlaintext(v1), "the launch code is 4711-0815");
});

for (const protocol of v2) {
  test(`nonce reuse: the same attempt on ${protocol.name} gives nothing`, async () => {
    const guess = await readByKnownPlaintext(protocol);
    assert.notEqual(guess, "the launch code is 4711-0815");
    // Not one byte more than chance would give.
    const right = [...encoder.encode("the launch code is 4711-0815")];
    const guessed = encoder.encode(guess);
    assert.ok(right.filter((byte, i) => byte === guessed[i]).length < 8);
  });
}

/**
 * Two tags under one nonce differ by GHASH alone: with one block each, T1 + T2 = (C1 + C2) · H^2, one equation
 * with one solution. With H, every later frame whose text is known can be replaced by any text of its length.
 */
async function forgeWithRecoveredKey(protocol: Protocol): Promise<{ run: Run; H: bigint }> {
  // One block: 16 bytes of plaintext, header included.
  const short = (start: string): string => start.padEnd(16 - protocol.headerBytes, ".");
  const known = "pay 1 coin to Bob";
  const wanted = "pay 9 coin to Eve";
  let H = 0n;
  const result = await run(
    protocol,
    [short("hello"), known],
    [short("hi"), "done"],
    (frame, direction, n, seen) => {
      const { settingsFrames } = protocol;
      if (direction === "toClient" || n !== settingsFrames + 1) return [[direction, frame]];
      const [first, second] = [seen.toServer[settingsFrames]!, seen.toClient[settingsFrames]!];
      const difference = blockToField(xor(ciphertextOf(first), ciphertextOf(second)));
      const tags = blockToField(xor(tagOf(first), tagOf(second)));
      H = squareRoot(multiply(tags, inverse(difference)));

      const forged = new Uint8Array(frame);
      const ciphertext = ciphertextOf(forged);
      const change = xor(encoder.encode(known), encoder.encode(wanted));
      for (const [i, byte] of change.entries()) ciphertext[protocol.headerBytes + i]! ^= byte;
      const tag = blockToField(tagOf(frame)) ^ ghash(H, ciphertextOf(frame)) ^ ghash(H, ciphertext);
      forged.set(fieldToBlock(tag), forged.length - TAG_BYTES);
      return [[direction, forged]];
    },
  );
  return { run: result, H };
}

test("nonce reuse: two frames give away the GHASH key of v1, and messages can be forged", async () => {
  const { run: result, H } = await forgeWithRecoveredKey(v1);
  assert.notEqual(H, 0n);
  assert.equal(result.atServer[1], "pay 9 coin to Eve");
  assert.equal(result.atClient[1], "done");
});

for (const protocol of v2) {
  test(`nonce reuse: the same forgery on ${protocol.name} is refused`, async () => {
    const { run: result } = await forgeWithRecoveredKey(protocol);
    assert.deepEqual(result.atServer, ["hello......"]);
    assert.ok(result.errors.includes("ERR_DECRYPT"));
  });
}

/** What a side sealed opens with the same key and counter that it expects of the other side. */
const reflect =
  (reflected: number) =>
  (frame: Uint8Array, direction: Direction, n: number): [Direction, Uint8Array][] =>
    direction === "toServer" && n === reflected ? [["toClient", frame]] : [[direction, frame]];

test("reflection: a client of v1 takes its own message for the server's", async () => {
  const result = await run(v1, ["grant me access"], [], reflect(v1.settingsFrames));
  assert.deepEqual(result.atServer, []);
  assert.deepEqual(result.atClient, ["grant me access"]);
});

for (const protocol of v2) {
  test(`reflection: on ${protocol.name} it is an authentication failure`, async () => {
    // The settings, with which a side begins, and the first message.
    for (const reflected of [0, protocol.settingsFrames]) {
      const result = await run(protocol, ["grant me access"], [], reflect(reflected));
      assert.deepEqual(result.atServer, []);
      assert.deepEqual(result.atClient, []);
      assert.ok(result.errors.includes("ERR_DECRYPT"), result.errors.join());
    }
  });
}

/** Somebody in between who ends both sides' handshakes, reads what the client says, and passes on something else. */
async function standBetween(
  protocol: Protocol,
  own: { psk?: Uint8Array },
): Promise<[string[], string[], string]> {
  const [read, arrived]: [string[], string[]] = [[], []];
  const common = { handshakeTimeoutMs: 2_000, drainTimeoutMs: 500 };
  const server = await listen({
    port: 0,
    ...common,
    ...protocol.server,
    onMessage: (message) => {
      arrived.push(text(message.body));
      message.reply(message.body);
    },
  });
  const onward = connect({ port: server.port, ...common, ...protocol.client, ...own });
  const middle = await listen({
    port: 0,
    ...common,
    ...protocol.server,
    ...own,
    onMessage: async (message) => {
      read.push(text(message.body));
      message.reply(await onward.request(encoder.encode("pay 9 coin to Eve")));
    },
  });
  const client = connect({ port: middle.port, ...common, ...protocol.client, maxConnections: 1 });
  try {
    const answer = await client.request(encoder.encode("pay 1 coin to Bob")).then(text, ({ code }) => code);
    return [read, arrived, answer];
  } finally {
    await client.close();
    await middle.close();
    await onward.close();
    await server.close();
  }
}

test("in between: with a handshake on each side, v1 is read and changed", async () => {
  const [read, arrived, answer] = await standBetween(v1, {});
  assert.deepEqual([read, arrived], [["pay 1 coin to Bob"], ["pay 9 coin to Eve"]]);
  assert.equal(answer, "pay 9 coin to Eve");
});

test("in between: without the psk nobody ends a handshake of v2", async () => {
  const [read, arrived, answer] = await standBetween(v2[0]!, { psk: new Uint8Array(32).fill(1) });
  assert.deepEqual([read, arrived, answer], [[], [], "ERR_HANDSHAKE"]);
});

/** Somebody in between ends both streams in good order behind the first message: what the server makes of it. */
async function cutBehindFirstMessage(protocol: Protocol): Promise<[string[], string | undefined]> {
  const arrived: string[] = [];
  let ended = (_code: string | undefined): void => {};
  const end = new Promise<string | undefined>((resolve) => {
    ended = resolve;
  });
  const server = await listen({
    port: 0,
    drainTimeoutMs: 500,
    ...protocol.server,
    onConnectionState: (_connection, state, error) => {
      if (state === "closed") ended(error?.code);
    },
    onMessage: (message) => void arrived.push(text(message.body)),
  });
  const proxy = await attackProxy(server.port, {
    preambleBytes: protocol.preambleBytes,
    onFrame(link, direction, index, frame) {
      const n = index - protocol.handshakeFrames[direction] - protocol.settingsFrames;
      if (direction === "toServer" && n > 0) return;
      link.send(direction, frame);
      if (direction === "toClient" || n < 0) return;
      link.end("toServer");
      link.end("toClient");
    },
  });
  const client = connect({ port: proxy.port, drainTimeoutMs: 500, ...protocol.client, maxConnections: 1 });
  try {
    const connection = await client.connected();
    connection.sendNoWait(encoder.encode("keep it"));
    await waitFor(() => arrived.length === 1, "the first message");
    // Unless it knows by now, its sender takes it for sent.
    if (connection.state === "open") connection.sendNoWait(encoder.encode("sell it"));
    const code = await end;
    return [arrived, code];
  } finally {
    await client.close();
    await server.close();
    await proxy.close();
  }
}

test("truncation: a session of v1 that was cut looks like one that ended", async () => {
  assert.deepEqual(await cutBehindFirstMessage(v1), [["keep it"], undefined]);
});

for (const protocol of v2) {
  test(`truncation: on ${protocol.name} it is a loss`, async () => {
    assert.deepEqual(await cutBehindFirstMessage(protocol), [["keep it"], "ERR_CONNECTION_LOST"]);
  });
}

test("the field arithmetic of the attack is that of AES-GCM", () => {
  // H and GHASH recomputed from a real seal: E_K(0) by encrypting zeros in counter mode is out of reach, so the
  // difference of two tags under one nonce is compared with the difference of two GHASHes.
  const key = crypto.getRandomValues(new Uint8Array(32));
  const nonce = new Uint8Array(12);
  const [a, b] = [new Uint8Array(16).fill(1), new Uint8Array(16).fill(7)].map((plaintext) =>
    gcm(key, nonce).encrypt(plaintext),
  );
  const tags = blockToField(a!.subarray(16)) ^ blockToField(b!.subarray(16));
  const H = squareRoot(multiply(tags, inverse(blockToField(xor(a!.subarray(0, 16), b!.subarray(0, 16))))));
  for (const length of [1, 16, 17, 40]) {
    const [c, d] = [new Uint8Array(length).fill(3), new Uint8Array(length).fill(9)].map((plaintext) =>
      gcm(key, nonce).encrypt(plaintext),
    );
    const expected = blockToField(c!.subarray(length)) ^ blockToField(d!.subarray(length));
    assert.equal(ghash(H, c!.subarray(0, length)) ^ ghash(H, d!.subarray(0, length)), expected);
  }
});
