// One end of the demo: `<runtime> demo/peerServer.js`. Answers requests with their own bytes, counts one-way
// messages, and when it has counted MESSAGES of them asks the client to confirm the number (a request from
// server to client). Prints JSON lines: the port, then the outcome. SIGTERM closes it.
import process from "node:process";
import { listen } from "../dist/index.js";

const expectedMessages = Number(process.env.DEMO_MESSAGES);
let counted = 0;

const print = (entry) => console.log(JSON.stringify(entry));

async function confirmCount(connection) {
  const body = new Uint8Array(4);
  new DataView(body.buffer).setUint32(0, counted);
  const answer = await connection.request(body);
  const confirmed = new TextDecoder().decode(answer) === `${counted} counted`;
  print({ counted, confirmed });
}

const server = await listen({
  host: "127.0.0.1",
  port: 0,
  psk: process.env.DEMO_PSK,
  onMessage: (message) => {
    if (message.expectsReply) return message.reply(message.body);
    counted += 1;
    if (counted === expectedMessages) return confirmCount(message.connection);
  },
});

process.on("SIGTERM", async () => {
  await server.close();
  process.exit(0);
});
print({ port: server.port });
