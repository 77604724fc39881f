// docs/PROTOCOL.md against two implementations: an independent one computes the document's vectors, and this package
// puts them on a socket.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ChaChaFrameCipher } from "../../../src/core/chaChaFrameCipher.ts";
import { GcmFrameCipher } from "../../../src/core/gcmFrameCipher.ts";
import { x25519PublicKey } from "../../../src/core/x25519.ts";
import {
  type Client,
  type ClientOptions,
  connect,
  type HandshakeFactory,
  listen,
  type Message,
  type MessageHandler,
  monteV1,
  type NoiseOptions,
  noise,
  type Server,
  type ServerOptions,
} from "../../../src/index.ts";
import { controlsFor } from "../../../src/protocol/controls.ts";
import { decodeError, Origin } from "../../../src/protocol/errorBody.ts";
import { decodeHead, encodeWithHead } from "../../../src/protocol/head.ts";
import { messageLengths, parsePattern } from "../../../src/protocol/noise/patterns.ts";
import { decodeReason } from "../../../src/protocol/reason.ts";
import { BASE_SETTINGS, decodeSettings, encodeSettings } from "../../../src/protocol/settings.ts";
import { v1HandshakeForTests } from "../../../src/protocol/v1.ts";
import { attackProxy, type Direction } from "../../support/attackProxy.ts";
import { documentBlocks, printBlock } from "../../support/documentVectors.ts";
import { drive } from "../../support/handshakePair.ts";
import { test } from "../../support/harness.ts";
import { noiseTranscript, vectorKeys } from "../../support/protocolVectors.ts";
import { waitFor } from "../../support/rpcHarness.ts";
import { sealWhole } from "../../support/sealWhole.ts";
import { callVectors } from "../../support/transportVectors.ts";
import { repositoryRoot, toHex } from "../../support/vectors.ts";

const { clientEphemeral, serverEphemeral, clientStatic, serverStatic, psk, kemSeed, kemRandomness } =
  vectorKeys;
const encoder = new TextEncoder();
const info = { remoteAddress: "" };

const document = readFileSync(join(repositoryRoot, "docs/PROTOCOL.md"), "utf8");
const inDocument = new Map(
  [...document.matchAll(/^```vector (\S+)\n([\s\S]*?)\n```$/gm)].map((match) => [match[1]!, match[2]!]),
);

/** The value of a line of a block of the document, as hex. */
function value(block: string, name: string): string {
  const lines = `${inDocument.get(block)}\n`;
  const start = lines.indexOf(`${name} =`);
  assert.ok(start >= 0, `${block} has "${name}"`);
  const [first, ...rest] = lines.slice(start + name.length + 2).split("\n");
  const more = rest.findIndex((line) => !line.startsWith("    "));
  return [first!, ...rest.slice(0, more)].map((line) => line.trim()).join("");
}

const bytesOf = (hex: string): Uint8Array =>
  Uint8Array.from(hex.match(/../g)!, (byte) => Number.parseInt(byte, 16));

test("the document's vectors are what the independent implementation computes", () => {
  const blocks = documentBlocks();
  assert.deepEqual([...inDocument.keys()].sort(), Object.keys(blocks).sort());
  for (const [name, block] of Object.entries(blocks)) {
    assert.equal(inDocument.get(name), printBlock(block), `\`\`\`vector ${name}`);
  }
});

test("the document's table of patterns is the code's", () => {
  const rows = [...document.matchAll(/^\| ([\w+]+) \| (→ .*|← .*) \| ([\d, ]+) \|$/gm)];
  assert.equal(rows.length, 20);
  for (const [, name, messages, bytes] of rows) {
    const pattern = parsePattern(name!);
    const parts = messages!.split(" · ");
    const ofPattern = parts.slice(parts.length - pattern.messages.length);
    assert.deepEqual(
      ofPattern.map((message) => message.replace(/^[→←] /, "")),
      pattern.messages.map((tokens) => tokens.join(", ")),
      name,
    );
    for (const [i, message] of ofPattern.entries()) assert.equal(message[0], i % 2 === 0 ? "→" : "←");
    const dots = messages!.indexOf("· · ·");
    const known = dots < 0 ? "" : messages!.slice(0, dots);
    assert.equal(known.includes("→ s"), pattern.initiatorStaticKnown, name);
    assert.equal(known.includes("← s"), pattern.responderStaticKnown, name);
    assert.equal(bytes, messageLengths(pattern).join(", "), name);
  }
});

