// When a connection counts as connected. A server that wrote the last handshake message has no proof that its peer is
// there, because everything that it read may be a recording. Until the peer's first frame opens, the connection is a
// handshake. The suite also tests the errors of callers if a connection ends before or after this proof.

import assert from "node:assert/strict";
import { generateKeyPair, type SealwireError, type ServerOptions } from "../../../src/index.ts";
import { type NoiseOptions, noise } from "../../../src/noise.ts";
import { Kind } from "../../../src/protocol/wire.ts";
import { test } from "../../support/harness.ts";
import { PSK, v1, v2 } from "../../support/protocols.ts";
import { concat, RawListener, RawPeer, u32 } from "../../support/rawPeer.ts";
import { RawSession, record } from "../../support/rawSession.ts";
import {
  checkLeaksAfterEachTest,
  echo,
  fromText,
  rejectsWith,
  startClient,
  startServer,
  text,
  waitFor,
} from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

const clientKeys = generateKeyPair();
const serverKeys = generateKeyPair();
const psk = PSK;

/** What both ends of a pattern need: N, K, X and I as in its name. */
function optionsOf(pattern: string): { client: NoiseOptions; server: NoiseOptions } {
  const [initiator, responder] = pattern;
  const shared = pattern.includes("psk") ? { pattern, psk } : { pattern };
  const client: NoiseOptions = { ...shared };
  const server: NoiseOptions = { ...shared };
  if (initiator !== "N") client.staticKey = clientKeys;
  if (initiator === "K") server.remoteStatic = clientKeys.publicKey;
  if (responder !== "N") server.staticKey = serverKeys;
  if (responder === "K") client.remoteStatic = serverKeys.publicKey;
  return { client, server };
}

/** All fundamental patterns of two messages, and some with a psk. */
const serverSpeaksLast = ["NN", "NK", "NX", "KN", "KK", "KX", "IN", "IK", "IX", "NNpsk0", "IKpsk2", "KKpsk0"];

/** A server that notes what it is told. */
async function startWatched(options: ServerOptions) {
  const states: [state: string, code: string | undefined][] = [];
  const handled: string[] = [];
  const server = await startServer({
    ...options,
    onMessage: (message) => {
      handled.push(fromText(message.body));
      echo(message);
    },
    onConnectionState: (connection, state, error) => {
      assert.equal(connection.authenticated && state === "closed" && !opened.has(connection), false);
      if (state === "open") opened.add(connection);
      states.push([state, error?.code]);
    },
  });
  const opened = new Set<unknown>();
  return { server, states, handled, opens: () => states.filter(([state]) => state === "open").length };
}

for (const postQuantum of [true, false]) {
  const form = postQuantum ? "hybrid" : "X25519 alone";

  test(`${form}: without a frame of the peer's nothing is open, and it ends with the handshake's time`, async () => {
    await Promise.all(
      serverSpeaksLast.map(async (pattern) => {
        const { client, server: serverOptions } = optionsOf(pattern);
        const { server, states, handled, opens } = await startWatched({
          ...serverOptions,
          postQuantum,
          handshakeTimeoutMs: 4_000,
        } as ServerOptions);
        const silent = await RawPeer.connect(server.port);
        const session = await RawSession.v2(silent, "client", { ...client, postQuantum }, false);
        assert.deepEqual([server.connections.length, states], [0, []], pattern);
        const honest = startClient({
          ...client,
          postQuantum,
          port: server.port,
          maxConnections: 1,
        } as object);
        assert.equal(fromText(await honest.request(text("honest"))), "honest", pattern);
        assert.deepEqual([server.connections.length, opens(), handled], [1, 1, ["honest"]], pattern);
        await silent.ended();
        await waitFor(() => states.length === 2, "the server to be told of the end");
        assert.deepEqual(states[1], ["closed", "ERR_HANDSHAKE_TIMEOUT"], pattern);
        assert.equal(server.connections.length, 1);
        session.destroy();
        await silent.destroy();
      }),
    );
  });

  test(`${form}: a client that is connected says so at once, without a call`, async () => {
    await Promise.all(
      [...serverSpeaksLast, "XX"].map(async (pattern) => {
        const { client, server: serverOptions } = optionsOf(pattern);
        const { server, handled } = await startWatched({ ...serverOptions, postQuantum } as ServerOptions);
        const honest = startClient({ ...client, postQuantum, port: server.port } as object);
        await honest.connected();
        await waitFor(() => server.connections.length === 1, `${pattern}: the server to have proof`);
        assert.deepEqual(handled, []);
      }),
    );
  });
}

test("a first frame that does not open is a failed handshake, and nothing was open", async () => {
  const { server, states, handled } = await startWatched(v2.options);
  const peer = await RawPeer.connect(server.port);
  const session = await RawSession.v2(peer, "client", psk, false);
  const forged = session.seal(1, text("forged"), Kind.message);
  forged[forged.length - 1]! ^= 1;
  peer.write(forged);
  await peer.ended();
  await waitFor(() => states.length > 0, "the server to be told");
  assert.deepEqual([states, handled], [[["closed", "ERR_HANDSHAKE"]], []]);
  session.destroy();
  await peer.destroy();
});

