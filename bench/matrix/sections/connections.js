// The sections about connections: handshakes per second, and the cost of an idle connection.
import { withFreshPair } from "../processes.js";
import { summary } from "../statistics.js";

const HANDSHAKE_CONTENDERS = ["sealwire", "raw", "tls"];
const VARIANTS = { sealwire: ["v1", "NN", "XX", "NNhfs", "XXhfs", "IKhfs"] };
const POOL_SIZE = 4;
const HOW = [
  { row: "one at a time", command: "handshakes", parameters: { atOnce: 1 } },
  { row: "16 at once", command: "handshakes", parameters: { atOnce: 16 } },
  {
    row: `a pool of ${POOL_SIZE} under load`,
    command: "poolHandshakes",
    parameters: { size: POOL_SIZE },
    only: "sealwire",
  },
];
const DIALS_AT_ONCE = 32;
const RETURN_TO_KERNEL_MS = 300;

/**
 * Dial, handshake, one 16-byte request, close: one at a time, and 16 at once. The pool opens its connections
 * because each has 128 requests waiting, in two waves or more, and answers them all: that is in the time too.
 */
export async function handshakes(context) {
  const { settings, pool, progress } = context;
  const plan = [];
  for (const pair of pool.pairs(HANDSHAKE_CONTENDERS)) {
    for (const variant of VARIANTS[pair.contender.id] ?? [undefined]) {
      const listening = await openVariant(pair, variant, context);
      if (listening === undefined) continue;
      for (const how of HOW) {
        if (how.only === undefined || how.only === pair.contender.id) {
          plan.push({ pair, variant, how, ...listening, rates: [] });
        }
      }
    }
  }
  for (let round = 0; round <= settings.rounds; round++) {
    for (const row of plan) {
      const what = `${row.pair.contender.label} ${row.variant ?? ""}, ${row.pair.client.label}, ${row.how.row}`;
      progress.step(what);
      try {
        const count = settings.handshakeCount;
        const { command, parameters } = row.how;
        const { elapsedMs } = await row.client.call(command, {
          endpoint: row.endpoint,
          count,
          ...parameters,
        });
        if (round > 0) row.rates.push((count * 1_000) / elapsedMs); // round 0 warms up
      } catch (error) {
        pool.fail(`handshakes of ${what}`, error);
      }
    }
  }
  for (const row of plan)
    if (row.rates.length === settings.rounds) context.results.push(handshakeResult(row));
}

async function openVariant({ contender, client: runtime }, variant, { pool }) {
  const credentials = pool.credentials;
  const server = pool.process("server", contender.id, runtime);
  const client = pool.process("client", contender.id, runtime);
  try {
    const { port } = await server.call("listen", {
      endpoint: { credentials, variant },
      name: `handshakes ${variant}`,
    });
    return { client, endpoint: { port, credentials, variant } };
  } catch (error) {
    pool.fail(`handshakes of ${contender.label} ${variant ?? ""}, ${runtime.label}`, error);
    return undefined;
  }
}

function handshakeResult({ pair, variant, how, rates }) {
  return {
    section: "handshakes",
    row: how.row,
    contender: pair.contender.id,
    variant,
    client: pair.client.id,
    server: pair.server.id,
    perSecond: summary(rates),
  };
}

/** Resident set of both ends per open, silent connection, in processes that did nothing else. */
export async function idle(context) {
  const { settings, pool, progress } = context;
  for (const { contender, client: runtime } of pool.pairs(settings.idleContenders)) {
    try {
      await withFreshPair(runtime, contender, {}, async ({ server, client }) => {
        const credentials = pool.credentials;
        const { port } = await server.call("listen", { endpoint: { credentials } });
        const endpoint = { port, credentials };
        await client.call("handshakes", { endpoint, count: 20, atOnce: 1 }); // code and pools exist before the count starts
        const before = { server: await settledRss(server), client: await settledRss(client) };
        let open = 0;
        for (const connections of settings.idleSteps) {
          progress.step(`${contender.label}, ${runtime.label}, ${connections} connections`, 1);
          const count = connections - open;
          const { elapsedMs } = await client.call("connect", {
            endpoint,
            name: "idle",
            count,
            atOnce: DIALS_AT_ONCE,
          });
          open = connections;
          const after = { server: await settledRss(server), client: await settledRss(client) };
          context.results.push({
            section: "idle",
            contender: contender.id,
            client: runtime.id,
            server: runtime.id,
            connections,
            serverBytesPerConnection: Math.round((after.server - before.server) / connections),
            clientBytesPerConnection: Math.round((after.client - before.client) / connections),
            openedPerSecond: Math.round((count * 1_000) / elapsedMs),
          });
        }
      });
    } catch (error) {
      pool.fail(`idle connections of ${contender.label}, ${runtime.label}`, error);
    }
  }
}

/** The resident set after a moment in which the runtime may give memory back. */
async function settledRss(process) {
  await new Promise((resolve) => setTimeout(resolve, RETURN_TO_KERNEL_MS));
  return (await process.call("usage")).rss;
}
