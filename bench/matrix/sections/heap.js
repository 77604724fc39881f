// Bytes allocated per operation, each end for itself, in processes of their own: Bun's need their
// collector off, and nobody else's garbage should be counted.
import { ROW_SIZE, ROWS, wanted } from "../settings.js";
import { median } from "../statistics.js";

// A run costs something beside its calls, so each row is the slope between a run and one three times as long.
const RUNS = 5;
const LONGER = 3;
// Bun never frees what it allocates here, so the counts bound what a row may take from the machine.
const CALLS = { Send: 4_000, SendNoWait: 20_000, Request: 1_000, ParallelRequest: 5_000 };
const SLOW = { contenders: ["ws", "protomux", "grpc"], rows: ["SendNoWait", "ParallelRequest"], calls: 500 };

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
        const slow = SLOW.contenders.includes(contender.id);
        for (const row of rows) {
          if (slow && !SLOW.rows.includes(row.row)) continue;
          context.results.push(await measure(row, ends, pair, slow ? SLOW.calls : CALLS[row.row]));
        }
      });
    } catch (error) {
      pool.fail(`B/op of ${contender.label}, ${runtime.label}`, error);
    }
  }
}

async function measure({ row, kind, outstanding }, { client, server }, pair, count) {
  const parameters = { name: "heap", kind, size: ROW_SIZE, outstanding };
  const allocated = async (calls) => {
    await server.call("heapStart");
    const { heapBytes } = await client.call("run", { ...parameters, count: calls, heap: true });
    return { client: heapBytes, server: (await server.call("heapStop")).heapBytes };
  };
  await client.call("run", { ...parameters, count: 2 * LONGER * count }); // compiled code allocates less
  const slopes = { client: [], server: [] };
  for (let i = 0; i < RUNS; i++) {
    const short = await allocated(count);
    const long = await allocated(LONGER * count);
    for (const end of ["client", "server"]) {
      slopes[end].push((long[end] - short[end]) / ((LONGER - 1) * count));
    }
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
    clientBytesPerOp: Math.round(median(slopes.client)),
    serverBytesPerOp: Math.round(median(slopes.server)),
    method: heapMethod,
  };
}
