// A peer in another language, written from PROTOCOL.md alone (otherLanguage/sealwire_peer.py), talks to this package in
// both roles: requests, calls, streams each way, stop, cancel, deadlines, errors, credit, bundles, padding, the end.
// Needs dist/, python3 and its package `cryptography`. Without them the test is skipped, which counts as a failure if
// SEALWIRE_REQUIRE_PYTHON is set.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { connect, listen } from "../dist/index.js";
import type { Message, ServerOptions } from "../src/index.ts";
import { skipTitle } from "./support/skipTitle.ts";

const psk = "7a".repeat(32);
const script = fileURLToPath(new URL("otherLanguage/speak.py", import.meta.url));
const environment = { PATH: process.env.PATH ?? "", PYTHONDONTWRITEBYTECODE: "1" };
const EMPTY = new Uint8Array(0);
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const fromText = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

function python(code: string): boolean {
  try {
    execFileSync("python3", ["-c", code], { env: environment, stdio: "ignore", timeout: 20_000 });
    return true;
  } catch {
    return false;
  }
}

const AEAD = "cryptography.hazmat.primitives.ciphers.aead";
const hasPython = python(`import ${AEAD}; from cryptography.hazmat.primitives.asymmetric import x25519`);
const hasMlKem = hasPython && python("from cryptography.hazmat.primitives.asymmetric import mlkem");
if (!hasPython && process.env.SEALWIRE_REQUIRE_PYTHON) {
  test("python3 with cryptography is installed", () => {
    throw new Error("python3 with its package cryptography is required here, and does not load");
  });
}

/** The peer, and the lines of JSON that it prints: `undefined` when there are no more. */
class PythonPeer {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  #errors = "";

  constructor(args: string[], options: object) {
    const env = { ...environment, PEER_OPTIONS: JSON.stringify(options) };
    this.#child = spawn("python3", [script, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
    this.#child.stderr!.on("data", (bytes) => {
      this.#errors += bytes;
    });
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
    onTestFinished(() => void this.#child.kill("SIGKILL"));
  }

  async line(): Promise<Record<string, unknown>> {
    const { value, done } = await this.#lines.next();
    if (!done) return JSON.parse(value);
    if (this.#child.exitCode === null) await once(this.#child, "exit");
    throw new Error(`the peer ended: ${this.#errors.slice(-2_000)}`);
  }
}

let counted = 0;

async function download(message: Message): Promise<void> {
  const digest = createHash("sha256");
  for (let i = 0; i < 60; i++) {
    const item = new Uint8Array(50_000).fill(i);
    digest.update(item);
    await message.write(item);
  }
  message.reply(digest.digest());
}

async function upload(message: Message): Promise<void> {
  const digest = createHash("sha256");
  for await (const item of message) digest.update(item);
  message.reply(digest.digest());
}

async function numbers(message: Message): Promise<void> {
  try {
    for (let i = 0; ; i++) await message.write(text(`${i}`));
  } catch (error) {
    message.reply(
      text((error as { code: string }).code === "ERR_STREAM_STOPPED" ? "stopped" : String(error)),
    );
  }
}

async function echo(message: Message): Promise<void> {
  let count = 0;
  for await (const item of message) {
    await message.write(item);
    count++;
  }
  message.reply(text(`${count}`));
}

async function onMessage(message: Message): Promise<void> {
  const { method } = message.head;
  if (!message.expectsReply) counted++;
  else if (method === undefined || method === "body") message.reply(message.body);
  else if (method === "count") message.reply(text(`${counted}`), { contentType: 1 });
  else if (method === "echo") await echo(message);
  else if (method === "download") await download(message);
  else if (method === "upload") await upload(message);
  else if (method === "numbers") await numbers(message);
  else if (method === "first") for await (const item of message) return void message.reply(item);
  else if (method === "hold")
    await new Promise((resolve) => message.signal.addEventListener("abort", resolve));
  else if (method === "throw") throw Object.assign(new Error("because"), { code: "E_NO" });
  else if (method === "call me") message.reply(await message.connection.request(text("and you?")));
}

