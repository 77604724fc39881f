// Times a list of rows so that drift affects all rows alike. Each row is checked, calibrated and warmed up once. Then
// every round runs all rows. Each round starts at another place of the list, and every second one runs backwards, so
// that a row does not always follow the same neighbour.
import { summary } from "./statistics.js";

/** A slice is run for this share of its length before it is timed. */
const LEAD_IN_SHARE = 4;
const MAX_COUNT = 2_000_000;

/**
 * @typedef {object} TimedRow
 * @property {{ contender: object, client: object, server: object }} pair
 * @property {"send" | "sendNoWait" | "request" | "upload" | "download"} kind
 * @property {number} size bytes of one payload
 * @property {number} outstanding concurrent callers
 * @property {number} [burst] messages one of several sendNoWait loops sends before the next one's turn
 * @property {{ streams: number, size: number }} [bulk] streams that run beside requests
 * @property {number} [countUnit] the count of messages is a multiple of this
 * @property {string} [group] name of the connections to use; the pair's one connection by default
 * @property {boolean} [pinned] both processes on one core
 * @property {object} labels what identifies the row in the results
 */

/** Runs a row for `warmUpMs` at least, and says how many operations take about `sliceMs` then. */
export async function warmUp(ends, row, { sliceMs, warmUpMs, maxCount = MAX_COUNT }) {
  const how = { sliceMs, warmUpMs, maxCount };
  const { count } = await ends.client.call("calibrate", { ...parameters(row, ends), ...how });
  return inUnits(count, row);
}

/** @param {TimedRow[]} rows */
export async function timeRows(rows, context, { sliceMs, warmUpMs, rounds, maxCount }) {
  const ready = [];
  for (const row of rows) {
    context.progress.step(`calibrating ${describe(row)}`);
    await attempt(row, context, async (ends) => {
      await usePins(row, ends, context);
      const count = await warmUp(ends, row, { sliceMs, warmUpMs, maxCount });
      const samples = { elapsed: [], clientCpu: [], serverCpu: [], p50: [], p90: [], p99: [], bulk: [] };
      ready.push({ row, count, ...samples });
    });
  }
  for (let round = 0; round < rounds; round++) {
    const start = Math.floor((round * ready.length) / rounds);
    for (let i = 0; i < ready.length; i++) {
      const step = round % 2 === 0 ? i : ready.length - 1 - i;
      const measured = ready[(start + step) % ready.length];
      context.progress.step(`round ${round + 1} of ${rounds}: ${describe(measured.row)}`);
      await attempt(measured.row, context, (ends) => runOnce(measured, ends, context));
    }
  }
  for (const measured of ready)
    if (measured.elapsed.length === rounds) context.results.push(resultOf(measured));
}

function inUnits(count, { countUnit = 1 }) {
  return Math.max(1, Math.round(count / countUnit)) * countUnit;
}

/**
 * One timed slice of `count` operations, after an untimed part of it.
 *
 * @param {{ name: string, client: object, server: object }} ends the name is that of the group of connections
 * @param {TimedRow} row
 * @returns {Promise<{ ns: number, clientCpuNs: number, serverCpuNs: number, p50Us?: number, p90Us?: number,
 *   p99Us?: number, bulkMbPerS?: number }>} nanoseconds per operation, elapsed and of processor time
 */
export async function timeSlice(ends, row, count) {
  // Both processes have slept since their last turn: caches, page tables and compiled code come back untimed.
  await ends.client.call("run", { ...parameters(row, ends), count: inUnits(count / LEAD_IN_SHARE, row) });
  const before = await ends.server.call("cpu");
  const { elapsedMs, cpuUs, ...latency } = await ends.client.call("run", { ...parameters(row, ends), count });
  const after = await ends.server.call("cpu");
  return {
    ns: (elapsedMs * 1e6) / count,
    clientCpuNs: (cpuUs * 1e3) / count,
    serverCpuNs: ((after.cpuUs - before.cpuUs) * 1e3) / count,
    ...latency,
  };
}

async function runOnce(measured, ends, context) {
  const { row, count } = measured;
  await usePins(row, ends, context);
  const slice = await timeSlice(ends, row, count);
  measured.elapsed.push(slice.ns);
  measured.clientCpu.push(slice.clientCpuNs);
  measured.serverCpu.push(slice.serverCpuNs);
  if (slice.bulkMbPerS !== undefined) measured.bulk.push(slice.bulkMbPerS);
  if (slice.p50Us === undefined) return;
  measured.p50.push(slice.p50Us);
  measured.p90.push(slice.p90Us);
  measured.p99.push(slice.p99Us);
}

function parameters({ kind, size, outstanding, burst, bulk, group }, ends) {
  return { name: group ?? ends.name, kind, size, outstanding, burst, bulk };
}

// Two ends on one core pay no wake-up of another core, so latency rows with [s] compare software only.
async function usePins(row, ends, context) {
  if (!context.pinning) return;
  const cores = row.pinned ? context.cores.first : context.cores.all;
  for (const process of [ends.client, ends.server]) {
    if (process.cores === cores) continue;
    process.pin(cores);
    process.cores = cores;
  }
}

/** Runs one step of a row; a failure takes the pair out of the run and into the report. */
async function attempt(row, context, step) {
  const { contender, client, server } = row.pair;
  const what = `${contender.label}, ${client.label} to ${server.label}`;
  if (context.pool.broken.has(what)) return;
  try {
    const ends = await context.pool.connect(row.pair);
    await checkOnce(row, ends, context);
    await step(ends);
  } catch (error) {
    context.pool.fail(what, error);
  }
}

async function checkOnce({ pair, group, kind, size }, ends, context) {
  const streams = kind === "upload" || kind === "download";
  const key = `${pair.contender.id} ${pair.client.id} ${pair.server.id} ${size}${streams ? " streams" : ""}`;
  if (context.checked.has(key)) return;
  await ends.client.call("check", { name: group ?? ends.name, sizes: [size], streams });
  context.checked.add(key);
}

function describe({ pair, labels, size, pinned }) {
  const where =
    pair.client === pair.server ? pair.client.label : `${pair.client.label} → ${pair.server.label}`;
  return `${pair.contender.label}, ${where}, ${labels.row ?? labels.section} ${size} B${pinned ? " [s]" : ""}`;
}

function resultOf({ row, count, elapsed, clientCpu, serverCpu, p50, p90, p99, bulk }) {
  const ns = summary(elapsed);
  const latency = p50.length > 0 ? { p50Us: summary(p50), p90Us: summary(p90), p99Us: summary(p99) } : {};
  return {
    ...row.labels,
    contender: row.pair.contender.id,
    client: row.pair.client.id,
    server: row.pair.server.id,
    kind: row.kind,
    size: row.size,
    outstanding: row.outstanding,
    pinned: row.pinned ?? false,
    count,
    ns,
    clientCpuNs: summary(clientCpu),
    serverCpuNs: summary(serverCpu),
    mbPerS: Number(((row.size * 1_000) / ns.median).toPrecision(4)),
    ...latency,
    ...(bulk.length > 0 ? { bulkMbPerS: summary(bulk) } : {}),
  };
}
