// Settings of protocol v2: alone in the first frame of each direction, proof of the peer, and raised limits.

import assert from "node:assert/strict";
import { connect } from "../../../src/index.ts";
import { Origin } from "../../../src/protocol/errorBody.ts";
import { encodeFields, u32Value } from "../../../src/protocol/fields.ts";
import { BASE_SETTINGS, decodeSettings, encodeSettings } from "../../../src/protocol/settings.ts";
import { Kind } from "../../../src/protocol/wire.ts";
import { test } from "../../support/harness.ts";
import { v1, v2 } from "../../support/protocols.ts";
import { concat, RawListener, RawPeer } from "../../support/rawPeer.ts";
import { RawSession, record } from "../../support/rawSession.ts";
import {
  assertSameBytes,
  checkLeaksAfterEachTest,
  deferred,
  echo,
  fromText,
  patternBytes,
  rejectsWith,
  sleep,
  startClient,
  startServer,
  text,
  throwsWith,
  waitFor,
} from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

const EMPTY = new Uint8Array(0);
const PSK = v2.options.psk as string;
const fields = (entries: [number, Uint8Array][]): Uint8Array => encodeFields(new Map(entries));

/** A client that has said nothing beyond the handshake. */
async function silentClient(port: number): Promise<RawSession> {
  return RawSession.v2(await RawPeer.connect(port), "client", PSK, false);
}

async function destroy(session: RawSession): Promise<void> {
  session.destroy();
  await session.peer.destroy();
}

test("both sides say at once what they take, and leave out what holds anyway", async () => {
  const server = await startServer({
    ...v2.options,
    maxFrameBytes: 65_536,
    maxRequests: 500,
    maxStreams: 128,
    messageCreditBytes: 300_000,
  });
  const session = await silentClient(server.port);
  const first = await session.receiveFrame();
  assert.deepEqual([first.kind, first.sequence], [Kind.settings, 0]);
  assert.deepEqual([...first.body], [2, 0, 4, 0, 0, 1, 244, 4, 0, 4, 0, 4, 147, 224]);
  assert.equal(server.connections.filter(({ state }) => state === "open").length, 0);
  session.peer.write(session.seal(0, EMPTY, Kind.settings));
  await waitFor(() => server.connections[0]?.state === "open", "the connection to open");
  await destroy(session);
});

test("a first frame that is no settings proves nothing and opens nothing", async () => {
  const handled: Uint8Array[] = [];
  const states: string[] = [];
  const server = await startServer({
    ...v2.options,
    onMessage: (message) => void handled.push(message.body),
    onConnectionState: (_connection, state) => states.push(state),
  });
  const good = startClient({ ...v2.options, port: server.port, maxConnections: 1 });
  await good.send(text("good"));
  await waitFor(() => handled.length === 1, "the message");
  const critical = fields([[64, EMPTY]]);
  const attempts: [string, (session: RawSession) => Uint8Array][] = [
    ["a message", (session) => session.seal(0, text("?"))],
    ["a request", (session) => session.seal(1, text("?"))],
    ["a ping", (session) => session.seal(0, EMPTY, Kind.ping)],
    ["a close", (session) => session.seal(0, EMPTY, Kind.close)],
    ["a reserved kind", (session) => session.seal(0, EMPTY, 64)],
    ["an unknown kind", (session) => session.seal(0, EMPTY, 17)],
    ["settings with a number", (session) => session.seal(1, EMPTY, Kind.settings)],
    ["a bundle of a message", (session) => session.sealBundle(record(0, Kind.message, text("?")))],
    ["a bundle of settings", (session) => session.sealBundle(record(0, Kind.settings, EMPTY))],
    ["a critical field", (session) => session.seal(0, critical, Kind.settings)],
    ["a field cut short", (session) => session.seal(0, Uint8Array.of(1, 0), Kind.settings)],
    ["a value cut short", (session) => session.seal(0, Uint8Array.of(1, 0, 4, 0, 1, 0), Kind.settings)],
    ["a value of 3 bytes", (session) => session.seal(0, fields([[1, new Uint8Array(3)]]), Kind.settings)],
    ["a value of 5 bytes", (session) => session.seal(0, fields([[4, new Uint8Array(5)]]), Kind.settings)],
    [
      "a tag twice",
      (session) => session.seal(0, Uint8Array.of(2, 0, 4, 0, 0, 1, 0, 2, 0, 4, 0, 0, 1, 0), Kind.settings),
    ],
    [
      "descending tags",
      (session) => session.seal(0, Uint8Array.of(3, 0, 4, 0, 0, 1, 0, 2, 0, 4, 0, 0, 1, 0), Kind.settings),
    ],
    ["1,025 bytes", (session) => session.seal(0, fields([[40, new Uint8Array(1_022)]]), Kind.settings)],
  ];
  for (const [what, say] of attempts) {
    const session = await silentClient(server.port);
    session.peer.write(say(session));
    await session.peer.ended();
    await destroy(session);
    assert.deepEqual(handled.splice(1), [], what);
  }
  await waitFor(() => server.connections.length === 1, "the others to go");
  assert.equal(states.filter((state) => state === "open").length, 1);
  assert.equal(states.filter((state) => state === "closed").length, attempts.length);
  assert.equal(good.connections.length, 1);
});

