// Protocol v2 over real sockets: every pattern that options lead to, and the errors of both ends if their options do
// not fit. After every failure the server serves a client that fits.

import assert from "node:assert/strict";
import {
  type Client,
  type ClientOptions,
  type Connection,
  connect,
  generateKeyPair,
  listen,
  type Message,
  monteV1,
  noise,
  type SealwireError,
  type Server,
  type ServerOptions,
} from "../../../src/index.ts";
import { test } from "../../support/harness.ts";
import { checkLeaksAfterEachTest } from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

const clientKeys = generateKeyPair();
const serverKeys = generateKeyPair();
const strangerKeys = generateKeyPair();
const psk = crypto.getRandomValues(new Uint8Array(32));
const otherPsk = crypto.getRandomValues(new Uint8Array(32));
const fromBad = new TextEncoder().encode("never delivered");
const body = new TextEncoder().encode("over a real socket");

type PeerOptions = Omit<ClientOptions & ServerOptions, "port" | "host" | "path">;

/** What one end told of its connections. */
interface Ends {
  opened: Connection[];
  closed: (SealwireError | undefined)[];
}

function record(): { ends: Ends; onConnectionState: ClientOptions["onConnectionState"] } {
  const ends: Ends = { opened: [], closed: [] };
  return {
    ends,
    onConnectionState(connection, state, error) {
      if (state === "open") ends.opened.push(connection);
      if (state === "closed") ends.closed.push(error);
    },
  };
}

async function withPair(
  serverOptions: PeerOptions,
  clientOptions: PeerOptions,
  run: (client: Client, server: Server, ends: { client: Ends; server: Ends }) => Promise<void>,
): Promise<void> {
  const [ofServer, ofClient] = [record(), record()];
  const server = await listen({
    port: 0,
    onMessage: (message) => void message.reply(message.body),
    onConnectionState: ofServer.onConnectionState,
    handshakeTimeoutMs: 10_000,
    ...serverOptions,
  });
  const client = connect({
    port: server.port,
    onConnectionState: ofClient.onConnectionState,
    handshakeTimeoutMs: 10_000,
    ...clientOptions,
  });
  try {
    await run(client, server, { client: ofClient.ends, server: ofServer.ends });
  } finally {
    await client.close();
    await server.close();
  }
}

/** Waits, for the test's own time-out at most, until the other end noticed. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

const kk = { pattern: "KK" };
const sessions: [pattern: string, client: PeerOptions, server: PeerOptions][] = [
  ["NN", {}, {}],
  ["NNpsk0", { psk }, { psk }],
  ["XX", { staticKey: clientKeys }, { staticKey: serverKeys }],
  ["XXpsk3", { staticKey: clientKeys, psk }, { staticKey: serverKeys, psk }],
  ["IK", { staticKey: clientKeys, remoteStatic: serverKeys.publicKey }, { staticKey: serverKeys }],
  [
    "IKpsk2",
    { staticKey: clientKeys, remoteStatic: serverKeys.publicKey, psk },
    { staticKey: serverKeys, psk },
  ],
  [
    "KK",
    { ...kk, staticKey: clientKeys, remoteStatic: serverKeys.publicKey },
    { ...kk, staticKey: serverKeys, remoteStatic: clientKeys.publicKey },
  ],
  [
    "KKpsk0",
    { ...kk, staticKey: clientKeys, remoteStatic: serverKeys.publicKey, psk },
    { ...kk, staticKey: serverKeys, remoteStatic: clientKeys.publicKey, psk },
  ],
];

/** Both forms of each, the classical one with servers that take it alone or both. */
const inBothForms = sessions.flatMap(
  ([name, client, server]): [string, boolean, PeerOptions, PeerOptions][] => {
    const [base, modifier] = name.split(/(?=psk)/);
    const hybrid = `${base}hfs${modifier === undefined ? "" : `+${modifier}`}`;
    const classical = { postQuantum: false } as const;
    const accepting = modifier === undefined ? classical : ({ postQuantum: "accept" } as const);
    return [
      [hybrid, true, client, modifier === undefined ? { ...server, postQuantum: "accept" } : server],
      [name, false, { ...client, ...classical }, { ...server, ...accepting }],
    ];
  },
);

