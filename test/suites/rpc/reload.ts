// Keys that change without an outage: servers that accept several, and reload().

import assert from "node:assert/strict";
import { type ClientOptions, generateKeyPair, type ServerOptions } from "../../../src/index.ts";
import { test } from "../../support/harness.ts";
import { v1 } from "../../support/protocols.ts";
import {
  checkLeaksAfterEachTest,
  deferred,
  echo,
  rejectsWith,
  startClient,
  startServer,
  text,
  throwsWith,
  waitFor,
} from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

const psks = Array.from({ length: 5 }, (_, i) => `${i}a`.repeat(32));
const pairs = Array.from({ length: 5 }, () => generateKeyPair());
const [p0, p1, p2, p3] = psks as [string, string, string, string];

const request = (options: ClientOptions) => startClient(options).request(text("x"));

test("four psks are accepted, whichever the client has, and no other", async () => {
  for (const postQuantum of [true, false]) {
    const server = await startServer({ psk: p0, otherPsks: [p1, p2, p3], postQuantum, onMessage: echo });
    const { port } = server;
    for (const psk of psks.slice(0, 4)) await request({ port, psk, postQuantum });
    await rejectsWith(request({ port, psk: psks[4]!, postQuantum }), "ERR_HANDSHAKE");
    await rejectsWith(request({ port, postQuantum }), "ERR_HANDSHAKE");
    await waitFor(() => server.connections.length === 4, "four to be open");
    assert.ok(server.connections.every(({ authenticated }) => authenticated));
    assert.equal(server.anonymous, false);
  }
});

test("four static keys are accepted from clients that pin one, and authorize is asked once", async () => {
  const asked: string[] = [];
  const server = await startServer({
    staticKey: pairs[0]!,
    otherStaticKeys: pairs.slice(1, 4).map(({ privateKey }) => privateKey),
    authorize: async (key) => {
      asked.push(key.join());
      return key.join() !== pairs[4]!.publicKey.join();
    },
    onMessage: echo,
  });
  const { port } = server;
  for (const pair of pairs.slice(0, 4)) {
    const own = generateKeyPair();
    await request({ port, staticKey: own, remoteStatic: pair.publicKey });
    assert.deepEqual(asked.splice(0), [own.publicKey.join()]);
  }
  // XX: the server shows its first key, and takes clients that accept it.
  const [first, other] = pairs as [(typeof pairs)[0], (typeof pairs)[0]];
  await request({ port, staticKey: generateKeyPair(), remoteStatic: [first.publicKey, other.publicKey] });
  await request({
    port,
    staticKey: generateKeyPair(),
    authorize: (key) => key.join() === first.publicKey.join(),
  });
  const wrong = generateKeyPair().publicKey;
  await rejectsWith(request({ port, staticKey: generateKeyPair(), remoteStatic: wrong }), "ERR_HANDSHAKE");
  asked.length = 0;
  await rejectsWith(request({ port, staticKey: pairs[4]!, remoteStatic: other.publicKey }), "ERR_HANDSHAKE");
  assert.equal(asked.length, 1);
});

test("options that are none are refused, and the message names them", async () => {
  const wrong: [ServerOptions, RegExp][] = [
    [{ otherPsks: [p1] }, /otherPsks/],
    [{ psk: p0, otherPsks: psks.slice(1) }, /otherPsks/],
    [{ psk: p0, otherPsks: ["short"] }, /otherPsks\[0\]/],
    [{ psk: p0, otherPsks: p1 as never }, /otherPsks/],
    [{ psk: p0, otherStaticKeys: [pairs[0]!.privateKey] }, /otherStaticKeys/],
    [{ staticKey: pairs[0]!, otherStaticKeys: ["x"] }, /otherStaticKeys\[0\]/],
    // The server uses its psk before a client shows which one it has.
    [{ pattern: "IKpsk2", staticKey: pairs[0]!, psk: p0, otherPsks: [p1] }, /otherPsks/],
    [{ staticKey: pairs[0]!, psk: p0, otherPsks: psks.slice(1) }, /otherPsks/],
    [{ ...v1.options, otherPsks: [p1] }, /otherPsks/],
    [{ ...v1.options, otherStaticKeys: [pairs[0]!.privateKey] }, /otherStaticKeys/],
  ];
  for (const [options, message] of wrong) {
    assert.match((await rejectsWith(startServer(options), "ERR_INVALID_ARGUMENT")).message, message);
  }
});

