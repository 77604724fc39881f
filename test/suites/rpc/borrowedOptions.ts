// Objects with options belong to their caller: what they inherit counts as what they have, each option is read once, and
// whatever becomes of the object afterwards changes nothing.

import assert from "node:assert/strict";
import vm from "node:vm";
import * as allOfCrypto from "../../../src/crypto.ts";
import * as allOfIndex from "../../../src/index.ts";
import {
  type CallOptions,
  type Client,
  type ClientOptions,
  type Connection,
  connect,
  encodeKey,
  generateKeyPair,
  listen,
  noise,
  type ReloadedKeys,
  type RequestOptions,
  SealwireError,
  type ServerOptions,
} from "../../../src/index.ts";
import * as allOfNoise from "../../../src/noise.ts";
import { CallRoute } from "../../../src/rpc/callRoute.ts";
import * as allOfRpc from "../../../src/rpc.ts";
import { method, serve, typed } from "../../../src/rpc.ts";
import * as allOfTesting from "../../../src/testing.ts";
import { linkedPair, memoryNetwork } from "../../../src/testing.ts";
import { test } from "../../support/harness.ts";
import { PSK, v2 } from "../../support/protocols.ts";
import {
  checkLeaksAfterEachTest,
  deferred,
  echo,
  fromText,
  rejectsWith,
  startClient,
  startPair,
  startServer,
  text,
  throwsWith,
} from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

/** An object that has nothing of its own, and inherits these. */
const heirOf = <Options extends object>(options: Options): Options => Object.create(options) as Options;

/** An object whose getters give each value once, and then what no option takes. */
function once<Options extends object>(options: Options): Options {
  const given = {} as Options;
  for (const [name, value] of Object.entries(options)) {
    let left = 1;
    Object.defineProperty(given, name, { enumerable: true, get: () => (left-- > 0 ? value : Symbol(name)) });
  }
  return given;
}

for (const several of [false, true]) {
  const kind = several ? "several endpoints" : "one server";
  const where = (port: number, key?: Uint8Array): ClientOptions =>
    several
      ? { endpoints: [{ port, ...(key && { remoteStatic: key }) }] }
      : { port, ...(key && { remoteStatic: key }) };

  test(`${kind}: authorize, prologue and cipher that the options inherit are asked and spoken`, async () => {
    const [serverKeys, clientKeys] = [generateKeyPair(), generateKeyPair()];
    const spoken = { prologue: "inherited", cipher: "ChaChaPoly" } as const;
    const server = await startServer({ staticKey: serverKeys, ...spoken, onMessage: echo });
    for (const answer of [true, false]) {
      const asked: string[] = [];
      const authorize = (_key: Uint8Array, { protocol }: { protocol: string }): boolean => {
        asked.push(protocol);
        return answer;
      };
      // Not through the harness, which makes an object of its own.
      const client = connect(
        heirOf({ staticKey: clientKeys, ...spoken, authorize, ...where(server.port, serverKeys.publicKey) }),
      );
      if (answer) assert.equal(fromText(await client.request(text("asked"))), "asked");
      else await rejectsWith(client.request(text("refused")), "ERR_UNAUTHORIZED");
      await client.close();
      assert.ok(asked.length > 0 && asked.every((name) => name.includes("ChaChaPoly")), asked.join());
    }
  });

  test(`${kind}: the signal and the time of a call that its options inherit count`, async () => {
    const hold = deferred();
    const server = await startServer({
      ...v2.options,
      onMessage: async (message) => {
        await hold.promise;
        if (message.expectsReply) message.reply(message.body);
      },
    });
    const client = startClient({ ...v2.options, ...where(server.port) });
    // The first of them are made before what calls several endpoints is loaded.
    for (let round = 0; round < 2; round++) {
      const abort = new AbortController();
      const mine = heirOf<RequestOptions & CallOptions>({ signal: abort.signal });
      const calls = [client.request(text("x"), mine), client.call(text("x"), mine).answer];
      const timed = heirOf<RequestOptions & CallOptions>({ timeoutMs: 300 });
      const late = [client.request(text("x"), timed), client.call(text("x"), timed).answer];
      await Promise.all(late.map((call) => rejectsWith(call, "ERR_REQUEST_TIMEOUT")));
      abort.abort();
      await Promise.all(calls.map((call) => rejectsWith(call, "ERR_ABORTED")));
    }
    hold.resolve();
  });

  test(`${kind}: each option of a client and of its calls is read once`, async () => {
    const server = await startServer({ ...v2.options, onMessage: echo });
    const options = once<ClientOptions>({ ...v2.options, ...where(server.port), maxConnections: 1 });
    // Not through the harness, which reads all options itself.
    const client = connect(options);
    const into = new Uint8Array(16);
    const { signal } = new AbortController();
    for (let i = 0; i < 2; i++) {
      const request = once<RequestOptions>({ signal, timeoutMs: 20_000, into });
      assert.equal(fromText(await client.request(text("request"), request)), "request");
      assert.equal(fromText(into).slice(0, 7), "request");
      const call = once<CallOptions>({ signal, timeoutMs: 20_000, head: { method: "m" }, streams: false });
      assert.equal(fromText(await client.call(text("call"), call).answer), "call");
      await client.send(text("send"), once({ head: { method: "m" }, timeoutMs: 20_000 }));
    }
    await client.close();
  });
}

