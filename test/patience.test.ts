// Limits of waiting in tests: a process that stands still does not use them up.
import { expect, test } from "vitest";
import { Patience } from "./support/patience.ts";

/** How often one who always waits until the next look is due looks until the time is over, and the time that it took. */
function lookUntilOver(patience: Patience, clock: { ms: number }, lateMs: number): number {
  for (let looks = 1; looks < 1_000; looks++) {
    const nextMs = patience.look();
    if (nextMs === 0) return looks;
    clock.ms += nextMs + lateMs;
  }
  throw new Error("it is never over");
}

test("a limit is over after its time", () => {
  const clock = { ms: 1_000 };
  const patience = new Patience(60_000, () => clock.ms);
  lookUntilOver(patience, clock, 0);
  expect(clock.ms).toBe(61_000);
  expect(patience.stoodStillMs).toBe(0);
});

test("who looks more often than is due has the same time", () => {
  const clock = { ms: 0 };
  const patience = new Patience(30_000, () => clock.ms);
  while (patience.look() > 0) clock.ms += 2;
  expect(clock.ms).toBe(30_000);
});

test("time in which the process stood still does not count, and is told", () => {
  const clock = { ms: 0 };
  const patience = new Patience(60_000, () => clock.ms);
  expect(patience.look()).toBe(3_000);
  clock.ms += 1_000_000;
  expect(patience.look()).toBe(3_000);
  expect(patience.stoodStillMs).toBe(997_000);
  lookUntilOver(patience, clock, 0);
  expect(clock.ms).toBe(1_000_000 + 57_000);
});

test("a process that always runs late comes to the end of its time, too", () => {
  const clock = { ms: 0 };
  expect(lookUntilOver(new Patience(60_000, () => clock.ms), clock, 10_000)).toBe(21);
});