const forms = [
  { name: "classical, AES-256-GCM", peer: { hybrid: false }, options: { postQuantum: false } },
  {
    name: "classical, ChaCha20-Poly1305, padded",
    peer: { hybrid: false, chacha: true, padding: 64 },
    options: { postQuantum: false, cipher: "ChaChaPoly" },
  },
  { name: "hybrid", peer: { hybrid: true }, options: {} },
] as const;

for (const { name, peer, options } of forms) {
  const lacks = peer.hybrid && !hasMlKem ? "with ML-KEM " : "";
  const reason =
    lacks === "" && hasPython ? undefined : `python3's package cryptography ${lacks}is not installed`;
  const runs = test.skipIf(reason !== undefined);

  runs(skipTitle(`a client in Python: ${name}`, reason), { timeout: 60_000 }, async () => {
    counted = 0;
    const server = await listen({
      port: 0,
      psk,
      onMessage,
      onHandlerError() {},
      ...options,
    } as ServerOptions);
    onTestFinished(() => server.close());
    const client = new PythonPeer(["client", String(server.port), psk], peer);
    expect(await client.line()).toEqual({ ok: true });
  });

  runs(skipTitle(`a server in Python: ${name}`, reason), { timeout: 60_000 }, async () => {
    const server = new PythonPeer(["server", psk], peer);
    const { port } = await server.line();
    let received = 0;
    const client = connect({
      host: "127.0.0.1",
      port: port as number,
      psk,
      maxConnections: 1,
      onMessage: (message: Message) => {
        if (message.expectsReply) message.reply(text("well"));
        else received++;
      },
      ...options,
    });
    onTestFinished(() => client.close());
    expect(fromText(await client.request(text("hello")))).toBe("hello");
    for (let i = 0; i < 300; i++) await client.send(new Uint8Array(2_000).fill(i));
    const counted = client.call(EMPTY, { head: { method: "count" }, streams: false });
    expect(fromText(await counted.answer)).toBe("300");

    const echoed = client.call(EMPTY, { head: { method: "echo" } });
    const items = [0, 1, 16_000, 70_000, 0, 300_000].map((length, i) => new Uint8Array(length).fill(i + 1));
    const writing = (async () => {
      for (const item of items) await echoed.write(item);
      echoed.end();
    })();
    const got: Uint8Array[] = [];
    for await (const item of echoed) got.push(item);
    await writing;
    expect(got.map((item) => [item.length, item[0]])).toEqual(items.map((item) => [item.length, item[0]]));
    expect(fromText(await echoed.answer)).toBe("6");

    const counting = client.call(EMPTY, { head: { method: "numbers" } });
    const first: string[] = [];
    for await (const item of counting) if (first.push(fromText(item)) === 2) break;
    expect(first).toEqual(["0", "1"]);
    expect(fromText(await counting.answer)).toBe("stopped");

    const stopped = client.call(EMPTY, { head: { method: "first" } });
    const writes = (async () => {
      for (;;) await stopped.write(new Uint8Array(5_000).fill(3));
    })();
    await expect(writes).rejects.toMatchObject({
      code: /ERR_STREAM_STOPPED|ERR_ALREADY_ANSWERED|ERR_CLOSED/,
    });
    expect((await stopped.answer).length).toBe(5_000);

    const held = client.call(EMPTY, { head: { method: "hold" }, signal: AbortSignal.timeout(100) });
    await expect(held.answer).rejects.toMatchObject({ code: "ERR_ABORTED" });
    await expect(client.call(EMPTY, { head: { method: "throw" } }).answer).rejects.toMatchObject({
      remoteCode: "E_NO",
      notBegun: false,
    });
    const back = client.call(EMPTY, { head: { method: "call back" }, streams: false });
    expect(fromText(await back.answer)).toBe("well");
    const together = client.call(EMPTY, { head: { method: "together" }, streams: false });
    expect(fromText(await together.answer)).toBe("three");
    expect(received).toBe(2);
    await client.close();
    expect(await server.line()).toEqual({ ok: true, messages: 300 });
  });
}