const staticKeys: Record<string, [client: NoiseOptions, server: NoiseOptions]> = {
  NN: [{}, {}],
  XX: [{ staticKey: clientStatic }, { staticKey: serverStatic }],
  IK: [{ staticKey: clientStatic, remoteStatic: x25519PublicKey(serverStatic) }, { staticKey: serverStatic }],
  KK: [
    { pattern: "KK", staticKey: clientStatic, remoteStatic: x25519PublicKey(serverStatic) },
    { pattern: "KK", staticKey: serverStatic, remoteStatic: x25519PublicKey(clientStatic) },
  ],
};

const classical = { postQuantum: false };
/** What both ends agree on, and what is not random: the document has hybrid vectors of three patterns. */
const forms: { shared: NoiseOptions; bases: string[] }[] = [
  { shared: classical, bases: Object.keys(staticKeys) },
  { shared: { ...classical, psk }, bases: Object.keys(staticKeys) },
  { shared: {}, bases: ["XX", "IK"] },
  { shared: { psk }, bases: ["NN"] },
  { shared: { ...classical, psk, cipher: "ChaChaPoly" }, bases: ["NN"] },
  { shared: { cipher: "ChaChaPoly" }, bases: ["XX"] },
];

test("the package's handshakes are those of the document, with and without a psk", () => {
  let compared = 0;
  for (const { shared, bases } of forms) {
    const isHybrid = shared.postQuantum !== false;
    for (const base of bases) {
      const [clientOptions, serverOptions] = staticKeys[base]!;
      const client = noise({
        ...clientOptions,
        ...shared,
        unsafeEphemeralForTests: clientEphemeral,
        unsafeKemForTests: isHybrid ? kemSeed : undefined,
      }).create("client", info);
      const server = noise({
        ...serverOptions,
        ...shared,
        unsafeEphemeralForTests: serverEphemeral,
        unsafeKemForTests: isHybrid ? kemRandomness : undefined,
      }).create("server", info);
      const frames: string[] = [];
      for (const handshake of [client, server]) {
        const send = handshake.send.bind(handshake);
        handshake.send = () => {
          const frame = send();
          if (frame !== undefined) frames.push(toHex(frame));
          return frame;
        };
      }
      const [atClient, atServer] = drive(client, server);
      const pattern = atClient.identity.protocol.split("_")[1]!;
      assert.equal(pattern.startsWith(base), true);
      const block =
        shared.cipher === "ChaChaPoly"
          ? `v2-${pattern}-ChaChaPoly`
          : inDocument.has(`v2-${pattern}`)
            ? `v2-${pattern}`
            : `v2-${pattern}-steps`;
      assert.equal(atClient.cipher, shared.cipher ?? "AESGCM");
      assert.equal(atServer.cipher, atClient.cipher);
      const writers = ["client", "server", "client"];
      assert.deepEqual(
        frames,
        frames.map((_, i) => value(block, `frame ${i + 1}, from the ${writers[i]}`)),
        pattern,
      );
      assert.equal(frames.length, noiseTranscript(pattern, false).messages.length);
      assert.equal(toHex(atClient.identity.handshakeHash!), value(block, "handshake hash"));
      assert.equal(toHex(atClient.sendKey), value(block, "client's sending key"));
      assert.equal(toHex(atServer.sendKey), value(block, "server's sending key"));
      assert.deepEqual(atServer.identity.handshakeHash, atClient.identity.handshakeHash);
      compared++;
    }
  }
  assert.equal(compared, 13);
});

/** Frames of the session that runs now, so far. */
let seen: Record<Direction, string[]> = { toServer: [], toClient: [] };

/** Runs `calls` between a client and a server with these handshakes; returns all frames of each direction. */
async function recordSession(
  client: Partial<ClientOptions> & { handshake: HandshakeFactory },
  server: Partial<ServerOptions> & { handshake: HandshakeFactory },
  preambleBytes: number,
  calls: (connection: Client, server: Server) => Promise<void>,
): Promise<Record<Direction, string[]>> {
  const frames: Record<Direction, string[]> = { toServer: [], toClient: [] };
  seen = frames;
  const listening = await listen({ port: 0, ...server });
  const proxy = await attackProxy(listening.port, {
    preambleBytes,
    onFrame(link, direction, _index, frame) {
      frames[direction].push(toHex(frame));
      link.send(direction, frame);
    },
  });
  const dialling = connect({ port: proxy.port, maxConnections: 1, ...client });
  try {
    await calls(dialling, listening);
  } finally {
    await dialling.close();
    await listening.close();
    await proxy.close();
  }
  return frames;
}

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const v2Handshakes = () => ({
  client: { handshake: noise({ ...classical, psk, unsafeEphemeralForTests: clientEphemeral }) },
  server: { handshake: noise({ ...classical, psk, unsafeEphemeralForTests: serverEphemeral }) },
});

