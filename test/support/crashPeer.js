// An end in a process of its own, for crashes: `<runtime> test/support/crashPeer.js '{"role", "port", "psk"}'`. The
// server prints its port. Then it prints at once, without a buffer, each message that reaches its handler: "m LINK
// STREAM NUMBER" for a one-way message, "q LINK REQUEST" for a request. The client sends numbered messages and requests
// on each of its connections.
import { Buffer } from "node:buffer";
import { writeSync } from "node:fs";
import process from "node:process";
import { connect, listen } from "../../dist/index.js";

const { role, port, psk } = JSON.parse(process.argv.at(-1));
const common = { host: "127.0.0.1", psk, heartbeatIntervalMs: 300, heartbeatTimeoutMs: 300 };
const pause = new Int32Array(new SharedArrayBuffer(4));

/** Does not return before all of it is written: the pipe may be full, and may not block. */
function say(line) {
  for (let rest = Buffer.from(`${line}\n`); rest.length > 0; ) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
      Atomics.wait(pause, 0, 0, 1);
    }
  }
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function serve() {
  const links = new Map();
  const server = await listen({
    ...common,
    port,
    onMessage: async (message) => {
      const { body, connection } = message;
      if (!links.has(connection)) links.set(connection, links.size);
      const view = new DataView(body.buffer, body.byteOffset, body.length);
      const kind = message.expectsReply ? "q" : "m";
      say(`${kind} ${links.get(connection)} ${view.getUint32(0)} ${view.getUint32(4)}`);
      if (!message.expectsReply) return;
      if (body[3] % 2 === 0) await sleep(body[3] % 8);
      message.reply(body);
    },
  });
  say(server.port);
}

async function ask() {
  const client = connect({ ...common, port, maxConnections: 2, requestTimeoutMs: 2_000 });
  const streams = new Map();
  for (let i = 0; ; i++) {
    const body = new Uint8Array(8 + (i % 500));
    client.request(body).catch(() => {});
    for (const connection of client.connections.filter(({ state }) => state === "open")) {
      const stream = streams.get(connection) ?? { id: streams.size, next: 0 };
      streams.set(connection, stream);
      const message = new Uint8Array(8 + (i % 500));
      const view = new DataView(message.buffer);
      view.setUint32(0, stream.id);
      view.setUint32(4, stream.next);
      if (connection.sendNoWait(message)) stream.next++;
    }
    await sleep(1);
  }
}

await (role === "server" ? serve() : ask());
