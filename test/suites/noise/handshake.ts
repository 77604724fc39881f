// Protocol v2's handshake as a connection drives it: framing, the pattern that options lead to on both ends, sizes
// checked before any work, authorization, and wiping at every end.

import assert from "node:assert/strict";
import type { HandshakeFactory, HandshakeResult, Role } from "../../../src/protocol/handshake.ts";
import { dhFunctions } from "../../../src/protocol/noise/dh.ts";
import { kemFunctions } from "../../../src/protocol/noise/kem.ts";
import { encodeKey, generateKeyPair } from "../../../src/protocol/noise/keys.ts";
import { noise } from "../../../src/protocol/noise/noiseFactory.ts";
import type { AuthorizeInfo, NoiseOptions } from "../../../src/protocol/noise/noiseOptions.ts";
import { fundamentalPatternNames } from "../../../src/protocol/noise/patterns.ts";
import { drive, driveUntilError } from "../../support/handshakePair.ts";
import { test } from "../../support/harness.ts";

const client = generateKeyPair();
const server = generateKeyPair();
const stranger = generateKeyPair();
const psk = crypto.getRandomValues(new Uint8Array(32));
const info = { remoteAddress: "192.0.2.1:7000" };

function assertMatching(a: HandshakeResult, b: HandshakeResult): void {
  assert.deepEqual(a.sendKey, b.receiveKey);
  assert.deepEqual(a.receiveKey, b.sendKey);
  assert.notDeepEqual(a.sendKey, a.receiveKey);
  assert.equal(a.identity.protocol, b.identity.protocol);
  assert.equal(a.identity.handshakeHash!.length, 64);
  assert.deepEqual(a.identity.handshakeHash, b.identity.handshakeHash);
}

const matrix: [pattern: string, client: NoiseOptions, server: NoiseOptions][] = [
  ["NN", {}, {}],
  ["NNpsk0", { psk }, { psk: encodeKey(psk) }],
  ["XX", { staticKey: client }, { staticKey: server }],
  ["XXpsk3", { staticKey: client, psk }, { staticKey: server, psk }],
  ["IK", { staticKey: client, remoteStatic: server.publicKey }, { staticKey: server }],
  [
    "IK",
    { staticKey: client, remoteStatic: server.publicKey },
    { staticKey: server, remoteStatic: client.publicKey },
  ],
  ["IKpsk2", { staticKey: client, remoteStatic: server.publicKey, psk }, { staticKey: server, psk }],
  // Two pins leave open which server it is, so its key is asked for and then checked.
  ["XX", { staticKey: client, remoteStatic: [stranger.publicKey, server.publicKey] }, { staticKey: server }],
  [
    "KK",
    { pattern: "KK", staticKey: client, remoteStatic: server.publicKey },
    { pattern: "KK", staticKey: server, remoteStatic: client.publicKey },
  ],
  [
    "KKpsk0",
    { pattern: "KK", psk, staticKey: client, remoteStatic: server.publicKey },
    { pattern: "KKpsk0", psk, staticKey: server, remoteStatic: client.publicKey },
  ],
  ["NK", { pattern: "NK", remoteStatic: server.publicKey }, { pattern: "NK", staticKey: server }],
  ["NX", { pattern: "NX", remoteStatic: server.publicKey }, { pattern: "NX", staticKey: server }],
  ["XN", { pattern: "XN", staticKey: client }, { pattern: "XN", remoteStatic: client.publicKey }],
  [
    "XK",
    { pattern: "XK", staticKey: client, remoteStatic: server.publicKey },
    { pattern: "XK", staticKey: server },
  ],
  [
    "KNpsk0",
    { pattern: "KN", staticKey: client, psk },
    { pattern: "KN", remoteStatic: client.publicKey, psk },
  ],
  [
    "KX",
    { pattern: "KX", staticKey: client },
    { pattern: "KX", staticKey: server, remoteStatic: client.publicKey },
  ],
  ["INpsk2", { pattern: "IN", staticKey: client, psk }, { pattern: "INpsk2", psk }],
  ["IX", { pattern: "IX", staticKey: client }, { pattern: "IX", staticKey: server }],
];

/** The protocol's name: of a classical pattern, and of its hybrid form. */
const classical = (pattern: string): string => `Noise_${pattern}_25519_AESGCM_BLAKE2b`;
const hybrid = (pattern: string): string => {
  const [base, psk] = pattern.split(/(?=psk)/);
  return `Noise_${base}hfs${psk === undefined ? "" : `+${psk}`}_25519+MLKEM768_AESGCM_BLAKE2b`;
};

