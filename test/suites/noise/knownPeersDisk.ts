// The known-peers file on disk: several processes, writes that were cut short, paths that are not files, modes and
// owners, size.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, openSync, renameSync, rmSync, symlinkSync, writeFileSync, writeSync } from "node:fs";
import {
  chmod,
  chown,
  lchown,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  realpath,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { whyUnsafe } from "../../../src/peers/fileModes.ts";
import { knownPeers } from "../../../src/peers/knownPeers.ts";
import { type Edit, KnownPeersFile, MAX_FILE_BYTES } from "../../../src/peers/knownPeersFile.ts";
import type { KnownPeersOptions } from "../../../src/peers/knownPeersOptions.ts";
import { encodeKey, generateKeyPair } from "../../../src/protocol/noise/keys.ts";
import type { AuthorizeInfo } from "../../../src/protocol/noise/noiseOptions.ts";
import { runsEvery } from "../../support/every.ts";
import { test } from "../../support/harness.ts";
import { isWriter, runWriter, type WriterStep, withWriters } from "../../support/knownPeersWriter.ts";

if (isWriter) await runWriter();

const [key, otherKey] = [generateKeyPair().publicKey, generateKeyPair().publicKey];
const [text, otherText] = [encodeKey(key), encodeKey(otherKey)];
const asClient: AuthorizeInfo = { role: "client", remoteAddress: "db:7000", protocol: "Noise_XX" };
const asServer: AuthorizeInfo = { role: "server", remoteAddress: "192.0.2.1", protocol: "Noise_XX" };
const stranger: AuthorizeInfo = { ...asClient, remoteAddress: "new:1" };
const invalid = { code: "ERR_INVALID_ARGUMENT" };
const unauthorized = { code: "ERR_UNAUTHORIZED" };
const isRoot = process.getuid?.() === 0;
// Files that a laxer umask makes are refused, unless the user has a group alone.
process.umask(0o022);
/** Processes at a time. */
const WRITERS = runsEvery ? 8 : 3;

async function withFolder(body: (folder: string, path: string) => Promise<void>): Promise<void> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "sealwire-")));
  try {
    await body(folder, join(folder, "known_peers"));
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

/** Nobody gets in, known or not, in either role, whatever firstUse says; and nothing is written. */
async function refusesEverybody(path: string, message?: RegExp): Promise<void> {
  const expected = message === undefined ? invalid : { ...invalid, message };
  for (const info of [asClient, asServer, stranger]) {
    await assert.rejects(ask(path, key, info, { firstUse: () => true }), expected);
  }
  await assert.rejects(knownPeers(path).list(), expected);
  await assert.rejects(knownPeers(path).add("web", key), expected);
  await assert.rejects(knownPeers(path).remove("db:7000"), expected);
}

/** appendFileSync of Deno 2.9 gives the file the mode 0666. */
function appendText(path: string, content: string): void {
  const descriptor = openSync(path, "a");
  writeSync(descriptor, content);
  closeSync(descriptor);
}

const freshKey = () => encodeKey(generateKeyPair().publicKey);
const linesOf = async (path: string) =>
  (await readFile(path, "utf8")).split("\n").filter((line) => line !== "");

test("processes that add at once lose nothing, whatever an old lock says", () =>
  withWriters(import.meta.url, WRITERS, async (run) => {
    for (const begin of ["nothing", "a file", "a torn line"])
      await withFolder(async (_folder, path) => {
        if (begin !== "nothing") await writeFile(path, begin === "a file" ? "# ours\n" : "# ours\nweb:1 8Bt");
        await writeFile(`${path}.lock`, "");
        const lists = Array.from({ length: WRITERS }, (_, i) =>
          Array.from(
            { length: 12 },
            (_, j): WriterStep => ({ call: "add", name: `p${i}-${j}`, key: freshKey() }),
          ),
        );
        const outcomes = await run(path, lists);
        assert.deepEqual(new Set(outcomes.flat()), new Set(["done"]));
        const peers = await knownPeers(path).list();
        const expected = lists.flat().map((step) => `${step.name} ${step.key}`);
        assert.deepEqual(
          peers.map((peer) => `${peer.name} ${encodeKey(peer.key)}`).sort(),
          expected.sort(),
          `beginning with ${begin}`,
        );
        assert.deepEqual((await readdir(join(path, ".."))).sort(), ["known_peers", "known_peers.lock"]);
      });
  }));

test("processes that remove beside others that add take nothing of theirs", () =>
  withFolder(async (_folder, path) => {
    const lists = Array.from({ length: WRITERS }, (_, i) =>
      Array.from({ length: 8 }, (_, j): WriterStep[] => {
        const step: WriterStep = { call: "add", name: `p${i}-${j}`, key: freshKey() };
        return i % 2 === 0 ? [step] : [step, { ...step, call: "remove" }];
      }).flat(),
    );
    let outcomes: string[][] = [];
    await withWriters(import.meta.url, WRITERS, async (run) => {
      outcomes = await run(path, lists);
    });
    assert.deepEqual(new Set(outcomes.flat()), new Set(["done"]));
    const kept = lists.filter((_, i) => i % 2 === 0).flat();
    const names = (await knownPeers(path).list()).map((peer) => peer.name);
    assert.deepEqual(names.sort(), kept.map((step) => step.name).sort());
  }));

test("of processes that meet a name, each with a key of its own, one trusts its key, for good", () =>
  withWriters(import.meta.url, WRITERS, (run) =>
    withFolder(async (folder) => {
      for (const begin of [undefined, "# ours\n", "# ours"]) {
        const path = join(folder, `known_peers ${begin?.length}`);
        if (begin !== undefined) await writeFile(path, begin);
        const steps = Array.from(
          { length: WRITERS },
          (): WriterStep => ({ call: "firstUse", name: "db:7000", key: freshKey() }),
        );
        const outcomes = (
          await run(
            path,
            steps.map((step) => [step, step]),
          )
        ).map(String);
        const winners = steps.filter((_, i) => outcomes[i] === "done,done");
        assert.equal(winners.length, 1, outcomes.join(" "));
        assert.equal(
          outcomes.filter((outcome) => outcome === "ERR_UNAUTHORIZED,ERR_UNAUTHORIZED").length,
          WRITERS - 1,
        );
        const peers = await knownPeers(path).list();
        assert.deepEqual(
          peers.map((peer) => encodeKey(peer.key)),
          [winners[0]!.key],
        );
      }
    }),
  ));

test("processes that meet a name with one key all trust it", () =>
  withWriters(import.meta.url, WRITERS, (run) =>
    withFolder(async (_folder, path) => {
      const step: WriterStep = { call: "firstUse", name: "db:7000", key: text };
      for (const round of ["no file", "a file"]) {
        const outcomes = await run(
          path,
          Array.from({ length: WRITERS }, () => [step]),
        );
        assert.deepEqual(
          outcomes.flat(),
          Array.from({ length: WRITERS }, () => "done"),
          round,
        );
        for (const peer of await knownPeers(path).list()) assert.deepEqual(peer, { name: "db:7000", key });
        await writeFile(path, "# ours\n");
      }
    }),
  ));

test("a line that was cut short anywhere costs nobody else anything", () =>
  withFolder(async (_folder, path) => {
    for (const line of [`wéb:1 ${otherText}\n`, `wéb:1~${otherText}\n`, `@client wéb:1 ${otherText}\n`]) {
      const bytes = Buffer.from(line);
      for (let length = 1; length <= bytes.length; length++) {
        if (!runsEvery && length % 7 !== 1 && length < bytes.length - 2) continue;
        const whole = length >= bytes.length - 1;
        await writeFile(path, Buffer.concat([Buffer.from(`db:7000 ${text}\n`), bytes.subarray(0, length)]));
        assert.equal(await ask(path, key, asClient), true);
        const known = (await knownPeers(path).list()).length;
        assert.equal(known, whole && !line.includes("~") ? 2 : 1, `${length} bytes of ${line}`);
        await knownPeers(path).add("next:1", key);
        await knownPeers(path).add("last:1", key);
        assert.deepEqual(
          (await knownPeers(path).list()).map((peer) => peer.name).filter((name) => name !== "wéb:1"),
          ["db:7000", "next:1", "last:1"],
        );
        // What was never confirmed is not known; the first use is repeated.
        if (!whole) {
          assert.equal(await ask(path, otherKey, { ...asClient, remoteAddress: "wéb:1" }), true);
          assert.equal(await ask(path, key, asClient), true);
        }
      }
    }
  }));

test("a disk that is full takes nothing from others, and leaves a file that works", () =>
  withFolder(async (folder, path) => {
    // A limit of the file's length gives what a full disk gives: a write that is cut short, then an error.
    const limited = ["sh", "-c", `trap '' XFSZ; ulimit -f 512; exec "$@"`, "sh"];
    const probe = join(folder, "probe");
    const overLimit = `head -c 9999999 /dev/zero > ${JSON.stringify(probe)} 2>&1 || true`;
    execFileSync(limited[0]!, [...limited.slice(1), "sh", "-c", overLimit], { stdio: "ignore" });
    const limit = (await stat(probe)).size;
    assert.ok(limit >= 262_144 && limit < MAX_FILE_BYTES, `the limit is ${limit}`);
    const line = `web:1 ${otherText}\n`;
    await withWriters(
      import.meta.url,
      1,
      async (run) => {
        for (const free of [0, 1, 5, 6, line.length - 1, line.length]) {
          const head = `db:7000 ${text}\n`;
          await writeFile(path, `${head}#${"x".repeat(limit - head.length - 2 - free)}\n`);
          const steps: WriterStep[] = [
            { call: "add", name: "web:1", key: otherText },
            { call: "firstUse", name: "db:7000", key: text },
          ];
          const [outcomes] = await run(path, [steps]);
          // A line that lacks its newline only is whole for whoever reads it; Deno reports the error all the same.
          const isThere = free >= line.length - 1;
          assert.equal(outcomes![1], "done");
          if (free !== line.length - 1) {
            assert.equal(outcomes![0], isThere ? "done" : "ERR_INVALID_ARGUMENT", `${free} bytes free`);
          }
          await knownPeers(path).add("next:1", key);
          const names = (await knownPeers(path).list()).map((peer) => peer.name);
          assert.deepEqual(names, ["db:7000", ...(isThere ? ["web:1"] : []), "next:1"]);
        }
      },
      limited,
    );
  }));

test("zeros at the end, as a crash leaves them, and repeated cuts are passed over", () =>
  withFolder(async (_folder, path) => {
    await writeFile(path, `db:7000 ${text}\n`);
    for (const junk of ["\0".repeat(100), "x", "web:1 8Bt", "\ufffd", "@client", "y#to", `web:1 ${text}x`]) {
      appendText(path, junk);
      assert.equal(await ask(path, key, asClient), true);
      await knownPeers(path).add(`after${(await linesOf(path)).length}`, key);
    }
    assert.equal((await knownPeers(path).list()).length, 8);
    appendText(path, "web:1 8Bt\n");
    await refusesEverybody(path, /known_peers:\d+/);
  }));

test("an empty or blank file, and one of a torn line only, refuses everybody", () =>
  withFolder(async (_folder, path) => {
    for (const content of [
      "",
      "\n",
      " \r\n\n",
      "\0".repeat(4096),
      "db:7000 8Bt",
      "\ufeff",
      "db 8Bt#torn\n",
    ]) {
      await writeFile(path, content);
      await refusesEverybody(path, /it is empty/);
      assert.equal(await readFile(path, "utf8"), content);
    }
    await writeFile(path, "# a comment is enough\n");
    assert.equal(await ask(path, key, asClient), true);
  }));

test("damage anywhere refuses everybody", () =>
  withFolder(async (_folder, path) => {
    const good = `# ours\ndb:7000 ${text}\n@client alice ${text}\n`;
    const damages = [
      "\0\n",
      "x\n",
      `db ${text.slice(0, 42)}\n`,
      `@client ${text}\n`,
      `a\0b ${text}\n`,
      `~${text}\n`,
      // What stands behind a CR would be taken for a comment.
      `web:1 ${text}\r@revoked bob ${text}\r\n`,
      `# old\r@revoked bob ${text}\n`,
      `# old\r@revoked bob ${text}`,
    ];
    for (const damage of [...damages, Buffer.from([0x64, 0xff, 0x20, ...Buffer.from(`${text}\n`)])]) {
      for (const place of [0, "# ours\n".length, good.length]) {
        const parts = [good.slice(0, place), damage, good.slice(place)].map((part) =>
          Buffer.from(part as string),
        );
        await writeFile(path, Buffer.concat(parts));
        await refusesEverybody(path, /known_peers:\d/);
      }
    }
  }));

test("files of other systems are read: byte order mark, CR LF, other encodings in comments", () =>
  withFolder(async (_folder, path) => {
    const latin1 = Buffer.from([0x23, 0xe4, 0x0d, 0x0a]);
    await writeFile(
      path,
      Buffer.concat([Buffer.from(`\ufeffdb:7000 ${text}\r\n`), latin1, Buffer.from("\r\n")]),
    );
    assert.equal(await ask(path, key, asClient), true);
    assert.equal(await knownPeers(path).remove("db:7000"), 1);
    assert.deepEqual(await knownPeers(path).list(), []);
    assert.deepEqual((await readFile(path)).subarray(-6), Buffer.concat([latin1, Buffer.from("\r\n")]));
  }));

test("the file that was replaced while it was changed is changed again; nothing else is", () =>
  withFolder(async (folder, path) => {
    const replace = (content: string) => {
      writeFileSync(`${path}.other`, content);
      renameSync(`${path}.other`, path);
    };
    const disturbances: (() => void)[] = [
      () => replace("# theirs\n"),
      () => rmSync(path),
      () => appendText(path, `more:1 ${text}\n`),
      () => replace(`more:1 ${text}`),
    ];
    for (const disturb of disturbances) {
      await writeFile(path, `# ours\ndb:7000 ${text}\n`);
      const file = new KnownPeersFile(path, true);
      let times = 0;
      await file.change((snapshot) => {
        if (++times === 1) disturb();
        const known = snapshot?.peers.lines.some((line) => line.name === "web");
        return known ? undefined : { append: `web ${text}` };
      });
      assert.ok(
        (await knownPeers(path).list()).some((peer) => peer.name === "web"),
        `after ${disturb}`,
      );
      assert.ok(times > 1);
    }
    // Bytes that are not what they were stay as they are.
    await writeFile(path, `db:7000 ${text}\n`);
    const file = new KnownPeersFile(path, true);
    await file.change((snapshot): Edit | undefined => {
      const line = snapshot?.peers.lines.find((found) => found.name === "db:7000");
      if (line === undefined) return undefined;
      writeFileSync(path, `xx:7000 ${text}\n`);
      return { replace: [{ line, at: line.start, byte: 0x23 }] };
    });
    assert.equal(await readFile(path, "utf8"), `xx:7000 ${text}\n`);
    // Somebody who never stops ends with an error.
    let turns = 0;
    await assert.rejects(
      file.change(() => {
        replace(`# ${turns++}\n`);
        return { append: `web ${text}` };
      }),
      { ...invalid, message: /replaced again and again/ },
    );
    // A link that is put there meanwhile is not followed.
    await writeFile(join(folder, "elsewhere"), "# elsewhere\n");
    await assert.rejects(
      file.change(() => {
        rmSync(path, { force: true });
        symlinkSync(join(folder, "elsewhere"), path);
        return { append: `web ${text}` };
      }),
      invalid,
    );
    assert.equal(await readFile(join(folder, "elsewhere"), "utf8"), "# elsewhere\n");
  }));

test("a change is seen although neither length nor times of the file tell", () =>
  withFolder(async (_folder, path) => {
    await writeFile(path, `db:7000 ${text}\n`);
    await utimes(path, 4e9, 4e9);
    const peers = knownPeers(path);
    assert.equal(await peers.authorize(key, asClient), true);
    await writeFile(path, `db:7000 ${otherText}\n`);
    await utimes(path, 4e9, 4e9);
    await assert.rejects(Promise.resolve(peers.authorize(key, asClient)), unauthorized);
    assert.equal(await peers.authorize(otherKey, asClient), true);
  }));

test("calls share a read that has not begun, and see what was there before them", () =>
  withFolder(async (_folder, path) => {
    await writeFile(path, `db:7000 ${text}\n`);
    const file = new KnownPeersFile(path, true);
    const first = file.read();
    await Promise.resolve();
    await Promise.resolve();
    appendText(path, `web ${text}\n`);
    const later = Array.from({ length: 1000 }, () => file.read());
    assert.equal(new Set([first, ...later]).size, 2);
    assert.equal((await later[0])?.peers.lines.length, 2);
    await first;
  }));

test("a working directory that changes does not change the file", () =>
  withFolder(async (folder) => {
    const before = process.cwd();
    await mkdir(join(folder, "a"));
    await mkdir(join(folder, "b"));
    try {
      process.chdir(join(folder, "a"));
      const peers = knownPeers("known_peers");
      const unused = knownPeers("known_peers");
      await peers.authorize(key, asClient);
      process.chdir(join(folder, "b"));
      for (const each of [peers, unused])
        await assert.rejects(Promise.resolve(each.authorize(otherKey, asClient)), unauthorized);
      assert.deepEqual(await readdir(join(folder, "b")), []);
    } finally {
      process.chdir(before);
    }
  }));

test("a symbolic link stays one; one that leads nowhere refuses everybody", () =>
  withFolder(async (folder, path) => {
    await mkdir(join(folder, "etc"));
    const target = join(folder, "etc", "peers");
    await writeFile(target, "# ours\n");
    await chmod(target, 0o640);
    await symlink("etc/peers", path);
    const peers = knownPeers(path);
    assert.equal(await peers.authorize(key, asClient), true);
    await peers.add("web", key);
    assert.equal(await peers.remove("web"), 1);
    assert.equal(await readlink(path), "etc/peers");
    assert.equal(await readFile(target, "utf8"), `# ours\ndb:7000 ${text}\n#eb ${text}\n`);
    assert.equal((await stat(target)).mode & 0o777, 0o640);
    await rm(target);
    await refusesEverybody(path, /symbolic link/);
    assert.deepEqual(await readdir(join(folder, "etc")), []);
    await rm(path);
    await symlink("known_peers", path);
    await refusesEverybody(path);
    assert.ok((await lstat(path)).isSymbolicLink());
  }));

test("what is no file refuses everybody, at once", { timeoutMs: 20_000 }, () =>
  withFolder(async (folder, path) => {
    await refusesEverybody(folder, /a regular file/);
    await refusesEverybody("/dev/null", /a regular file|StrictModes/);
    await refusesEverybody("/dev/zero", /a regular file|StrictModes/);
    await writeFile(path, "# ours\n");
    await refusesEverybody(join(path, "below"), /can be read and written/);
    await rm(path);
    execFileSync("mkfifo", [path]);
    await refusesEverybody(path, /a regular file/);
    const server = createServer();
    const socketPath = join(folder, "socket");
    await new Promise<void>((resolve) => server.listen(socketPath, resolve));
    try {
      await refusesEverybody(socketPath, /a regular file/);
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  }),
);

test("a folder that takes no file refuses strangers", () =>
  withFolder(async (folder) => {
    // Root may write into any folder but those of the kernel.
    const locked = isRoot ? "/proc" : join(folder, "locked");
    if (!isRoot) await mkdir(locked, { mode: 0o500 });
    await assert.rejects(
      ask(join(locked, "known_peers"), key, asClient),
      (error: Error & { code: string }) => {
        assert.equal(error.code, "ERR_INVALID_ARGUMENT");
        assert.ok(error.cause instanceof Error);
        return /can be read and written/.test(error.message);
      },
    );
    assert.deepEqual(await knownPeers(join(locked, "known_peers")).list(), []);
  }));

test("a file in a folder that can't be written is read and changed in place", () =>
  withFolder(async (folder) => {
    await mkdir(join(folder, "locked"));
    const inside = join(folder, "locked", "known_peers");
    await writeFile(inside, `db:7000 ${text}\n`);
    await chmod(join(folder, "locked"), 0o500);
    assert.equal(await ask(inside, otherKey, stranger), true);
    assert.equal(await knownPeers(inside).remove("db:7000"), 1);
    assert.deepEqual(await readdir(join(folder, "locked")), ["known_peers"]);
    await chmod(join(folder, "locked"), 0o700);
  }));

test("huge files are refused unread, and the file stops growing at its limit", { timeoutMs: 20_000 }, () =>
  withFolder(async (_folder, path) => {
    await writeFile(path, `db:7000 ${text}\n`);
    await truncate(path, 2 ** 40);
    await refusesEverybody(path, /at most 1048576 bytes/);
    const head = `db:7000 ${text}\n@client alice ${text}\n`;
    const full = `${head}#${"x".repeat(MAX_FILE_BYTES - head.length - 22)}\n`;
    await writeFile(path, full);
    await assert.rejects(ask(path, key, stranger), { ...invalid, message: /at most 1048576 bytes/ });
    await assert.rejects(ask(path, otherKey, asServer, { firstUse: "trust" }), invalid);
    for (const info of [asClient, asServer]) assert.equal(await ask(path, key, info), true);
    assert.equal(await readFile(path, "utf8"), full);
  }),
);

test("a file that grows while it is read is read to its end", () =>
  withFolder(async (_folder, path) => {
    await writeFile(path, "# ours\n");
    const peers = knownPeers(path);
    const adding = Array.from({ length: 40 }, (_, i) => knownPeers(path).add(`p${i}`, key));
    for (let i = 0; i < 40; i++) await peers.list();
    await Promise.all(adding);
    assert.equal((await peers.list()).length, 40);
  }));

test("modes are checked as sshd does: the file, its folders, and the user's choice", () =>
  withFolder(async (folder) => {
    const inner = join(folder, "a", "b");
    const path = join(inner, "known_peers");
    await mkdir(inner, { recursive: true, mode: 0o755 });
    await writeFile(path, `db:7000 ${text}\n@client alice ${text}\n`);
    const accepts = async (options?: KnownPeersOptions) => {
      for (const info of [asClient, asServer]) assert.equal(await ask(path, key, info, options), true);
    };
    for (const mode of [0o600, 0o644, 0o640, 0o400, 0o755]) {
      await chmod(path, mode);
      await accepts();
    }
    for (const [place, mode, good] of [
      [path, 0o602, 0o600],
      [path, 0o666, 0o600],
      [inner, 0o707, 0o755],
      [join(folder, "a"), 0o777, 0o755],
    ] as const) {
      await chmod(place, mode);
      await refusesEverybody(path, /written by everybody/);
      await accepts({ strictModes: false });
      await chmod(place, good);
      await accepts();
    }
    await chmod(inner, 0o1777);
    await accepts();
    // Where there is no file yet, too: somebody who can remove it could have everybody trusted anew.
    await chmod(join(folder, "a"), 0o777);
    const missing = join(folder, "a", "c", "known_peers");
    await assert.rejects(ask(missing, key, asClient), { ...invalid, message: /written by everybody/ });
    await assert.rejects(stat(join(folder, "a", "c")), { code: "ENOENT" });
    await chmod(join(folder, "a"), 0o755);
    // And where a link leads, and where it stands.
    await mkdir(join(folder, "links"));
    await symlink(path, join(folder, "links", "known_peers"));
    for (const place of [join(folder, "links"), join(folder, "a")]) {
      await chmod(place, 0o777);
      await refusesEverybody(join(folder, "links", "known_peers"), /written by everybody/);
      await chmod(place, 0o755);
    }
    assert.equal(await ask(join(folder, "links", "known_peers"), key, asClient), true);
  }));

test("what belongs to another user is refused", { ...(isRoot ? {} : { skip: "needs root" }) }, () =>
  withFolder(async (folder, path) => {
    await writeFile(path, `db:7000 ${text}\n`);
    await chown(path, 12_345, 0);
    await refusesEverybody(path, /belongs to user 12345/);
    assert.equal(await ask(path, key, asClient, { strictModes: false }), true);
    await chown(path, 0, 12_345);
    assert.equal(await ask(path, key, asClient), true);
    await symlink("known_peers", `${path}.link`);
    await lchown(`${path}.link`, 12_345, 0);
    await refusesEverybody(`${path}.link`, /belongs to user 12345/);
    await chown(folder, 12_345, 0);
    await refusesEverybody(path, /belongs to user 12345/);
  }),
);

test("who can change what: owners, groups, sticky folders, links", () => {
  const [file, folder, link] = [0o100000, 0o040000, 0o120000];
  const rows: [
    uid: number | undefined,
    owner: number,
    gid: number,
    mode: number,
    reason: RegExp | undefined,
  ][] = [
    [1000, 1000, 1000, file | 0o600, undefined],
    [1000, 0, 0, file | 0o644, undefined],
    [1000, 1001, 1000, file | 0o600, /belongs to user 1001/],
    [0, 1000, 1000, file | 0o600, /belongs to user 1000/],
    [1000, 1000, 1000, file | 0o664, undefined],
    [1000, 1000, 100, file | 0o664, /written by group 100/],
    [0, 0, 0, file | 0o664, /written by group 0/],
    [1000, 1000, 1000, file | 0o666, /written by everybody/],
    [1000, 1000, 1000, file | 0o1666, /written by everybody/],
    [1000, 0, 0, folder | 0o1777, undefined],
    [1000, 1001, 0, folder | 0o1777, /belongs to user 1001/],
    [1000, 0, 100, folder | 0o775, /written by group 100/],
    [1000, 0, 1000, folder | 0o777, /written by everybody/],
    [1000, 1000, 1000, link | 0o777, undefined],
    [1000, 1001, 1001, link | 0o777, /belongs to user 1001/],
    [undefined, 1001, 1001, file | 0o600, undefined],
    [undefined, 1001, 1001, file | 0o660, /written by group 1001/],
  ];
  for (const [uid, owner, gid, mode, reason] of rows) {
    const found = whyUnsafe({ uid: owner, gid, mode }, uid);
    if (reason === undefined) assert.equal(found, undefined, `${uid} ${owner} ${gid} ${mode.toString(8)}`);
    else assert.match(found ?? "", reason, `${uid} ${owner} ${gid} ${mode.toString(8)}`);
  }
});

test("what is made is for this user only, whatever the umask", () =>
  withFolder(async (folder) => {
    const before = process.umask(0);
    try {
      const path = join(folder, "x", "y", "known_peers");
      assert.equal(await ask(path, key, asClient), true);
      assert.equal(await ask(path, key, asClient), true);
      assert.equal((await stat(path)).mode & 0o777, 0o600);
      for (const made of ["x", "x/y"]) assert.equal((await stat(join(folder, made))).mode & 0o777, 0o700);
      assert.deepEqual(await readdir(join(folder, "x", "y")), ["known_peers"]);
    } finally {
      process.umask(before);
    }
  }));

test("Deno with permissions for the file alone is not asked for more", { only: ["deno"] }, () =>
  withFolder(async (folder, path) => {
    const suite = fileURLToPath(import.meta.url);
    const steps: WriterStep[] = [
      { call: "firstUse", name: "db:7000", key: text },
      { call: "add", name: "web", key: otherText },
      { call: "remove", name: "web", key: otherText },
      { call: "firstUse", name: "db:7000", key: otherText },
    ];
    const allowed = [
      `--allow-read=${path},${join(suite, "../../..")}`,
      `--allow-write=${path}`,
      "--allow-env",
    ];
    const output = execFileSync(process.execPath, ["run", "--no-config", "--no-prompt", ...allowed, suite], {
      env: { ...process.env, SEALWIRE_TEST_WRITER: "1" },
      input: `${JSON.stringify({ path, steps })}\ngo\n`,
      encoding: "utf8",
      timeout: 20_000,
    });
    assert.deepEqual(JSON.parse(output.split("\n")[1]!), ["done", "done", "done", "ERR_UNAUTHORIZED"]);
    assert.equal(await readFile(path, "utf8"), `db:7000 ${text}\n#eb ${otherText}\n`);
    assert.deepEqual(await readdir(folder), ["known_peers"]);
  }),
);
