// The command line as a user runs it: the real binary, in every runtime, through pipes and a terminal.
import { type ChildProcess, type ChildProcessByStdio, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { connect } from "../dist/index.js";
import { runtimeKinds, runtimes } from "../scripts/runtimes.js";
import { skipTitle } from "./support/skipTitle.ts";
import { testsOfRole } from "./support/testsInTurn.ts";
import { repositoryRoot } from "./support/vectors.ts";

const cli = join(repositoryRoot, "dist/cli.js");
const folder = mkdtempSync(join(tmpdir(), "sealwire-cli-"));
const at = (name: string): string => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true }));

const KEY_LINE = /^[\w-]{43}$/;
const ESCAPE = "\u001b";

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

describe.each(runtimeKinds())("sealwire in $label ($version)", (runtime) => {
  const [role] = runtime.roles;
  // A command line is read in the same way in every runtime.
  const inTurn = testsOfRole(role!, "the tests of the command line");
  const name = (file: string): string => at(`${runtime.id}-${file}`);
  const environment = {
    ...process.env,
    SEALWIRE_KEY: undefined,
    SEALWIRE_PSK: undefined,
    SEALWIRE_KNOWN_PEERS: undefined,
  };
  const running: ChildProcess[] = [];
  afterEach(() => {
    for (const child of running.splice(0)) child.kill("SIGKILL");
  });

  function sealwire(
    args: string[],
    options: { input?: string; env?: object; descriptor?: number } = {},
  ): Outcome {
    const { input = "", env, descriptor } = options;
    const { status, stdout, stderr } = spawnSync(runtime.path, [...runtime.args, cli, ...args], {
      input,
      encoding: "utf8",
      env: { ...environment, ...env },
      cwd: folder,
      timeout: 60_000,
      stdio: ["pipe", "pipe", "pipe", ...(descriptor === undefined ? [] : [descriptor])],
    });
    return { code: status, stdout, stderr };
  }

  /** Runs a server until it listens; its port, and how to end it. */
  async function serve(
    args: string[],
    input?: string,
  ): Promise<{
    port: number;
    output: () => string;
    /** Sends SIGHUP, and waits for the event that it makes the server tell. */
    hangUp: () => Promise<{ event: string; drained?: number; error?: string }>;
    stop: () => Promise<number | null>;
  }> {
    const child = spawn(
      runtime.path,
      [...runtime.args, cli, "serve", "--echo", "--listen", "127.0.0.1:0", "--json", ...args],
      {
        env: environment as NodeJS.ProcessEnv,
        cwd: folder,
        stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
      },
    ) as ChildProcessByStdio<Writable | null, Readable, Readable>;
    child.stdin?.end(input);
    running.push(child);
    const exited = once(child, "exit");
    let text = "";
    let errors = "";
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      errors += chunk;
    });
    child.stdout.setEncoding("utf8");
    const listening = new Promise<void>((resolve, reject) => {
      child.stdout.on("data", (chunk: string) => {
        text += chunk;
        if (text.includes("\n")) resolve();
      });
      exited.then(() => reject(new Error(`the server ended: ${errors}`)));
    });
    await listening;
    const { port } = JSON.parse(text.split("\n")[0]!);
    return {
      port,
      output: () => text,
      hangUp: async () => {
        const told = () => text.split("\n").filter((line) => line.includes('"event":"reload'));
        const before = told().length;
        child.kill("SIGHUP");
        for (let i = 0; i < 1_000 && told().length === before; i++)
          await new Promise((resolve) => setTimeout(resolve, 10));
        return JSON.parse(told()[before]!);
      },
      stop: async () => {
        child.kill("SIGTERM");
        const [code] = await exited;
        return code;
      },
    };
  }

  const lines = (outcome: Outcome) =>
    outcome.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));

  inTurn("keygen writes for the owner alone, never over a file, and pubkey knows its public key", () => {
    const file = name("server.key");
    const umask = process.umask(0);
    const made = sealwire(["keygen", "-o", file]);
    process.umask(umask);
    expect(made).toMatchObject({ code: 0, stdout: "" });
    const publicKey = /public key: (\S+)/.exec(made.stderr)![1]!;
    expect(publicKey).toMatch(KEY_LINE);
    expect((statSync(file).mode & 0o777).toString(8)).toBe("600");
    const text = readFileSync(file, "utf8");
    expect(text).toContain(`# public key: ${publicKey}\n`);
    expect(text.trim().split("\n").at(-1)).toMatch(KEY_LINE);
    expect(sealwire(["keygen", "-o", file])).toMatchObject({ code: 3, stdout: "" });
    expect(readFileSync(file, "utf8")).toBe(text);
    expect(sealwire(["pubkey", file])).toEqual({ code: 0, stdout: `${publicKey}\n`, stderr: "" });
    expect(sealwire(["pubkey"], { input: text }).stdout).toBe(`${publicKey}\n`);
    expect(lines(sealwire(["pubkey", "--json", file]))).toEqual([{ publicKey }]);
  });

  inTurn("a key that can't be written whole leaves no file", () => {
    const file = name("no-room");
    // As on a full disk: no file may get a byte, and the signal for it is ignored.
    const limited = ["-c", 'ulimit -f 0; trap "" XFSZ; exec "$@"', "sh", runtime.path, ...runtime.args, cli];
    const { status, stdout, stderr } = spawnSync("/bin/sh", [...limited, "keygen", "-o", file], {
      encoding: "utf8",
      env: environment,
    });
    expect({ status, stdout, stderr }).toMatchObject({ status: 3, stdout: "" });
    expect(stderr).toContain("can't be written");
    expect(existsSync(file)).toBe(false);
  });

  inTurn("keygen to standard output gives what pubkey reads, and the public key to standard error", () => {
    const made = sealwire(["keygen"]);
    expect(made.code).toBe(0);
    const publicKey = sealwire(["pubkey"], { input: made.stdout }).stdout.trim();
    expect(publicKey).toMatch(KEY_LINE);
    expect(made.stderr.trim()).toBe(`public key: ${publicKey}`);
    const [json] = lines(sealwire(["keygen", "--json"]));
    expect(sealwire(["pubkey"], { input: json.privateKey }).stdout.trim()).toBe(json.publicKey);
  });

  inTurn("a pipe that does not block, as npx leaves it, is waited for", async () => {
    const { stdout: privateKey, stderr } = sealwire(["keygen"]);
    const publicKey = /public key: (\S+)/.exec(stderr)![1];
    // The first process makes its standard input non-blocking and hands it on.
    const between =
      "process.stdin.pause(); const [path, ...args] = process.argv.slice(1);" +
      "require('child_process').spawn(path, args, { stdio: 'inherit' }).once('exit', (code) => process.exit(code));";
    const child = spawn(process.execPath, ["-e", between, runtime.path, ...runtime.args, cli, "pubkey"], {
      env: environment as NodeJS.ProcessEnv,
      stdio: ["pipe", "pipe", "pipe"],
    });
    running.push(child);
    let text = "";
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
    const exited = once(child, "exit");
    // Some time in which nothing is there to be read.
    await Promise.race([exited, new Promise((resolve) => setTimeout(resolve, 1_200))]);
    child.stdin.end(privateKey);
    expect([(await exited)[0], text]).toEqual([0, `${publicKey}\n`]);
  });

  inTurn("genpsk makes a key, each time another, in a file if asked", () => {
    const [first, second] = [sealwire(["genpsk"]), sealwire(["genpsk"])];
    expect(first.stdout.trim()).toMatch(KEY_LINE);
    expect(first.stdout).not.toBe(second.stdout);
    const file = name("made.psk");
    expect(sealwire(["genpsk", "-o", file])).toMatchObject({ code: 0 });
    expect((statSync(file).mode & 0o777).toString(8)).toBe("600");
    expect(readFileSync(file, "utf8").trim()).toMatch(KEY_LINE);
  });

  inTurn("fingerprint is the same from an argument and from a pipe, and refuses what is no key", () => {
    const key = "8BtEbUZ9i1Q5UmZAcvs0bGbTTJvRrKk0T8qVbPzR0Gs";
    const found = sealwire(["fingerprint", key]);
    expect(found.stdout).toMatch(/^BLAKE2b:[\w-]{43}\n$/);
    expect(sealwire(["fingerprint"], { input: `${key}\n` }).stdout).toBe(found.stdout);
    expect(sealwire(["fingerprint", "short"])).toMatchObject({ code: 2, stdout: "" });
  });

  inTurn("secrets come from files, descriptors, pipes and the environment, not from arguments", () => {
    const secret = sealwire(["genpsk"]).stdout.trim();
    const file = name("secret");
    writeFileSync(file, `# a comment\n\n${secret}\n`, { mode: 0o600 });
    const expected = sealwire(["pubkey", file]);
    expect(expected.code).toBe(0);
    expect(sealwire(["pubkey", "-"], { input: secret })).toEqual(expected);
    expect(sealwire(["pubkey", "env:A_SECRET"], { env: { A_SECRET: secret } })).toEqual(expected);
    const descriptor = openSync(file, "r");
    const read = sealwire(["pubkey", "fd:3"], { descriptor });
    closeSync(descriptor);
    // Deno hands no descriptors of its parent to programs.
    if (runtime.id === "deno") expect(read).toMatchObject({ code: 3, stdout: "" });
    else expect(read).toEqual(expected);
    const asArgument = sealwire(["pubkey", secret]);
    expect(asArgument).toMatchObject({ code: 2, stdout: "" });
    expect(asArgument.stderr).not.toContain(secret);
    for (const source of ["env:NOT_THERE", "fd:77", name("absent")])
      expect(sealwire(["pubkey", source]).code).toBe(3);
    const damaged = sealwire(["pubkey"], { input: `${secret.slice(0, 40)}` });
    expect(damaged.code).toBe(3);
    expect(damaged.stderr).not.toContain(secret.slice(0, 40));
  });

  inTurn("a key file that others can reach is refused, and doctor finds it", () => {
    const file = name("open.key");
    expect(sealwire(["keygen", "-o", file]).code).toBe(0);
    chmodSync(file, 0o644);
    const refused = sealwire(["pubkey", file]);
    expect(refused.code).toBe(3);
    expect(refused.stderr).toContain("mode 0644");
    const examined = sealwire(["doctor", "--json", "--key", file]);
    expect(examined.code).toBe(1);
    expect(lines(examined).filter(({ ok }) => !ok)).toEqual([
      expect.objectContaining({ check: `key file ${file}` }),
    ]);
    chmodSync(file, 0o600);
    expect(sealwire(["doctor", "--key", file]).code).toBe(0);
  });

  inTurn("doctor finds every known answer right", () => {
    const checks = lines(sealwire(["doctor", "--json"]));
    const answers = checks.filter(({ text }) => text === "right").map(({ check }) => check);
    expect(answers).toEqual(["X25519", "BLAKE2b", "AES-256-GCM", "ChaCha20-Poly1305", "ML-KEM-768"]);
  });

  inTurn("peers are added, listed and removed", () => {
    const file = name("known_peers");
    const key = sealwire(["fingerprint", "--json", "8BtEbUZ9i1Q5UmZAcvs0bGbTTJvRrKk0T8qVbPzR0Gs"]);
    const { publicKey } = lines(key)[0];
    expect(sealwire(["peers", "list", "-f", file])).toMatchObject({ code: 0, stdout: "" });
    expect(sealwire(["peers", "add", "db:7000", publicKey, "-f", file]).code).toBe(0);
    expect(sealwire(["peers", "add", "alice", publicKey, "--as", "client", "-f", file]).code).toBe(0);
    expect(sealwire(["peers", "list", "-f", file]).stdout).toBe(
      `db:7000 ${publicKey}\n@client alice ${publicKey}\n`,
    );
    expect(
      lines(sealwire(["peers", "list", "--json"], { env: { SEALWIRE_KNOWN_PEERS: file } })),
    ).toHaveLength(2);
    expect(lines(sealwire(["peers", "remove", "alice", "-f", file, "--json"]))).toEqual([
      { name: "alice", removed: 1 },
    ]);
    expect(sealwire(["peers", "remove", "alice", "-f", file]).code).toBe(1);
    writeFileSync(file, "what is this\n");
    expect(sealwire(["peers", "list", "-f", file]).code).toBe(3);
  });

  inTurn("serve, ping, send and bench with a pre-shared key", async () => {
    const psk = name("talk.psk");
    expect(sealwire(["genpsk", "-o", psk]).code).toBe(0);
    const server = await serve(["--psk", psk]);
    const target = `127.0.0.1:${server.port}`;
    const [connected, ...answers] = lines(
      sealwire(["ping", target, "--psk", psk, "-c", "3", "-i", "0", "--json"]),
    );
    expect(connected).toMatchObject({ event: "connected", authenticated: true });
    expect(answers.map(({ event }) => event)).toEqual(["answer", "answer", "answer", "summary"]);
    expect(answers.at(-1)).toMatchObject({ count: 3 });
    expect(sealwire(["send", target, "--psk", psk, "--request"], { input: "hello" })).toEqual({
      code: 0,
      stdout: "hello",
      stderr: "",
    });
    expect(sealwire(["send", target, "--psk", psk, "-d", "one-way"])).toEqual({
      code: 0,
      stdout: "",
      stderr: "",
    });
    const [sent] = lines(sealwire(["send", target, "--psk", psk, "-r", "-d", "text", "--json"]));
    expect(sent).toEqual({ sentBytes: 4, answerBytes: 4, answer: "dGV4dA==" });
    // Longer than a busy machine may keep the processes from running: more than the first request of each is answered.
    const [measured] = lines(
      sealwire(["bench", target, "--psk", psk, "-t", "3", "-s", "64", "-p", "4", "--json"]),
    );
    expect(measured.count).toBeGreaterThan(4);
    expect(measured.requestsPerSecond).toBeGreaterThan(0);
    const other = name("other.psk");
    expect(sealwire(["genpsk", "-o", other]).code).toBe(0);
    const refused = sealwire(["ping", target, "--psk", other, "--json"]);
    expect(refused.code).toBe(5);
    expect(JSON.parse(refused.stderr).error).toMatchObject({ exit: 5, code: expect.stringMatching(/^ERR_/) });
    expect(await server.stop()).toBe(0);
    expect(sealwire(["ping", target, "--psk", psk]).code).toBe(4);
  });

  inTurn("call calls a method of a typed server, and prints values, streams and errors", async () => {
    const psk = name("typed.psk");
    expect(sealwire(["genpsk", "-o", psk]).code).toBe(0);
    const program = `
      import { readFileSync } from "node:fs";
      import { listen } from ${JSON.stringify(join(repositoryRoot, "dist/node.js"))};
      import { RpcError, serve } from ${JSON.stringify(join(repositoryRoot, "dist/rpc.js"))};
      const api = {
        add: (a, b) => a + b,
        nothing: () => {},
        planet: { find: ({ id }) => ({ id, bytes: Uint8Array.of(1, 2), big: 5n, tags: new Set(["a"]) }) },
        count: async function* (to) { for (let i = 0; i < to; i++) yield { i }; },
        fail: () => { throw new RpcError("FORBIDDEN", "not yours", { id: 3 }); },
        shout: () => { throw new RpcError("RED", "\\u001b[31mred\\u0007\\nsealwire: forged", "\\u009b2J"); },
        paint: () => ["\\u001b]0;title\\u0007", "\\u009b2J", "\\u007f", "\\u202egnp.exe"],
      };
      const handler = serve(api);
      const counters = Buffer.from(JSON.stringify({ "\\u001b[2Jname": "\\u001b[31mred", nested: { "a\\nhealth": 1 }, "\\u009b2J": "\\u202e" }));
      const nested = Buffer.from('{"a":'.repeat(100_000) + 1 + "}".repeat(100_000));
      const counted = [counters, counters, nested, nested];
      const server = await listen({
        port: 0,
        psk: readFileSync(${JSON.stringify(psk)}, "utf8").trim(),
        onMessage: (message) => message.head.method === "sealwire.stat" ? void message.reply(counted.shift()) : handler(message),
      });
      console.log(server.port);
    `;
    const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    try {
      const port = await new Promise<string>((resolve, reject) => {
        child.stdout.once("data", (text) => resolve(String(text).trim()));
        child.once("exit", (code) => reject(new Error(`the server ended with ${code}`)));
      });
      const call = (...args: string[]) => sealwire(["call", `127.0.0.1:${port}`, ...args, "--psk", psk]);
      const found = call("planet.find", "-d", '{"id":3}', "--json");
      expect(found).toEqual({
        code: 0,
        stdout: '{"id":3,"bytes":{"base64":"AQI="},"big":"5","tags":["a"]}\n',
        stderr: "",
      });
      expect(JSON.parse(call("planet.find", "-d", '{"id":3}').stdout)).toEqual(JSON.parse(found.stdout));
      expect(call("add", "--args", "-d", "[2,3]").stdout).toBe("5\n");
      writeFileSync(name("count.json"), "2\n");
      expect(call("count", "-d", `@${name("count.json")}`).stdout).toBe('{"i":0}\n{"i":1}\n');
      const line = ["call", `127.0.0.1:${port}`, "count", "--psk", psk, "-d", "-"];
      expect(sealwire(line, { input: "1" }).stdout).toBe('{"i":0}\n');
      expect(call("count", "-d", `@${name("no.json")}`)).toMatchObject({ code: 3, stdout: "" });
      expect(call("nothing")).toEqual({ code: 0, stdout: "", stderr: "" });
      expect(call("count", "-d", "3").stdout).toBe('{"i":0}\n{"i":1}\n{"i":2}\n');
      const failed = call("fail");
      expect(failed).toMatchObject({ code: 6, stdout: "" });
      expect(failed.stderr).toContain('fail: FORBIDDEN: not yours {"id":3}');
      // A terminal obeys nothing of what the peer says, and no line is forged.
      expect(call("shout").stderr).toBe(
        'sealwire: shout: RED: \\u001b[31mred\\u0007\\u000asealwire: forged "\\u009b2J"\n',
      );
      expect(call("paint", "--json").stdout).toBe(
        '["\\u001b]0;title\\u0007","\\u009b2J","\\u007f","\\u202egnp.exe"]\n',
      );
      expect(sealwire(["stat", `127.0.0.1:${port}`, "--psk", psk]).stdout).toBe(
        "\\u001b[2Jname \\u001b[31mred\na\\u000ahealth 1\n\\u009b2J \\u202e\n",
      );
      expect(sealwire(["stat", `127.0.0.1:${port}`, "--psk", psk, "--json"]).stdout).toBe(
        '{"\\u001b[2Jname":"\\u001b[31mred","nested":{"a\\nhealth":1},"\\u009b2J":"\\u202e"}\n',
      );
      for (const form of [[], ["--json"]]) {
        const told = sealwire(["stat", `127.0.0.1:${port}`, "--psk", psk, ...form]);
        expect(told).toMatchObject({ code: 6, stdout: "" });
        expect(told.stderr).toContain("tells no counters");
      }
      expect(call("missing")).toMatchObject({ code: 2, stdout: "" });
      for (const none of ["a.constructor", "a..b", "then.b", "__proto__.b"])
        expect(call(none), none).toMatchObject({ code: 2, stdout: "" });
      expect(call("add", "-d", "{")).toMatchObject({ code: 2, stdout: "" });
      expect(call("add", "--args", "-d", "{}")).toMatchObject({ code: 2, stdout: "" });
    } finally {
      child.kill();
    }
  });

  test.each([["--json"], []])(
    "serve goes on where nobody reads what it prints (%s)",
    async (...args: string[]) => {
      const psk = name(`unread${args.length}.psk`);
      expect(sealwire(["genpsk", "-o", psk]).code).toBe(0);
      const child = spawn(
        runtime.path,
        [...runtime.args, cli, "serve", "--echo", "--listen", "127.0.0.1:0", "--psk", psk, ...args],
        { env: environment as NodeJS.ProcessEnv, stdio: ["ignore", "pipe", "pipe"] },
      );
      running.push(child);
      const exited = once(child, "exit");
      const [text] = await Promise.race([
        once(child.stdout, "data"),
        exited.then(() => Promise.reject(new Error("the server ended"))),
      ]);
      const port = Number(/:(\d+)[,}\s]/.exec(String(text))?.[1]);
      child.stdout.destroy();
      child.stderr.destroy();
      for (let i = 0; i < 3; i++) {
        const client = connect({ port, psk: readFileSync(psk, "utf8").trim() });
        expect(await client.request(Uint8Array.of(i))).toEqual(Uint8Array.of(i));
        await client.close();
      }
      child.kill("SIGTERM");
      expect((await exited)[0]).toBe(0);
    },
  );

  inTurn("--cipher names one at a client, and all that a server takes", async () => {
    const psk = name("cipher.psk");
    expect(sealwire(["genpsk", "-o", psk]).code).toBe(0);
    const both = await serve(["--psk", psk, "--cipher", "AESGCM", "--cipher", "ChaChaPoly"]);
    const one = await serve(["--psk", psk, "--cipher", "ChaChaPoly"]);
    const ping = (port: number, ...cipher: string[]) =>
      sealwire([
        ...["ping", `127.0.0.1:${port}`, "--psk", psk, "-c", "1"],
        ...cipher.flatMap((value) => ["--cipher", value]),
      ]);
    for (const cipher of ["AESGCM", "ChaChaPoly"]) expect(ping(both.port, cipher).code).toBe(0);
    expect(ping(one.port, "ChaChaPoly").code).toBe(0);
    const refused = ping(one.port);
    expect(refused).toMatchObject({ code: 5, stderr: expect.stringContaining("cipher") });
    expect(ping(both.port, "AES").code).toBe(2);
    expect(ping(both.port, "AESGCM", "ChaChaPoly").code).toBe(2);
    for (const server of [both, one]) expect(await server.stop()).toBe(0);
  });

  inTurn("stat shows a server's counters where it allows that", async () => {
    const psk = name("stat.psk");
    expect(sealwire(["genpsk", "-o", psk]).code).toBe(0);
    const open = await serve(["--psk", psk, "--stat"]);
    const target = `127.0.0.1:${open.port}`;
    expect(sealwire(["send", target, "--psk", psk, "-d", "counted", "-r"]).code).toBe(0);
    const [told] = lines(sealwire(["stat", target, "--psk", psk, "--json"]));
    expect(told).toMatchObject({
      health: "ready",
      stats: { connections: 1, openedConnections: 2, refusedConnections: 0 },
    });
    expect(told.uptimeMs).toBeGreaterThan(0);
    const text = sealwire(["stat", target, "--psk", psk]);
    expect(text.stdout).toMatch(/^health ready\n[\s\S]*\nopenedConnections 3\n/);
    expect(await open.stop()).toBe(0);
    const shut = await serve(["--psk", psk]);
    expect(sealwire(["stat", `127.0.0.1:${shut.port}`, "--psk", psk])).toMatchObject({ code: 6, stdout: "" });
    expect(await shut.stop()).toBe(0);
  });

  test.skipIf(process.platform === "win32")("SIGHUP makes serve read its keys again", async () => {
    const keys = ["11", "22", "33"].map((byte) => byte.repeat(32)) as [string, string, string];
    const [first, other] = [name("rotated.psk"), name("next.psk")];
    const write = (file: string, text: string) => writeFileSync(file, `${text}\n`, { mode: 0o600 });
    write(first, keys[0]);
    write(other, keys[1]);
    const server = await serve(["--psk", first, "--other-psk", other]);
    const accepted = async () => {
      const clients = keys.map((psk) => connect({ port: server.port, psk }));
      const outcomes = await Promise.allSettled(clients.map((client) => client.request(new Uint8Array(1))));
      await Promise.all(clients.map((client) => client.close()));
      return outcomes.map(({ status }) => status === "fulfilled");
    };
    expect(await accepted()).toEqual([true, true, false]);
    write(other, "nothing that is a key");
    expect((await server.hangUp()).event).toBe("reload failed");
    expect(await accepted()).toEqual([true, true, false]);
    write(first, keys[1]);
    write(other, keys[2]);
    expect(await server.hangUp()).toEqual({ event: "reloaded", drained: 0 });
    expect(await accepted()).toEqual([false, true, true]);
    expect(await server.stop()).toBe(0);
    // What came by standard input can't be read again, and stays; what a file holds changes.
    const piped = await serve(["--psk", "-", "--other-psk", other], `${keys[0]}\n`);
    write(other, keys[1]);
    const target = `127.0.0.1:${piped.port}`;
    expect(await piped.hangUp()).toEqual({ event: "reloaded", drained: 0 });
    for (const [i, code] of [0, 0, 5].entries())
      expect(sealwire(["ping", target, "--psk", "-", "-c", "1"], { input: keys[i]! }).code, keys[i]).toBe(
        code,
      );
    expect(await piped.stop()).toBe(0);
  });

  inTurn(
    "serve and ping with keys of both sides, and a server that is written down when first met",
    async () => {
      const [serverKey, clientKey, strangerKey] = ["mutual-server", "mutual-client", "stranger"].map((file) =>
        name(`${file}.key`),
      ) as [string, string, string];
      for (const file of [serverKey, clientKey, strangerKey])
        expect(sealwire(["keygen", "-o", file]).code).toBe(0);
      const [serverPublic, clientPublic] = [serverKey, clientKey].map((file) =>
        sealwire(["pubkey", file]).stdout.trim(),
      ) as [string, string];
      const server = await serve(["--key", serverKey, "--peer", clientPublic]);
      const target = `127.0.0.1:${server.port}`;
      const [connected] = lines(
        sealwire(["ping", target, "--key", clientKey, "--peer", serverPublic, "-c", "1", "--json"]),
      );
      expect(connected).toMatchObject({ authenticated: true, peer: serverPublic });
      expect(sealwire(["ping", target, "--key", strangerKey, "--peer", serverPublic, "-c", "1"]).code).toBe(
        5,
      );
      expect(sealwire(["ping", target, "--key", clientKey, "--peer", clientPublic, "-c", "1"]).code).toBe(5);
      const peers = name("first_use");
      const known = ["--key", clientKey, "--known-peers", peers];
      expect(sealwire(["ping", target, ...known, "-c", "1"]).code).toBe(5);
      expect(existsSync(peers)).toBe(false);
      expect(sealwire(["ping", target, ...known, "--trust", "-c", "1"]).code).toBe(0);
      expect(readFileSync(peers, "utf8")).toContain(`${target} ${serverPublic}`);
      expect(sealwire(["ping", target, ...known, "-c", "1"]).code).toBe(0);
      // By a name that is not its address, as behind a balancer.
      writeFileSync(peers, `sealwire.internal ${serverPublic}\n`, { mode: 0o600 });
      expect(sealwire(["ping", target, ...known, "--name", "sealwire.internal", "-c", "1"]).code).toBe(0);
      expect(await server.stop()).toBe(0);
      expect(server.output()).toContain(`"peer":"${clientPublic}"`);
    },
  );

  inTurn("without anything that says who the peer is, nothing is dialled or served", () => {
    for (const args of [
      ["ping", "127.0.0.1:1"],
      ["serve", "--echo"],
      ["send", "127.0.0.1:1"],
    ]) {
      expect(sealwire(args), args.join(" ")).toMatchObject({ code: 2, stdout: "" });
    }
  });

  // What the parser refuses also names the command that shows the usage.
  const wrong: [string[], RegExp][] = [
    [["keygn"], /^sealwire: .*keygen.*\nsealwire --help /],
    [["toString"], /^sealwire: .*toString.*\nsealwire --help /],
    [["keygen", "--outptu", "x"], /^sealwire: .*output.*\nsealwire keygen --help /],
    [["ping"], /^sealwire: .*TARGET\nsealwire ping --help /],
    [["ping", "nowhere", "--anonymous"], /^sealwire: .*HOST:PORT.*\nsealwire ping --help /],
    [["ping", "http://localhost:7000", "--anonymous"], /^sealwire: .*HOST:PORT.*\nsealwire ping --help /],
    [["ping", "a:1", "-c", "0", "--anonymous"], /1 to/],
    [["ping", "a:1", "-i", "0.5", "--anonymous"], /milliseconds/],
    [["send", "a:1", "hello"], /^sealwire: .*"hello"\nsealwire send --help /],
    [["bench", "--json"], /^\{"error":\{"exit":2,"message":"[^\n]*TARGET"\}\}\n$/],
    [["peers", "add", "one"], /^sealwire: .*PUBLIC-KEY\nsealwire peers --help /],
    [["serve", "--anonymous"], /--echo/],
  ];
  inTurn(
    "what is typed wrongly exits with 2, names the right word, and writes nothing to standard output",
    () => {
      for (const [args, text] of wrong) {
        const outcome = sealwire(args);
        expect([args.join(" "), outcome.code, outcome.stdout]).toEqual([args.join(" "), 2, ""]);
        expect(outcome.stderr).toMatch(text);
      }
    },
  );

  const commands = [
    "keygen",
    "pubkey",
    "genpsk",
    "fingerprint",
    "serve",
    "proxy",
    "ping",
    "stat",
    "send",
    "call",
    "bench",
    "doctor",
  ];
  inTurn("help and version, with examples and without colours in a pipe", () => {
    const help = sealwire([]);
    expect(help.code).toBe(0);
    expect(help.stdout).toContain("Exit codes:");
    expect(help.stdout).not.toContain(ESCAPE);
    for (const command of commands) {
      expect(sealwire([command, "--help"]).stdout, command).toMatch(/Examples:\n +\(?.*sealwire/);
    }
    const { version } = JSON.parse(readFileSync(join(repositoryRoot, "package.json"), "utf8"));
    expect(sealwire(["--version"]).stdout).toBe(`${version}\n`);
  });

  const hasTerminal = spawnSync("script", ["--version"]).status === 0;
  /** Runs it on a terminal of its own; what the terminal shows. */
  function onTerminal(args: string[], env: object = {}): string {
    const command = [runtime.path, ...runtime.args, cli, ...args].map((word) => `'${word}'`).join(" ");
    const { stdout } = spawnSync("script", ["-qec", command, "/dev/null"], {
      encoding: "utf8",
      env: { ...environment, TERM: "xterm-256color", ...env } as NodeJS.ProcessEnv,
      cwd: folder,
      timeout: 60_000,
    });
    return stdout;
  }

  const noTerminal = hasTerminal ? undefined : "the program script is not installed";
  inTurn(
    skipTitle("colours and progress are for terminals, and NO_COLOR switches colours off", noTerminal),
    { skip: !hasTerminal },
    async () => {
      expect(onTerminal(["--help"])).toContain(ESCAPE);
      expect(onTerminal(["--help"], { NO_COLOR: "1" })).not.toContain(ESCAPE);
      const psk = name("terminal.psk");
      expect(sealwire(["genpsk", "-o", psk]).code).toBe(0);
      const server = await serve(["--psk", psk]);
      const ping = ["ping", `127.0.0.1:${server.port}`, "--psk", psk, "-c", "2", "-i", "50"];
      const shown = onTerminal(ping);
      expect(shown).toContain(`\r${ESCAPE}[K`);
      expect(shown).toContain("2 round trips");
      expect(onTerminal([...ping, "--json"])).not.toContain(ESCAPE);
      const piped = sealwire(ping);
      expect(piped.stdout + piped.stderr).not.toContain(ESCAPE);
      expect(await server.stop()).toBe(0);
    },
  );

  /** Runs it on a terminal, types Ctrl-C once `shown` is there; what the terminal showed, and the exit code. */
  async function interrupted(args: string[], shown: string): Promise<{ text: string; code: number }> {
    const words = [runtime.path, ...runtime.args, cli, ...args].map((word) => `'${word}'`);
    // A shell that stayed (dash does, bash doesn't) would get the Ctrl-C, too, and its exit code would be ours.
    const child = spawn("script", ["-qec", `exec ${words.join(" ")}`, "/dev/null"], {
      env: { ...environment, TERM: "xterm-256color" } as NodeJS.ProcessEnv,
      cwd: folder,
      stdio: ["pipe", "pipe", "pipe"],
    });
    running.push(child);
    let text = "";
    let typed = false;
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      if (!typed && text.includes(shown)) typed = child.stdin.write("\x03");
    });
    const [code] = await once(child, "close");
    return { text, code };
  }

  const interrupts = "Ctrl-C ends a server in good order, and a ping with its summary";
  inTurn(skipTitle(interrupts, noTerminal), { skip: !hasTerminal }, async () => {
    const psk = name("interrupted.psk");
    expect(sealwire(["genpsk", "-o", psk]).code).toBe(0);
    const listening = ["serve", "--echo", "--listen", "127.0.0.1:0", "--psk", psk];
    expect(await interrupted(listening, "listening")).toMatchObject({ code: 0 });
    const server = await serve(["--psk", psk]);
    const ping = ["ping", `127.0.0.1:${server.port}`, "--psk", psk, "-c", "1000", "-i", "60000"];
    const outcome = await interrupted(ping, "1: ");
    expect(outcome.code).toBe(130);
    // The progress was cleared from its line.
    const [lastLine] = outcome.text.trimEnd().split("\n").slice(-1);
    expect(lastLine!.split(`\r${ESCAPE}[K`).at(-1)).toMatch(/^1 round trips: min /);
    expect(await server.stop()).toBe(0);
  });
});

