// The first use of a peer's key. A key can be known before its holder has proven that it has the psk as well, or that it
// takes part now. Nothing that lasts may follow from it until then: no line of known peers, and no open connection.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ClientOptions, type Connection, connect, generateKeyPair, listen } from "../../../src/index.ts";
import type { Authorize, AuthorizeInfo } from "../../../src/noise.ts";
import { knownPeers } from "../../../src/peers/knownPeers.ts";
import { memoryNetwork } from "../../../src/testing.ts";
import { test } from "../../support/harness.ts";
import { PSK } from "../../support/protocols.ts";
import { RawPeer } from "../../support/rawPeer.ts";
import { RawSession } from "../../support/rawSession.ts";
import {
  checkLeaksAfterEachTest,
  deferred,
  echo,
  fromText,
  rejectsWith,
  text,
  waitFor,
} from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

const clientKeys = generateKeyPair();
const serverKeys = generateKeyPair();
const impostorKeys = generateKeyPair();
const otherPsk = "00".repeat(32);
const yes = () => true;

const networks = [
  { name: "sockets", open: () => ({ connect, listen }), host: "127.0.0.1" },
  { name: "memory", open: () => memoryNetwork(), host: "memory.test" },
];

/** Puts the decision about a peer off until the test makes it. */
function putOff() {
  const decision = deferred<boolean>();
  const asked = deferred();
  const authorize: Authorize = (_key, { whenProven }) => {
    whenProven!(() => {
      asked.resolve();
      return decision.promise;
    });
    return true;
  };
  return { decision, asked, authorize };
}

async function withFile(body: (path: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "sealwire-"));
  try {
    await body(join(folder, "known_peers"));
  } finally {
    await rm(folder, { recursive: true });
  }
}