/** The same with the other cipher. */
const withChaCha =
  (nameOf: (pattern: string) => string) =>
  (pattern: string): string =>
    nameOf(pattern).replace("AESGCM", "ChaChaPoly");
const chacha = { cipher: "ChaChaPoly" } as const;
const both = { cipher: ["ChaChaPoly", "AESGCM"] } as const;

/** What both ends say about `postQuantum` and `cipher`, and which form that leads to. */
const forms: [nameOf: (pattern: string) => string, client: NoiseOptions, server: NoiseOptions][] = [
  [hybrid, {}, {}],
  [hybrid, { postQuantum: true }, { postQuantum: "accept" }],
  [classical, { postQuantum: false }, { postQuantum: "accept" }],
  [classical, { postQuantum: false }, { postQuantum: false }],
  [withChaCha(hybrid), chacha, chacha],
  [withChaCha(hybrid), chacha, both],
  [hybrid, { cipher: "AESGCM" }, both],
  [withChaCha(classical), { postQuantum: false, ...chacha }, { postQuantum: "accept", ...both }],
  [classical, { postQuantum: false, cipher: ["AESGCM"] }, { postQuantum: "accept", ...both }],
];
const cases = matrix.flatMap(([pattern, clientOptions, serverOptions]) =>
  forms.map(
    ([nameOf, ofClient, ofServer]) =>
      [
        pattern,
        nameOf(pattern),
        { ...clientOptions, ...ofClient },
        { ...serverOptions, ...ofServer },
      ] as const,
  ),
);

test("options on both ends lead to one pattern, with and without naming the role", () => {
  for (const [pattern, name, clientOptions, serverOptions] of cases) {
    for (const [clientRole, serverRole] of [
      [undefined, undefined],
      ["client", "server"],
    ] as const) {
      const [a, b] = drive(
        noise(clientOptions, clientRole).create("client", info),
        noise(serverOptions, serverRole).create("server", info),
      );
      assertMatching(a, b);
      assert.equal(a.identity.protocol, name);
      const carriesServerKey = /[KX]$/.test(pattern.slice(0, 2));
      const carriesClientKey = /^[KXI]/.test(pattern);
      const hasPsk = pattern.includes("psk");
      assert.deepEqual(a.identity.remoteStaticKey, carriesServerKey ? server.publicKey : undefined, pattern);
      assert.deepEqual(b.identity.remoteStaticKey, carriesClientKey ? client.publicKey : undefined, pattern);
      assert.equal(a.identity.authenticated, carriesServerKey || hasPsk, pattern);
      assert.equal(b.identity.authenticated, carriesClientKey || hasPsk, pattern);
    }
  }
});

test("a pattern that names no place for the psk takes it where the page says, at both ends", () => {
  const places = { NN: 0, NK: 0, NX: 2, XN: 3, XK: 3, XX: 3, KN: 0, KK: 0, KX: 2, IN: 2, IK: 2, IX: 2 };
  assert.deepEqual(Object.keys(places).sort(), [...fundamentalPatternNames].sort());
  for (const [pattern, place] of Object.entries(places)) {
    for (const role of ["client", "server"] as const) {
      const [own, peer] = role === "client" ? [pattern[0], pattern[1]] : [pattern[1], pattern[0]];
      const keys = {
        ...(own === "N" ? {} : { staticKey: client }),
        ...(peer === "K" ? { remoteStatic: server.publicKey } : {}),
      };
      const nameOf = (options: NoiseOptions): string => noise({ ...keys, ...options }, role).name;
      const name = `${pattern}psk${place}`;
      assert.equal(nameOf({ pattern, psk }), hybrid(name), role);
      assert.equal(nameOf({ pattern: `${pattern}hfs`, psk }), hybrid(name), role);
      assert.equal(nameOf({ pattern, psk, postQuantum: false }), classical(name), role);
      assert.equal(nameOf({ pattern }), hybrid(pattern), role);
    }
  }
});