for (const [pattern, isHybrid, clientOptions, serverOptions] of inBothForms) {
  test(`${pattern}: calls both ways, and both ends know who the other is`, async () => {
    let authorized = 0;
    const authorize = { authorize: async () => ++authorized > 0 };
    const hasKeys = clientOptions.staticKey !== undefined;
    const [forClient, forServer] = hasKeys ? [authorize, authorize] : [{}, {}];
    await withPair(
      {
        ...serverOptions,
        ...forServer,
        onMessage: async (message) => void message.reply(await message.connection.request(message.body)),
      },
      { ...clientOptions, ...forClient, onMessage: (message) => void message.reply(message.body) },
      async (client, server, ends) => {
        assert.deepEqual(await client.request(body), body);
        const [here, there] = [ends.client.opened[0]!, ends.server.opened[0]!];
        assert.equal(
          here.identity!.protocol,
          `Noise_${pattern}_25519${isHybrid ? "+MLKEM768" : ""}_AESGCM_BLAKE2b`,
        );
        assert.equal(there.identity!.protocol, here.identity!.protocol);
        assert.equal(here.handshakeHash!.length, 64);
        assert.deepEqual(here.handshakeHash, there.handshakeHash);
        assert.deepEqual(here.remoteStaticKey, hasKeys ? serverKeys.publicKey : undefined);
        assert.deepEqual(there.remoteStaticKey, hasKeys ? clientKeys.publicKey : undefined);
        const isAnonymous = /^NN(hfs)?$/.test(pattern);
        for (const connection of [here, there]) assert.equal(connection.authenticated, !isAnonymous);
        assert.equal(client.anonymous, isAnonymous);
        assert.equal(server.anonymous, isAnonymous);
        assert.equal(authorized, hasKeys ? 2 : 0);
      },
    );
  });
}

test("where only the cipher differs, both ends get an error that names the option", async () => {
  await withPair({ psk }, { psk, cipher: "ChaChaPoly" }, async (client, _server, ends) => {
    await assert.rejects(client.request(body), {
      code: "ERR_HANDSHAKE",
      message: /options \(.*cipher, prologue\)/,
    });
    await until(() => ends.server.closed.length > 0);
    const atServer = ends.server.closed[0]!;
    assert.equal(atServer.code, "ERR_HANDSHAKE");
    assert.match(atServer.message, /the option cipher differs/);
  });
});

for (const postQuantum of [true, false]) {
  test(`ChaChaPoly, ${postQuantum ? "hybrid" : "classical"}: bodies of all sizes, both ways, over changes of the key`, async () => {
    const shared = { psk, postQuantum, unsafeRekeyAfterFramesForTests: 5 } as const;
    const ofServer = noise({ ...shared, cipher: ["AESGCM", "ChaChaPoly"] }, "server");
    const ofClients = (["ChaChaPoly", "AESGCM"] as const).map((cipher) =>
      noise({ ...shared, cipher }, "client"),
    );
    for (const handshake of ofClients) {
      await withPair(
        {
          handshake: ofServer,
          onMessage: async (message) => void message.reply(await message.connection.request(message.body)),
        },
        { handshake, onMessage: (message) => void message.reply(message.body) },
        async (client, _server, ends) => {
          // Bundles, segments, frames for the runtime's own cipher, and large ones in pieces.
          for (const length of [0, 1, 64, 1_400, 9_000, 30_000, 65_536, 300_000]) {
            const sent = new Uint8Array(length).map((_, i) => (i * 7 + length) & 0xff);
            const replies = await Promise.all([client.request(sent), client.request(sent)]);
            for (const reply of replies) assert.ok(Buffer.compare(reply, sent) === 0, `${length} bytes`);
          }
          const { protocol } = ends.client.opened[0]!.identity!;
          assert.equal(protocol, handshake.name);
          assert.equal(ends.server.opened[0]!.identity!.protocol, protocol);
        },
      );
    }
    for (const factory of [ofServer, ...ofClients]) factory.destroy();
  });
}