for (const { name, open, host } of networks) {
  const atServer = { host, port: 0, staticKey: serverKeys };
  const atClient = { host, staticKey: clientKeys };

  test(`${name}: a server without the psk does not become the known one, and the right one does`, () =>
    withFile(async (path) => {
      const network = open();
      const peers = knownPeers(path, { name: "db" });
      const impostor = await network.listen({ host, port: 0, staticKey: impostorKeys, psk: otherPsk });
      const right = await network.listen({ ...atServer, psk: PSK, onMessage: echo });
      const options = { ...atClient, psk: PSK, authorize: peers.authorize };
      const fooled = network.connect({ ...options, port: impostor.port });
      await rejectsWith(fooled.request(text("secret")), "ERR_HANDSHAKE");
      assert.deepEqual(await peers.list(), []);
      const client = network.connect({ ...options, port: right.port });
      assert.equal(fromText(await client.request(text("hello"))), "hello");
      assert.deepEqual(await peers.list(), [{ name: "db", key: serverKeys.publicKey }]);
      await Promise.all([fooled.close(), client.close(), impostor.close(), right.close()]);
    }));

  test(`${name}: of two servers that meet one name at the same moment, both with the psk, one is known`, () =>
    withFile(async (path) => {
      const network = open();
      const peers = knownPeers(path, { name: "db" });
      const servers = await Promise.all(
        [serverKeys, impostorKeys].map((staticKey) =>
          network.listen({ host, port: 0, staticKey, psk: PSK, onMessage: echo }),
        ),
      );
      const options = { ...atClient, psk: PSK, authorize: peers.authorize };
      const clients = servers.map(({ port }) => network.connect({ ...options, port }));
      const outcomes = await Promise.allSettled(clients.map((client) => client.connected()));
      const refused = outcomes.filter((outcome) => outcome.status === "rejected");
      assert.equal(refused.length, 1);
      assert.equal(refused[0]!.reason.code, "ERR_UNAUTHORIZED");
      const winner = outcomes.findIndex((outcome) => outcome.status === "fulfilled");
      const { publicKey } = [serverKeys, impostorKeys][winner]!;
      assert.deepEqual(await peers.list(), [{ name: "db", key: publicKey }]);
      await Promise.all([...clients, ...servers].map((end) => end.close()));
    }));

  test(`${name}: a client that proves nothing is not written down, and one that does is`, () =>
    withFile(async (path) => {
      const network = open();
      const peers = knownPeers(path, { firstUse: "trust", name: "laptop" });
      const states: string[] = [];
      const server = await network.listen({
        ...atServer,
        psk: PSK,
        authorize: peers.authorize,
        onMessage: echo,
        onConnectionState: (_, state) => states.push(state),
      });
      const options = { host, port: server.port, remoteStatic: serverKeys.publicKey };
      const stranger = network.connect({ ...options, staticKey: impostorKeys, psk: otherPsk });
      await rejectsWith(stranger.request(text("let me in")), "ERR_HANDSHAKE");
      await waitFor(() => states.length > 0, "the server to be told of the end");
      assert.deepEqual([states, await peers.list()], [["closed"], []]);
      const client = network.connect({ ...options, staticKey: clientKeys, psk: PSK });
      assert.equal(fromText(await client.request(text("hello"))), "hello");
      const line = { name: "laptop", key: clientKeys.publicKey, marker: "client" };
      assert.deepEqual(await peers.list(), [line]);
      await Promise.all([stranger.close(), client.close(), server.close()]);
    }));

  test(`${name}: what a put off decision waits for waits behind it, in order, on both sides`, async () => {
    for (const holding of ["client", "server"] as const) {
      const network = open();
      const { decision, asked, authorize } = putOff();
      const got: string[] = [];
      const onMessage = (message: Parameters<typeof echo>[0]): void => {
        got.push(fromText(message.body));
        echo(message);
      };
      const opened: Connection[] = [];
      const known = holding === "server" ? { remoteStatic: serverKeys.publicKey } : { authorize };
      const server = await network.listen({
        ...atServer,
        psk: PSK,
        onMessage,
        ...(holding === "server" && { authorize }),
        onConnectionState: (connection, state) => {
          if (state !== "open") return;
          opened.push(connection);
          for (let i = 0; i < 100; i++) connection.sendNoWait(text(`${i}`));
        },
      });
      const client = network.connect({
        ...atClient,
        port: server.port,
        psk: PSK,
        maxConnections: 1,
        onMessage,
        ...known,
      });
      let isConnected = false;
      const connected = client.connected().then(() => {
        isConnected = true;
      });
      // The client's calls go with its keys. The server's answer, and its own messages, wait at the client.
      const request = client.request(text("request"));
      await asked.promise;
      if (holding === "client") await waitFor(() => opened.length === 1 && got.length === 1, "the server");
      else assert.deepEqual([opened.length, server.connections.length], [0, 0]);
      assert.deepEqual(got, holding === "client" ? ["request"] : []);
      assert.equal(isConnected, holding === "server");
      decision.resolve(true);
      await connected;
      assert.equal(fromText(await request), "request");
      await waitFor(() => got.length === 101, "the server's messages");
      assert.deepEqual(
        got.filter((body) => body !== "request"),
        Array.from({ length: 100 }, (_, i) => `${i}`),
      );
      await Promise.all([client.close(), server.close()]);
    }
  });

  test(`${name}: a side whose decision takes long shows its peer that it lives, on both sides`, async () => {
    for (const holding of ["client", "server"] as const) {
      const network = open();
      const { decision, asked, authorize } = putOff();
      // The waiting peer asks, and the side that decides speaks unasked.
      const waiting = { heartbeatIntervalMs: 20, heartbeatTimeoutMs: 1_000 };
      const deciding = { heartbeatIntervalMs: 20, handshakeTimeoutMs: 60_000, authorize };
      const lost: unknown[] = [];
      const server = await network.listen({
        ...atServer,
        psk: PSK,
        onMessage: echo,
        ...(holding === "server" ? deciding : waiting),
        onConnectionState: (_, state, error) => {
          if (state === "closed" && error !== undefined) lost.push(error);
        },
      });
      const client = network.connect({
        ...atClient,
        port: server.port,
        psk: PSK,
        ...(holding === "client" ? deciding : { ...waiting, remoteStatic: serverKeys.publicKey }),
      });
      const request = client.request(text("hello"));
      request.catch((error) => lost.push(error));
      await asked.promise;
      const peer = holding === "server" ? client : server;
      await waitFor(() => peer.connections.length === 1, "the peer to be open");
      const heard = peer.stats.receivedBytes;
      // The request is shorter than so many pongs.
      await waitFor(() => lost.length > 0 || peer.stats.receivedBytes > heard + 500, "signs of life");
      assert.deepEqual(lost, []);
      decision.resolve(true);
      assert.equal(fromText(await request), "hello");
      await Promise.all([client.close(), server.close()]);
    }
  });

  test(`${name}: a peer that is refused once it is proven gets no connection`, async () => {
    const refusals: [what: string, decide: () => boolean | Promise<boolean>][] = [
      ["false", () => false],
      ["a promise of false", async () => false],
      ["a truthy answer that is not true", () => 1 as unknown as boolean],
      [
        "throwing",
        () => {
          throw new Error("disk full");
        },
      ],
      ["rejecting", () => Promise.reject(new Error("disk full"))],
      ["the second one says no", yes],
    ];
    for (const [what, decide] of refusals) {
      for (const refusing of ["client", "server"] as const) {
        const network = open();
        const authorize: Authorize = (_key, { whenProven }) => {
          whenProven!(decide);
          if (decide === yes) whenProven!(() => false);
          return true;
        };
        const told: string[] = [];
        const server = await network.listen({
          ...atServer,
          psk: PSK,
          onMessage: (message) => {
            if (refusing === "server") told.push("handled");
            else echo(message);
          },
          onConnectionState: (_, state, error) => told.push(`${state} ${error?.code}`),
          ...(refusing === "server" && { authorize }),
        });
        const client = network.connect({
          ...atClient,
          port: server.port,
          psk: PSK,
          ...(refusing === "server" ? { remoteStatic: serverKeys.publicKey } : { authorize }),
        });
        const error = await client.request(text("hello")).catch((reason) => reason);
        assert.equal(error.name, "SealwireError", what);
        if (refusing === "client") assert.equal(error.code, "ERR_UNAUTHORIZED", what);
        else {
          await waitFor(() => told.length > 0, "the server to be told");
          assert.deepEqual(told, ["closed ERR_UNAUTHORIZED"], what);
        }
        await Promise.all([client.close(), server.close()]);
      }
    }
  });

  test(`${name}: who was refused once proven learns that none of its calls was begun`, async () => {
    for (const refuse of ["no", "error"]) {
      const network = open();
      const { decision, asked, authorize } = putOff();
      let handled = 0;
      const server = await network.listen({
        ...atServer,
        authorize,
        onMessage: () => void handled++,
      });
      const client = network.connect({
        ...atClient,
        port: server.port,
        remoteStatic: serverKeys.publicKey,
        maxConnections: 1,
      });
      await client.connected();
      const calls = [client.request(text("request")), client.call(text("call")).answer];
      const outcomes = calls.map((call) => rejectsWith(call, "ERR_CONNECTION_LOST"));
      await asked.promise;
      if (refuse === "no") decision.resolve(false);
      else decision.reject(new Error("the file is gone"));
      for (const { notBegun, remoteCode } of await Promise.all(outcomes))
        assert.deepEqual([notBegun, remoteCode], [true, "ERR_UNAUTHORIZED"]);
      assert.equal(handled, 0);
      await Promise.all([client.close(), server.close()]);
    }
  });

  test(`${name}: without a limit of handshakes, a decision that never comes ends with its peer, and with its server`, async () => {
    for (const ending of ["client", "server"]) {
      const network = open();
      const { asked, authorize } = putOff();
      const states: string[] = [];
      const server = await network.listen({
        ...atServer,
        authorize,
        handshakeTimeoutMs: 0,
        heartbeatIntervalMs: 20,
        drainTimeoutMs: 20,
        onConnectionState: (_, state) => states.push(state),
      });
      const client = network.connect({
        ...atClient,
        port: server.port,
        remoteStatic: serverKeys.publicKey,
        drainTimeoutMs: 20,
      });
      await client.connected();
      await asked.promise;
      await (ending === "client" ? client : server).close();
      await waitFor(() => states.length > 0, "the server to be told of the end");
      assert.deepEqual(states, ["closed"]);
      await Promise.all([client.close(), server.close()]);
    }
  });

  test(`${name}: whoever ends a connection meanwhile ends it, and a late decision changes nothing`, async () => {
    for (const ending of ["close", "time-out", "peer"] as const) {
      const network = open();
      const { decision, asked, authorize } = putOff();
      const server = await network.listen({
        ...atServer,
        psk: PSK,
        onMessage: echo,
      });
      const client = network.connect({
        ...atClient,
        port: server.port,
        psk: PSK,
        handshakeTimeoutMs: ending === "time-out" ? 1_000 : 60_000,
        drainTimeoutMs: 1_000,
        maxConnections: 1,
        authorize,
      });
      const request = client.request(text("hello")).catch((error) => error);
      // On a machine that stands still, the time may be over before anybody is asked.
      await Promise.race([asked.promise, request]);
      let closed: Promise<void> | undefined;
      if (ending === "close") closed = client.close();
      else if (ending === "peer") closed = server.close();
      if (ending === "peer") {
        // Its drain and its close wait behind the decision.
        decision.resolve(true);
        assert.equal(fromText(await request), "hello");
      } else {
        const { code } = await request;
        assert.equal(code, ending === "time-out" ? "ERR_HANDSHAKE_TIMEOUT" : "ERR_CLOSED", ending);
      }
      await closed;
      decision.resolve(true);
      await Promise.all([client.close(), server.close()]);
    }
  });
}