test("the licence texts of the bundled libraries ship", () => {
  const text = readFileSync(join(repositoryRoot, "dist/LICENSES.txt"), "utf8");
  expect(text).toContain("@stricli/core");
  expect(text).toContain("Apache License");
  expect(text).toContain("Copyright 2024 Bloomberg");
});

test("the command lines that documents print name commands and flags that exist", () => {
  const [runtime] = runtimes();
  const documents = [
    "README.md",
    "SECURITY.md",
    "docs/GUIDE.md",
    "docs/OPERATIONS.md",
    "docs/KNOWN_PEERS.md",
  ];
  const printed = documents.flatMap((name) => {
    const text = readFileSync(join(repositoryRoot, name), "utf8");
    const blocks = [...text.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap((match) => match[1]!.split("\n"));
    const inline = [...text.matchAll(/`((?:npx )?sealwire [a-z][^`]*)`/g)].map((match) => match[1]!);
    return [...blocks, ...inline]
      .filter((line) => /^(npx )?sealwire /.test(line))
      .map((line) => ({ name, line }));
  });
  expect(printed.length).toBeGreaterThan(10);
  const helps = new Map<string, string>();
  for (const { name, line } of printed) {
    const words = line
      .replace(/\s#.*$/, "")
      .replace(/^(npx )?sealwire /, "")
      .split(/\s+/);
    const command = words[0] === "peers" ? words.slice(0, 2) : words.slice(0, 1);
    const key = command.join(" ");
    if (!helps.has(key)) {
      const args = [...runtime!.args, cli, ...command, "--help"];
      const { status, stdout } = spawnSync(runtime!.path, args, { encoding: "utf8", timeout: 60_000 });
      expect(status, `${name}: ${line}`).toBe(0);
      helps.set(key, stdout);
    }
    for (const word of words.filter((text) => /^--?[a-z]/.test(text)))
      expect(helps.get(key), `${name}: ${line}`).toMatch(new RegExp(`(^|\\s|\\[)${word}(\\s|\\]|/|$)`, "m"));
  }
});
