// A caller's mistakes throw at once, with one code, and the error names the argument.

import assert from "node:assert/strict";
import { connect, listen, monteV1 } from "../../../src/index.ts";
import { test } from "../../support/harness.ts";
import { v1, v2 } from "../../support/protocols.ts";
import {
  checkLeaksAfterEachTest,
  echo,
  fromText,
  rejectsWith,
  startPair,
  startServer,
  text,
  throwsWith,
} from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

type AnyOptions = Record<string, unknown>;

const connectWith = (options: AnyOptions) => connect({ port: 1, ...v2.options, ...options } as never);
const listenWith = (options: AnyOptions) => listen({ port: 0, ...v2.options, ...options } as never);

const notIntegers = [null, "1", 1.5, Number.NaN, Number.POSITIVE_INFINITY, -1, 2 ** 60, {}, true, 1n];
const limits = [
  "maxFrameBytes",
  "highWaterMarkBytes",
  "maxPendingBytes",
  "maxInFlightRequests",
  "maxConcurrentHandlers",
  "handshakeTimeoutMs",
  "readTimeoutMs",
  "writeTimeoutMs",
  "requestTimeoutMs",
  "heartbeatIntervalMs",
  "heartbeatTimeoutMs",
  "drainTimeoutMs",
  "padding",
];

test("every number option refuses what is no number in its range, and is named", async () => {
  for (const name of [...limits, "maxConnections", "maxHandlers", "port"]) {
    for (const value of notIntegers) {
      const what = `${name}: ${String(value)}`;
      assert.match(
        throwsWith(() => connectWith({ [name]: value }), "ERR_INVALID_ARGUMENT").message,
        new RegExp(name),
        what,
      );
      assert.match(
        (await rejectsWith(listenWith({ [name]: value }), "ERR_INVALID_ARGUMENT")).message,
        new RegExp(name),
        what,
      );
    }
  }
  for (const value of notIntegers) {
    throwsWith(() => connectWith({ dialTimeoutMs: value }), "ERR_INVALID_ARGUMENT");
    await rejectsWith(listenWith({ maxConnectionWaitMs: value }), "ERR_INVALID_ARGUMENT");
    await rejectsWith(listenWith({ maxHandshakes: value }), "ERR_INVALID_ARGUMENT");
    for (const name of ["maxConnectionsPerAddress", "maxHandshakesPerAddress", "maxWaitingSockets"]) {
      const error = await rejectsWith(listenWith({ [name]: value }), "ERR_INVALID_ARGUMENT");
      assert.match(error.message, new RegExp(name));
    }
  }
  throwsWith(() => connectWith({ port: 65_536 }), "ERR_INVALID_ARGUMENT");
  throwsWith(() => connectWith({ port: 0 }), "ERR_INVALID_ARGUMENT");
  throwsWith(() => connectWith({ port: undefined }), "ERR_INVALID_ARGUMENT");
});

test("padding with protocol v1, which would not pad, is refused at once, and named; none is the default", async () => {
  const options = { handshake: v1.options.handshake!, padding: 64 };
  const refused = { code: "ERR_INVALID_ARGUMENT", message: /^padding must be left out with protocol v1/ };
  assert.throws(() => connect({ ...options, port: 1 }), refused);
  assert.throws(() => connect({ ...options, endpoints: [{ host: "127.0.0.1", port: 1 }] }), refused);
  await assert.rejects(listen({ ...options, port: 0 }), refused);
  const limits = { ...options, padding: 0 };
  const { client } = await startPair({ ...limits, onMessage: echo }, limits);
  assert.deepEqual(await client.request(text("hello")), text("hello"));
});

