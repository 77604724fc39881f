// The server of `npm run attack`, in a process of its own. It echoes, answers "large" with 1 MB, and measures the
// lateness of its event loop. Run it as `<runtime> test/load/victimServer.js PSK WAITING`; at most WAITING sockets may
// be silent (0: the default). It prints its port and, for each line of input, its lateness since the last line in
// milliseconds: the longest and the 99th percentile.
import process from "node:process";
import { listen } from "../../dist/index.js";

const TICK_MS = 5;
let late = [];
let last = performance.now();
setInterval(() => {
  const now = performance.now();
  late.push(Math.max(now - last - TICK_MS, 0));
  last = now;
}, TICK_MS);

const [psk, waiting] = process.argv.slice(-2);
const large = new Uint8Array(1_000_000);
const server = await listen({
  port: 0,
  psk,
  ...(waiting === "0" ? {} : { maxWaitingSockets: Number(waiting), handshakeTimeoutMs: 60_000 }),
  maxFrameBytes: 2_000_000,
  onHandlerError() {},
  onMessage(message) {
    if (!message.expectsReply) return;
    message.reply(message.body.length === 5 && message.body[0] === 108 ? large : message.body);
  },
});
console.log(server.port);
process.stdin.on("data", () => {
  const sorted = late.sort((a, b) => a - b);
  console.log(
    JSON.stringify({ worst: sorted.at(-1) ?? 0, p99: sorted[Math.floor(sorted.length * 0.99)] ?? 0 }),
  );
  late = [];
});
process.stdin.on("end", () => process.exit(0));