test("a factory says its name, whether it is anonymous, and the transport's format", () => {
  const anonymous = noise();
  assert.equal(anonymous.anonymous, true);
  assert.equal(anonymous.name, hybrid("NN"));
  assert.equal(noise({ postQuantum: false }).anonymous, true);
  assert.equal(noise({ postQuantum: false }).name, classical("NN"));
  assert.deepEqual(anonymous.format, {
    header: "kind",
    nonceLayout: "counter-last",
    rekeyAfterFrames: 65_536,
    peerMaxFrameBytes: 0,
  });
  assert.equal(noise({ psk }).anonymous, false);
  // A server's key identifies it to a client only if something compares it.
  assert.equal(noise({ staticKey: client }, "client").anonymous, true);
  assert.equal(noise({ pattern: "XN", staticKey: client }, "client").anonymous, true);
  assert.equal(noise({ staticKey: client, authorize: () => true }, "client").anonymous, false);
  assert.equal(noise({ staticKey: client }, "server").anonymous, false);
  assert.equal(noise({ staticKey: client }, "server").name, `${hybrid("XX")} or ${hybrid("IK")}`);
  assert.equal(
    noise({ staticKey: client, postQuantum: "accept" }, "server").name,
    ["XX", "IK"].map(hybrid).concat(["XX", "IK"].map(classical)).join(" or "),
  );
  assert.equal(noise({ staticKey: client }, "client").name, hybrid("XX"));
  assert.equal(noise({ staticKey: client, postQuantum: false }, "client").name, classical("XX"));
  for (const pattern of ["XXhfs+psk3", "XXpsk3", "XXhfs", "XX"]) {
    assert.equal(noise({ pattern, staticKey: client, psk }, "client").name, hybrid("XXpsk3"), pattern);
  }
  assert.equal(noise({ unsafeRekeyAfterFramesForTests: 5 }).format.rekeyAfterFrames, 5);
});

test("options that are wrong or incomplete say what is missing", () => {
  const key = server.publicKey;
  const bad: [RegExp, unknown, (Role | undefined)?][] = [
    [/^options must be an object/, null],
    [/^psk must be 32 bytes/, { psk: "hunter2" }],
    [/^staticKey must be 32 bytes/, { staticKey: new Uint8Array(31) }],
    [/^remoteStatic must be 32 bytes/, { staticKey: client, remoteStatic: "x" }],
    [/^remoteStatic\[1\] must be 32 bytes/, { staticKey: client, remoteStatic: [key, 5] }],
    [/^remoteStatic must be a key or a list of at least one/, { staticKey: client, remoteStatic: [] }],
    [/^authorize must be a function/, { staticKey: client, authorize: true }],
    [/^prologue must be/, { prologue: 5 }],
    [/^prologue must be/, { prologue: new Uint8Array(65_536) }],
    [/^pattern must be a string/, { pattern: 5 }],
    [/^pattern must be one of NN/, { pattern: "NN2" }],
    [/^pattern must be one of NN/, { pattern: "N", remoteStatic: key }],
    [/^pattern must be one of NN/, { pattern: "XX1", staticKey: client }],
    [/^pattern must be with one psk modifier/, { pattern: "NNpsk0+psk2", psk }],
    [/^psk must be given for pattern "NNpsk0"/, { pattern: "NNpsk0" }],
    [
      /^staticKey must be given together with remoteStatic \(or name pattern: "NK"\)/,
      { remoteStatic: key },
      "client",
    ],
    [
      /^staticKey must be given together with remoteStatic \(or name pattern: "KN"\)/,
      { remoteStatic: key },
      "server",
    ],
    [/^staticKey must be given together with authorize/, { authorize: () => true }],
    [/^staticKey must be given for pattern "XX" on a client/, { pattern: "XX" }, "client"],
    [/^staticKey must be left out: a client of pattern "NX"/, { pattern: "NX", staticKey: client }, "client"],
    [
      /^remoteStatic must be left out: pattern "XN"/,
      { pattern: "XN", staticKey: client, remoteStatic: key },
      "client",
    ],
    [
      /^authorize must be left out: pattern "NX"/,
      { pattern: "NX", staticKey: server, authorize: () => true },
      "server",
    ],
    [/^remoteStatic must be exactly one key for pattern "KK"/, { pattern: "KK", staticKey: client }],
    [
      /^remoteStatic must be exactly one key for pattern "IK"/,
      { pattern: "IK", staticKey: client, remoteStatic: [key, key] },
      "client",
    ],
    [/^postQuantum must be true, false or "accept"/, { postQuantum: "yes" }],
    [/^postQuantum must be true, false or "accept"/, { postQuantum: null }],
    [/^postQuantum must be true or false on a client/, { postQuantum: "accept" }, "client"],
    [/^postQuantum must be true or left out for pattern "NNhfs"/, { pattern: "NNhfs", postQuantum: false }],
    [
      /^postQuantum must be true or left out for pattern "NNhfs"/,
      { pattern: "NNhfs", postQuantum: "accept" },
      "server",
    ],
    [/^pattern must be one of NN/, { pattern: "NNhfshfs" }],
    [/^pattern must be one of NN/, { pattern: "NhfsN" }],
    [/^pattern must be one of NN/, { pattern: "NNhfs+" }],
    [/^pattern must be one of NN/, { pattern: "NNhfspsk0", psk }],
    [/^pattern must be/, { pattern: "NNpsk0+hfs", psk }],
    [/^pattern must be one of NN/, { pattern: "hfsNN+" }],
    [/^unsafeKemForTests must be 64 bytes on a client/, { unsafeKemForTests: new Uint8Array(63) }],
    [/^unsafeEphemeralForTests must be 32 bytes/, { unsafeEphemeralForTests: new Uint8Array(1) }],
    [/^unsafeRekeyAfterFramesForTests must be/, { unsafeRekeyAfterFramesForTests: 0 }],
  ];
  for (const [message, options, role] of bad) {
    assert.throws(() => noise(options as NoiseOptions, role), { code: "ERR_INVALID_ARGUMENT", message });
  }
  // Fine for a server, so the factory exists; the client's error comes when a client is asked for.
  const forServers = noise({ pattern: "NX", staticKey: server });
  forServers.create("server", info).destroy();
  assert.throws(
    () => forServers.create("client", info),
    /staticKey must be left out: a client of pattern "NX"/,
  );
});

