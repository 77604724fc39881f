// The section about streams: their throughput, how long small requests wait beside them, and how much of a long path
// they use. Raw TCP has no streams; its one-way messages of the same size take their place.
import { openDelayProxy } from "../delayProxy.js";
import { timeRows } from "../rounds.js";
import { wanted } from "../settings.js";
import { summary } from "../statistics.js";

const SMALL_BYTES = 64;
/** Four of them share a segment, with sealwire (which cuts longer items) and with the control. */
const BULK = { streams: 4, size: 16_000 };
const ONE_WAY_MS = 25;

/** What each contender has, beside each other. */
const KINDS = {
  sealwire: [
    ["upload", "call.write"],
    ["download", "message.write"],
    ["sendNoWait", "one-way messages"],
  ],
  grpc: [
    ["upload", "client's stream"],
    ["download", "server's stream"],
  ],
  raw: [["sendNoWait", "one-way messages"]],
};

export async function streams(context) {
  const pairs = context.pool.pairs(context.settings.streamContenders);
  await throughput(pairs, context);
  await requestsBesideBulk(pairs, context);
  for (const pair of pairs) await overDelay(pair, context);
}

/** Items of one stream, each way, beside one-way messages of the same size. */
async function throughput(pairs, context) {
  const { settings } = context;
  const sizes = settings.streamSizes.filter((size) => wanted(settings.filters.sizes, size));
  const plan = sizes.flatMap((size) =>
    pairs.flatMap((pair) =>
      KINDS[pair.contender.id].map(([kind, how]) => ({
        pair,
        kind,
        size,
        outstanding: 1,
        labels: { section: "streams", row: "throughput", how },
      })),
    ),
  );
  const { streamSliceMs } = settings;
  await timeRows(plan, context, { ...settings, sliceMs: streamSliceMs, warmUpMs: 2 * streamSliceMs });
}

/** One small request after the other: alone, and while bulk streams run on the same connection. */
async function requestsBesideBulk(pairs, context) {
  const { settings } = context;
  const plan = pairs.flatMap((pair) =>
    [undefined, BULK].map((bulk) => ({
      pair,
      kind: "request",
      size: SMALL_BYTES,
      outstanding: 1,
      bulk,
      labels: { section: "streams", row: "beside", streams: bulk?.streams ?? 0 },
    })),
  );
  const { besideSliceMs } = settings;
  await timeRows(plan, context, { ...settings, sliceMs: besideSliceMs, warmUpMs: besideSliceMs });
}

/**
 * One connection through a proxy that delays. A stream begins with little credit, so each row has two rates: of a whole
 * run, and of the second half of its items, which is the slope between a run and one of half its length.
 */
async function overDelay(pair, context) {
  const { pool, settings, results, progress } = context;
  const { contender, client: runtime } = pair;
  const group = "delayed";
  let proxy;
  try {
    const { client, port } = await pool.connect(pair);
    proxy = await openDelayProxy(port, ONE_WAY_MS);
    await client.call("connect", {
      endpoint: { port: proxy.port, credentials: pool.credentials },
      name: group,
    });
    for (const [kind, how] of KINDS[contender.id].filter(([kind]) => kind !== "download")) {
      progress.step(`${contender.label}, ${runtime.label}, ${how} over ${2 * ONE_WAY_MS} ms`);
      const run = { name: group, kind, size: BULK.size, outstanding: 1 };
      const sliceMs = settings.delayedSliceMs;
      const { count } = await client.call("calibrate", { ...run, sliceMs, warmUpMs: sliceMs, maxCount: 1e6 });
      const whole = [];
      const steady = [];
      for (let i = 0; i < settings.delayedRuns; i++) {
        const half = (await client.call("run", { ...run, count: Math.ceil(count / 2) })).elapsedMs;
        const all = (await client.call("run", { ...run, count })).elapsedMs;
        whole.push((count * BULK.size) / 1e3 / all);
        // Noise can make the two equal; the rate of the whole run is then the better estimate.
        steady.push((Math.floor(count / 2) * BULK.size) / 1e3 / Math.max(all - half, all / 4));
      }
      results.push({
        section: "streams",
        row: "delayed",
        how,
        contender: contender.id,
        client: runtime.id,
        server: runtime.id,
        size: BULK.size,
        roundTripMs: 2 * ONE_WAY_MS,
        count,
        wholeMbPerS: summary(whole),
        steadyMbPerS: summary(steady),
      });
    }
    await client.call("disconnect", { name: group });
  } catch (error) {
    pool.fail(`streams over ${2 * ONE_WAY_MS} ms, ${contender.label}, ${runtime.label}`, error);
  } finally {
    proxy?.close();
  }
}