test("padding that no frame could hold is refused at once, and named; the longest works", async () => {
  for (const maxFrameBytes of [64, 1_024, 20_000]) {
    for (const padding of [maxFrameBytes - 15, maxFrameBytes, 32_768]) {
      if (padding > 32_768) continue;
      const options = { ...v2.options, maxFrameBytes, padding };
      const refused = { code: "ERR_INVALID_ARGUMENT", message: /^padding must be at most maxFrameBytes/ };
      assert.throws(() => connect({ ...options, port: 1 }), refused);
      await assert.rejects(listen({ ...options, port: 0 }), refused);
    }
  }
  // A frame that every peer takes holds the longest padding, and what v2 does not take is refused whatever the padding.
  for (const padding of [0, 48, 32_768]) {
    const options = { ...v2.options, maxFrameBytes: 65_535, padding };
    const refused = { code: "ERR_INVALID_ARGUMENT", message: /^maxFrameBytes must be an integer from 65536/ };
    assert.throws(() => connect({ ...options, port: 1 }), refused);
    await assert.rejects(listen({ ...options, port: 0 }), refused);
  }
  for (const padding of [20_000, 32_760, 32_767, 32_768]) {
    const limits = { ...v2.options, maxFrameBytes: 65_536, padding };
    const { client } = await startPair({ ...limits, onMessage: echo }, limits);
    const longest = new Uint8Array(Math.floor(65_520 / padding) * padding - 7).fill(5);
    assert.deepEqual(await client.request(longest), longest);
    assert.throws(() => client.request(new Uint8Array(longest.length + 1)), {
      code: "ERR_MESSAGE_TOO_LARGE",
    });
    // Errors of handlers fit, too.
    const { client: other } = await startPair(
      {
        ...limits,
        onHandlerError() {},
        onMessage: () => {
          throw Object.assign(new Error("x".repeat(99)), { code: `E_${"LONG".repeat(30)}` });
        },
      },
      limits,
    );
    assert.match((await rejectsWith(other.request(longest), "ERR_REMOTE")).remoteCode!, /^E_LONG/);
  }
  // Without the limit of the protocol's own range there would be room for more.
  const { client } = await startPair({ ...v2.options, onMessage: echo }, { ...v2.options, padding: 32_768 });
  assert.equal((await client.request(new Uint8Array(5))).length, 5);
});

test("functions, strings, booleans, choices", async () => {
  const wrong: [string, unknown[]][] = [
    ["onMessage", [null, 1, "x", {}]],
    ["onConnectionState", [null, 1, "x", {}]],
    ["onHandlerError", [null, 1, "x", {}]],
    ["host", [null, 1, "", {}]],
    ["messageBodies", [null, 1, "", "copies", {}]],
    ["engine", [null, 1, "", "gpu", {}]],
    ["exposeStacks", [null, 0, "true", {}]],
    ["psk", [null, 1, "", "short", new Uint8Array(31), new Uint8Array(33), {}, [], undefined]],
    ["handshake", [null, 1, "v1", {}, []]],
  ];
  for (const [name, values] of wrong) {
    for (const value of values) {
      const pattern = new RegExp(name);
      const thrown = throwsWith(() => connectWith({ [name]: value }), "ERR_INVALID_ARGUMENT");
      assert.match(thrown.message, pattern, `${name}: ${String(value)}`);
      const rejected = await rejectsWith(listenWith({ [name]: value }), "ERR_INVALID_ARGUMENT");
      assert.match(rejected.message, pattern, `${name}: ${String(value)}`);
    }
  }
  for (const value of [null, 0, "true"])
    throwsWith(() => connectWith({ keepConnected: value }), "ERR_INVALID_ARGUMENT");
});

test("a host is told apart from a URL, an address with a port, brackets and white space", async () => {
  const wrong = [
    "http://127.0.0.1",
    "127.0.0.1:7000",
    "localhost:",
    ":7000",
    "[::1]",
    "[::1]:7",
    "a b",
    "a\n",
    "a/b",
  ];
  for (const host of wrong) {
    const message = /^host must be a name or an IP address, without scheme, port and brackets$/;
    assert.match(throwsWith(() => connectWith({ host }), "ERR_INVALID_ARGUMENT").message, message, host);
    assert.match((await rejectsWith(listenWith({ host }), "ERR_INVALID_ARGUMENT")).message, message, host);
  }
  for (const host of ["::1", "fe80::1%lo", "::ffff:127.0.0.1", "a.example.", "xn--bcher-kva.example", "_a"])
    await connectWith({ host }).close();
});

