// Bytes allocated per operation, for each end by itself and in processes of their own: Bun's must run with its
// collector off, and other rows' garbage must not be counted.
import { withFreshPair } from "../processes.js";
import { ROW_SIZE, ROWS, wanted } from "../settings.js";
import { median } from "../statistics.js";

// A run costs something beside its calls, so each row is the slope between a run and one three times as long.
const RUNS = 5;
const LONGER = 3;
// Bun never frees what it allocates here, so the counts bound what a row may take from the machine.
export const CALLS = { Send: 4_000, SendNoWait: 20_000, Request: 1_000, ParallelRequest: 5_000 };
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
      await withFreshPair(runtime, contender, { BUN_JSC_useGC: "0" }, async (ends) => {
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

/**
 * @param {{ kind: string, size: number, outstanding: number }} row
 * @param {{ name: string, client: object, server: object }} ends processes with a group of connections of that name
 * @param {number} count operations of the shorter run
 * @returns {Promise<{ client: number[], server: number[] }>} bytes per operation at each end, once per run
 */
export async function allocated({ kind, size, outstanding }, { name, client, server }, count) {
  const parameters = { name, kind, size, outstanding };
  const bytes = async (calls) => {
    await server.call("heapStart");
    const { heapBytes } = await client.call("run", { ...parameters, count: calls, heap: true });
    return { client: heapBytes, server: (await server.call("heapStop")).heapBytes };
  };
  await client.call("run", { ...parameters, count: 2 * LONGER * count }); // compiled code allocates less
  const slopes = { client: [], server: [] };
  for (let i = 0; i < RUNS; i++) {
    const short = await bytes(count);
    const long = await bytes(LONGER * count);
    for (const end of ["client", "server"]) {
      slopes[end].push((long[end] - short[end]) / ((LONGER - 1) * count));
    }
  }
  return slopes;
}

async function measure({ row, kind, outstanding }, ends, pair, count) {
  const slopes = await allocated({ kind, size: ROW_SIZE, outstanding }, { name: "heap", ...ends }, count);
  const { heapMethod } = await ends.client.call("usage");
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