test("with static keys besides, four psks are accepted: XXpsk3 by the last message, IKpsk1 by the first", async () => {
  for (const postQuantum of [true, false]) {
    const [serverKey, other, pinned] = pairs as [(typeof pairs)[0], (typeof pairs)[0], (typeof pairs)[0]];
    const keys = { staticKey: serverKey, otherStaticKeys: [other.privateKey] };
    const server = await startServer({
      psk: p0,
      otherPsks: [p1, p2, p3],
      ...keys,
      postQuantum,
      onMessage: echo,
    });
    const { port } = server;
    const client = { port, staticKey: pinned, postQuantum };
    for (const psk of psks.slice(0, 4)) await request({ ...client, psk });
    for (const psk of psks.slice(0, 4))
      await request({ ...client, psk, remoteStatic: [serverKey.publicKey, pairs[4]!.publicKey] });
    await rejectsWith(request({ ...client, psk: psks[4]! }), "ERR_HANDSHAKE");
    // IKpsk2: the server uses its psk before the client has shown which one it has. That is the first one.
    for (const { publicKey } of [serverKey, other]) {
      await request({ ...client, psk: p0, remoteStatic: publicKey });
      await rejectsWith(request({ ...client, psk: p1, remoteStatic: publicKey }), "ERR_HANDSHAKE");
    }
    const pattern = "IKpsk1";
    const early = await startServer({
      psk: p0,
      otherPsks: [p1, p2, p3],
      ...keys,
      pattern,
      postQuantum,
      onMessage: echo,
    });
    for (const psk of psks.slice(0, 4))
      for (const { publicKey } of [serverKey, other])
        await request({ ...client, port: early.port, psk, pattern, remoteStatic: publicKey });
    await rejectsWith(
      request({ ...client, port: early.port, psk: psks[4]!, pattern, remoteStatic: other.publicKey }),
      "ERR_HANDSHAKE",
    );
  }
});

test("IKpsk2: the client tries several psks, whichever the server has, so that it changes without an outage", async () => {
  const [serverKey, clientKey, other] = pairs as [(typeof pairs)[0], (typeof pairs)[0], (typeof pairs)[0]];
  for (const postQuantum of [true, false]) {
    const client = {
      psk: p0,
      otherPsks: [p1, p2, p3],
      staticKey: clientKey,
      remoteStatic: serverKey.publicKey,
      postQuantum,
    };
    for (const psk of psks) {
      const { port } = await startServer({ psk, staticKey: serverKey, postQuantum, onMessage: echo });
      if (psk === psks[4]) await rejectsWith(request({ ...client, port }), "ERR_HANDSHAKE");
      else await request({ ...client, port });
      // An endpoint with keys of its own tries them as well.
      const { remoteStatic, ...rest } = { ...client, remoteStatic: other.publicKey };
      const endpoints = [{ port, remoteStatic: serverKey.publicKey }];
      const several = request({ ...rest, remoteStatic, endpoints });
      if (psk === psks[4]) await rejectsWith(several, "ERR_HANDSHAKE");
      else await several;
    }
  }
  // The rotation: clients learn the next psk, the server changes, clients forget the old one.
  const server = await startServer({ psk: p0, staticKey: serverKey, onMessage: echo });
  const pinned = { port: server.port, staticKey: clientKey, remoteStatic: serverKey.publicKey };
  const prepared = startClient({ ...pinned, psk: p0, otherPsks: [p1], maxConnections: 1 });
  await prepared.request(text("x"));
  const [before] = prepared.connections;
  assert.equal(await server.reload({ psk: p1, otherPsks: [p0], staticKey: serverKey }), 0);
  await prepared.request(text("x"));
  assert.equal(prepared.connections[0], before, "its connection goes on with the psk that it has");
  await request({ ...pinned, psk: p0, otherPsks: [p1] });
  await request({ ...pinned, psk: p1 });
  await rejectsWith(request({ ...pinned, psk: p0 }), "ERR_HANDSHAKE");
  // The one of before, the prepared one that came later has the next psk already.
  assert.equal(await server.reload({ psk: p1, staticKey: serverKey }), 1);
  await waitFor(() => !prepared.connections.includes(before!), "the one with the old psk to be drained");
  await prepared.connected({ timeoutMs: 20_000 });
  await prepared.request(text("x"));
});