test("what is wrong with the text of a key is told, and nothing of the text", () => {
  const key = "5e".repeat(32);
  for (const [psk, what] of [
    [`${key}\n`, "the text has white space around it"],
    [` ${key}`, "the text has white space around it"],
    [key.slice(2), "the text has 62 characters"],
    ["", "the text has 0 characters"],
  ]) {
    const { message } = throwsWith(() => connectWith({ psk }), "ERR_INVALID_ARGUMENT");
    const forms = "32 bytes, as a Uint8Array, base64url, base64 or hex text";
    assert.equal(message, `psk must be ${forms}; ${what}`);
  }
});

test("secrets do not appear in messages about them", () => {
  const secret = "my very secret passphrase";
  const error = throwsWith(() => connectWith({ psk: secret }), "ERR_INVALID_ARGUMENT");
  assert.ok(!String(error.stack).includes(secret));
});

test("misspelt options, options of the other end, no options, contradictions", async () => {
  for (const options of [{ maxFrameByte: 1 }, { maxHandshakes: 1 }, { PSK: "x" }]) {
    assert.match(
      throwsWith(() => connectWith(options), "ERR_INVALID_ARGUMENT").message,
      new RegExp(Object.keys(options)[0]!),
    );
  }
  await rejectsWith(listenWith({ dialTimeoutMs: 1 }), "ERR_INVALID_ARGUMENT");
  for (const nothing of [undefined, null, 7, "x"]) {
    throwsWith(() => connect(nothing as never), "ERR_INVALID_ARGUMENT");
    await rejectsWith(listen(nothing as never), "ERR_INVALID_ARGUMENT");
  }
  throwsWith(() => connectWith({ path: "/socket" }), "ERR_INVALID_ARGUMENT");
  throwsWith(() => connectWith({ path: "", port: undefined }), "ERR_INVALID_ARGUMENT");
  throwsWith(() => connectWith({ handshake: monteV1() }), "ERR_INVALID_ARGUMENT");
  throwsWith(() => connectWith({ maxFrameBytes: 1_000_000, maxPendingBytes: 1_000 }), "ERR_INVALID_ARGUMENT");
  throwsWith(() => monteV1({ peerMaxFrameBytes: 19 }), "ERR_INVALID_ARGUMENT");
  throwsWith(() => monteV1({ peerMaxFrameBytes: "4096" as never }), "ERR_INVALID_ARGUMENT");
});

/** Four bytes of a class that counts their bits. */
const bits = Object.defineProperty(new Uint8Array(4), "length", { value: 32 });

test("bodies and request options; the connection is not harmed", async () => {
  const { client } = await startPair(
    {
      ...v2.options,
      onMessage: (message) => {
        for (const body of [undefined, null, "text", [1], {}, new ArrayBuffer(4), new Uint16Array(2), bits]) {
          throwsWith(() => message.reply(body as never), "ERR_INVALID_ARGUMENT");
        }
        message.reply(message.body);
      },
    },
    v2.options,
  );
  for (const body of [
    undefined,
    null,
    "text",
    1,
    [1, 2],
    {},
    new ArrayBuffer(4),
    new Uint16Array(2),
    new DataView(new ArrayBuffer(4)),
    bits,
  ]) {
    throwsWith(() => client.send(body as never), "ERR_INVALID_ARGUMENT");
    throwsWith(() => client.sendNoWait(body as never), "ERR_INVALID_ARGUMENT");
    throwsWith(() => client.request(body as never), "ERR_INVALID_ARGUMENT");
  }
  const wrong = [
    null,
    7,
    { signal: {} },
    { signal: "x" },
    { into: [] },
    { into: "x" },
    { into: bits },
    { timeoutMs: -1 },
    { timeoutMs: "5" },
  ];
  for (const options of wrong)
    throwsWith(() => client.request(text("x"), options as never), "ERR_INVALID_ARGUMENT");
  assert.equal(fromText(await client.request(text("fine"))), "fine");
  assert.equal(client.stats.connections, 1);
});

test("an address in use, a host that is not here", async () => {
  const server = await startServer(v2.options);
  const error = await rejectsWith(listenWith({ port: server.port }), "ERR_LISTEN_FAILED");
  assert.ok(error.cause !== undefined);
  await rejectsWith(listenWith({ path: "/nowhere/at/all/socket", port: undefined }), "ERR_LISTEN_FAILED");
});
