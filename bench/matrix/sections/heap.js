// Bytes allocated per operation, each end for itself, in processes of their own: Bun's need their
// collector off, and nobody else's garbage should be counted.
import { ROW_SIZE, ROWS, wanted } from "../settings.js";
import { median } from "../statistics.js";

const RUNS = 5;
// Bun never frees what it allocates here, so the slowest contenders' megabytes stay bounded by the count.
const CALLS = { Send: 10_000, SendNoWait: 40_000, Request: 3_000, ParallelRequest: 10_000 };
const SLOW_CALLS = 1_000;
const SLOW = ["grpc"];

export async function heap(context) {
  const { settings, pool, progress } = context;
  const rows = ROWS.filter(
    ({ row }) => settings.heapRows.includes(row) && wanted(settings.filters.rows, row),
  );
  for (const pair of pool.pairs(settings.heapContenders)) {
    const { contender, client: runtime } = pair;
    progress.step(`${contender.label}, ${runtime.label}`);
    try {
      await pool.withFreshPair(runtime, contender, { BUN_JSC_useGC: "0" }, async (ends) => {
        const { port } = await ends.server.call("listen", { endpoint: { credentials: pool.credentials } });
        const endpoint = { port, credentials: pool.credentials };
        await ends.client.call("connect", { endpoint, name: "heap" });
        for (const row of rows) context.results.push(await measure(row, ends, pair));
      });
    } catch (error) {
      pool.fail(`B/op of ${contender.label}, ${runtime.label}`, error);
    }
  }
}

async function measure({ row, kind, outstanding }, { client, server }, pair) {
  const slow = SLOW.includes(pair.contender.id);
  const count = slow ? SLOW_CALLS : CALLS[row];
  const parameters = { name: "heap", kind, size: ROW_SIZE, outstanding };
  await client.call("run", { ...parameters, count });
  const clientBytes = [];
  const serverBytes = [];
  for (let i = 0; i < RUNS; i++) {
    await server.call("heapStart");
    const { heapBytes } = await client.call("run", { ...parameters, count, heap: true });
    clientBytes.push(heapBytes / count);
    serverBytes.push((await server.call("heapStop")).heapBytes / count);
  }
  const { heapMethod } = await client.call("usage");
  return {
    section: "heap",
    row,
    contender: pair.contender.id,
    client: pair.client.id,
    server: pair.server.id,
    size: ROW_SIZE,
    outstanding,
    count,
    clientBytesPerOp: Math.round(median(clientBytes)),
    serverBytesPerOp: Math.round(median(serverBytes)),
    method: heapMethod,
  };
}
