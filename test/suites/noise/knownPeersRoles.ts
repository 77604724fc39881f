// The meaning of the lines of the known-peers file: roles, revocation, contradictions, unfinished first uses, and
// names.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { knownPeers } from "../../../src/peers/knownPeers.ts";
import { nameOfAddress } from "../../../src/peers/knownPeersLines.ts";
import type { KnownPeersOptions } from "../../../src/peers/knownPeersOptions.ts";
import { encodeKey, generateKeyPair } from "../../../src/protocol/noise/keys.ts";
import type { AuthorizeInfo } from "../../../src/protocol/noise/noiseOptions.ts";
import { test } from "../../support/harness.ts";

const [key, otherKey, thirdKey] = [1, 2, 3].map(() => generateKeyPair().publicKey) as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
];
const [text, otherText] = [encodeKey(key), encodeKey(otherKey)];
const asClient: AuthorizeInfo = { role: "client", remoteAddress: "db:7000", protocol: "Noise_XX" };
const asServer: AuthorizeInfo = { role: "server", remoteAddress: "192.0.2.1", protocol: "Noise_XX" };
const unauthorized = { code: "ERR_UNAUTHORIZED" };
const invalid = { code: "ERR_INVALID_ARGUMENT" };

async function withText(content: string | undefined, body: (path: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "sealwire-"));
  try {
    const path = join(folder, "known_peers");
    if (content !== undefined) await writeFile(path, content);
    await body(path);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function ask(
  path: string,
  asked: Uint8Array,
  info: AuthorizeInfo,
  options?: KnownPeersOptions,
): Promise<boolean> {
  return knownPeers(path, options).authorize(asked, info);
}

test("a server that was dialled may not call in, whoever wrote it down", () =>
  withText(undefined, async (path) => {
    assert.equal(await ask(path, key, asClient), true);
    await assert.rejects(ask(path, key, asServer), { ...unauthorized, message: /known as a server/ });
    await knownPeers(path).add("web:1", otherKey);
    await assert.rejects(ask(path, otherKey, asServer), unauthorized);
    await writeFile(path, `anybody ${encodeKey(thirdKey)}\n`);
    await assert.rejects(ask(path, thirdKey, asServer), unauthorized);
    await assert.rejects(ask(path, thirdKey, asServer, { firstUse: () => false }), unauthorized);
  }));

test("a client that may call in is no server of that name", () =>
  withText(undefined, async (path) => {
    await knownPeers(path).add("db:7000", key, { marker: "client" });
    assert.equal(await readFile(path, "utf8"), `@client db:7000 ${text}\n`);
    assert.equal(await ask(path, key, asServer), true);
    await assert.rejects(ask(path, key, asClient, { firstUse: "refuse" }), unauthorized);
    assert.equal(await ask(path, otherKey, asClient), true, "the name is new among the servers");
    await assert.rejects(ask(path, key, asClient), { ...unauthorized, message: /has changed/ });
    assert.equal(await ask(path, thirdKey, asServer, { firstUse: "trust" }), true);
    await assert.rejects(ask(path, thirdKey, asClient), unauthorized);
    assert.deepEqual(await knownPeers(path).list(), [
      { name: "db:7000", key, marker: "client" },
      { name: "db:7000", key: otherKey },
      { name: "192.0.2.1", key: thirdKey, marker: "client" },
    ]);
  }));

test("a peer can be both, line by line", () =>
  withText(`db:7000 ${text}\n@client laptop ${text}\n`, async (path) => {
    for (const info of [asClient, asServer]) assert.equal(await ask(path, key, info), true);
    assert.equal(await knownPeers(path).remove("laptop", key, { marker: "client" }), 1);
    assert.equal(await ask(path, key, asClient), true);
    await assert.rejects(ask(path, key, asServer), unauthorized);
  }));

test("a revoked key is refused in both roles, under every name, wherever its line stands", () =>
  withText(undefined, async (path) => {
    const peers = knownPeers(path, { firstUse: () => true });
    await peers.add("db:7000", key);
    await peers.add("alice", key, { marker: "client" });
    await peers.add("stolen", key, { marker: "revoked" });
    for (const info of [asClient, asServer, { ...asClient, remoteAddress: "new:1" }]) {
      await assert.rejects(ask(path, key, info, { firstUse: () => true }), {
        ...unauthorized,
        message: /revokes/,
      });
    }
    assert.equal(await ask(path, otherKey, { ...asClient, remoteAddress: "new:1" }), true);
    await assert.rejects(peers.add("alice", key), { ...invalid, message: /^key must/ });
    await peers.add("alice", key, { marker: "client" }); // there already
    assert.equal(await peers.remove("stolen"), 0, "a revocation is not lifted by the way");
    assert.equal(await peers.remove("stolen", undefined, { marker: "revoked" }), 1);
    assert.equal(await ask(path, key, asServer), true);
  }));

test("a key that is revoked while somebody is being asked is refused", () =>
  withText("# ours\n", async (path) => {
    for (const info of [asClient, asServer]) {
      const firstUse = async () => {
        await knownPeers(path).add("late", key, { marker: "revoked" });
        return true;
      };
      await assert.rejects(ask(path, key, info, { firstUse }), unauthorized);
      await knownPeers(path).remove("late", key, { marker: "revoked" });
      assert.deepEqual(await knownPeers(path).list(), []);
    }
  }));

test("a marker that is not known refuses the file, not the line", async () => {
  for (const line of [
    `@cert-authority db ${text}`,
    `@Revoked x ${text}`,
    `@ x ${text}`,
    "@client",
    "@client x",
  ])
    await withText(`db:7000 ${text}\n${line}\n`, async (path) => {
      for (const info of [asClient, asServer]) {
        await assert.rejects(ask(path, key, info, { firstUse: () => true }), invalid, line);
      }
    });
});

test("of duplicate and contradicting lines each counts, as in SSH", () =>
  withText(`db:7000 ${text}\ndb:7000 ${text}\ndb:7000 ${otherText}\n`, async (path) => {
    for (const known of [key, otherKey]) assert.equal(await ask(path, known, asClient), true);
    await assert.rejects(ask(path, thirdKey, asClient), { ...unauthorized, message: /has changed/ });
    assert.equal(await knownPeers(path).remove("db:7000", key), 2);
    assert.equal(await ask(path, otherKey, asClient), true);
    await assert.rejects(ask(path, key, asClient), unauthorized);
  }));

test("a refusal names few of many keys", () =>
  withText(
    Array.from(
      { length: 1000 },
      () => `db:7000 ${encodeKey(crypto.getRandomValues(new Uint8Array(32)))}\n`,
    ).join(""),
    async (path) => {
      await assert.rejects(
        ask(path, key, asClient),
        (error: Error) => /has changed/.test(error.message) && error.message.length < 1_000,
      );
    },
  ));

test("a first use that was cut short goes on with its own key only", () =>
  withText(`# ours\ndb:7000~${text}\n`, async (path) => {
    assert.deepEqual(await knownPeers(path).list(), []);
    await assert.rejects(ask(path, key, asClient, { firstUse: "refuse" }), unauthorized);
    await assert.rejects(ask(path, key, asServer), unauthorized);
    await assert.rejects(ask(path, otherKey, asClient), { ...unauthorized, message: /first use/ });
    assert.equal(await readFile(path, "utf8"), `# ours\ndb:7000~${text}\n`);
    assert.equal(await ask(path, key, asClient), true);
    assert.equal(await readFile(path, "utf8"), `# ours\ndb:7000 ${text}\n`);
  }));

test("the first claim of a name wins, the others are withdrawn", () =>
  withText(`# ours\ndb:7000~${text}\ndb:7000~${otherText}\ndb:7000~${text}\n`, async (path) => {
    await assert.rejects(ask(path, otherKey, asClient), unauthorized);
    const withdrawn = `# ours\ndb:7000~${text}\n#b:7000~${otherText}\n`;
    assert.equal(await readFile(path, "utf8"), `${withdrawn}db:7000~${text}\n`);
    assert.equal(await ask(path, key, asClient), true);
    assert.deepEqual(await knownPeers(path).list(), [{ name: "db:7000", key }]);
    await assert.rejects(ask(path, otherKey, asClient), { ...unauthorized, message: /has changed/ });
  }));

test("somebody who adds or removes a name decides over its claims", () =>
  withText(`db:7000~${text}\nweb:1~${text}\n`, async (path) => {
    await knownPeers(path).add("db:7000", otherKey);
    assert.equal(await ask(path, otherKey, asClient), true);
    await assert.rejects(ask(path, key, asClient), unauthorized);
    assert.equal(await knownPeers(path).remove("web:1"), 1);
    assert.equal(await ask(path, otherKey, { ...asClient, remoteAddress: "web:1" }), true);
  }));

test("two addresses never share a name, and a host has one", () => {
  const addresses = [
    "/a b",
    "/a%20b",
    "/a%2520b",
    "/a#b",
    "@a:1",
    "%40a:1",
    "/a\u200bb",
    "/A b",
    "a:1",
    "/\ufffd",
  ];
  const names = addresses.map(nameOfAddress);
  assert.equal(new Set(names).size, names.length);
  for (const name of names) assert.match(name, /^[^#@\s][\x21-\x7e]*$/);
  assert.equal(nameOfAddress("DB.Example.net:7000"), "db.example.net:7000");
  assert.equal(nameOfAddress("/run/Sock:7"), "/run/Sock:7");
});

test("a peer of any address is found again", () =>
  withText(undefined, async (path) => {
    const addresses = [
      "/run/ä ö\u00a0ü.sock",
      "@abstract",
      "[fe80::1%eth0]:7000",
      "/x\ud800y",
      "/a\u202eb",
      "/\ufffd",
    ];
    for (const remoteAddress of addresses) {
      assert.equal(await ask(path, key, { ...asClient, remoteAddress }), true);
      await assert.rejects(ask(path, otherKey, { ...asClient, remoteAddress }), /has changed/, remoteAddress);
    }
    assert.equal((await knownPeers(path).list()).length, addresses.length);
    await assert.rejects(ask(path, key, { ...asClient, remoteAddress: `/${"x".repeat(600)}` }), invalid);
  }));

test("name can be a function of the address, for servers behind a balancer", () =>
  withText(undefined, async (path) => {
    const asked: string[] = [];
    const name = (address: string) => {
      asked.push(address);
      return address.startsWith("10.") ? "db" : address;
    };
    for (const remoteAddress of ["10.0.0.1:7000", "10.0.0.2:7000"]) {
      assert.equal(await ask(path, key, { ...asClient, remoteAddress }, { name }), true);
    }
    assert.equal(await readFile(path, "utf8"), `db ${text}\n`);
    await assert.rejects(
      ask(path, otherKey, { ...asClient, remoteAddress: "10.0.0.3:1" }, { name }),
      /changed/,
    );
    assert.deepEqual(asked, ["10.0.0.1:7000", "10.0.0.2:7000", "10.0.0.3:1"]);
    for (const bad of ["two words", "", "@client", undefined, 5] as string[]) {
      await assert.rejects(ask(path, key, asClient, { name: () => bad }), {
        ...invalid,
        message: /^name must/,
      });
    }
    const failing = () => {
      throw new Error("no such place");
    };
    await assert.rejects(ask(path, key, asClient, { name: failing }), /no such place/);
    assert.equal(await readFile(path, "utf8"), `db ${text}\n`);
  }));

test("wrong markers, options and names are named", () => {
  const peers = knownPeers("x");
  const bad: [RegExp, () => unknown][] = [
    [/^marker must/, () => peers.add("x", key, { marker: "server" as "client" })],
    [
      /^option "role" is unknown: the options are marker$/,
      () => peers.add("x", key, { role: "client" } as object),
    ],
    [/^marker must/, () => peers.remove("x", key, { marker: null as unknown as "client" })],
    [
      /^option "fristUse" is unknown: firstUse was probably meant$/,
      () => knownPeers("x", { fristUse: "refuse" } as object),
    ],
    [/^strictModes must/, () => knownPeers("x", { strictModes: 0 as unknown as boolean })],
    [/^path must/, () => knownPeers("a\0b")],
    ...["", "@x", "a\u200bb", "a\u0007", "\ud800", "x".repeat(513), "ä".repeat(257)].map(
      (name) => [/^name must/, () => peers.add(name, key)] as [RegExp, () => unknown],
    ),
    [/^name must/, () => peers.remove(undefined as unknown as string)],
  ];
  for (const [message, call] of bad) assert.throws(call, { ...invalid, message });
});