for (const several of [false, true]) {
  const kind = several ? "several endpoints" : "one server";

  test(`${kind}: a signal that aborts, or closes the client, while it is asked sends nothing, and the call settles`, async () => {
    const handled: string[] = [];
    const server = await startServer({
      ...v2.options,
      onMessage: (message) => {
        handled.push(fromText(message.body));
        echo(message);
      },
    });
    const start = (): Client =>
      startClient({
        ...v2.options,
        ...(several ? { endpoints: [{ port: server.port }] } : { port: server.port }),
      });
    /** How such a signal acts, in its method or in its property, with what it has then. */
    const acts: Record<string, (signal: AbortSignal, act: () => void) => void> = {
      addEventListener: (signal, act) =>
        Object.defineProperty(signal, "addEventListener", {
          value: (name: string, listener: EventListenerObject) => {
            AbortSignal.prototype.addEventListener.call(signal, name, listener);
            act();
          },
        }),
    };
    // The first to ask checks that it is a signal at all.
    for (let at = 0; at < 4; at++)
      acts[`aborted, asked ${at} times before`] = (signal, act) => {
        let asked = 0;
        const { get } = Object.getOwnPropertyDescriptor(AbortSignal.prototype, "aborted")!;
        Object.defineProperty(signal, "aborted", {
          get: () => {
            const was = get!.call(signal);
            if (asked++ === at) act();
            return was;
          },
        });
      };
    for (const [where, prepare] of Object.entries(acts)) {
      for (const what of ["abort", "close"]) {
        // Before the code of several endpoints is loaded, while no connection is open, and with one.
        for (const isOpen of [false, true]) {
          for (const name of ["request", "call", "call without streams"]) {
            const client = start();
            if (isOpen) await client.request(text("opens"));
            const controller = new AbortController();
            const { signal } = controller;
            let acted = false;
            prepare(signal, () => {
              acted = true;
              if (what === "abort") controller.abort(new Error("mine"));
              else void client.close();
            });
            const options = { signal, ...(name !== "request" && { streams: name === "call" }) };
            const make = async () =>
              name === "request"
                ? client.request(text("no"), { signal })
                : client.call(text("no"), options).answer;
            const told = `${what} in ${where}, ${name}, ${isOpen ? "open" : "not open"}`;
            const outcome = await make().catch((error) => error);
            const isNeeded = acted && what === "abort";
            if (isNeeded) assert.equal(outcome.code, "ERR_ABORTED", told);
            else assert.ok(outcome.code === "ERR_CLOSED" || fromText(outcome) === "no", told);
            if (isNeeded) assert.ok(!handled.includes("no"), told);
            handled.length = 0;
            await client.close();
            assert.equal(client.stats.inFlightRequests, 0, told);
          }
        }
      }
    }
  });
}