test("a client's otherPsks are refused where they could not be tried, and the message names them", () => {
  const { publicKey } = pairs[0]!;
  const staticKey = pairs[1]!;
  const wrong: ClientOptions[] = [
    { psk: p0, otherPsks: [p1] },
    { psk: p0, otherPsks: [p1], staticKey },
    { otherPsks: [p1], staticKey, remoteStatic: publicKey },
    { psk: p0, otherPsks: [p1], staticKey, remoteStatic: publicKey, pattern: "IKpsk1" },
    { psk: p0, otherPsks: psks.slice(1), staticKey, remoteStatic: publicKey },
    { psk: p0, otherPsks: ["short"], staticKey, remoteStatic: publicKey },
    { psk: p0, otherPsks: p1 as never, staticKey, remoteStatic: publicKey },
    { handshake: v1.options.handshake!, otherPsks: [p1] },
  ];
  for (const options of wrong) {
    for (const where of [{ port: 1 }, { endpoints: [{ port: 1 }] }]) {
      const error = throwsWith(() => startClient({ ...options, ...where }), "ERR_INVALID_ARGUMENT");
      assert.match(error.message, /otherPsks/);
    }
  }
});

test("with XXpsk3, too, reload drains those whose psk is gone, and nobody else", async () => {
  const [serverKey, clientKey] = pairs as [(typeof pairs)[0], (typeof pairs)[0]];
  const server = await startServer({ psk: p0, otherPsks: [p1, p2], staticKey: serverKey, onMessage: echo });
  const clients = [p0, p1, p2].map((psk) => startClient({ port: server.port, psk, staticKey: clientKey }));
  for (const client of clients) await client.request(text("x"));
  const before = clients.map((client) => client.connections[0]);
  assert.equal(await server.reload({ psk: p2, otherPsks: [p0], staticKey: serverKey }), 1);
  await waitFor(() => clients[1]!.connections.length === 0, "the one to be drained");
  for (const i of [0, 2]) {
    await clients[i]!.request(text("x"));
    assert.equal(clients[i]!.connections[0], before[i]);
  }
  await rejectsWith(clients[1]!.request(text("x")), "ERR_HANDSHAKE");
});

test("a psk is rotated: nobody is refused on the way, and those with the old one are drained at the end", async () => {
  const release = deferred();
  const server = await startServer({
    psk: p0,
    onMessage: async (message) => {
      if (message.body.length > 1) await release.promise;
      message.reply(message.body);
    },
  });
  const { port } = server;
  const old = startClient({ port, psk: p0, maxConnections: 1 });
  await old.request(text("x"));
  assert.equal(await server.reload({ psk: p0, otherPsks: [p1] }), 0);
  const fresh = startClient({ port, psk: p1 });
  await fresh.request(text("x"));
  assert.equal(await server.reload({ psk: p1, otherPsks: [p0] }), 0);
  assert.equal(server.connections.length, 2);
  const held = old.request(text("in flight"));
  await old.request(text("x"));
  assert.equal(await server.reload({ psk: p1 }), 1);
  await waitFor(() => old.connections.length === 0, "the drain to arrive");
  release.resolve();
  assert.equal((await held).length, 9, "a drain lets calls finish");
  await rejectsWith(old.request(text("x")), "ERR_HANDSHAKE");
  await fresh.request(text("x"));
  assert.equal(server.connections.length, 1);
});

