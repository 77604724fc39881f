// The rows that are timed, the rows whose bytes are counted, and the rows of idle connections. Each takes its samples
// in pairs, one of each build.
import { timeSlice, warmUp } from "../matrix/rounds.js";
import { allocated, CALLS } from "../matrix/sections/heap.js";
import { orderOf, roundsPerStart } from "./compare.js";
import { withBuilds } from "./ends.js";

const BUILDS = ["a", "b"];
const DIALS_AT_ONCE = 16;
const SETTLE_MS = 1_000;
const IDLE_WINDOW_MS = 1_000;
const IDLE_WINDOWS = 12;
const IDLE_STARTS = 2; // no compiler's choice is in what timers cost
// Rows behind the first of a kind run code that is compiled.
const LATER_WARM_UP_MS = 300;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Runs one step of a measured row; a failure takes the row out of the run, and its reason into the report. */
async function attempt(measured, step) {
  if (measured.failure !== undefined) return;
  try {
    await step();
  } catch (error) {
    measured.failure = error;
  }
}

/**
 * All timed rows of one runtime and one kind of bodies, in the same four processes: server and client of A and of B.
 *
 * @returns {Promise<object[]>} the rows, each with `pairs` of slices and with the `count` of operations of a slice
 */
export async function timedRows(
  rows,
  runtime,
  bodies,
  { builds, rounds, starts, sliceMs, warmUpMs },
  progress,
) {
  const measuredRows = rows.map((row) => ({ row, runtime, bodies, count: 0, pairs: [], failure: undefined }));
  let round = 0;
  for (const [start, ownRounds] of roundsPerStart(rounds, starts).entries()) {
    const label = `${runtime.label}, ${bodies}, start ${start + 1} of ${starts}`;
    const all = async (ends) => {
      for (const [i, measured] of measuredRows.entries()) {
        progress.step(`${label}: warming up ${measured.row.name} ${measured.row.size} B`);
        const isFirst = rows.findIndex(({ kind }) => kind === measured.row.kind) === i;
        const how = { sliceMs, warmUpMs: isFirst ? warmUpMs : LATER_WARM_UP_MS };
        await attempt(measured, () => prepare(measured, ends, orderOf(start, i), how));
      }
      for (const last = round + ownRounds; round < last; round++) {
        progress.step(`${label}: round ${round + 1} of ${rounds}`);
        for (const [i, measured] of measuredRows.entries())
          await attempt(measured, () => samplePair(measured, ends, orderOf(round, i), start));
      }
    };
    try {
      await withBuilds(builds, runtime, { bodies }, all);
    } catch (error) {
      for (const measured of measuredRows) measured.failure ??= error;
    }
    if (measuredRows.every(({ failure }) => failure !== undefined)) break;
  }
  return measuredRows;
}

/** Compares bytes, warms both builds up, and settles on one count for both: the cost around a slice is then the same. */
async function prepare(measured, ends, order, how) {
  const { row } = measured;
  const counts = [];
  for (const build of order) {
    await ends[build].client.call("check", { name: ends[build].name, sizes: [row.size] });
    counts.push(await warmUp(ends[build], row, how));
  }
  measured.count = Math.min(...counts);
}

async function samplePair({ row, count, pairs }, ends, order, start) {
  const pair = { start };
  for (const build of order) pair[build] = await timeSlice(ends[build], row, count);
  pairs.push(pair);
}

/** Bytes allocated per operation, in processes of their own: Bun's need their collector off. */
export async function heapRows(rows, runtime, bodies, { builds }, progress) {
  const environment = { BUN_JSC_useGC: "0" };
  const measuredRows = rows.map((row) => ({ row, runtime, bodies, failure: undefined }));
  try {
    await withBuilds(builds, runtime, { bodies, environment }, async (ends) => {
      for (const measured of measuredRows) {
        progress.step(`${runtime.label}, ${bodies}: bytes per ${measured.row.name}`);
        await attempt(measured, async () => {
          for (const build of BUILDS)
            measured[build] = await allocated(measured.row, ends[build], CALLS[measured.row.name]);
          ({ heapMethod: measured.method } = await ends.a.client.call("usage"));
        });
      }
    });
  } catch (error) {
    for (const measured of measuredRows) measured.failure ??= error;
  }
  return measuredRows;
}

/**
 * Processor time per second of open connections that carry nothing, both ends together. Both builds idle in the same
 * window of time, so that the order is none.
 */
export async function idleRow(row, runtime, { builds, idleConnections }, progress) {
  const measured = { row, runtime, pairs: [], failure: undefined };
  const how = { options: row.options, connections: idleConnections, atOnce: DIALS_AT_ONCE };
  for (const [start, ownWindows] of roundsPerStart(IDLE_WINDOWS, IDLE_STARTS).entries()) {
    progress.step(`${runtime.label}, ${row.name}, start ${start + 1} of ${IDLE_STARTS}`);
    await attempt(measured, () =>
      withBuilds(builds, runtime, how, async (ends) => {
        await pause(SETTLE_MS);
        for (let i = 0; i < ownWindows; i++) measured.pairs.push(await idleWindow(ends, start));
      }),
    );
  }
  return measured;
}

async function idleWindow(ends, start) {
  const processes = BUILDS.flatMap((build) => [ends[build].server, ends[build].client]);
  const read = () => Promise.all(processes.map(async (each) => (await each.call("cpu")).cpuUs));
  const begin = performance.now();
  const before = await read();
  await pause(IDLE_WINDOW_MS);
  const after = await read();
  const seconds = (performance.now() - begin) / 1_000;
  const [serverA, clientA, serverB, clientB] = after.map((us, i) => (us - before[i]) / seconds);
  return { start, a: serverA + clientA, b: serverB + clientB };
}
