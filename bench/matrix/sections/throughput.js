// The sections that time messages and requests: the Go library's six rows, the payload sweep, the matrix of
// runtime pairs.
import { timeRows } from "../rounds.js";
import { ROW_SIZE, ROWS, wanted } from "../settings.js";

const IN_FLIGHT_BYTES = 4 << 20;

/** Six rows of 1,400 bytes for every contender in every runtime; the request rows once more on one core. */
export async function rows(context) {
  const { settings, pool } = context;
  if (!wanted(settings.filters.sizes, ROW_SIZE)) return;
  const chosen = ROWS.filter(({ row }) => wanted(settings.filters.rows, row));
  const plan = chosen.flatMap((row) =>
    pool
      .pairs(settings.rowContenders)
      .map((pair) => ({ ...row, pair, size: ROW_SIZE, labels: { section: "rows", row: row.row } })),
  );
  const onOneCore = context.pinning
    ? plan
        .filter(
          ({ kind, pair }) => kind === "request" && settings.pinnedContenders.includes(pair.contender.id),
        )
        .map((row) => ({ ...row, pinned: true }))
    : [];
  await timeRows([...plan, ...onOneCore], context, settings);
}

function forSweep(settings) {
  return { ...settings, sliceMs: settings.sweepSliceMs, warmUpMs: settings.sweepWarmUpMs };
}

/** Payload sizes from 16 B to 1 MiB, one-way and as requests with at most 4 MiB in flight. */
export async function sweep(context) {
  const { settings, pool } = context;
  const pairs = pool.pairs(settings.sweepContenders);
  const plan = settings.sizes.flatMap((size) => {
    const outstanding = Math.max(1, Math.min(64, Math.floor(IN_FLIGHT_BYTES / size)));
    return pairs.flatMap((pair) => [
      { pair, kind: "sendNoWait", size, outstanding: 1, labels: { section: "sweep", row: "one-way" } },
      { pair, kind: "request", size, outstanding, labels: { section: "sweep", row: "request" } },
    ]);
  });
  await timeRows(plan, context, forSweep(settings));
}

/** sealwire between any two runtimes. */
export async function pairs(context) {
  const { settings, pool } = context;
  const all = [...pool.pairs(["sealwire"]), ...pool.crossPairs("sealwire")];
  const plan = all.flatMap((pair) => [
    {
      pair,
      kind: "sendNoWait",
      size: ROW_SIZE,
      outstanding: 1,
      labels: { section: "pairs", row: "one-way" },
    },
    { pair, kind: "request", size: ROW_SIZE, outstanding: 64, labels: { section: "pairs", row: "request" } },
  ]);
  await timeRows(plan, context, forSweep(settings));
}