test("a static key is rotated, peers are taken away by remoteStatic and by authorize", async () => {
  const [first, second] = pairs as [(typeof pairs)[0], (typeof pairs)[0]];
  const [alice, bob] = [generateKeyPair(), generateKeyPair()];
  const server = await startServer({ staticKey: first, onMessage: echo });
  const { port } = server;
  const a = startClient({ port, staticKey: alice, remoteStatic: first.publicKey });
  const b = startClient({ port, staticKey: bob, remoteStatic: second.publicKey });
  await a.request(text("x"));
  await server.reload({ staticKey: first, otherStaticKeys: [second.privateKey] });
  await b.request(text("x"));
  assert.equal(await server.reload({ staticKey: second }), 1);
  await waitFor(() => a.connections.length === 0, "the one with the old key to be drained");
  await b.request(text("x"));
  const c = startClient({ port, staticKey: alice, remoteStatic: second.publicKey });
  await c.request(text("x"));
  assert.equal(await server.reload({ staticKey: second, remoteStatic: [bob.publicKey] }), 1);
  await waitFor(() => c.connections.length === 0, "alice to be drained");
  for (const authorize of [
    () => false,
    () => {
      throw new Error("no");
    },
    () => Promise.reject(new Error("no")),
  ]) {
    await server.reload({ staticKey: second, authorize: () => true });
    await b.connected({ timeoutMs: 20_000 });
    await b.request(text("x"));
    assert.equal(await server.reload({ staticKey: second, authorize }), 1);
    await waitFor(() => b.connections.length === 0, "bob to be drained");
  }
});

test("what authorize puts off is decided at a reload, too, once it has answered true", async () => {
  const serverKey = pairs[0]!;
  const failing = Promise.reject(new Error("no"));
  failing.catch(() => {});
  const answers: [
    authorize: boolean | Promise<boolean>,
    decisions: unknown[],
    asked: number,
    isKept: boolean,
  ][] = [
    [true, [true, true], 2, true],
    [Promise.resolve(true), [Promise.resolve(true)], 1, true],
    [true, [true, false, true], 2, false],
    [true, ["yes"], 1, false],
    [Promise.resolve(true), [failing], 1, false],
    [false, [true], 0, false],
    [Promise.resolve(false), [true], 0, false],
  ];
  for (const pattern of ["XX", "IK"]) {
    for (const [answer, decisions, asked, isKept] of answers) {
      const server = await startServer({
        staticKey: serverKey,
        authorize: () => true,
        pattern,
        onMessage: echo,
      });
      const { port } = server;
      const remoteStatic = serverKey.publicKey;
      const client = startClient({ port, staticKey: generateKeyPair(), remoteStatic, pattern });
      await client.request(text("x"));
      let called = 0;
      let late: ((decide: () => boolean) => void) | undefined;
      const authorize: ServerOptions["authorize"] = (_, { whenProven }) => {
        late = whenProven;
        for (const decision of decisions)
          whenProven!(() => {
            called++;
            return decision as boolean;
          });
        assert.equal(called, 0, "not inside authorize");
        return answer;
      };
      assert.equal(await server.reload({ staticKey: serverKey, authorize }), isKept ? 0 : 1);
      assert.equal(called, asked);
      throwsWith(() => late!(() => true), "ERR_CLOSED");
      await Promise.all([client.close(), server.close()]);
    }
  }
});

/** What never answers about a peer at a reload: `authorize`, or a decision that it put off. */
const silences: ServerOptions["authorize"][] = [
  () => new Promise(() => {}),
  (_, { whenProven }) => {
    whenProven!(() => new Promise(() => {}));
    return true;
  },
];