/**
 * The server's options, those of a client that fits it, those of one that does not, and the code that each end
 * of the failed connection sees.
 */
const xx = { staticKey: serverKeys };
const failing: [
  string,
  server: PeerOptions,
  good: PeerOptions,
  bad: PeerOptions,
  atClient: string,
  atServer: string,
][] = [
  ["wrong psk, NNpsk0", { psk }, { psk }, { psk: otherPsk }, "ERR_HANDSHAKE", "ERR_HANDSHAKE"],
  [
    "wrong psk, XXpsk3",
    { ...xx, psk },
    { staticKey: clientKeys, psk },
    { staticKey: clientKeys, psk: otherPsk },
    "ERR_HANDSHAKE",
    "ERR_HANDSHAKE",
  ],
  [
    "wrong psk, IKpsk2",
    { ...xx, psk },
    { staticKey: clientKeys, psk },
    { staticKey: clientKeys, remoteStatic: serverKeys.publicKey, psk: otherPsk },
    "ERR_HANDSHAKE",
    "ERR_HANDSHAKE",
  ],
  [
    "wrong psk, KKpsk0",
    { ...kk, ...xx, remoteStatic: clientKeys.publicKey, psk },
    { ...kk, staticKey: clientKeys, remoteStatic: serverKeys.publicKey, psk },
    { ...kk, staticKey: clientKeys, remoteStatic: serverKeys.publicKey, psk: otherPsk },
    "ERR_HANDSHAKE",
    "ERR_HANDSHAKE",
  ],
  [
    "another server key than the client knows, IK",
    xx,
    { staticKey: clientKeys },
    { staticKey: clientKeys, remoteStatic: strangerKeys.publicKey },
    "ERR_HANDSHAKE",
    "ERR_HANDSHAKE",
  ],
  [
    "another server key than the client pins, XX",
    xx,
    { staticKey: clientKeys },
    { staticKey: clientKeys, remoteStatic: [strangerKeys.publicKey, clientKeys.publicKey] },
    "ERR_UNAUTHORIZED",
    "ERR_HANDSHAKE",
  ],
  [
    "another client key than the server pins, XX",
    { ...xx, remoteStatic: clientKeys.publicKey },
    { staticKey: clientKeys },
    { staticKey: strangerKeys },
    "ERR_HANDSHAKE",
    "ERR_UNAUTHORIZED",
  ],
  [
    "another client key than the server pins, IK",
    { ...xx, remoteStatic: clientKeys.publicKey },
    { staticKey: clientKeys },
    { staticKey: strangerKeys, remoteStatic: serverKeys.publicKey },
    "ERR_HANDSHAKE",
    "ERR_UNAUTHORIZED",
  ],
  [
    "a client that authorize refuses",
    {
      ...xx,
      authorize: async (key) => key[0] === clientKeys.publicKey[0] && key[31] === clientKeys.publicKey[31],
    },
    { staticKey: clientKeys },
    { staticKey: strangerKeys },
    "ERR_HANDSHAKE",
    "ERR_UNAUTHORIZED",
  ],
  [
    "a server that authorize refuses",
    xx,
    { staticKey: clientKeys },
    { staticKey: clientKeys, authorize: () => false },
    "ERR_UNAUTHORIZED",
    "ERR_HANDSHAKE",
  ],
  [
    "wrong prologue, NN",
    { prologue: "a" },
    { prologue: "a" },
    { prologue: "b" },
    "ERR_HANDSHAKE",
    "ERR_HANDSHAKE",
  ],
  [
    "wrong prologue, NNpsk0",
    { psk, prologue: "a" },
    { psk, prologue: "a" },
    { psk },
    "ERR_HANDSHAKE",
    "ERR_HANDSHAKE",
  ],
  ["NN against NNpsk0", { psk }, { psk }, {}, "ERR_HANDSHAKE", "ERR_HANDSHAKE"],
  ["NNpsk0 against NN", {}, {}, { psk }, "ERR_HANDSHAKE", "ERR_HANDSHAKE"],
  ["NN against XX", xx, { staticKey: clientKeys }, {}, "ERR_HANDSHAKE", "ERR_HANDSHAKE"],
  ["XX against NN", {}, {}, { staticKey: clientKeys }, "ERR_HANDSHAKE", "ERR_HANDSHAKE"],
  ["classical against hybrid", {}, {}, { postQuantum: false }, "ERR_HANDSHAKE", "ERR_HANDSHAKE"],
  [
    "classical against hybrid, psk",
    { psk },
    { psk },
    { psk, postQuantum: false },
    "ERR_HANDSHAKE",
    "ERR_HANDSHAKE",
  ],
  [
    "hybrid against classical, keys",
    { ...xx, postQuantum: false },
    { staticKey: clientKeys, postQuantum: false },
    { staticKey: clientKeys },
    "ERR_HANDSHAKE",
    "ERR_HANDSHAKE",
  ],
  [
    "KK against XX and IK",
    xx,
    { staticKey: clientKeys },
    { ...kk, staticKey: clientKeys, remoteStatic: serverKeys.publicKey },
    "ERR_HANDSHAKE",
    "ERR_HANDSHAKE",
  ],
];