test("a recorded first message writes nothing down, whichever pattern", () =>
  withFile(async (path) => {
    for (const pattern of ["IK", "IX", "IN", "IKpsk2"]) {
      const peers = knownPeers(path, { firstUse: "trust" });
      const asked: AuthorizeInfo[] = [];
      const closed = deferred();
      const server = await listen({
        host: "127.0.0.1",
        port: 0,
        pattern,
        ...(pattern !== "IN" && { staticKey: serverKeys }),
        ...(pattern.includes("psk") && { psk: PSK }),
        authorize: (key, info) => {
          asked.push(info);
          return peers.authorize(key, info);
        },
        onConnectionState: () => closed.resolve(),
      });
      const peer = await RawPeer.connect(server.port);
      const session = await RawSession.v2(
        peer,
        "client",
        {
          pattern,
          staticKey: clientKeys,
          ...(pattern.includes("psk") && { psk: PSK }),
          ...(pattern.startsWith("IK") && { remoteStatic: serverKeys.publicKey }),
        },
        false,
      );
      assert.equal(asked.length, 1, pattern);
      await peer.destroy();
      await closed.promise;
      assert.deepEqual(await peers.list(), [], pattern);
      session.destroy();
      await server.close();
    }
  }));

test("authorize is told that the peer is proven where it is, and a decision that comes after its answer is refused", async () => {
  const later: boolean[] = [];
  const cases: [client: object, server: object, isLater: boolean[]][] = [
    // The client is asked first, about a server whose message was made for this handshake.
    [{}, {}, [false, false]],
    [{ psk: PSK }, { psk: PSK }, [true, false]],
    [{ psk: PSK, pattern: "XXpsk0" }, { psk: PSK, pattern: "XXpsk0" }, [false, false]],
    [{ remoteStatic: serverKeys.publicKey }, {}, [true, false]],
    [{ psk: PSK, remoteStatic: serverKeys.publicKey }, { psk: PSK }, [true, false]],
  ];
  let missed: (() => void) | undefined;
  const authorize: Authorize = (_key, { whenProven }) => {
    later.push(whenProven !== undefined);
    if (whenProven !== undefined) missed = () => whenProven(() => true);
    if (whenProven !== undefined)
      assert.throws(() => whenProven("now" as never), { code: "ERR_INVALID_ARGUMENT" });
    return true;
  };
  for (const [clientOptions, serverOptions, isLater] of cases) {
    const server = await listen({
      host: "127.0.0.1",
      port: 0,
      staticKey: serverKeys,
      authorize,
      onMessage: echo,
      ...serverOptions,
    });
    const client = connect({
      port: server.port,
      staticKey: clientKeys,
      authorize,
      ...clientOptions,
    } as ClientOptions);
    assert.equal(fromText(await client.request(text("hello"))), "hello");
    assert.deepEqual(later.splice(0), isLater);
    await Promise.all([client.close(), server.close()]);
  }
  assert.throws(missed!, { code: "ERR_CLOSED" });
});
