// `sealwire proxy` in front of PostgreSQL and Redis of the system's packages, driven by their own clients. A service
// that is not installed is skipped with a message (Debian: apt-get install postgresql redis-server). For Redis that
// counts as a failure if SEALWIRE_REQUIRE_REDIS is set.

import { execFileSync, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { runtimes } from "../scripts/runtimes.js";
import { until } from "./support/childProcess.ts";
import { startProxy } from "./support/proxyPair.ts";
import { skipTitle } from "./support/skipTitle.ts";

const folder = mkdtempSync(join(tmpdir(), "sealwire-services-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const env = { SEALWIRE_PSK: "5e".repeat(32) };
const all = runtimes();

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

/** Where a program is; undefined where it is not installed. */
function program(name: string): string | undefined {
  const versions = existsSync("/usr/lib/postgresql") ? readdirSync("/usr/lib/postgresql").sort() : [];
  const folders = [
    ...(process.env.PATH ?? "").split(":"),
    ...versions.map((v) => `/usr/lib/postgresql/${v}/bin`),
  ];
  return folders.map((path) => join(path, name)).find((path) => existsSync(path));
}

/** Proxies between a free port and a Unix socket of a service. */
async function proxied(target: string, i: number): Promise<{ port: number }> {
  const [sealing, opening] = [all[i % all.length]!, all[(i + 1) % all.length]!];
  const open = await startProxy(opening, ["--open", "-l", "127.0.0.1:0", "-t", `unix:${target}`], env);
  cleanups.push(() => open.process.stop());
  const seal = await startProxy(
    sealing,
    ["--seal", "-l", "127.0.0.1:0", "-t", `127.0.0.1:${open.port}`],
    env,
  );
  cleanups.push(() => seal.process.stop());
  return { port: seal.port };
}

/** PostgreSQL refuses to run as root. */
const isRoot = process.getuid?.() === 0;
const NOBODY = 65_534;
const as = isRoot ? { uid: NOBODY, gid: NOBODY } : {};

const postgres = {
  initdb: program("initdb"),
  server: program("postgres"),
  client: program("psql"),
};
const hasPostgres = Object.values(postgres).every((path) => path !== undefined);
const redis = { server: program("redis-server"), client: program("redis-cli") };
const hasRedis = Object.values(redis).every((path) => path !== undefined);

const missing = (name: string, installed: boolean): string =>
  skipTitle(name, installed ? undefined : `${name} is not installed`);

if (!hasRedis && process.env.SEALWIRE_REQUIRE_REDIS) {
  test("Redis is installed", () => {
    throw new Error("redis-server and redis-cli are required here, and are not in the path");
  });
}

describe.skipIf(!hasPostgres)(missing("PostgreSQL", hasPostgres), () => {
  test("queries, a COPY both ways, and a cancel on a connection of its own", async () => {
    const data = join(folder, "postgres");
    const sockets = mkdtempSync(join(tmpdir(), "sealwire-pg-"));
    cleanups.push(() => rmSync(sockets, { recursive: true, force: true }));
    if (isRoot) for (const path of [folder, sockets]) chownSync(path, NOBODY, NOBODY);
    const init = ["-D", data, "-U", "tester", "-A", "trust", "--no-sync", "--no-locale", "-E", "UTF8"];
    execFileSync(postgres.initdb!, init, { ...as, cwd: folder, stdio: "ignore", timeout: 60_000 });
    const settings = ["-c", "listen_addresses=", "-c", "fsync=off", "-k", sockets, "-p", "5432"];
    const server = spawn(postgres.server!, ["-D", data, ...settings], {
      ...as,
      cwd: folder,
      stdio: "ignore",
    });
    const gone = new Promise((resolve) => server.on("exit", resolve));
    cleanups.push(() => {
      server.kill("SIGINT");
      return gone;
    });
    const socket = join(sockets, ".s.PGSQL.5432");
    await until(() => existsSync(socket), "PostgreSQL");
    const { port } = await proxied(socket, 0);
    const dsn = `host=127.0.0.1 port=${port} user=tester dbname=postgres sslmode=disable connect_timeout=20`;
    const psql = (sql: string, input?: string) =>
      spawnSync(postgres.client!, ["-X", "-At", "-v", "ON_ERROR_STOP=1", dsn, "-c", sql], {
        encoding: "utf8",
        input,
        timeout: 60_000,
        maxBuffer: 64 * 1_048_576,
      });
    await until(() => psql("select 1").stdout === "1\n", "an answer through the proxies");
    const rows = Array.from({ length: 40_000 }, (_, i) => `${i}\t${"x".repeat(i % 97)}\n`).join("");
    expect(psql("create table t (n int, s text)").status).toBe(0);
    expect(psql("copy t from stdin", rows)).toMatchObject({ status: 0, stderr: "" });
    const back = psql("copy (select n, s from t order by n) to stdout").stdout;
    const digest = (text: string): string => createHash("sha256").update(text).digest("hex");
    expect(digest(back)).toBe(digest(rows));
    // psql asks for the cancel on a second connection when it is interrupted.
    const slow = spawn(postgres.client!, ["-X", "-At", dsn, "-c", "select pg_sleep(100)"]);
    let said = "";
    slow.stderr.on("data", (text) => {
      said += text;
    });
    // Not "exit", which may come before what it said last.
    const ended = new Promise((resolve) => slow.on("close", resolve));
    const running =
      "select count(*) from pg_stat_activity where query like 'select pg_sleep%' and state = 'active'";
    await until(() => psql(running).stdout === "1\n", "the query that sleeps");
    slow.kill("SIGINT");
    await ended;
    expect(said).toMatch(/canceling statement due to user request/);
  });
});

describe.skipIf(!hasRedis)(missing("Redis", hasRedis), () => {
  test("values of 1 MB, a pipeline, and what is published reaches who subscribed", async () => {
    const socket = join(folder, "redis.sock");
    const config = [
      "--port",
      "0",
      "--unixsocket",
      socket,
      "--save",
      "",
      "--appendonly",
      "no",
      "--dir",
      folder,
    ];
    const server = spawn(redis.server!, config, { stdio: "ignore" });
    const gone = new Promise((resolve) => server.on("exit", resolve));
    cleanups.push(() => {
      server.kill("SIGTERM");
      return gone;
    });
    await until(() => existsSync(socket), "Redis");
    const { port } = await proxied(socket, 2);
    const address = ["-h", "127.0.0.1", "-p", String(port)];
    const cli = (args: string[], input?: string): string =>
      spawnSync(redis.client!, [...address, ...args], {
        encoding: "utf8",
        input,
        timeout: 60_000,
        maxBuffer: 16 * 1_048_576,
      }).stdout;
    expect(cli(["ping"])).toBe("PONG\n");
    const value = "v".repeat(1_000_000);
    expect(cli(["-x", "set", "big"], value)).toBe("OK\n");
    expect(cli(["get", "big"])).toBe(`${value}\n`);
    const commands = Array.from({ length: 10_000 }, (_, i) => `SET key:${i} ${i}\r\n`).join("");
    expect(cli(["--pipe"], commands)).toContain("errors: 0, replies: 10000");
    expect(cli(["dbsize"])).toBe("10001\n");
    const subscriber = spawn(redis.client!, [...address, "subscribe", "news"]);
    cleanups.push(() => subscriber.kill());
    let heard = "";
    subscriber.stdout.on("data", (text) => {
      heard += text;
    });
    await until(() => heard.includes("subscribe"), "the subscription");
    expect(cli(["publish", "news", "hello"])).toBe("1\n");
    await until(() => heard.includes("hello"), "the message");
  });
});
