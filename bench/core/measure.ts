// Times one row with tinybench. A sample is many calls, so that the clock's resolution and tinybench's own
// work per sample do not matter: a core operation takes from 0.1 µs up.

import { Bench } from "tinybench";
import type { Measured, Row } from "./rows.ts";

/** A sample should take about this long. */
const SAMPLE_MS = 0.5;

async function repeat(row: Row, calls: number): Promise<void> {
  for (let i = 0; i < calls; i++) await row.run();
}

function repeatSync(row: Row, calls: number): void {
  for (let i = 0; i < calls; i++) row.run();
}

/**
 * How many calls make up a sample, after the row has run for `warmupMs` so that it is compiled. From the shortest of
 * several tries: one that was interrupted would make samples so short that what happens once in many calls, such as
 * making keystream ahead, is missing from most of them.
 */
async function callsPerSample(row: Row, isAsync: boolean, warmupMs: number): Promise<number> {
  let calls = 1;
  let shortest = Number.POSITIVE_INFINITY;
  let tries = 0;
  const end = performance.now() + warmupMs;
  for (;;) {
    const start = performance.now();
    if (isAsync) await repeat(row, calls);
    else repeatSync(row, calls);
    const now = performance.now();
    const elapsed = now - start;
    if (elapsed < SAMPLE_MS) {
      calls *= 2;
      shortest = Number.POSITIVE_INFINITY;
      tries = 0;
    } else {
      shortest = Math.min(shortest, elapsed);
      tries++;
      if (now >= end && tries >= 5) return Math.max(1, Math.round((calls * SAMPLE_MS) / shortest));
    }
  }
}

/** Runs a row for about `timeMs` after a warm-up of a third of that. */
export async function measure(row: Row, timeMs: number): Promise<Measured> {
  row.prepare?.();
  const isAsync = row.run() instanceof Promise;
  const calls = await callsPerSample(row, isAsync, timeMs / 3);
  const bench = new Bench({ time: timeMs, iterations: 5, warmup: false });
  bench.add("row", isAsync ? () => repeat(row, calls) : () => repeatSync(row, calls));
  const [task] = isAsync ? await bench.run() : bench.runSync();
  const result = task?.result;
  if (result?.state !== "completed") {
    throw new Error(`${row.implementation}, ${row.operation}: ${result?.state}`, {
      cause: result?.state === "errored" ? result.error : undefined,
    });
  }
  const nsPerOperation = 1e6 / (calls * row.batch);
  const { min, p50, mean } = result.latency;
  return {
    primitive: row.primitive,
    operation: row.operation,
    implementation: row.implementation,
    bytes: row.bytes ?? null,
    batch: row.batch,
    min: min * nsPerOperation,
    median: p50 * nsPerOperation,
    mean: mean * nsPerOperation,
  };
}