test("a peer that has proven nothing gets memory for its settings, not for a long frame", async () => {
  const handled: number[] = [];
  const server = await startServer({
    ...v2.options,
    maxFrameBytes: 1_048_576,
    onMessage: ({ body }) => void handled.push(body.length),
  });
  const lengthOf = (bytes: number): Uint8Array => u32Value(bytes);
  // The length alone ends it: none of the bytes need to come.
  const long = await silentClient(server.port);
  long.peer.write(lengthOf(65_537));
  await long.peer.ended();
  await destroy(long);
  const longest = await silentClient(server.port);
  longest.peer.write(concat(lengthOf(65_536), new Uint8Array(65_535)));
  // Behind its settings a peer may say as much as the server takes, also in the same packet.
  const proven = await silentClient(server.port);
  proven.peer.write(
    concat(proven.seal(0, EMPTY, Kind.settings), proven.seal(0, new Uint8Array(200_000), Kind.message)),
  );
  await waitFor(() => handled.length === 1, "the long message");
  assert.deepEqual(handled, [200_000]);
  // The one whose frame may still be its settings waits for the last byte.
  assert.equal(server.stats.connections, 2);
  longest.peer.write(new Uint8Array(1));
  await longest.peer.ended();
  for (const session of [longest, proven]) await destroy(session);
  // The same at a client.
  const listener = await RawListener.listen();
  const client = startClient({ ...v2.options, port: listener.port, maxConnections: 1 });
  const refused = rejectsWith(client.connected(), "ERR_HANDSHAKE");
  const impostor = await RawSession.v2(await listener.accept(), "server", PSK, false);
  impostor.peer.write(lengthOf(65_537));
  await refused;
  await destroy(impostor);
  await client.close();
  await listener.close();
});

test("settings that are odd and allowed", async () => {
  const server = await startServer({ ...v2.options, onMessage: echo });
  for (const body of [
    EMPTY,
    fields([[40, text("unknown, passed over")]]),
    fields([[200, text("the application's")]]),
    fields([[5, Uint8Array.of(64, 65)]]),
    fields([
      [1, u32Value(1)],
      [2, u32Value(0)],
      [3, u32Value(127)],
      [4, u32Value(5)],
    ]),
    fields([1, 2, 3, 4].map((tag) => [tag, u32Value(0xffffffff)])),
    fields([[63, new Uint8Array(1_021)]]),
  ]) {
    const session = await silentClient(server.port);
    session.peer.write(session.seal(0, body, Kind.settings));
    session.peer.write(session.seal(1, text("served")));
    assert.equal(fromText((await session.receive()).body), "served");
    await destroy(session);
  }
  const padded = await silentClient(server.port);
  padded.peer.write(padded.seal(0, Uint8Array.of(0, 0, 0, 4), Kind.settings | 0x80));
  padded.peer.write(padded.seal(1, text("served")));
  assert.equal(fromText((await padded.receive()).body), "served");
  await destroy(padded);
});