test("a reload settles if authorize, or what it puts off, never answers: the connection is refused", async () => {
  const staticKey = pairs[0]!;
  const refuses = async (silence: ServerOptions["authorize"]): Promise<void> => {
    const asked = deferred();
    let authorize: ServerOptions["authorize"] = () => true;
    const server = await startServer({
      staticKey,
      authorize: (key, info) => authorize!(key, info),
      handshakeTimeoutMs: 500,
      onMessage: echo,
    });
    const { port } = server;
    const client = startClient({ port, staticKey: generateKeyPair(), remoteStatic: staticKey.publicKey });
    await client.connected({ timeoutMs: 60_000 });
    await client.request(text("x"));
    assert.equal(await server.reload({ staticKey, authorize: silence }), 1);
    await waitFor(() => client.connections.length === 0, "it to be drained");

    // The same about a connection whose handshake is under way.
    const decided = deferred<boolean>();
    authorize = () => {
      asked.resolve();
      return decided.promise;
    };
    await server.reload({ staticKey, authorize: (key, info) => authorize!(key, info) });
    let call: Promise<unknown>;
    do call = client.request(text("x")).catch(() => "the handshake took too long");
    while ((await Promise.race([asked.promise, call])) !== undefined);
    assert.equal(await server.reload({ staticKey, authorize: silence }), 0);
    decided.resolve(true);
    await call;
    await waitFor(() => server.connections.length + client.connections.length === 0, "it to be refused");
    await Promise.all([client.close(), server.close()]);
  };
  await Promise.all(silences.map(refuses));
});

test("without handshakeTimeoutMs, a reload whose answer never comes settles when the connections end", async () => {
  const staticKey = pairs[0]!;
  for (const silence of silences) {
    const authorize = (): boolean => true;
    const server = await startServer({ staticKey, authorize, handshakeTimeoutMs: 0, onMessage: echo });
    const { port } = server;
    const clients = Array.from({ length: 2 }, () =>
      startClient({ port, staticKey: generateKeyPair(), remoteStatic: staticKey.publicKey }),
    );
    for (const client of clients) await client.request(text("x"));
    const reloaded = server.reload({ staticKey, authorize: silence });
    await clients[0]!.close();
    await clients[1]!.request(text("x"));
    await server.close();
    assert.equal(await reloaded, 0);
    await clients[1]!.close();
  }
});

test("a reload waits with no drain for another answer, and what a later reload has asked again counts instead", async () => {
  const staticKey = pairs[0]!;
  const server = await startServer({
    staticKey,
    authorize: () => true,
    handshakeTimeoutMs: 0,
    onMessage: echo,
  });
  const keys = [generateKeyPair(), generateKeyPair()];
  const [revoked, kept] = keys.map((own) =>
    startClient({ port: server.port, staticKey: own, remoteStatic: staticKey.publicKey }),
  );
  for (const client of [revoked!, kept!]) await client.request(text("x"));
  const late = deferred<boolean>();
  const isRevoked = (key: Uint8Array): boolean => Buffer.compare(key, keys[0]!.publicKey) === 0;
  const first = server.reload({ staticKey, authorize: (key) => (isRevoked(key) ? false : late.promise) });
  await waitFor(() => revoked!.connections.length === 0, "the revoked client to be drained");
  assert.equal(await server.reload({ staticKey, authorize: (key) => !isRevoked(key) }), 0);
  late.resolve(false);
  assert.equal(await first, 1);
  assert.equal(server.connections.length, 1);
  assert.deepEqual(await kept!.request(text("y")), text("y"));
  await Promise.all([revoked!.close(), kept!.close(), server.close()]);
});

test("so does what a later reload has asked about a connection whose handshake was under way", async () => {
  const staticKey = pairs[0]!;
  const [begun, asked] = [deferred(), deferred()];
  const [opens, late] = [deferred<boolean>(), deferred<boolean>()];
  const server = await startServer({
    staticKey,
    handshakeTimeoutMs: 0,
    authorize: () => {
      begun.resolve();
      return opens.promise;
    },
    onMessage: echo,
  });
  const { port } = server;
  const client = startClient({ port, staticKey: generateKeyPair(), remoteStatic: staticKey.publicKey });
  const call = client.request(text("x"));
  await begun.promise;
  const second = (): Promise<boolean> => {
    asked.resolve();
    return late.promise;
  };
  assert.equal(await server.reload({ staticKey, authorize: second }), 0);
  opens.resolve(true);
  await asked.promise;
  assert.equal(await server.reload({ staticKey, authorize: () => true }), 0);
  late.resolve(false);
  assert.deepEqual(await call, text("x"));
  assert.deepEqual(await client.request(text("y")), text("y"));
  assert.equal(server.connections.length, 1);
  await Promise.all([client.close(), server.close()]);
});

