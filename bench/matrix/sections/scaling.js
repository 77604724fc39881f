// The growth of cost with the number of messages on one connection (with memory meanwhile), with the number of busy
// connections, and with the number of requests in flight.
import { withFreshPair } from "../processes.js";
import { timeRows } from "../rounds.js";
import { ROW_SIZE } from "../settings.js";
import { median } from "../statistics.js";

const MESSAGE_SIZE = 64;
const WARM_UP_MESSAGES = 3_000_000;
const REPEATED_UP_TO = 100_000; // a longer run averages over itself
const REPEATS = 15;
const DIALS_AT_ONCE = 16;
// A busy connection has a batch to send whenever its turn comes, with 1 connection as with 1,000.
const MESSAGES_PER_TURN = 32;

export async function scaling(context) {
  // Raw TCP shows what of it is the socket's own.
  const controlled = context.pool.pairs(["sealwire", "raw"]);
  for (const pair of controlled) await withMessages(pair, context);
  await withConnections(controlled, context);
  await withRequestsInFlight(context.pool.pairs(["sealwire"]), context);
}

/**
 * One connection, one run after the other, each ten times as long. A run costs something beside its messages (two round
 * trips, the first packets after a pause), so each row is the slope between a run and one of half its length.
 */
async function withMessages({ contender, client: runtime }, context) {
  const { pool, settings, results, progress } = context;
  try {
    await withFreshPair(runtime, contender, {}, async ({ server, client }) => {
      const { port } = await server.call("listen", { endpoint: { credentials: pool.credentials } });
      await client.call("connect", { endpoint: { port, credentials: pool.credentials }, name: "scaling" });
      const run = { name: "scaling", kind: "sendNoWait", size: MESSAGE_SIZE, outstanding: 1 };
      await client.call("run", { ...run, count: WARM_UP_MESSAGES });
      for (const count of settings.scalingMessages) {
        progress.step(`${contender.label}, ${runtime.label}, ${count.toLocaleString("en-US")} messages`, 1);
        const repeats = count <= REPEATED_UP_TO ? REPEATS : 1;
        const whole = [];
        const half = [];
        for (let i = 0; i < repeats; i++) {
          half.push((await client.call("run", { ...run, count: count / 2 })).elapsedMs);
          whole.push((await client.call("run", { ...run, count })).elapsedMs);
        }
        const nsPerMessage = ((median(whole) - median(half)) * 1e6) / (count / 2);
        results.push({
          section: "scaling",
          row: "messages",
          contender: contender.id,
          client: runtime.id,
          server: runtime.id,
          size: MESSAGE_SIZE,
          messages: count,
          nsPerMessage: Math.round(nsPerMessage),
          serverRss: (await server.call("usage")).rss,
          clientRss: (await client.call("usage")).rss,
        });
      }
    });
  } catch (error) {
    pool.fail(`scaling over messages, ${contender.label}, ${runtime.label}`, error);
  }
}

/** The same messages over more and more connections, all of them busy. */
async function withConnections(pairs, context) {
  const { settings, pool, progress } = context;
  const plan = [];
  for (const pair of pairs) {
    for (const connections of settings.scalingConnections) {
      progress.step(`${pair.client.label}, dialling ${connections} connections`, 1);
      const group = `${connections} connections`;
      try {
        const { client, port } = await pool.connect(pair);
        const endpoint = { port, credentials: pool.credentials };
        await client.call("connect", { endpoint, name: group, count: connections, atOnce: DIALS_AT_ONCE });
      } catch (error) {
        const what = `${pair.contender.label}, ${pair.client.label}`;
        pool.fail(`scaling over ${connections} connections, ${what}`, error);
        continue;
      }
      const labels = { section: "scaling", row: "connections", connections };
      plan.push({
        pair,
        kind: "sendNoWait",
        size: ROW_SIZE,
        outstanding: connections,
        burst: MESSAGES_PER_TURN,
        countUnit: connections * MESSAGES_PER_TURN,
        group,
        labels,
      });
    }
  }
  await timeRows(plan, context, settings);
  for (const { pair, group } of plan) {
    await pool
      .process("client", pair.contender.id, pair.client)
      .call("disconnect", { name: group })
      .catch(() => {});
  }
}

async function withRequestsInFlight(pairs, context) {
  const plan = pairs.flatMap((pair) =>
    context.settings.scalingInFlight.map((outstanding) => ({
      pair,
      kind: "request",
      size: ROW_SIZE,
      outstanding,
      labels: { section: "scaling", row: "in flight", inFlight: outstanding },
    })),
  );
  await timeRows(plan, context, context.settings);
}