test("a destroyed factory makes no more handshakes; those it made go on", () => {
  const factory = noise({ psk });
  const a = factory.create("client", info);
  factory.destroy();
  factory.destroy();
  assert.throws(() => factory.create("client", info), { code: "ERR_CLOSED" });
  const [one, other] = drive(a, noise({ psk }).create("server", info));
  assertMatching(one, other);
});

test("a server's handshake that has read nothing yet keeps the keys of its destroyed factory, not zeros", () => {
  const options = { psk, staticKey: server };
  const factory = noise(options, "server");
  const late = factory.create("server", info);
  factory.destroy();
  const known = { psk, staticKey: client, remoteStatic: server.publicKey };
  const [one, other] = drive(noise(known).create("client", info), late);
  assertMatching(one, other);
  // Nobody gets in with what is left where the psk was.
  const guarded = noise({ psk }, "server");
  const unread = guarded.create("server", info);
  guarded.destroy();
  const first = noise({ psk: new Uint8Array(32) })
    .create("client", info)
    .send()!;
  unread.receive(first.subarray(0, 4));
  assert.throws(() => unread.receive(first.subarray(4)), { code: "ERR_HANDSHAKE" });
  // And a destroyed one does nothing any more.
  const dead = noise({ psk }, "server").create("server", info);
  dead.destroy();
  assert.throws(() => dead.receive(first.subarray(0, 4)), { code: "ERR_CLOSED" });
  assert.throws(() => dead.finish(), { code: "ERR_CLOSED" });
  assert.equal(dead.send(), undefined);
});

/** Both ends' errors when the options do not fit; an end that only sees the close has none. */
function failures(clientOptions: NoiseOptions, serverOptions: NoiseOptions) {
  return driveUntilError(
    noise(clientOptions).create("client", info),
    noise(serverOptions).create("server", info),
  );
}

test("wrong psk, key, prologue and mismatched patterns end on one side with ERR_HANDSHAKE", () => {
  const other = new Uint8Array(32).fill(9);
  const cases: [string, side: Role, NoiseOptions, NoiseOptions][] = [
    ["wrong psk, NNpsk0", "server", { psk }, { psk: other }],
    ["wrong psk, XXpsk3", "server", { psk, staticKey: client }, { psk: other, staticKey: server }],
    [
      "wrong psk, IKpsk2",
      "client",
      { psk, staticKey: client, remoteStatic: server.publicKey },
      { psk: other, staticKey: server },
    ],
    [
      "wrong psk, KKpsk0",
      "server",
      { pattern: "KK", psk, staticKey: client, remoteStatic: server.publicKey },
      { pattern: "KK", psk: other, staticKey: server, remoteStatic: client.publicKey },
    ],
    [
      "wrong server key, IK",
      "server",
      { staticKey: client, remoteStatic: stranger.publicKey },
      { staticKey: server },
    ],
    [
      "wrong server key, KK",
      "server",
      { pattern: "KK", staticKey: client, remoteStatic: stranger.publicKey },
      { pattern: "KK", staticKey: server, remoteStatic: client.publicKey },
    ],
    ["wrong prologue, NN", "client", { prologue: "a" }, { prologue: "b" }],
    ["wrong prologue, NNpsk0", "server", { psk, prologue: "a" }, { psk }],
    [
      "wrong prologue, XX",
      "client",
      { staticKey: client, prologue: "a" },
      { staticKey: server, prologue: "ab" },
    ],
    ["NN against NNpsk0", "server", {}, { psk }],
    ["NNpsk0 against NN", "server", { psk }, {}],
    ["NN against XX", "client", {}, { staticKey: server }],
    ["XX against NN", "client", { staticKey: client }, {}],
    ["IK against NN", "server", { staticKey: client, remoteStatic: server.publicKey }, {}],
    [
      "KK against XX and IK",
      "server",
      { pattern: "KK", staticKey: client, remoteStatic: server.publicKey },
      { staticKey: server },
    ],
    ["XX against XXpsk3", "server", { staticKey: client }, { staticKey: server, psk }],
    ["XXpsk3 against XX", "server", { staticKey: client, psk }, { staticKey: server }],
    ["NNpsk0 against XXpsk3", "server", { psk }, { staticKey: server, psk }],
    ["XXpsk3 against NNpsk0", "server", { psk, staticKey: client }, { psk }],
    ["classical against hybrid", "server", { postQuantum: false }, {}],
    ["hybrid against classical", "server", {}, { postQuantum: false }],
    ["classical against hybrid, psk", "server", { psk, postQuantum: false }, { psk }],
    [
      "hybrid XX against classical IK or XX",
      "server",
      { staticKey: client },
      { staticKey: server, postQuantum: false },
    ],
    ["wrong psk, both forms accepted", "server", { psk }, { psk: other, postQuantum: "accept" }],
  ];
  for (const [name, side, clientOptions, serverOptions] of cases) {
    const found = failures(clientOptions, serverOptions);
    assert.equal(found.side, side, name);
    assert.equal((found.error as { code?: string }).code, "ERR_HANDSHAKE", name);
  }
});

