// The server of `npm run attack`, in a process of its own. It echoes, answers "large" with 1 MB, and measures the
// lateness of its event loop. Run it as `<runtime> test/load/victimServer.js PSK WAITING`; at most WAITING sockets may
// be silent (0: the default). It prints its port and, for each line of input, its lateness since the last line in
// milliseconds: the longest, the 99th percentile, and the 99th percentile of what is left of it without the time in which
// this thread could run and other threads had the processors (-1: the system does not tell).
import { openSync, readSync } from "node:fs";
import process from "node:process";
import { listen } from "../../dist/index.js";

const TICK_MS = 5;
const figures = new Uint8Array(128);
let scheduler;
try {
  scheduler = openSync("/proc/self/schedstat", "r");
} catch {}

/** The milliseconds for which this thread has waited for a processor so far: the second figure, in nanoseconds. */
function queuedMs() {
  if (scheduler === undefined) return 0;
  const length = readSync(scheduler, figures, 0, figures.length, 0);
  return Number(new TextDecoder().decode(figures.subarray(0, length)).split(" ")[1]) / 1e6;
}

let late = [];
let own = [];
let last = performance.now();
let lastQueued = queuedMs();
setInterval(() => {
  const [now, queued] = [performance.now(), queuedMs()];
  const lateMs = Math.max(now - last - TICK_MS, 0);
  late.push(lateMs);
  own.push(Math.max(lateMs - (queued - lastQueued), 0));
  [last, lastQueued] = [now, queued];
}, TICK_MS);

/** The smallest that so many of these are not above; they get sorted. */
function percentile(values, share) {
  values.sort((a, b) => a - b);
  return values[Math.min(Math.floor(values.length * share), values.length - 1)] ?? 0;
}

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
  const ownP99 = scheduler === undefined ? -1 : percentile(own, 0.99);
  console.log(JSON.stringify({ worst: percentile(late, 1), p99: percentile(late, 0.99), ownP99 }));
  [late, own] = [[], []];
});
process.stdin.on("end", () => process.exit(0));