test("a signal that refused to be watched once is watched the next time", async () => {
  const hold = deferred();
  const server = await startServer({ ...v2.options, onMessage: () => hold.promise });
  const client = startClient({ ...v2.options, port: server.port });
  const abort = new AbortController();
  const { signal } = abort;
  Object.assign(signal, {
    addEventListener() {
      Reflect.deleteProperty(signal, "addEventListener");
      throw new Error("not now");
    },
  });
  assert.throws(() => client.request(text("refused"), { signal }), { message: "not now" });
  const watched = client.request(text("watched"), { signal, timeoutMs: 10_000 });
  abort.abort();
  await rejectsWith(watched, "ERR_ABORTED");
  hold.resolve();
});

test("a signal that does not say why it aborts ends every call, and their errors have what it threw", async () => {
  const hold = deferred();
  const server = await startServer({ ...v2.options, onMessage: () => hold.promise });
  const open = startClient({ ...v2.options, port: server.port });
  await open.connected();
  // Its code is loaded by the first call, which waits until then.
  const waiting = startClient({ ...v2.options, endpoints: [{ host: "127.0.0.1", port: server.port }] });
  const controller = new AbortController();
  const signal = Object.defineProperty(controller.signal, "reason", {
    get() {
      throw new Error("no reason");
    },
  });
  const make = () => [
    open.request(text("held"), { signal }),
    open.call(text("held"), { signal }).answer,
    waiting.request(text("held"), { signal }),
    waiting.call(text("held"), { signal }).answer,
  ];
  const calls = make();
  controller.abort();
  for (const call of [...calls, ...make()]) {
    const { cause } = await rejectsWith(call, "ERR_ABORTED");
    assert.equal((cause as Error).message, "no reason");
  }
  assert.equal(open.stats.inFlightRequests + waiting.stats.inFlightRequests, 0);
  hold.resolve();
});

test("a call whose signal throws when it is asked again moves to no other endpoint", async () => {
  const signal = Object.defineProperty(new AbortController().signal, "aborted", {
    get() {
      throw new Error("not now");
    },
  });
  const nowhere = (): never => assert.fail("the call ends");
  const owner = { isClosed: () => false, elsewhere: nowhere, opened: nowhere };
  const route = new CallRoute(owner, undefined, 1, 0, signal);
  assert.equal(route.next(new SealwireError("ERR_CLOSED", "refused", { notBegun: true })), undefined);
});

test("a signal that does not let go of a listener keeps no call, and no connection, from its end", async () => {
  const hold = deferred();
  const server = await startServer({
    ...v2.options,
    onMessage: async (message) => {
      if (fromText(message.body) === "held") await hold.promise;
      else echo(message);
    },
  });
  const client = startClient({ ...v2.options, port: server.port, drainTimeoutMs: 0 });
  const signal = Object.assign(new AbortController().signal, {
    removeEventListener() {
      throw new Error("never");
    },
  });
  assert.equal(fromText(await client.request(text("answered"), { signal })), "answered");
  await rejectsWith(client.request(text("held"), { signal, timeoutMs: 20 }), "ERR_REQUEST_TIMEOUT");
  const held = [{ signal }, {}].map((options) => client.request(text("held"), options));
  await Promise.all([client.close(), ...held.map((call) => rejectsWith(call, "ERR_CLOSED"))]);
  hold.resolve();
});

test("a linked pair and its network take what their options inherit, each once", async () => {
  for (const kind of [heirOf, once]) {
    const told: string[] = [];
    const pair = await linkedPair(
      kind({
        client: kind<ClientOptions>({ ...v2.options, maxConnections: 2 }),
        server: kind<ServerOptions>({
          ...v2.options,
          onMessage: echo,
          onConnectionState: (_, state) => told.push(state),
        }),
        network: kind({ latencyMs: 1, bytesPerSecond: 1_000_000, bufferBytes: 4_096 }),
      }),
    );
    assert.equal(fromText(await pair.client.request(text("linked"))), "linked");
    await pair.close();
    assert.deepEqual([told[0], told.at(-1)], ["open", "closed"]);
    throwsWith(() => memoryNetwork(kind({ latencyMs: -1 })), "ERR_INVALID_ARGUMENT");
  }
  throwsWith(() => memoryNetwork(heirOf({ bufferBytes: 0 })), "ERR_INVALID_ARGUMENT");
  await rejectsWith(linkedPair({ client: { psk: "short" } }), "ERR_INVALID_ARGUMENT");
  await rejectsWith(linkedPair({ server: { typo: 1 } as never }), "ERR_INVALID_ARGUMENT");
});