test("where only postQuantum differs, the error says so", () => {
  for (const [clientOptions, serverOptions, message] of [
    [{ postQuantum: false }, {}, /client's key exchange is X25519 alone, this side's hybrid: .* postQuantum/],
    [{}, { postQuantum: false }, /client's key exchange is hybrid, this side's X25519 alone: .* postQuantum/],
  ] as const) {
    const { side, error } = failures(clientOptions, serverOptions);
    assert.equal(side, "server");
    assert.match((error as Error).message, message);
  }
});

test("where only the cipher differs, the error says so; where both options do, it names both", () => {
  for (const [clientOptions, serverOptions, message] of [
    [chacha, {}, /^the client's cipher is ChaChaPoly, this side's AESGCM: the option cipher differs/],
    [{}, chacha, /^the client's cipher is AESGCM, this side's ChaChaPoly: the option cipher differs/],
    [{ postQuantum: false, ...chacha }, { postQuantum: "accept" }, /^the client's cipher is ChaChaPoly/],
    [
      { postQuantum: false, ...chacha },
      both,
      /^the client's key exchange is X25519 alone.*postQuantum differs/,
    ],
    [
      { postQuantum: false, ...chacha },
      {},
      /key exchange is X25519 alone.* and the client's cipher is ChaChaPoly/,
    ],
  ] as const) {
    const { side, error } = failures(clientOptions, serverOptions);
    assert.equal(side, "server");
    assert.match((error as Error).message, message);
    assert.equal((error as { code?: string }).code, "ERR_HANDSHAKE");
  }
});

test("the cipher is one of the names, of a client exactly one", () => {
  for (const cipher of ["AES", "chachapoly", null, 3, [], ["AESGCM", "AES"], [undefined]]) {
    assert.throws(() => noise({ cipher } as unknown as NoiseOptions, "server"), {
      code: "ERR_INVALID_ARGUMENT",
      message: /^cipher must be/,
    });
  }
  assert.throws(() => noise(both, "client"), {
    code: "ERR_INVALID_ARGUMENT",
    message: /^cipher must be one name/,
  });
  assert.throws(() => noise(both).create("client", info), {
    code: "ERR_INVALID_ARGUMENT",
    message: /^cipher/,
  });
  assert.equal(noise({ cipher: ["AESGCM", "AESGCM"] }, "client").name, noise({}, "client").name);
  assert.equal(
    noise({ ...both, postQuantum: false }, "server").name,
    "Noise_NN_25519_AESGCM_BLAKE2b or Noise_NN_25519_ChaChaPoly_BLAKE2b",
  );
});

test("a cipher changed on the way fails, in either direction: the protocol's name is in the transcript", () => {
  for (const [clientOptions, suite] of [
    [{}, 3],
    [chacha, 1],
    [{ postQuantum: false }, 2],
    [{ postQuantum: false, ...chacha }, 0],
  ] as const) {
    const client = noise(clientOptions).create("client", info);
    const server = noise({ ...both, postQuantum: "accept" }).create("server", info);
    const first = client.send()!;
    assert.equal(first[1], suite ^ 2);
    first[1] = suite;
    server.receive(first.subarray(0, 4));
    server.receive(first.subarray(4));
    const answer = server.send()!;
    client.receive(answer.subarray(0, 4));
    assert.throws(() => client.receive(answer.subarray(4)), {
      code: "ERR_HANDSHAKE",
      message: /not authentic/,
    });
  }
});

test("suites of versions to come are refused by the first four bytes", () => {
  for (const suite of [4, 5, 6, 7, 0x8000, 0xffff]) {
    const server = noise({ ...both, postQuantum: "accept" }).create("server", info);
    const first = Uint8Array.of(suite >> 8, suite & 0xff, 0, 32);
    assert.throws(() => server.receive(first), { code: "ERR_HANDSHAKE" });
  }
});

test("a suite changed on the way fails: the protocol's name is in the transcript", () => {
  // Both forms of one pattern have first messages of other lengths, so the length has to be changed with the suite.
  const handshake = noise({ postQuantum: "accept" }, "server").create("server", info);
  const first = noise({}, "client").create("client", info).send()!;
  const downgraded = new Uint8Array([0, 0, 0, 32, ...first.subarray(4, 36)]);
  handshake.receive(downgraded.subarray(0, 4));
  handshake.receive(downgraded.subarray(4));
  const answer = handshake.send()!;
  assert.equal(answer.length, 52);
  const victim = noise({}, "client").create("client", info);
  victim.send();
  assert.throws(() => victim.receive(answer.subarray(0, 4)), { code: "ERR_HANDSHAKE" });
  // Padded to the length that the client expects, it is not authentic.
  const other = noise({}, "client").create("client", info);
  other.send();
  other.receive(new Uint8Array([0, 0, 4, 128]));
  assert.throws(() => other.receive(crypto.getRandomValues(new Uint8Array(1_152))), {
    code: "ERR_HANDSHAKE",
  });
});

test("a length that the pattern does not have is refused on the prefix alone", () => {
  const form = { postQuantum: false };
  const suite = 0x10000;
  const unknownSuites = [0x20000, 0x40000, 0x80000000].map((bits) => bits + 32);
  for (const [options, allowed] of [
    [form, [32]],
    [{ ...form, psk }, [48]],
    [{ ...form, staticKey: server }, [32, 96]],
    [{}, [suite + 1216]],
    [{ psk }, [suite + 1248]],
    [{ staticKey: server }, [suite + 1216, suite + 1296]],
    [{ staticKey: server, psk }, [suite + 1248, suite + 1296]],
    [{ postQuantum: "accept" }, [32, suite + 1216]],
    [{ postQuantum: "accept", staticKey: server }, [32, 96, suite + 1216, suite + 1296]],
  ] as const) {
    const classicalLengths = [0, 1, 31, 32, 33, 47, 48, 49, 95, 96, 97, 1216, 1248, 1296, 65_535];
    const hybridLengths = [...classicalLengths, 1215, 1217, 1247, 1249, 1295, 1297].map((n) => suite + n);
    for (const length of [...classicalLengths, ...hybridLengths, ...unknownSuites, 0x7fffffff, 0xffffffff]) {
      const handshake = noise(options, "server").create("server", info);
      assert.equal(handshake.expects, 4);
      const prefix = new Uint8Array(4);
      new DataView(prefix.buffer).setUint32(0, length);
      if ((allowed as readonly number[]).includes(length)) {
        handshake.receive(prefix);
        assert.equal(handshake.expects, length & 0xffff);
      } else {
        assert.throws(() => handshake.receive(prefix), {
          code: "ERR_HANDSHAKE",
          message: /another protocol/,
        });
        assert.equal(handshake.expects, 0);
      }
      handshake.destroy();
    }
  }
});

test("later messages have one length as well: longer ones, which would carry a payload, are refused", () => {
  const prefix = (length: number): Uint8Array => {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, length);
    return bytes;
  };
  const xx = { client: noise({ staticKey: client }), server: noise({ staticKey: server }) };
  // The second message has 1,200 bytes, 96 of the classical pattern; only the first frame has a suite.
  for (const length of [0, 32, 95, 96, 97, 1199, 1201, 1216, 0x10000 + 1200, 65_535, 0xffffffff]) {
    const a = xx.client.create("client", info);
    a.send();
    assert.throws(() => a.receive(prefix(length)), { code: "ERR_HANDSHAKE", message: /another protocol/ });
    assert.throws(() => a.finish(), { code: "ERR_HANDSHAKE" });
  }
  for (const length of [0, 32, 63, 65, 80, 96, 0x10000 + 64, 65_535]) {
    const [a, b] = [xx.client.create("client", info), xx.server.create("server", info)];
    const first = a.send()!;
    b.receive(first.subarray(0, 4));
    b.receive(first.subarray(4));
    assert.ok(b.send() !== undefined);
    assert.throws(() => b.receive(prefix(length)), { code: "ERR_HANDSHAKE", message: /another protocol/ });
    a.destroy();
  }
});