for (const [name, serverOptions, goodOptions, badOptions, atClient, atServer] of failing) {
  test(`${name}: an error on both ends, and nothing else affected`, () => {
    const delivered: Uint8Array[] = [];
    const onMessage = (message: Message): void => {
      delivered.push(message.body);
      message.reply(message.body);
    };
    return withPair({ ...serverOptions, onMessage }, badOptions, async (bad, server, ends) => {
      const good = connect({ port: server.port, maxConnections: 1, ...goodOptions });
      try {
        assert.deepEqual(await good.request(body), body);
        await assert.rejects(bad.request(fromBad), { name: "SealwireError", code: atClient });
        await until(() => ends.server.closed.length > 0);
        assert.equal(ends.server.closed[0]!.code, atServer);
        assert.equal(ends.client.closed[0]!.code, atClient);
        assert.deepEqual(await good.request(body), body);
        assert.deepEqual(delivered, [body, body]);
      } finally {
        await good.close();
      }
    });
  });
}

test("where only postQuantum differs, both ends' errors name it", async () => {
  for (const [clientOptions, serverOptions] of [
    [{ psk, postQuantum: false }, { psk }],
    [{ psk }, { psk, postQuantum: false }],
  ] as const) {
    await withPair(serverOptions, clientOptions, async (client, _server, ends) => {
      await assert.rejects(client.request(body), { code: "ERR_HANDSHAKE", message: /postQuantum/ });
      await until(() => ends.server.closed.length > 0);
      assert.match(ends.server.closed[0]!.message, /postQuantum/);
    });
  }
});

test("a v1 client against a v2 server", async () => {
  for (const serverOptions of [{}, { psk }, xx]) {
    await withPair(serverOptions, { handshake: monteV1() }, async (client, _server, ends) => {
      await assert.rejects(client.request(body), { name: "SealwireError", code: "ERR_HANDSHAKE" });
      await until(() => ends.server.closed.length > 0);
      assert.equal(ends.server.closed[0]!.code, "ERR_HANDSHAKE");
      assert.equal(ends.server.opened.length, 0);
    });
  }
});

test("a v2 client against a v1 server", async () => {
  for (const clientOptions of [{}, { psk }, { staticKey: clientKeys, remoteStatic: serverKeys.publicKey }]) {
    await withPair({ handshake: monteV1() }, clientOptions, async (client, _server, ends) => {
      await assert.rejects(client.request(body), { name: "SealwireError", code: "ERR_HANDSHAKE" });
      await until(() => ends.server.closed.length > 0);
      // v1 takes any 32 bytes for a key, so its handshake succeeds; what follows is no frame.
      assert.ok(ends.server.closed[0] !== undefined);
    });
  }
});