test("a handshake that began with keys that were taken away opens nothing for long", async () => {
  const told: string[] = [];
  const decided = deferred<boolean>();
  const asked = deferred();
  const server = await startServer({
    staticKey: pairs[0]!,
    authorize: () => {
      asked.resolve();
      return decided.promise;
    },
    onConnectionState: (_, state) => told.push(state),
    onMessage: echo,
  });
  const client = startClient({
    port: server.port,
    staticKey: generateKeyPair(),
    remoteStatic: pairs[0]!.publicKey,
  });
  const states: string[] = [];
  const call = client.request(text("x")).then(
    () => states.push("answered"),
    () => states.push("rejected"),
  );
  await asked.promise;
  await server.reload({ staticKey: pairs[1]!, authorize: () => true });
  decided.resolve(true);
  await call;
  await waitFor(() => server.connections.length === 0 && client.connections.length === 0, "it to be drained");
  await waitFor(() => told.includes("closed"), "its end");
  assert.deepEqual(told, ["draining", "closed"]);
});

test("a handshake under way at a reload is asked about again when it opens: at once or later, by an error, or kept", async () => {
  const answers: [authorize: () => unknown, isKept: boolean, isServed: boolean][] = [
    [() => false, false, false],
    [
      () => {
        throw new Error("no");
      },
      false,
      false,
    ],
    // Until it has decided, the connection is served.
    [() => Promise.resolve(false), false, true],
    [() => Promise.reject(new Error("no")), false, true],
    [() => "yes", false, true],
    [() => true, true, true],
    [async () => true, true, true],
  ];
  for (const [authorize, isKept, mayBeServed] of answers) {
    let served = 0;
    const told: string[] = [];
    const onMessage: ServerOptions["onMessage"] = (message) => {
      served++;
      return echo(message);
    };
    const decided = deferred<boolean>();
    const asked = deferred();
    const old = (): Promise<boolean> => {
      asked.resolve();
      return decided.promise;
    };
    const onConnectionState: ServerOptions["onConnectionState"] = (_, state) => told.push(state);
    const server = await startServer({ staticKey: pairs[0]!, authorize: old, onMessage, onConnectionState });
    const { port } = server;
    const remoteStatic = pairs[0]!.publicKey;
    const client = startClient({ port, staticKey: generateKeyPair(), remoteStatic });
    const call = client.request(text("x")).catch(() => {});
    await asked.promise;
    let again = 0;
    const counted = (): boolean => {
      again++;
      return authorize() as boolean;
    };
    assert.equal(await server.reload({ staticKey: pairs[0]!, authorize: counted }), 0);
    decided.resolve(true);
    await call;
    assert.equal(again, 1);
    if (isKept) await client.request(text("x"));
    else {
      await waitFor(() => server.connections.length + client.connections.length === 0, "it to be drained");
      await rejectsWith(client.request(text("x")), "ERR_HANDSHAKE");
      if (!mayBeServed) assert.equal(served, 0);
    }
    await client.close();
    await server.close();
    assert.equal(told.includes("open"), isKept || mayBeServed, "open is told of those that are served");
  }
});