/** Counts key generations, DH operations and encapsulations while `body` runs. */
function countingOperations(body: () => void): number {
  const { generateKeyPair: generate, dh } = dhFunctions;
  const { encapsulate } = kemFunctions;
  let count = 0;
  kemFunctions.encapsulate = (key, m) => {
    count++;
    return encapsulate(key, m);
  };
  dhFunctions.generateKeyPair = (key) => {
    count++;
    return generate(key);
  };
  dhFunctions.dh = (pair, key) => {
    count++;
    return dh(pair, key);
  };
  try {
    body();
  } finally {
    dhFunctions.generateKeyPair = generate;
    dhFunctions.dh = dh;
    kemFunctions.encapsulate = encapsulate;
  }
  return count;
}

test("a bad first NNhfs+psk0 message costs no X25519 and no encapsulation, a good one two and one", () => {
  const factory = noise({ psk }, "server");
  const good = noise({ psk }, "client").create("client", info).send()!;
  const receiveFirst = (frame: Uint8Array, expectError: boolean): number =>
    countingOperations(() => {
      const handshake = factory.create("server", info);
      handshake.receive(frame.subarray(0, 4));
      if (expectError) assert.throws(() => handshake.receive(frame.subarray(4)), { code: "ERR_HANDSHAKE" });
      else {
        handshake.receive(frame.subarray(4));
        handshake.send();
      }
      handshake.destroy();
    });
  assert.equal(receiveFirst(good, false), 3);
  for (let at = 4; at < good.length; at++) {
    const bad = new Uint8Array(good);
    bad[at]! ^= 0x01;
    assert.equal(receiveFirst(bad, true), 0);
  }
  const otherPsk = noise({ psk: new Uint8Array(32) }, "client")
    .create("client", info)
    .send()!;
  assert.equal(receiveFirst(otherPsk, true), 0);
});

