// The measurements that an end of a soak reports: a line of JSON for every line that it reads, and a last one before it
// ends.

import { readdirSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";
import { expandedKeys } from "../../src/core/cachedKey.ts";
import { slotsInUse } from "../../src/core/slotPool.ts";
import { timers } from "../../src/rpc/timers.ts";

const TICK_MS = 10;
const MOST_VIOLATIONS = 20;
const MIB = 1_048_576;

const percentile = (values: number[], part: number): number =>
  values.sort((a, b) => a - b)[Math.floor(values.length * part)] ?? 0;

function openFiles(): number {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return 0; // no such folder on this system
  }
}

export class Gauges {
  readonly counts: Record<string, number> = {};
  readonly violations: string[] = [];
  /** Milliseconds that requests took since the last sample. */
  #took: number[] = [];
  #late: number[] = [];
  readonly #ticker: ReturnType<typeof setInterval>;

  constructor() {
    let last = performance.now();
    this.#ticker = setInterval(() => {
      const now = performance.now();
      this.#late.push(Math.max(now - last - TICK_MS, 0));
      last = now;
    }, TICK_MS);
    process.on("unhandledRejection", (error) => this.violated(`unhandled: ${(error as Error)?.stack}`));
    process.on("uncaughtException", (error) => this.violated(`uncaught: ${error.stack}`));
  }

  count(what: string, by = 1): void {
    this.counts[what] = (this.counts[what] ?? 0) + by;
  }

  took(ms: number): void {
    this.#took.push(ms);
  }

  violated(text: string): void {
    if (this.violations.length < MOST_VIOLATIONS) this.violations.push(text);
  }

  /** Nothing is held: to be asked when everything is closed. */
  expectNothingHeld(when: string): void {
    const held = { slots: slotsInUse(), deadlines: timers.size, keys: expandedKeys() };
    for (const [what, count] of Object.entries(held))
      if (count !== 0) this.violated(`${when}: ${count} ${what} are held`);
  }

  sample(): object {
    const { rss, heapUsed, external } = process.memoryUsage();
    const sample = {
      rssMiB: rss / MIB,
      heapMiB: heapUsed / MIB,
      externalMiB: external / MIB,
      files: openFiles(),
      slots: slotsInUse(),
      deadlines: timers.size,
      keys: expandedKeys(),
      lateMs: percentile(this.#late, 0.99),
      p99Ms: percentile(this.#took, 0.99),
      counts: this.counts,
      violations: this.violations,
    };
    this.#took = [];
    this.#late = [];
    return sample;
  }

  /** Answers each line with a sample; `onEnd` when its input ends, after which the process has to end by itself. */
  answer(onEnd: () => Promise<void>): void {
    const tell = () => console.log(JSON.stringify(this.sample()));
    const lines = createInterface({ input: process.stdin });
    lines.on("line", tell);
    lines.on("close", async () => {
      await onEnd();
      clearInterval(this.#ticker);
      tell();
    });
  }
}
