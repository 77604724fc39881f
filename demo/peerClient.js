// The other end of the demo: `<runtime> demo/peerClient.js`. Handshake, REQUESTS concurrent echo requests of
// random size that are compared byte for byte, MESSAGES one-way messages, then the server's own request.
// Prints one JSON line with what it measured.
import process from "node:process";
import { connect } from "../dist/index.js";

const requests = Number(process.env.DEMO_REQUESTS);
const messages = Number(process.env.DEMO_MESSAGES);
const LARGEST_BODY = 64 * 1024;
const LATENCY_SAMPLES = 200;
const LATENCY_BODY = 1_400;

function randomBody(length) {
  return crypto.getRandomValues(new Uint8Array(length));
}

/** A size from 0 to LARGEST_BODY; the first two requests have the extremes. */
function randomSize(index) {
  if (index === 0) return 0;
  if (index === 1) return LARGEST_BODY;
  return crypto.getRandomValues(new Uint32Array(1))[0] % (LARGEST_BODY + 1);
}

function sameBytes(a, b) {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

let serverAsked;
const serverRequest = new Promise((resolve) => {
  serverAsked = resolve;
});

const bodies = Array.from({ length: requests }, (_, index) => randomBody(randomSize(index)));

const startMs = performance.now();
const client = connect({
  host: "127.0.0.1",
  port: Number(process.env.DEMO_PORT),
  psk: process.env.DEMO_PSK,
  onMessage: async (message) => {
    const count = new DataView(message.body.buffer, message.body.byteOffset).getUint32(0);
    await message.reply(new TextEncoder().encode(`${count} counted`));
    serverAsked(count);
  },
});

await client.request(new Uint8Array(0));
const firstAnswerMs = performance.now() - startMs;

const echoStartMs = performance.now();
const answers = await Promise.all(bodies.map((body) => client.request(body)));
const echoMs = performance.now() - echoStartMs;
const wrong = answers.filter((answer, index) => !sameBytes(answer, bodies[index])).length;

await Promise.all(Array.from({ length: messages }, (_, index) => client.send(randomBody(index % 256))));
const counted = await serverRequest;

const latencies = [];
const probe = randomBody(LATENCY_BODY);
for (let sample = 0; sample < LATENCY_SAMPLES; sample++) {
  const sentMs = performance.now();
  await client.request(probe);
  latencies.push(performance.now() - sentMs);
}
latencies.sort((a, b) => a - b);

await client.close();
console.log(
  JSON.stringify({
    wrong,
    counted,
    firstAnswerMs,
    requestsPerSecond: requests / (echoMs / 1_000),
    bytesEchoed: bodies.reduce((sum, body) => sum + body.length, 0),
    medianLatencyMs: latencies[latencies.length >> 1],
  }),
);