test("settings only raise: what is less, or left out, is what holds anyway", () => {
  const decode = (body: Uint8Array) => decodeSettings(body, 0, body.length);
  assert.deepEqual(decode(EMPTY), BASE_SETTINGS);
  assert.deepEqual(decode(fields([1, 2, 3, 4].map((tag) => [tag, u32Value(1)]))), BASE_SETTINGS);
  assert.equal(encodeSettings(BASE_SETTINGS).length, 0);
  const raised = {
    maxFrameBytes: 33_554_432,
    maxRequests: 129,
    maxStreams: 0x7fffffff,
    messageCredit: 262_145,
  };
  assert.deepEqual(decode(encodeSettings(raised)), raised);
  const most = decode(fields([1, 2, 3, 4].map((tag) => [tag, u32Value(0xffffffff)])));
  assert.deepEqual(most, {
    maxFrameBytes: 33_554_432,
    maxRequests: 0x7fffffff,
    maxStreams: 0x7fffffff,
    messageCredit: 0x7fffffff,
  });
});

test("settings twice end the connection", async () => {
  for (const alone of [true, false]) {
    const reasons: (string | undefined)[] = [];
    const server = await startServer({
      ...v2.options,
      onConnectionState: (_connection, state, error) => state === "closed" && reasons.push(error?.code),
    });
    const session = await v2.rawSession(await RawPeer.connect(server.port), "client");
    const again = record(0, Kind.settings, EMPTY);
    session.peer.write(alone ? session.seal(0, EMPTY, Kind.settings) : session.sealBundle(again, again));
    await session.peer.ended();
    await waitFor(() => reasons.length === 1, "the end");
    assert.deepEqual(reasons, ["ERR_PROTOCOL"]);
    await destroy(session);
  }
});

test("a client is open when the server's settings came, and sends what everybody takes before", async () => {
  const listener = await RawListener.listen();
  const states: string[] = [];
  const client = startClient({
    ...v2.options,
    port: listener.port,
    maxConnections: 1,
    onConnectionState: (_connection, state) => states.push(state),
  });
  const short = client.request(text("short"));
  const large = client.request(patternBytes(100_000));
  const session = await RawSession.v2(await listener.accept(), "server", PSK, false);
  assert.equal((await session.receiveRecord()).kind, Kind.settings);
  const first = await session.receive();
  assert.equal(fromText(first.body), "short");
  assert.equal(client.connections.length, 0);
  assert.deepEqual(states, []);
  session.peer.write(session.seal(0, fields([[1, u32Value(1_048_576)]]), Kind.settings));
  const second = await session.receive();
  assertSameBytes(second.body, patternBytes(100_000));
  assert.deepEqual(states, ["open"]);
  for (const { sequence } of [first, second]) session.peer.write(session.seal(sequence, EMPTY, Kind.reply));
  await Promise.all([short, large]);
  await destroy(session);
  await client.close();
  await listener.close();
});

test("what is longer than the peer takes is refused once that is known, and nothing of it was sent", async () => {
  const listener = await RawListener.listen();
  const client = startClient({ ...v2.options, port: listener.port, maxConnections: 1 });
  const large = rejectsWith(client.request(patternBytes(100_000)), "ERR_MESSAGE_TOO_LARGE");
  const sent = rejectsWith(client.send(patternBytes(100_000)), "ERR_MESSAGE_TOO_LARGE");
  const behind = client.request(text("behind"));
  const session = await RawSession.v2(await listener.accept(), "server", PSK, false);
  session.peer.write(session.seal(0, EMPTY, Kind.settings));
  assert.equal((await large).notBegun, true);
  assert.equal((await sent).notBegun, true);
  const { sequence, body } = await session.receive();
  assert.equal(fromText(body), "behind");
  session.peer.write(session.seal(sequence, EMPTY, Kind.reply));
  await behind;
  throwsWith(() => void client.connections[0]!.request(patternBytes(100_000)), "ERR_MESSAGE_TOO_LARGE");
  await destroy(session);
  await client.close();
  await listener.close();
});

