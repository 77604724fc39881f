// One end of `npm run secrets`, a process that talks to one of another runtime and then looks for secrets in its own memory:
// secretsPeer.js server|client, whose first line of input says with what (`Setup`). The server prints its port and, for a
// line of input, what it found after it was closed. The client prints what it found when it is done.

import process from "node:process";
import { createInterface } from "node:readline";
import { secretCopy } from "../../src/core/wipe.ts";
import { type Client, connect, type Engine, listen, type Message } from "../../src/index.ts";
import { noise } from "../../src/noise.ts";
import type { HandshakeFactory, Role } from "../../src/protocol/handshake.ts";
import { findSecrets, HiddenSecret, searchMemory } from "../support/processMemory.ts";

/** Secrets come as two halves in hexadecimal; the first is the psk, the others are plaintext of the length in their name. */
interface Setup {
  readonly port: number;
  readonly engine: Engine;
  readonly secrets: readonly { readonly name: string; readonly left: string; readonly right: string }[];
}

const BODY_LENGTHS = /(\d+) bytes/;
const SETTLE_MS = 100;
/** In many turns of the event loop: one long sleep is a single turn on a machine that stands still meanwhile. */
async function settle(): Promise<void> {
  for (let ms = 0; ms < SETTLE_MS; ms += 5) await new Promise((resolve) => setTimeout(resolve, 5));
}
const fromHex = (text: string): Uint8Array =>
  new Uint8Array(text.match(/../g)!.map((byte) => Number.parseInt(byte, 16)));
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const nextLine = async (): Promise<string> => (await lines.next()).value ?? process.exit(1);

const role = process.argv[2] as Role;
const setup = JSON.parse(await nextLine()) as Setup;
const secrets = setup.secrets.map(
  ({ name, left, right }) => new HiddenSecret(name, fromHex(left), fromHex(right)),
);
const [psk, ...markers] = secrets as [HiddenSecret, ...HiddenSecret[]];

/** The key exchange with the psk; the keys of both directions are noted. */
function notingFactory(): HandshakeFactory {
  const revealed = psk.reveal();
  const factory = noise({ psk: revealed }, role);
  revealed.fill(0);
  const { name, format, anonymous } = factory;
  return {
    name,
    format,
    anonymous,
    firstMessageBytes: factory.firstMessageBytes?.bind(factory),
    destroy: () => factory.destroy?.(),
    create(ofRole, info) {
      const handshake = factory.create(ofRole, info);
      const finish = handshake.finish.bind(handshake);
      handshake.finish = () => {
        const result = finish();
        const count = secrets.length;
        secrets.push(new HiddenSecret(`sending key ${count}`, secretCopy(result.sendKey)));
        secrets.push(new HiddenSecret(`receiving key ${count}`, secretCopy(result.receiveKey)));
        return result;
      };
      return handshake;
    },
  };
}

/** A body that has the marker all over; the caller wipes it. */
function bodyOf(marker: HiddenSecret): Uint8Array {
  const revealed = marker.reveal();
  const body = secretCopy(new Uint8Array(Number(BODY_LENGTHS.exec(marker.name)![1])));
  for (let at = 0; at + revealed.length <= body.length; at += revealed.length) body.set(revealed, at);
  revealed.fill(0);
  return body;
}

/** What is in memory now: of a live session its keys, else the search is blind. */
function sawKeys(): boolean {
  return Object.keys(findSecrets(secrets).found).some((name) => name.includes("key"));
}

function say(what: unknown): void {
  console.log(JSON.stringify(what));
}

function sayFound(seesKeys: boolean): void {
  const { found, longest, lookedAt } = searchMemory(secrets);
  say({ found, longest, seesKeys, lookedAt, secrets: secrets.length });
}

const handshake = notingFactory();
const common = {
  engine: setup.engine,
  maxFrameBytes: 400_000,
  handshake,
  drainTimeoutMs: 1,
  onHandlerError() {},
} as const;

async function serve(): Promise<void> {
  let release!: () => void;
  const busy = new Promise<void>((resolve) => {
    release = resolve;
  });
  const onMessage = async (message: Message): Promise<void> => {
    const { body, head } = message;
    if (head.method === "hang") return busy; // its body and what waits behind it are the library's
    if (head.method === "items") {
      for await (const item of message) {
        await message.write(item);
        item.fill(0); // the application's copy, as all below
      }
    }
    if (message.expectsReply) message.reply(body);
    body.fill(0);
  };
  const server = await listen({ port: 0, ...common, maxConcurrentHandlers: 1, onMessage });
  say({ port: server.port });
  await nextLine();
  const seesKeys = sawKeys();
  await nextLine();
  await server.close();
  release();
  handshake.destroy?.();
  await settle();
  sayFound(seesKeys);
  await nextLine();
}

/** Every kind of message with each of the markers, there and back. */
async function talk(client: Client): Promise<void> {
  for (const marker of markers) {
    const body = bodyOf(marker);
    await client.send(body);
    await client.send(body, { head: { method: "one-way" } });
    (await client.request(body)).fill(0);
    (await client.call(body, { head: { method: "echo" }, streams: false }).answer).fill(0);
    const call = client.call(new Uint8Array(4), { head: { method: "items" } });
    const written = call.write(body).then(() => call.end());
    for await (const item of call) item.fill(0);
    await Promise.all([written, call.answer]);
    body.fill(0);
  }
}

/** A connection that is closed while a handler runs, and behind it messages, requests and items wait. */
async function leave(client: Client): Promise<void> {
  const connection = await client.connected();
  for (let i = 0; i < 2; i++)
    connection.call(new Uint8Array(4), { head: { method: "hang" } }).answer.catch(() => {});
  for (const marker of markers) {
    const body = bodyOf(marker);
    await connection.send(body, { head: { method: "hang" } });
    connection.request(body).catch(() => {});
    const call = connection.call(new Uint8Array(4), { head: { method: "items" } });
    call.answer.catch(() => {});
    call.write(body).catch(() => {});
    body.fill(0);
  }
  await settle();
  await client.close();
}

async function ask(): Promise<void> {
  const options = { port: setup.port, ...common, maxConnections: 1 };
  const client = connect(options);
  await talk(client);
  const seesKeys = sawKeys();
  say({ alive: true });
  await nextLine();
  await leave(connect(options));
  await client.close();
  handshake.destroy?.();
  await settle();
  sayFound(seesKeys);
  await nextLine();
}

await (role === "server" ? serve() : ask());
process.exit(0);