test("a message as the first frame, or anything else but settings alone, is a failed handshake", async () => {
  const settings = new Uint8Array(0);
  const attempts: { what: string; frame: (session: RawSession) => Uint8Array }[] = [
    { what: "a request", frame: (session) => session.seal(1, text("first"), Kind.message) },
    { what: "a one-way message", frame: (session) => session.seal(0, text("first"), Kind.message) },
    { what: "a ping", frame: (session) => session.seal(1, settings, Kind.ping) },
    { what: "drain", frame: (session) => session.seal(0, settings, Kind.drain) },
    { what: "close", frame: (session) => session.seal(0, settings, Kind.close) },
    { what: "settings with a sequence", frame: (session) => session.seal(1, settings, Kind.settings) },
    {
      what: "settings in a bundle",
      frame: (session) =>
        session.sealBundle(record(0, Kind.settings, settings), record(1, Kind.message, text("first"))),
    },
  ];
  for (const { what, frame } of attempts) {
    const { server, states, handled } = await startWatched(v2.options);
    const peer = await RawPeer.connect(server.port);
    const session = await RawSession.v2(peer, "client", psk, false);
    peer.write(concat(frame(session), session.seal(3, text("behind"), Kind.message)));
    await peer.ended();
    await waitFor(() => states.length > 0, `${what}: the server to be told`);
    assert.deepEqual([states, handled], [[["closed", "ERR_HANDSHAKE"]], []], what);
    session.destroy();
    await peer.destroy();
  }
});

test("settings with a message right behind them open the connection before its handler runs", async () => {
  const { server, states, handled } = await startWatched(v2.options);
  const peer = await RawPeer.connect(server.port);
  const session = await RawSession.v2(peer, "client", psk, false);
  peer.write(
    concat(session.seal(0, new Uint8Array(0), Kind.settings), session.seal(1, text("first"), Kind.message)),
  );
  const answer = await session.receive();
  assert.deepEqual([answer.sequence, answer.kind, fromText(answer.body)], [1, Kind.reply, "first"]);
  assert.deepEqual([states, handled], [[["open", undefined]], ["first"]]);
  session.destroy();
  await peer.destroy();
});

test("a recorded first message, replayed by somebody without the psk, opens nothing and keeps nobody out", async () => {
  for (const pattern of ["NNpsk0", "IN"]) {
    const { client, server: serverOptions } = optionsOf(pattern);
    const { server, states, handled, opens } = await startWatched({
      ...serverOptions,
      maxConnections: 64,
    } as ServerOptions);
    const handshake = noise(client, "client").create("client", { remoteAddress: "" });
    const recorded = handshake.send()!.slice();
    handshake.destroy();
    const replays = await Promise.all(Array.from({ length: 64 }, () => RawPeer.connect(server.port)));
    for (const peer of replays) peer.write(recorded);
    // Each is answered, as the protocol wants; what follows, its sender can't say.
    for (const peer of replays) await peer.read(4);
    assert.deepEqual([opens(), server.connections.length], [0, 0], pattern);
    const honest = startClient({ ...client, port: server.port, maxConnections: 1 } as object);
    assert.equal(fromText(await honest.request(text("mine"))), "mine");
    assert.deepEqual([opens(), server.connections.length, handled], [1, 1, ["mine"]], pattern);
    replays[1]!.write(concat(u32(40), new Uint8Array(40)));
    await replays[1]!.ended();
    for (const peer of replays) await peer.destroy();
    await waitFor(() => states.filter(([state]) => state === "closed").length === 64, "all replays to end");
    assert.deepEqual([opens(), handled], [1, ["mine"]], pattern);
  }
});

test("a client closes behind a message in good order, though the server was not proven yet when it was sent", async () => {
  const { client: options, server } = optionsOf("NNpsk0");
  const listener = await RawListener.listen();
  const client = startClient({ ...options, port: listener.port, maxConnections: 1 } as object);
  const sent = client.send(text("the only one"));
  const peer = await listener.accept();
  const session = await RawSession.v2(peer, "server", server, false);
  await sent;
  const closed = client.close();
  assert.equal(fromText((await session.receive()).body), "the only one");
  const settings = Uint8Array.of(1, 0, 4, 2, 0, 0, 0);
  peer.write(session.seal(0, settings, Kind.settings));
  assert.equal((await session.receive()).kind, Kind.drain);
  peer.write(session.seal(0, new Uint8Array(0), Kind.drain));
  assert.equal((await session.receive()).kind, Kind.close);
  peer.write(session.seal(0, new Uint8Array(0), Kind.close));
  await peer.ended();
  await peer.destroy();
  await closed;
  session.destroy();
  await listener.close();
});