test("requests above the peer's number wait here, with their deadlines running and outside of the order", async () => {
  const listener = await RawListener.listen();
  const client = startClient({ ...v2.options, port: listener.port, maxConnections: 1 });
  const controller = new AbortController();
  const outcomes: string[] = [];
  const note = (what: string, promise: Promise<Uint8Array>) =>
    promise.then(
      () => outcomes.push(what),
      (error) => outcomes.push(`${what} ${error.code} ${error.notBegun}`),
    );
  const first = Array.from({ length: 128 }, (_, i) => client.request(text(`${i}`)));
  const aborted = note("aborted", client.request(text("aborted"), { signal: controller.signal }));
  const timedOut = note("timed out", client.request(text("timed out"), { timeoutMs: 50 }));
  const waits = client.request(text("waits"));
  const session = await RawSession.v2(await listener.accept(), "server", PSK, false);
  session.peer.write(session.seal(0, EMPTY, Kind.settings));
  const asked: number[] = [];
  for (let i = 0; i < 128; i++) {
    const { sequence, body } = await session.receive();
    assert.equal(fromText(body), `${i}`);
    asked.push(sequence);
  }
  // A one-way message waits for no permit.
  await client.send(text("one way"));
  assert.equal(fromText((await session.receive()).body), "one way");
  controller.abort();
  await Promise.all([aborted, timedOut]);
  // Which comes first depends on how long the handshake took.
  assert.deepEqual(outcomes.sort(), ["aborted ERR_ABORTED true", "timed out ERR_REQUEST_TIMEOUT true"]);
  session.peer.write(session.seal(asked[5]!, EMPTY, Kind.reply));
  const next = await session.receive();
  assert.equal(fromText(next.body), "waits");
  for (const sequence of [...asked.filter((_, i) => i !== 5), next.sequence])
    session.peer.write(session.seal(sequence, EMPTY, Kind.reply));
  await Promise.all([...first, waits]);
  await destroy(session);
  await client.close();
  await listener.close();
});

test("a cancelled request keeps its permit until its end comes", async () => {
  const listener = await RawListener.listen();
  const client = startClient({ ...v2.options, port: listener.port, maxConnections: 1 });
  const controller = new AbortController();
  const first = Array.from({ length: 128 }, () =>
    rejectsWith(client.request(text("x"), { signal: controller.signal }), "ERR_ABORTED"),
  );
  const session = await RawSession.v2(await listener.accept(), "server", PSK, false);
  session.peer.write(session.seal(0, EMPTY, Kind.settings));
  const asked: number[] = [];
  for (let i = 0; i < 128; i++) asked.push((await session.receive()).sequence);
  controller.abort();
  await Promise.all(first);
  for (let i = 0; i < 128; i++) assert.equal((await session.receive()).kind, Kind.cancel);
  const late = client.request(text("late"));
  await client.send(text("nothing before this"));
  assert.equal(fromText((await session.receive()).body), "nothing before this");
  // The ends of the library are expected; an answer that crossed the cancel is one that came too late.
  const end = concat(Uint8Array.of(Origin.library, 0, 0, 0));
  session.peer.write(session.seal(asked[0]!, end, Kind.error));
  const { sequence, body } = await session.receive();
  assert.equal(fromText(body), "late");
  assert.equal(client.stats.droppedReplies, 0);
  session.peer.write(session.seal(asked[1]!, text("too late"), Kind.reply));
  session.peer.write(session.seal(sequence, text("answer"), Kind.reply));
  assert.equal(fromText(await late), "answer");
  assert.equal(client.stats.droppedReplies, 1);
  await destroy(session);
  await client.close();
  await listener.close();
});

