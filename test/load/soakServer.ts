// The server of a soak: soakServer.js '{"psk", "closeEveryMs"}'. Prints its port. Echoes requests and streams, serves
// typed calls, checks the order of one-way messages, and closes and listens again now and then.

import process from "node:process";
import { type Connection, listen, type Message, type SealwireError, type Server } from "../../src/index.ts";
import { serve } from "../../src/rpc.ts";
import { Gauges } from "./soakGauges.ts";

const { psk, closeEveryMs } = JSON.parse(process.argv.at(-1)!) as { psk: string; closeEveryMs: number };
const gauges = new Gauges();
/** Which stream of messages a connection carries, and the number that comes next. */
const carried = new WeakMap<Connection, { id: number; next: number }>();

const typedCalls = serve({
  add: (a: number, b: number) => a + b,
  async *countTo(last: number) {
    for (let i = 0; i < last; i++) yield i;
  },
});

function arrived({ connection, body }: Message): void {
  gauges.count("messages");
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const [id, number] = [view.getUint32(0), view.getUint32(4)];
  const stream = carried.get(connection) ?? { id, next: 0 };
  carried.set(connection, stream);
  if (stream.id !== id)
    gauges.violated(`message ${number} of stream ${id} came on stream ${stream.id}'s connection`);
  if (stream.next !== number) gauges.violated(`message ${number} of stream ${id} came for ${stream.next}`);
  stream.next = number + 1;
}

async function onMessage(message: Message): Promise<void> {
  if (message.head.method === "echoItems") {
    for await (const item of message) await message.write(item);
    message.reply(message.body);
  } else if (message.head.method !== undefined) {
    await typedCalls(message);
    gauges.count("typed");
  } else if (message.expectsReply) {
    gauges.count("requests");
    // Every eighth takes its time, so that something runs whenever a connection or the server ends.
    if (message.body[0]! % 8 === 0)
      await new Promise((resolve) => setTimeout(resolve, message.body[0]! / 16));
    message.reply(message.body);
  } else arrived(message);
}

const start = (port: number): Promise<Server> =>
  listen({
    host: "127.0.0.1",
    port,
    psk,
    maxFrameBytes: 400_000,
    heartbeatIntervalMs: 1_000,
    drainTimeoutMs: 2_000,
    onHandlerError: (error) => {
      const { code, stack } = error as SealwireError;
      if (code === undefined) gauges.violated(`a handler: ${stack}`);
    },
    onMessage,
  });

let server = await start(0);
const { port } = server;
console.log(port);

let closes = closeEveryMs > 0;
async function closeNowAndThen(): Promise<void> {
  while (closes) {
    for (let waited = 0; closes && waited < closeEveryMs; waited += 100)
      await new Promise((resolve) => setTimeout(resolve, 100));
    await server.close();
    gauges.expectNothingHeld("the server is closed");
    gauges.count("closes");
    if (closes) server = await start(port);
  }
}
const closing = closeNowAndThen();

gauges.answer(async () => {
  closes = false;
  await closing;
  await server.close();
  gauges.expectNothingHeld("at the end");
});