test("a client that has sent nothing does not wait for a server that is not proven", async () => {
  const { client: options, server } = optionsOf("NNpsk0");
  const listener = await RawListener.listen();
  const client = startClient({ ...options, port: listener.port, maxConnections: 1 } as object);
  const connected = rejectsWith(client.connected(), "ERR_CLOSED");
  const peer = await listener.accept();
  const session = await RawSession.v2(peer, "server", server, false);
  assert.equal((await session.receiveRecord()).kind, Kind.settings);
  await client.close();
  await connected;
  await peer.ended();
  session.destroy();
  await listener.close();
});

for (const [what, limits, code] of [
  ["drainTimeoutMs", { drainTimeoutMs: 200, handshakeTimeoutMs: 0 }, "ERR_CLOSED"],
  ["no time at all", { drainTimeoutMs: 0, handshakeTimeoutMs: 0 }, "ERR_CLOSED"],
  ["handshakeTimeoutMs", { drainTimeoutMs: 600_000, handshakeTimeoutMs: 4_000 }, "ERR_HANDSHAKE_TIMEOUT"],
] as const) {
  test(`closing behind a message for a server that is never proven lasts ${what}`, async () => {
    const { client: options, server } = optionsOf("NNpsk0");
    const listener = await RawListener.listen();
    const ends: (string | undefined)[] = [];
    const client = startClient({
      ...options,
      ...limits,
      port: listener.port,
      maxConnections: 1,
      heartbeatIntervalMs: 0,
      requestTimeoutMs: 0,
      onConnectionState: (_connection: unknown, state: string, error?: SealwireError) => {
        if (state === "closed") ends.push(error?.code);
      },
    } as object);
    const sent = client.send(text("the only one"));
    const asked = client.request(text("and a question")).catch((error: SealwireError) => error.code);
    const peer = await listener.accept();
    const session = await RawSession.v2(peer, "server", server, false);
    await sent;
    assert.equal((await session.receiveRecord()).kind, Kind.settings);
    await client.close();
    assert.deepEqual([ends, await asked], [[code], code]);
    await peer.ended();
    await peer.destroy();
    session.destroy();
    await listener.close();
  });
}

test("v1 has no proof: its connection opens with the keys", async () => {
  const { server, states } = await startWatched(v1.options);
  const peer = await RawPeer.connect(server.port);
  const session = await RawSession.v1(peer, "client");
  await waitFor(() => server.connections.length === 1, "it to open");
  assert.deepEqual(states, [["open", undefined]]);
  session.destroy();
  await peer.destroy();
});

// ---- The reason that callers are told --------------------------------------------------------------------

/** `proven`: the server's settings have come before it goes. */
async function lose(options: NoiseOptions, server: NoiseOptions, proven: boolean): Promise<SealwireError> {
  const listener = await RawListener.listen();
  const client = startClient({ ...options, port: listener.port, maxConnections: 1 } as object);
  const request = client.request(text("never answered"));
  request.catch(() => {});
  const peer = await listener.accept();
  const session = await RawSession.v2(peer, "server", server, proven);
  if (proven) peer.write(session.seal(9, new Uint8Array(0), Kind.ping));
  // The request, and the answer to the ping: then the client has read it.
  for (let frames = proven ? 2 : 1; frames > 0; frames--) await session.receive();
  await peer.destroy();
  const error = await request.then(
    () => assert.fail("answered"),
    (reason: SealwireError) => reason,
  );
  session.destroy();
  await client.close();
  await listener.close();
  return error;
}

for (const [who, patterns] of [
  ["server", ["NNpsk0", "IK", "NN"]],
  ["client", ["XX"]],
] as const) {
  test(`the ${who} spoke last: a loss before the server's settings may be a refusal, after them it is a loss`, async () => {
    for (const pattern of patterns) {
      const { client, server } = optionsOf(pattern);
      const unknown = await lose(client, server, false);
      assert.equal(unknown.code, "ERR_HANDSHAKE", `${pattern}: ${unknown.message}`);
      assert.match(unknown.message, /during the handshake: the peer may have .* or be lost/);
      // It may have reached a handler.
      assert.equal(unknown.notBegun, false, pattern);
      const lost = await lose(client, server, true);
      assert.equal(lost.code, "ERR_CONNECTION_LOST", `${pattern}: ${lost.message}`);
      assert.doesNotMatch(lost.message, /psk/);
      assert.equal(lost.notBegun, false, pattern);
    }
  });
}

test("a peer that leaves inside the handshake: the handshake failed, and nobody guesses more", async () => {
  const listener = await RawListener.listen();
  const client = startClient({ ...v2.options, port: listener.port });
  const request = rejectsWith(client.request(text("x")), "ERR_HANDSHAKE");
  const peer = await listener.accept();
  await peer.read(4);
  await peer.destroy();
  assert.match((await request).message, /during the handshake: the peer may have .* or be lost/);
  await client.close();
  await listener.close();
});