/** The frames of a block, by number. */
function framesOf(block: string, count: number): string[] {
  return Array.from({ length: count }, (_, n) => value(block, `frame ${n}`));
}

/** All frames of both directions are those of the document: the handshake's, then the session's. */
function assertSession(
  session: string,
  frames: Record<Direction, string[]>,
  toServer: number,
  toClient: number,
  handshake = "v2-NNpsk0-steps",
): void {
  assert.deepEqual(frames.toServer, [
    value(handshake, "frame 1, from the client"),
    ...framesOf(`${session}-client`, toServer),
  ]);
  assert.deepEqual(frames.toClient, [
    value(handshake, "frame 2, from the server"),
    ...framesOf(`${session}-server`, toClient),
  ]);
}

test("a session of v2 on a socket is the document's, byte for byte", async () => {
  const onMessage: MessageHandler = (message) => {
    const question = text(message.body);
    if (question === "What time is it?") message.reply(encoder.encode("noon"));
    if (question === "Who are you?") throw Object.assign(new Error("I won't tell"), { code: "ERR_SECRET" });
  };
  const { client, server } = v2Handshakes();
  const frames = await recordSession(
    client,
    { ...server, onMessage, onHandlerError() {}, exposeErrorMessages: true },
    0,
    async (connection) => {
      await connection.send(encoder.encode("hello"));
      assert.equal(text(await connection.request(encoder.encode("What time is it?"))), "noon");
      await assert.rejects(connection.request(encoder.encode("Who are you?")), {
        remoteCode: "ERR_SECRET",
        message: "I won't tell",
      });
    },
  );
  assertSession("v2-transport", frames, 6, 4);
});

test("calls and streams on a socket are the document's, byte for byte", async () => {
  const { timeoutMs, method, traceParent, contentType, ownTag, ownValue } = callVectors;
  let wasSettled = (): void => {};
  const settled = new Promise<void>((resolve) => {
    wasSettled = resolve;
  });
  const handlers: Record<string, (message: Message) => Promise<void>> = {
    async "[]"(message) {
      assert.deepEqual(message.head, {
        method,
        traceParent,
        contentType,
        fields: new Map([[ownTag, ownValue]]),
      });
      assert.ok(message.remainingMs! > 0 && message.remainingMs! <= timeoutMs);
      await message.write(encoder.encode("ready"));
      for await (const item of message) await message.write(encoder.encode(text(item).toUpperCase()));
      message.reply(encoder.encode("40"), { contentType });
    },
    async count(message) {
      await message.write(encoder.encode("one"));
      // The credit allows it, so it ends when the caller leaves: the number of turns that takes is the socket's.
      await new Promise<void>((resolve) => {
        stopped = resolve;
      });
      await assert.rejects(message.write(encoder.encode("two")), { code: "ERR_STREAM_STOPPED" });
      message.reply(encoder.encode("stopped"));
    },
    async wait(message) {
      asked();
      await new Promise<void>((resolve) => message.signal.addEventListener("abort", () => resolve()));
      setTimeout(wasSettled);
    },
  };
  let stopped = (): void => {};
  let asked = (): void => {};
  const wasAsked = new Promise<void>((resolve) => {
    asked = resolve;
  });
  const onMessage: MessageHandler = (message) => handlers[text(message.body)]!(message);
  const { client, server } = v2Handshakes();
  const ends = value("v2-call-server", "frame 5");
  const frames = await recordSession(client, { ...server, onMessage }, 0, async (connection) => {
    await connection.connected();
    const head = { method, traceParent, contentType, fields: new Map([[ownTag, ownValue]]) };
    const sum = connection.call(encoder.encode("[]"), { timeoutMs, head });
    const items = sum[Symbol.asyncIterator]();
    assert.equal(text((await items.next()).value!), "ready");
    await sum.write(encoder.encode("forty"));
    assert.equal(text((await items.next()).value!), "FORTY");
    sum.end();
    assert.equal(text(await sum.answer), "40");
    assert.equal((await items.next()).done, true);

    const count = connection.call(encoder.encode("count"), { timeoutMs: 0 });
    for await (const item of count) {
      assert.equal(text(item), "one");
      break;
    }
    await waitFor(() => seen.toClient.includes(ends), "the end of the stream that was stopped");
    stopped();
    assert.equal(text(await count.answer), "stopped");

    const abort = new AbortController();
    const waiting = connection.request(encoder.encode("wait"), { timeoutMs: 0, signal: abort.signal });
    await wasAsked;
    abort.abort();
    await assert.rejects(waiting, { code: "ERR_ABORTED" });
    await settled;
  });
  assertSession("v2-call", frames, 10, 9);
});