test("credentials that are undefined are a mistake, not anonymity; a handshake replaces them", async () => {
  for (const name of ["psk", "staticKey", "remoteStatic", "authorize"]) {
    const invalid = {
      code: "ERR_INVALID_ARGUMENT",
      message: new RegExp(`^${name} must be left out .* is a variable of the environment not set\\?$`),
    };
    assert.throws(() => connect({ port: 1, [name]: undefined }), invalid);
    await assert.rejects(listen({ port: 0, [name]: undefined }), invalid);
  }
  assert.throws(() => connect({ port: 1, psk, handshake: monteV1() }), {
    code: "ERR_INVALID_ARGUMENT",
    message: /^psk must be left out/,
  });
  await assert.rejects(listen({ port: 0, remoteStatic: serverKeys.publicKey }), {
    code: "ERR_INVALID_ARGUMENT",
    message: /^staticKey must be given/,
  });
});

test("anonymous clients and servers say so in their type, others do not claim it", async () => {
  const open: { readonly anonymous: true } = await listen({ port: 0 });
  const anyone: { readonly anonymous: true } = connect({ port: 1 });
  // @ts-expect-error: with a psk the peer is not anonymous
  const shared: { readonly anonymous: true } = connect({ port: 1, psk });
  // @ts-expect-error: nor with keys
  const keyed: { readonly anonymous: true } = await listen({ port: 0, staticKey: serverKeys });
  const old = connect({ port: 1, handshake: monteV1() });
  assert.deepEqual(
    [open, anyone, shared, keyed, old].map((end) => end.anonymous as boolean),
    [true, true, false, false, true],
  );
  for (const end of [open, anyone, shared, keyed, old]) await (end as Client | Server).close();
});

test("a handshake factory of one's own outlives the client or server that used it", async () => {
  const factory = noise({ psk });
  const info = { remoteAddress: "" };
  const server = await listen({
    port: 0,
    handshake: factory,
    onMessage: (message) => message.reply(message.body),
  });
  const clients = [1, 2].map(() => connect({ port: server.port, handshake: factory }));
  for (const client of clients) {
    assert.deepEqual(await client.request(body), body);
    await client.close();
  }
  await server.close();
  factory.create("client", info).destroy();
  factory.destroy();
  assert.throws(() => factory.create("client", info), { code: "ERR_CLOSED" });
});

test("authorize that does not answer in time: the handshake time-out, and a late answer changes nothing", async () => {
  let answer = (_accepted: boolean): void => {};
  let asked = 0;
  const authorize = (): boolean | Promise<boolean> => {
    asked++;
    return asked > 1 || new Promise<boolean>((resolve) => (answer = resolve));
  };
  await withPair(
    // It is the limit of the other client, too: longer than a busy machine may keep this process from running.
    { ...xx, authorize, handshakeTimeoutMs: 4_000 },
    { staticKey: clientKeys, remoteStatic: serverKeys.publicKey },
    async (slow, server, ends) => {
      const refused = assert.rejects(slow.request(body), { name: "SealwireError", code: "ERR_HANDSHAKE" });
      await until(() => asked === 1);
      // The server serves others while one waits.
      const other = connect({ port: server.port, staticKey: strangerKeys });
      assert.deepEqual(await other.request(body), body);
      await refused;
      await until(() => ends.server.closed.length > 0);
      assert.equal(ends.server.closed[0]!.code, "ERR_HANDSHAKE_TIMEOUT");
      answer(true);
      await new Promise((resolve) => setTimeout(resolve, 20));
      assert.equal(ends.server.opened.length, 1);
      assert.deepEqual(await other.request(body), body);
      await other.close();
    },
  );
});

test("what a client sends behind its last handshake message waits for authorize", async () => {
  const events: string[] = [];
  const authorize = async (): Promise<boolean> => {
    await new Promise((resolve) => setTimeout(resolve, 30));
    events.push("authorized");
    return true;
  };
  const onMessage = (message: Message): void => {
    events.push(new TextDecoder().decode(message.body));
    message.reply(message.body);
  };
  await withPair({ ...xx, authorize, onMessage }, { staticKey: clientKeys }, async (client) => {
    const sent = client.send(new TextEncoder().encode("first"));
    const answered = client.request(new TextEncoder().encode("second"));
    await sent;
    await answered;
    assert.deepEqual(events, ["authorized", "first", "second"]);
  });
});