test("keys by which clients would prove less than before are refused, and nothing has changed", async () => {
  const remoteStatic = [pairs[1]!.publicKey];
  const authorize = () => false;
  const [staticKey, other] = pairs as [(typeof pairs)[0], (typeof pairs)[0]];
  const less: [ServerOptions, ServerOptions[]][] = [
    [{ staticKey, authorize }, [{ staticKey: other }, { psk: p0 }, { psk: p0, staticKey }]],
    [{ staticKey, remoteStatic }, [{ staticKey: other }, { psk: p0 }]],
    [{ psk: p0 }, [{ staticKey }]],
    [{ psk: p0, staticKey }, [{ staticKey }]],
  ];
  for (const [options, forgotten] of less) {
    const server = await startServer({ ...options, onMessage: echo });
    for (const keys of forgotten) {
      await rejectsWith(server.reload(keys), "ERR_INVALID_ARGUMENT");
      const stranger = { port: server.port, staticKey: generateKeyPair() };
      await rejectsWith(request(stranger), "ERR_HANDSHAKE");
    }
  }
});

test("everything but the keys stays as it was at listen, whatever becomes of the options", async () => {
  const prologue = text("one");
  const options: ServerOptions = {
    psk: p0,
    prologue,
    cipher: "ChaChaPoly",
    pattern: "NNpsk2",
    onMessage: echo,
  };
  const same = { cipher: "ChaChaPoly", pattern: "NNpsk2" } as const;
  const server = await startServer(options);
  for (const name of ["prologue", "cipher", "pattern"] as const) delete options[name];
  prologue.fill(0);
  await server.reload({ psk: p1 });
  await request({ port: server.port, psk: p1, prologue: text("one"), ...same });
  await rejectsWith(request({ port: server.port, psk: p1, ...same }), "ERR_HANDSHAKE");
});

test("while a server closes, keys can still be taken away: from open connections, new ones, and those on the way", async () => {
  const [server0, kept, revoked] = pairs as [(typeof pairs)[0], (typeof pairs)[0], (typeof pairs)[0]];
  const hold = deferred();
  const begun = deferred();
  const handled: string[] = [];
  const server = await startServer({
    staticKey: server0,
    authorize: () => true,
    onMessage: async (message) => {
      handled.push(message.connection.remoteStaticKey!.join());
      if (handled.length === 1) {
        begun.resolve();
        await hold.promise;
      }
      if (message.expectsReply) message.reply(message.body);
    },
  });
  const shared = { port: server.port, remoteStatic: server0.publicKey, maxConnections: 1 };
  const [good, bad] = [kept, revoked].map((staticKey) => startClient({ ...shared, staticKey }));
  const running = good!.request(text("runs on"));
  await begun.promise;
  await bad!.request(text("x"));
  const closed = server.close({ graceMs: 600_000 });
  const authorize = (key: Uint8Array): boolean => key.join() === kept.publicKey.join();
  assert.equal(await server.reload({ staticKey: server0, authorize }), 1);
  await waitFor(() => server.connections.length === 1, "the revoked one to go");
  await rejectsWith(request({ ...shared, staticKey: revoked }), "ERR_HANDSHAKE");
  assert.equal(server.health, "draining");
  // Behind the grace, when the server drains, the same call still holds for who is there.
  void server.close();
  assert.equal(await server.reload({ staticKey: server0, authorize: () => false }), 0);
  hold.resolve();
  await running;
  await closed;
  assert.deepEqual(handled.length, 2);
  await rejectsWith(server.reload({ staticKey: server0, authorize }), "ERR_CLOSED");
});

test("a mistake changes nothing, and where there are no keys to change it says so", async () => {
  const server = await startServer({ psk: p0, onMessage: echo });
  const client = startClient({ port: server.port, psk: p0 });
  await client.request(text("x"));
  for (const keys of [{}, { psk: "short" }, { psk: p1, otherPsks: ["x"] }, { pskk: p1 }, null]) {
    await rejectsWith(server.reload(keys as never), "ERR_INVALID_ARGUMENT");
  }
  await client.request(text("x"));
  await request({ port: server.port, psk: p0 });
  const old = await startServer({ ...v1.options });
  await rejectsWith(old.reload({ psk: p0 }), "ERR_INVALID_ARGUMENT");
  await server.close();
  await rejectsWith(server.reload({ psk: p1 }), "ERR_CLOSED");
});