test("a server that takes any number of requests and ends none: few of those that were given up are kept", async () => {
  const listener = await RawListener.listen();
  const client = startClient({
    ...v2.options,
    port: listener.port,
    maxConnections: 1,
    maxInFlightRequests: 4,
  });
  const opening = client.connected();
  const session = await RawSession.v2(await listener.accept(), "server", PSK, false);
  session.peer.write(
    session.seal(0, encodeSettings({ ...BASE_SETTINGS, maxRequests: 0x7fffffff }), Kind.settings),
  );
  await opening;
  const asked: number[] = [];
  for (let round = 0; round < 4; round++) {
    const controller = new AbortController();
    const { signal } = controller;
    const given = Array.from({ length: 4 }, () =>
      rejectsWith(client.request(text("x"), { signal }), "ERR_ABORTED"),
    );
    for (let i = 0; i < 4; i++) asked.push((await session.receive()).sequence);
    controller.abort();
    await Promise.all(given);
    for (let i = 0; i < 4; i++) assert.equal((await session.receive()).kind, Kind.cancel);
  }
  const late = await rejectsWith(client.request(text("late"), { timeoutMs: 50 }), "ERR_REQUEST_TIMEOUT");
  assert.equal(late.notBegun, true);
  const waits = client.request(text("waits"));
  await client.send(text("nothing before this"));
  assert.equal(fromText((await session.receive()).body), "nothing before this");
  session.peer.write(session.seal(asked[0]!, concat(Uint8Array.of(Origin.library, 0, 0, 0)), Kind.error));
  const { sequence, body } = await session.receive();
  assert.equal(fromText(body), "waits");
  session.peer.write(session.seal(sequence, text("answer"), Kind.reply));
  assert.equal(fromText(await waits), "answer");
  await destroy(session);
  await client.close();
  await listener.close();
});

test("more requests at once than were allowed end the connection", async () => {
  const hold = deferred();
  const reasons: (string | undefined)[] = [];
  let begun = 0;
  const server = await startServer({
    ...v2.options,
    maxRequests: 130,
    maxConcurrentHandlers: 4,
    onMessage: async () => {
      begun++;
      await hold.promise;
    },
    onConnectionState: (_connection, state, error) => state === "closed" && reasons.push(error?.code),
  });
  const session = await v2.rawSession(await RawPeer.connect(server.port), "client");
  for (let i = 0; i < 130; i++) session.peer.write(session.seal(2 * i + 1, text("x")));
  session.peer.write(session.seal(0, EMPTY, Kind.ping));
  assert.equal((await session.receive()).kind, Kind.pong);
  assert.deepEqual(reasons, []);
  session.peer.write(session.seal(261, text("one more")));
  await session.peer.ended();
  await waitFor(() => reasons.length === 1, "the end");
  assert.deepEqual(reasons, ["ERR_PROTOCOL"]);
  hold.resolve();
  await sleep(5);
  assert.equal(begun, 4);
  await destroy(session);
});

test("options below the protocol's constants are refused; protocol v1 has none of them", () => {
  for (const [name, value] of [
    ["maxFrameBytes", 65_535],
    ["maxFrameBytes", 33_554_433],
    ["maxRequests", 127],
    ["maxStreams", 127],
    ["messageCreditBytes", 262_143],
    ["messageCreditBytes", 0x80000000],
  ] as const) {
    const error = throwsWith(
      () => connect({ ...v2.options, port: 1, [name]: value }),
      "ERR_INVALID_ARGUMENT",
    );
    assert.ok(error.message.includes(name), error.message);
  }
  startClient({ ...v1.options, port: 1, maxFrameBytes: 65_535 });
});