test("each option of a server is read once", async () => {
  const server = await listen(
    once<ServerOptions>({ ...v2.options, host: "127.0.0.1", port: 0, maxConnections: 3, onMessage: echo }),
  );
  const client = startClient({ ...v2.options, port: server.port });
  assert.equal(fromText(await client.request(text("once"))), "once");
  await client.close();
  await server.close();
});

test("keys of a reload that the object inherits count, and each is read once", async () => {
  const [serverKeys, friend, stranger] = [generateKeyPair(), generateKeyPair(), generateKeyPair()];
  const onlyFriend = (key: Uint8Array): boolean => encodeKey(key) === encodeKey(friend.publicKey);
  const kinds = [
    { authorize: onlyFriend },
    { remoteStatic: friend.publicKey },
    { authorize: onlyFriend, psk: PSK },
  ];
  for (const proof of kinds) {
    // The key that the keys need at least is the object's own: without it nothing would have been accepted.
    const heir = Object.assign(heirOf<ReloadedKeys>(proof), { staticKey: serverKeys });
    for (const keys of [heir, once<ReloadedKeys>({ staticKey: serverKeys, ...proof })]) {
      const server = await startServer({ staticKey: serverKeys, ...proof, onMessage: echo });
      assert.equal(await server.reload(keys), 0);
      const { port } = server;
      const remoteStatic = serverKeys.publicKey;
      const psk = "psk" in proof ? { psk: PSK } : {};
      const own = startClient({ port, staticKey: friend, remoteStatic, ...psk });
      assert.equal(fromText(await own.request(text("a friend"))), "a friend");
      for (const others of [
        { staticKey: stranger, ...psk },
        ...("psk" in proof ? [{ staticKey: friend }] : []),
      ])
        await rejectsWith(startClient({ port, remoteStatic, ...others }).request(text("x")), "ERR_HANDSHAKE");
    }
  }
});

test("an object of options that is used again for something else takes no keys away from anybody", async () => {
  const server = await startServer({ psk: PSK, onMessage: echo });
  const shared = noise({ psk: PSK });
  const options: ClientOptions = { port: server.port, handshake: shared };
  const first = connect(options);
  await first.request(text("1"));
  // The next client has keys of its own; the first one still does not own the caller's factory.
  delete options.handshake;
  options.psk = PSK;
  const second = startClient(options);
  await second.request(text("2"));
  await first.close();
  assert.equal(fromText(await startClient({ port: server.port, handshake: shared }).request(text("3"))), "3");
  shared.destroy();
});

test("endpoints that are found later have the keys of the time of connect", async () => {
  const [serverKeys, clientKeys] = [generateKeyPair(), generateKeyPair()];
  const server = await startServer({ staticKey: serverKeys, onMessage: echo });
  const options: ClientOptions = {
    staticKey: clientKeys,
    endpoints: () => [{ port: server.port, remoteStatic: serverKeys.publicKey }],
  };
  const client = startClient(options);
  options.handshake = noise();
  options.cipher = "ChaChaPoly";
  assert.equal(fromText(await client.request(text("as it was"))), "as it was");
  options.handshake.destroy?.();
});

test("what a caller does to its prologue and its list of ciphers changes no handshake that comes later", async () => {
  const serverKeys = generateKeyPair();
  const agreed = () => ({ prologue: Uint8Array.of(1, 2, 3), cipher: ["ChaChaPoly" as const] });
  const theirs = agreed();
  const server = await startServer({ staticKey: serverKeys, onMessage: echo, ...theirs });
  const mine = agreed();
  const client = startClient({
    staticKey: generateKeyPair(),
    endpoints: () => [{ port: server.port, remoteStatic: serverKeys.publicKey }],
    ...mine,
  });
  for (const { prologue, cipher } of [theirs, mine]) {
    prologue.fill(9);
    cipher.splice(0, 1, "AESGCM" as never);
  }
  await server.reload({ staticKey: serverKeys });
  assert.equal(fromText(await client.request(text("as it was"))), "as it was");
});