test("a hybrid session on a socket is the document's, byte for byte", async () => {
  const client = { psk, unsafeEphemeralForTests: clientEphemeral, unsafeKemForTests: kemSeed };
  const server = { psk, unsafeEphemeralForTests: serverEphemeral, unsafeKemForTests: kemRandomness };
  const onMessage: MessageHandler = (message) => message.reply(message.body);
  const frames = await recordSession(
    { handshake: noise(client) },
    { handshake: noise(server), onMessage },
    0,
    async (connection) => {
      assert.equal(text(await connection.request(encoder.encode("hello"))), "hello");
    },
  );
  assertSession("v2-hybrid", frames, 4, 3, "v2-NNhfs+psk0-steps");
});

test("the other records are the document's", () => {
  const record = (name: string): Uint8Array => bytesOf(value("v2-records", name));
  const body = (name: string): Uint8Array => record(name).subarray(5);
  let said: string[] = [];
  const controls = controlsFor(
    true,
    {
      append(sequence, kind, content) {
        const header = Uint8Array.of(0, 0, 0, sequence, kind);
        said.push(toHex(header) + toHex(content));
      },
    },
    () => 65_000,
  );
  const expectSaid = (...names: string[]): void => {
    assert.deepEqual(
      said,
      names.map((name) => value("v2-records", name)),
    );
    said = [];
  };
  const settings = {
    maxFrameBytes: 33_554_432,
    maxRequests: 1_024,
    maxStreams: 256,
    messageCredit: 0x7fffffff,
  };
  const all = body("settings, all");
  assert.deepEqual(decodeSettings(all, 0, all.length), settings);
  // This package knows no reserved kind: what it says ends before that field.
  assert.equal(toHex(encodeSettings(settings)), toHex(all.subarray(0, all.length - 5)));
  assert.deepEqual(decodeSettings(body("settings, none"), 0, 0), BASE_SETTINGS);
  assert.equal(encodeSettings(BASE_SETTINGS).length, 0);

  const headOf = (name: string) => decodeHead(body(name), 0, body(name).length);
  const late = headOf("call 7, too late, with an unknown field to skip");
  assert.deepEqual([late.head.deadlineMs, late.fault], [0, undefined]);
  const critical = headOf("call 7, with an unknown critical field");
  assert.equal(critical.fault?.code, "ERR_UNSUPPORTED");
  assert.equal(
    text(body("call 7, an empty head").subarray(headOf("call 7, an empty head").bodyStart)),
    "body",
  );
  assert.equal(toHex(encodeWithHead({}, encoder.encode("body"))), toHex(body("call 7, an empty head")));

  controls.error(7, Origin.notBegun, critical.fault!.code, critical.fault!.message);
  controls.error(7, Origin.handler, "E", "é", encoder.encode("data"));
  expectSaid("error for call 7, not begun", "error for call 7, of the handler, with data");
  const refused = decodeError(body("error for call 7, not begun"));
  assert.deepEqual(
    [refused.remoteCode, refused.notBegun, refused.data],
    ["ERR_UNSUPPORTED", true, undefined],
  );
  const failed = decodeError(body("error for call 7, of the handler, with data"));
  assert.deepEqual([failed.remoteCode, failed.notBegun, failed.message], ["E", false, "é"]);
  assert.equal(text(failed.data!), "data");

  controls.credit(0, 131_072);
  controls.credit(7, 8_192);
  controls.blocked(0);
  controls.blocked(7);
  controls.pong(9);
  expectSaid(
    "credit of 131,072 for messages",
    "credit of 8,192 for call 7",
    "blocked, messages",
    "blocked, call 7",
    "pong 9",
  );
  controls.drain({ text: "restart", lastBegun: 6, retryAfterMs: 5_000 });
  controls.close({ code: "ERR_PROTOCOL", text: "why", lastBegun: 6 });
  expectSaid("drain, come back after 5 s", "close, with a reason");
  const cancel = body("cancel of call 7, with a reason");
  assert.deepEqual(decodeReason(cancel, 0, cancel.length), { code: "ERR_ABORTED", text: "no longer" });
});