test("a length of the wrong kind costs no X25519 and no encapsulation in any pattern", () => {
  for (const options of [{}, { psk }, { staticKey: server }, { staticKey: server, psk }]) {
    const factory = noise(options, "server");
    const cost = countingOperations(() => {
      const handshake = factory.create("server", info);
      assert.throws(() => handshake.receive(new Uint8Array([0, 1, 1, 0])), { code: "ERR_HANDSHAKE" });
    });
    assert.equal(cost, 0);
  }
});

test("pins: a key among remoteStatic passes, another is ERR_UNAUTHORIZED", () => {
  const pinned = failures(
    { staticKey: client, remoteStatic: [stranger.publicKey, encodeKey(client.publicKey)] },
    { staticKey: server },
  );
  assert.equal(pinned.side, "client");
  assert.equal((pinned.error as { code?: string }).code, "ERR_UNAUTHORIZED");
  assert.ok((pinned.error as Error).message.includes(encodeKey(server.publicKey)));
  for (const clientOptions of [
    { staticKey: client },
    { staticKey: client, remoteStatic: server.publicKey },
  ]) {
    const refused = failures(clientOptions, { staticKey: server, remoteStatic: stranger.publicKey });
    assert.equal(refused.side, "server");
    assert.equal((refused.error as { code?: string }).code, "ERR_UNAUTHORIZED");
  }
  const known = { staticKey: server, remoteStatic: [stranger.publicKey, client.publicKey] };
  assertMatching(
    ...drive(noise({ staticKey: client }).create("client", info), noise(known).create("server", info)),
  );
});

test("authorize is asked once, on either side, with the key and where it comes from", () => {
  for (const pattern of ["XX", "IK", "KK"]) {
    const asked: [Uint8Array, AuthorizeInfo][] = [];
    const authorize = (key: Uint8Array, about: AuthorizeInfo): boolean => {
      asked.push([new Uint8Array(key), about]);
      key.fill(0); // a copy: spoiling it spoils nothing
      return true;
    };
    const named = pattern === "KK" ? { pattern } : {};
    const clientPin = pattern === "XX" ? {} : { remoteStatic: server.publicKey };
    const serverPin = pattern === "KK" ? { remoteStatic: client.publicKey } : {};
    const [a, b] = drive(
      noise({ ...named, ...clientPin, staticKey: client, authorize }).create("client", info),
      noise({ ...named, ...serverPin, staticKey: server, authorize }).create("server", info),
    );
    assertMatching(a, b);
    assert.equal(asked.length, 2, pattern);
    for (const [key, about] of asked) {
      assert.deepEqual(key, about.role === "client" ? server.publicKey : client.publicKey);
      assert.equal(about.remoteAddress, info.remoteAddress);
      assert.equal(about.protocol, hybrid(pattern));
    }
    assert.deepEqual(new Set(asked.map(([, about]) => about.role)), new Set(["client", "server"]));
    assert.deepEqual(a.identity.remoteStaticKey, server.publicKey);
  }
});

