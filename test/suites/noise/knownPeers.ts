// The known-peers file: first use, changed keys, servers, damage, and several writers at once.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { knownPeers } from "../../../src/peers/knownPeers.ts";
import type { KnownPeersOptions } from "../../../src/peers/knownPeersOptions.ts";
import { encodeKey, generateKeyPair } from "../../../src/protocol/noise/keys.ts";
import { noise } from "../../../src/protocol/noise/noiseFactory.ts";
import type { AuthorizeInfo } from "../../../src/protocol/noise/noiseOptions.ts";
import { test } from "../../support/harness.ts";

const key = generateKeyPair().publicKey;
const otherKey = generateKeyPair().publicKey;
const asClient: AuthorizeInfo = {
  role: "client",
  remoteAddress: "db.example.net:7000",
  protocol: "Noise_XX",
};
const asServer: AuthorizeInfo = { role: "server", remoteAddress: "192.0.2.1:50123", protocol: "Noise_XX" };
const unauthorized = { code: "ERR_UNAUTHORIZED" };

async function withFile(body: (path: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "sealwire-"));
  try {
    await body(join(folder, "deep", "known_peers"));
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** `authorize` as a promise, whatever it returns. */
async function ask(
  path: string,
  asked: Uint8Array,
  info: AuthorizeInfo,
  options?: KnownPeersOptions,
): Promise<boolean> {
  return knownPeers(path, options).authorize(asked, info);
}

test("a client trusts the first key of a name, then only that", () =>
  withFile(async (path) => {
    assert.equal(await ask(path, key, asClient), true);
    assert.equal(await readFile(path, "utf8"), `db.example.net:7000 ${encodeKey(key)}\n`);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.equal(await ask(path, key, asClient), true);
    await assert.rejects(ask(path, otherKey, asClient), {
      ...unauthorized,
      message: /the key of db\.example\.net:7000 has changed/,
    });
    await assert.rejects(ask(path, otherKey, asClient, { firstUse: () => true }), unauthorized);
    assert.equal(await ask(path, otherKey, { ...asClient, remoteAddress: "db.example.net:7001" }), true);
    assert.equal((await knownPeers(path).list()).length, 2);
  }));

test("a server refuses unknown keys and accepts known ones from anywhere", () =>
  withFile(async (path) => {
    await assert.rejects(ask(path, key, asServer), { ...unauthorized, message: /is not in/ });
    await knownPeers(path).add("alice", encodeKey(key), { marker: "client" });
    assert.equal(await ask(path, key, asServer), true);
    await assert.rejects(ask(path, otherKey, asServer), unauthorized);
    assert.equal(await ask(path, otherKey, asServer, { firstUse: "trust" }), true);
    assert.equal(await ask(path, otherKey, { ...asServer, remoteAddress: "" }), true);
  }));

test("firstUse can refuse, ask, or fail", () =>
  withFile(async (path) => {
    await assert.rejects(ask(path, key, asClient, { firstUse: "refuse" }), unauthorized);
    const asked: string[][] = [];
    const firstUse = async (text: string, name: string): Promise<boolean> => {
      asked.push([text, name]);
      return asked.length > 1;
    };
    await assert.rejects(ask(path, key, asClient, { firstUse }), unauthorized);
    assert.deepEqual(await knownPeers(path).list(), []);
    assert.equal(await ask(path, key, asClient, { firstUse, name: "db" }), true);
    assert.deepEqual(asked, [
      [encodeKey(key), "db.example.net:7000"],
      [encodeKey(key), "db"],
    ]);
    assert.deepEqual(await knownPeers(path).list(), [{ name: "db", key }]);
    const failing = () => Promise.reject(new Error("no terminal"));
    await assert.rejects(ask(path, key, asClient, { firstUse: failing }), /no terminal/);
    await assert.rejects(ask(path, key, { ...asClient, remoteAddress: "" }), {
      ...unauthorized,
      message: /option name/,
    });
  }));

test("comments and blank lines stay, several keys of a name all count", () =>
  withFile(async (path) => {
    const peers = knownPeers(path);
    await peers.add("db", key);
    await writeFile(path, `# ours\n\n  db   ${encodeKey(key)}  the old one\ndb ${encodeKey(otherKey)}`);
    await peers.add("web", otherKey);
    await peers.add("web", otherKey);
    assert.equal(
      await readFile(path, "utf8"),
      `# ours\n\n  db   ${encodeKey(key)}  the old one\ndb ${encodeKey(otherKey)}\nweb ${encodeKey(otherKey)}\n`,
    );
    for (const known of [key, otherKey]) assert.equal(await ask(path, known, asClient, { name: "db" }), true);
    assert.equal(await peers.remove("db", key), 1);
    assert.equal(await peers.remove("db", key), 0);
    assert.equal(await peers.remove("web"), 1);
    // A line is removed by one byte, so that no writer has to wait for another.
    assert.equal(
      await readFile(path, "utf8"),
      `# ours\n\n# db   ${encodeKey(key)}  the old one\ndb ${encodeKey(otherKey)}\n#eb ${encodeKey(otherKey)}\n`,
    );
    assert.deepEqual(await peers.list(), [{ name: "db", key: otherKey }]);
  }));

test("an address with spaces stays one word", () =>
  withFile(async (path) => {
    const info = { ...asClient, remoteAddress: "/run/my #1.sock" };
    assert.equal(await ask(path, key, info), true);
    assert.equal(await ask(path, key, info), true);
    assert.equal(await readFile(path, "utf8"), `/run/my%20%231.sock ${encodeKey(key)}\n`);
    await assert.rejects(ask(path, otherKey, info), unauthorized);
  }));

test("a damaged file refuses everybody", () =>
  withFile(async (path) => {
    const peers = knownPeers(path);
    await peers.add("db", key);
    for (const line of ["db", "db notakey", `db ${encodeKey(key).slice(1)}`]) {
      await writeFile(path, `web ${encodeKey(key)}\n${line}\n`);
      await assert.rejects(peers.list(), { code: "ERR_INVALID_ARGUMENT", message: /known_peers:2/ });
      await assert.rejects(ask(path, key, { ...asClient, remoteAddress: "new:1" }), {
        code: "ERR_INVALID_ARGUMENT",
      });
    }
    await rm(path);
    await assert.rejects(ask(join(path, ".."), key, asClient)); // a folder, not a file
  }));

test("of two first keys at the same moment one wins, through one object or two", () =>
  withFile(async (path) => {
    for (const shared of [true, false]) {
      const first = knownPeers(path, { name: `peer-${shared}` });
      const second = shared ? first : knownPeers(path, { name: `peer-${shared}` });
      const answers = await Promise.allSettled([
        first.authorize(key, asClient),
        second.authorize(otherKey, asClient),
      ]);
      assert.deepEqual(answers.map((answer) => answer.status).sort(), ["fulfilled", "rejected"]);
    }
    assert.equal((await knownPeers(path).list()).length, 2);
  }));

test("many writers lose nothing", () =>
  withFile(async (path) => {
    const files = [knownPeers(path), knownPeers(path), knownPeers(path)];
    await Promise.all(Array.from({ length: 30 }, (_, i) => files[i % 3]!.add(`peer${i}`, key)));
    assert.equal((await knownPeers(path).list()).length, 30);
    await assert.rejects(stat(`${path}.lock`), { code: "ENOENT" });
  }));

test("a lock that a dead process left behind is taken over", () =>
  withFile(async (path) => {
    const peers = knownPeers(path);
    await peers.add("db", key);
    await writeFile(`${path}.lock`, "");
    await utimes(`${path}.lock`, new Date(0), new Date(0));
    await peers.add("web", key);
    assert.equal((await peers.list()).length, 2);
  }));

test("wrong arguments are named", () => {
  const bad: [RegExp, () => unknown][] = [
    [/^path must/, () => knownPeers("")],
    [/^path must/, () => knownPeers(5 as unknown as string)],
    [/^firstUse must/, () => knownPeers("x", { firstUse: "maybe" as "trust" })],
    [/^name must/, () => knownPeers("x", { name: "two words" })],
    [/^name must/, () => knownPeers("x").add("#x", key)],
    [/^key must be 32 bytes/, () => knownPeers("x").add("x", "short")],
  ];
  for (const [message, call] of bad) assert.throws(call, { code: "ERR_INVALID_ARGUMENT", message });
});

test("as authorize of a handshake: the reason of the refusal reaches the caller", () =>
  withFile(async (path) => {
    const [client, server, impostor] = [generateKeyPair(), generateKeyPair(), generateKeyPair()];
    const authorize = knownPeers(path).authorize;
    const connectTo = async (serverKeys: typeof server): Promise<void> => {
      const a = noise({ staticKey: client, authorize }).create("client", { remoteAddress: "db:1" });
      const b = noise({ staticKey: serverKeys }).create("server", { remoteAddress: "" });
      for (const [from, to] of [
        [a, b],
        [b, a],
        [a, b],
      ] as const) {
        const frame = from.send()!;
        await to.receive(frame.slice(0, 4));
        await to.receive(frame.slice(4));
      }
      assert.deepEqual(a.finish().identity.handshakeHash, b.finish().identity.handshakeHash);
    };
    await connectTo(server);
    await connectTo(server);
    await assert.rejects(connectTo(impostor), { ...unauthorized, message: /the key of db:1 has changed/ });
    assert.deepEqual(await knownPeers(path).list(), [{ name: "db:1", key: server.publicKey }]);
  }));