test("the bundles are the document's", async () => {
  for (const [padding, block] of [
    [0, "frame 1"],
    [64, "frame 1, padded"],
  ] as const) {
    const { client, server } = v2Handshakes();
    const received: string[] = [];
    const onMessage: MessageHandler = (message) => {
      received.push(text(message.body));
      if (message.expectsReply) message.reply(encoder.encode("noon"));
    };
    const frames = await recordSession(
      { ...client, padding },
      { ...server, onMessage },
      0,
      async (connection) => {
        const sent = connection.send(encoder.encode("hello"));
        assert.equal(text(await connection.request(encoder.encode("What time is it?"))), "noon");
        await sent;
      },
    );
    assert.equal(frames.toServer[2], value("v2-bundle", block));
    assert.deepEqual(received, ["hello", "What time is it?"]);
  }
});

test("the padded frames are the document's", async () => {
  const { client, server } = v2Handshakes();
  const received: string[] = [];
  const onMessage: MessageHandler = (message) => void received.push(text(message.body));
  const frames = await recordSession({ ...client, padding: 64 }, { ...server, onMessage }, 0, (connection) =>
    connection.send(encoder.encode("hello")),
  );
  assert.deepEqual(frames.toServer.slice(1, 3), framesOf("v2-padding", 2));
  assert.deepEqual(received, ["hello"]);
});

test("the key changes are the document's", () => {
  const key = bytesOf(value("v2-rekey", "key of frames 0 to 65,535"));
  const cipher = new GcmFrameCipher(key, "counter-last");
  const plaintext = value("v2-rekey", "plaintext");
  const header = bytesOf(plaintext.slice(0, 10));
  for (const n of [65_536, 131_072]) {
    cipher.rekey();
    cipher.counterLow = n;
    const frame = sealWhole(cipher, header, encoder.encode("hello"));
    assert.equal(toHex(frame), value("v2-rekey", `frame ${n.toLocaleString("en")}`));
  }
  cipher.destroy();
});

test("a session with ChaChaPoly on a socket is the document's, byte for byte, and so are its key changes", async () => {
  const onMessage: MessageHandler = (message) => message.reply(message.body);
  const shared = { ...classical, psk, cipher: "ChaChaPoly" } as const;
  const frames = await recordSession(
    { handshake: noise({ ...shared, unsafeEphemeralForTests: clientEphemeral }) },
    { handshake: noise({ ...shared, unsafeEphemeralForTests: serverEphemeral }), onMessage },
    0,
    async (connection) => {
      assert.equal(text(await connection.request(encoder.encode("hello"))), "hello");
    },
  );
  assertSession("v2-ChaChaPoly", frames, 4, 3, "v2-NNpsk0-ChaChaPoly");

  const block = "v2-ChaChaPoly-rekey";
  const cipher = new ChaChaFrameCipher(bytesOf(value(block, "key of frames 0 to 65,535")));
  const header = bytesOf(value(block, "plaintext").slice(0, 10));
  for (const n of [65_536, 131_072]) {
    cipher.rekey();
    cipher.counterLow = n;
    const frame = sealWhole(cipher, header, encoder.encode("hello"));
    assert.equal(toHex(frame), value(block, `frame ${n.toLocaleString("en")}`));
  }
  cipher.destroy();
});

test("a session of v1 on a socket is the document's, byte for byte", async () => {
  const factory = (privateKey: Uint8Array): { handshake: HandshakeFactory } => ({
    handshake: { ...monteV1(), create: (role) => v1HandshakeForTests(role, privateKey) },
  });
  const answered: string[] = [];
  const onMessage: MessageHandler = async (message) => {
    if (!message.expectsReply) return;
    message.reply(encoder.encode("noon"));
    answered.push(text(await message.connection.request(encoder.encode("Still there?"))));
  };
  let asked = (): void => {};
  const wasAsked = new Promise<void>((resolve) => {
    asked = resolve;
  });
  const client = {
    ...factory(clientEphemeral),
    onMessage: ((message) => {
      message.reply(encoder.encode("yes"));
      asked();
    }) as MessageHandler,
  };
  const frames = await recordSession(
    client,
    { ...factory(serverEphemeral), onMessage },
    32,
    async (connection) => {
      await connection.send(encoder.encode("hello"));
      assert.equal(text(await connection.request(encoder.encode("What time is it?"))), "noon");
      await wasAsked;
    },
  );
  assert.deepEqual(answered, ["yes"]);
  assert.deepEqual(frames.toServer, [
    value("v1", "client writes"),
    value("v1", "client's frame 0, one-way message"),
    value("v1", "client's frame 1, request 1"),
    value("v1", "client's frame 2, response 2"),
  ]);
  assert.deepEqual(frames.toClient, [
    value("v1", "server writes"),
    value("v1", "server's frame 0, response 1"),
    value("v1", "server's frame 1, request 2"),
  ]);
});
