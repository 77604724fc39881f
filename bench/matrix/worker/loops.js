// The measured loops, the same for every contender. Each sends or asks `count` times in all, from
// `outstanding` concurrent loops over the given connections, and resolves when everything is delivered.
import { resetCounter, whenCounted } from "./control.js";
import { downloads, startBulk, uploads } from "./streams.js";

const LATENCY_SAMPLES = 32_768;

const STREAM_LOOPS = { upload: uploads, download: downloads };

/**
 * @param {"send" | "sendNoWait" | "request" | "upload" | "download"} kind
 * @param {import("../contenders/contender.js").Connection[]} connections
 * @param {Uint8Array} payload
 * @param {number} outstanding concurrent loops; streams, where the loop is one
 * @param {object} [how]
 * @param {number} [how.burst] messages that one of several sendNoWait loops sends before the next one's turn
 * @param {{ streams: number, size: number }} [how.bulk] streams that run beside requests
 * @returns {Promise<{ elapsedMs: number, p50Us?: number, p99Us?: number, bulkMbPerS?: number }>}
 */
export async function runLoop(kind, connections, payload, count, outstanding, { burst = 1, bulk } = {}) {
  if (kind === "request") {
    if (bulk === undefined) return requests(connections, payload, count, outstanding);
    const load = await startBulk(connections[0], bulk);
    try {
      return { ...(await requests(connections, payload, count, outstanding)), ...load.rate() };
    } finally {
      await load.stop();
    }
  }
  if (STREAM_LOOPS[kind] !== undefined) return streams(kind, connections, payload, count, outstanding);
  await resetCounter(connections[0]);
  const start = performance.now();
  const delivered = whenCounted(connections[0], count);
  const body = kind === "send" ? sends : sendsWithoutWait;
  const loops = shares(connections, count, outstanding).map((share) => body(share, payload, burst));
  await Promise.all([delivered, ...loops]);
  const elapsedMs = performance.now() - start;
  const report = await delivered;
  if (report.count !== count || report.bytes !== count * payload.length) {
    throw new Error(`sent ${count} messages, the far end has ${report.count} with ${report.bytes} bytes`);
  }
  return { elapsedMs };
}

async function streams(kind, connections, payload, count, outstanding) {
  const start = performance.now();
  const loop = STREAM_LOOPS[kind];
  await Promise.all(shares(connections, count, outstanding).map((share) => loop(share, payload)));
  return { elapsedMs: performance.now() - start };
}

/** Splits `count` into `outstanding` shares that differ by one at most, dealt over the connections. */
function shares(connections, count, outstanding) {
  return Array.from({ length: outstanding }, (_, i) => ({
    connection: connections[i % connections.length],
    count: Math.floor(count / outstanding) + (i < count % outstanding ? 1 : 0),
    alone: outstanding === 1,
  }));
}

async function sends({ connection, count }, payload) {
  for (let i = 0; i < count; i++) await connection.send(payload);
}

// Above the high-water mark nobody can send without waiting: the message goes out with the next `send`,
// whose promise says when there is room. Concurrent loops take turns after each burst.
async function sendsWithoutWait({ connection, count, alone }, payload, burst) {
  for (let i = 1; i <= count; i++) {
    if (!connection.sendNoWait(payload)) await connection.send(payload);
    else if (!alone && i % burst === 0) await undefined;
  }
}

async function requests(connections, payload, count, outstanding) {
  // One clock reading per sample: every 8th call of a pipelined row, every call of a row with one.
  const stride = Math.max(outstanding === 1 ? 1 : 8, Math.ceil(count / LATENCY_SAMPLES));
  const samples = new Float64Array(LATENCY_SAMPLES + outstanding);
  let sampled = 0;
  const loop = async (share) => {
    const { connection } = share;
    for (let i = 0; i < share.count; i++) {
      const timed = i % stride === 0;
      const asked = timed ? performance.now() : 0;
      const reply = await connection.request(payload);
      if (timed && sampled < samples.length) samples[sampled++] = performance.now() - asked;
      if (reply.length !== payload.length) throw new Error(`reply of ${reply.length} bytes`);
    }
  };
  const start = performance.now();
  await Promise.all(shares(connections, count, outstanding).map(loop));
  const elapsedMs = performance.now() - start;
  const sorted = samples.subarray(0, sampled).sort();
  const at = (share) => sorted[Math.min(sampled - 1, Math.floor(sampled * share))] * 1_000;
  return { elapsedMs, p50Us: at(0.5), p90Us: at(0.9), p99Us: at(0.99) };
}

/** Finds how many calls take about `sliceMs`, after running them for `warmUpMs` at least. */
export async function calibrate(
  kind,
  connections,
  payload,
  { outstanding, burst, bulk, sliceMs, warmUpMs, maxCount },
) {
  const warmAt = performance.now() + warmUpMs;
  let count = Math.max(8, outstanding);
  for (;;) {
    const { elapsedMs } = await runLoop(kind, connections, payload, count, outstanding, { burst, bulk });
    if (performance.now() < warmAt) {
      count = Math.min(maxCount, Math.ceil((count * sliceMs) / Math.max(elapsedMs, sliceMs / 4)));
    } else if (elapsedMs >= sliceMs / 2 || count >= maxCount) {
      const scaled = Math.round((count * sliceMs) / elapsedMs);
      return Math.max(outstanding, 4, Math.min(maxCount, scaled));
    }
    count = Math.min(maxCount, Math.ceil(count * Math.min(4, (0.75 * sliceMs) / Math.max(elapsedMs, 0.01))));
  }
}