test("a refused peer gets nothing: no message is written after the refusal", async () => {
  const refusals: [string, NonNullable<NoiseOptions["authorize"]>][] = [
    ["false", () => false],
    ["a promise of false", async () => false],
    ["undefined", () => undefined as unknown as boolean],
    ["a truthy answer that is not true", () => "yes" as unknown as boolean],
    ["a promise of 1", async () => 1 as unknown as boolean],
    [
      "throwing",
      () => {
        throw new Error("database down");
      },
    ],
    [
      "rejecting",
      async () => {
        throw new Error("database down");
      },
    ],
  ];
  for (const [name, authorize] of refusals) {
    for (const refusing of ["client", "server"] as const) {
      const clientSide = noise({
        staticKey: client,
        ...(refusing === "client" && { authorize }),
      }).create("client", info);
      const serverSide = noise({
        staticKey: server,
        ...(refusing === "server" && { authorize }),
      }).create("server", info);
      const pass = async (from: typeof clientSide, to: typeof clientSide): Promise<void> => {
        const frame = from.send()!;
        await to.receive(frame.slice(0, 4));
        await to.receive(frame.slice(4));
      };
      await pass(clientSide, serverSide);
      const refused =
        refusing === "client"
          ? pass(serverSide, clientSide)
          : pass(serverSide, clientSide).then(() => pass(clientSide, serverSide));
      await assert.rejects(refused, { code: "ERR_UNAUTHORIZED" }, `${name} on the ${refusing}`);
      const side = refusing === "client" ? clientSide : serverSide;
      assert.equal(side.send(), undefined);
      assert.equal(side.done, false);
      assert.equal(side.expects, 0);
      assert.throws(() => side.finish(), { code: "ERR_HANDSHAKE" });
    }
  }
});

test("while authorize decides, the handshake waits; destroyed meanwhile, it stays dead", async () => {
  for (const closeMeanwhile of [false, true]) {
    let decide: (answer: boolean) => void = () => {};
    const authorize = (): Promise<boolean> =>
      new Promise((resolve) => {
        decide = resolve;
      });
    const a = noise({ staticKey: client, remoteStatic: server.publicKey }).create("client", info);
    const b = noise({ staticKey: server, authorize }).create("server", info);
    const first = a.send()!;
    b.receive(first.subarray(0, 4));
    const pending = b.receive(first.subarray(4));
    assert.ok(pending instanceof Promise);
    assert.equal(b.send(), undefined);
    assert.equal(b.expects, 0);
    assert.equal(b.done, false);
    assert.throws(() => b.receive(new Uint8Array(4)), { code: "ERR_HANDSHAKE" });
    if (closeMeanwhile) {
      b.destroy();
      decide(true);
      await assert.rejects(pending, { code: "ERR_HANDSHAKE", message: /consumed/ });
      assert.equal(b.send(), undefined);
    } else {
      decide(true);
      await pending;
      const second = b.send()!;
      a.receive(second.subarray(0, 4));
      a.receive(second.subarray(4));
      assertMatching(a.finish(), b.finish());
    }
  }
});

test("a finished handshake hands over once", () => {
  const factory: HandshakeFactory = noise();
  const a = factory.create("client", info);
  const b = factory.create("server", info);
  assert.throws(() => a.finish(), { code: "ERR_HANDSHAKE" });
  drive(a, b);
  assert.throws(() => a.finish(), { code: "ERR_HANDSHAKE" });
  assert.equal(a.done, false);
  assert.equal(a.expects, 0);
  assert.equal(a.send(), undefined);
  a.destroy();
  a.destroy();
});

test("fed a number of bytes that it does not expect, it refuses", () => {
  const b = noise().create("server", info);
  for (const length of [0, 3, 5, 36]) {
    assert.throws(() => b.receive(new Uint8Array(length)), {
      code: "ERR_HANDSHAKE",
      message: /4 bytes expected/,
    });
  }
});