test("whatever becomes of keys and hashes that a connection hands out, its own stay", async () => {
  const [serverKeys, clientKeys, others] = [generateKeyPair(), generateKeyPair(), generateKeyPair()];
  const allowed = [clientKeys.publicKey, others.publicKey];
  const keys = { staticKey: serverKeys, remoteStatic: allowed };
  const asked: string[] = [];
  const peerKeys: unknown[] = [];
  const api = {
    who: method((_input: undefined, context) => {
      context.connection.remoteStaticKey!.fill(0);
      peerKeys.push(context.peerKey);
    }),
  };
  const server = await startServer({ ...keys, onMessage: serve(api) });
  const own = { staticKey: clientKeys, remoteStatic: serverKeys.publicKey };
  const client = startClient({ port: server.port, ...own });
  const here = await client.connected();
  await typed<typeof api>(client).who(undefined);
  const there = server.connections[0]!;
  const read = ({ identity, remoteStaticKey, handshakeHash }: Connection) =>
    [remoteStaticKey, handshakeHash, identity!.remoteStaticKey, identity!.handshakeHash].map(
      (bytes) => bytes!,
    );
  const [hash] = [read(here)[1]!];
  for (const [connection, key] of [
    [here, serverKeys.publicKey],
    [there, clientKeys.publicKey],
  ] as const) {
    assert.deepEqual(read(connection), [key, hash, key, hash]);
    for (const bytes of read(connection)) bytes.fill(0);
    assert.deepEqual(read(connection), [key, hash, key, hash]);
  }
  // The library compares the key that the handshake proved, and asks about it.
  const authorize = (key: Uint8Array): boolean => {
    asked.push(encodeKey(key));
    key.fill(0);
    return true;
  };
  for (let i = 0; i < 2; i++) {
    for (const bytes of read(there)) bytes.fill(0);
    assert.equal(await server.reload({ ...keys, authorize }), 0);
  }
  await typed<typeof api>(client).who(undefined);
  const key = encodeKey(clientKeys.publicKey);
  assert.deepEqual(
    [asked, peerKeys],
    [
      [key, key],
      [key, key],
    ],
  );
  // Another key in its place must not pass for it.
  there.remoteStaticKey!.set(others.publicKey);
  assert.equal(await server.reload({ ...keys, remoteStatic: others.publicKey }), 1);
});

test("every list and object that an entry point exports is frozen", () => {
  const frozen = (value: unknown): boolean =>
    typeof value !== "object" ||
    value === null ||
    (Object.isFrozen(value) && Object.values(value).every((part) => frozen(part)));
  const thawed = [allOfNoise, allOfRpc, allOfIndex, allOfCrypto, allOfTesting].flatMap((entry) =>
    Object.entries(entry).flatMap(([name, value]) => (frozen(value) ? [] : [name])),
  );
  assert.deepEqual(thawed, []);
  assert.equal(frozen(allOfNoise.parsePattern("XXhfs+psk3")), true);
});

test("a prologue of another realm is copied, too, for keys that come later", async () => {
  const prologue: Uint8Array = vm.runInNewContext("new Uint8Array([1, 2, 3])");
  const server = await startServer({ psk: PSK, prologue, onMessage: echo });
  prologue.fill(9);
  await server.reload({ psk: PSK });
  const client = startClient({ port: server.port, psk: PSK, prologue: Uint8Array.of(1, 2, 3) });
  assert.equal(fromText(await client.request(text("the same"))), "the same");
});

test("a credential that is undefined makes no anonymous factory of handshakes", async () => {
  for (const name of ["psk", "staticKey", "remoteStatic", "authorize"]) {
    for (const make of [(options: object) => options, heirOf]) {
      const error = throwsWith(() => noise(make({ [name]: undefined })), "ERR_INVALID_ARGUMENT");
      assert.match(error.message, new RegExp(`^${name} .*environment`));
      assert.equal(noise({}).anonymous, true);
    }
  }
  const { client } = await startPair({ handshake: noise(), onMessage: echo }, { handshake: noise() });
  assert.equal(fromText(await client.request(text("anonymous on purpose"))), "anonymous on purpose");
});
