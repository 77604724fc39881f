import assert from "node:assert/strict";
import { TIMER_TICK_MS } from "../../../src/constants.ts";
import { CallbackDeadline, Deadline, timers } from "../../../src/rpc/timers.ts";
import { onAfterEachTest, test } from "../../support/harness.ts";
import { sleep, waitFor } from "../../support/rpcHarness.ts";

onAfterEachTest(() => assert.equal(timers.size, 0));

/** Notes when it expired. */
class Noted extends Deadline {
  readonly #armedAt = performance.now();
  readonly ms: number;
  elapsedMs = -1;
  expirations = 0;

  constructor(ms: number) {
    super();
    this.ms = ms;
    timers.arm(this, ms);
  }

  override expire(): void {
    this.expirations++;
    this.elapsedMs = performance.now() - this.#armedAt;
  }
}

test("deadlines never fire early, and each once", async () => {
  const deadlines = Array.from({ length: 500 }, (_, i) => new Noted((i * 37) % 300));
  assert.equal(timers.size, 500);
  await waitFor(() => timers.size === 0, "all deadlines");
  for (const { ms, elapsedMs, expirations } of deadlines) {
    assert.equal(expirations, 1);
    assert.ok(elapsedMs >= ms, `${ms} ms fired after ${elapsedMs}`);
  }
});

test("an earlier deadline never fires after a later one of another tick", async () => {
  const order: number[] = [];
  const delays = Array.from({ length: 40 }, (_, i) => ((i * 17) % 40) * 2 * TIMER_TICK_MS);
  for (const ms of delays) timers.arm(new CallbackDeadline(() => order.push(ms)), ms);
  await waitFor(() => order.length === delays.length, "all deadlines");
  assert.deepEqual(
    order,
    [...delays].sort((a, b) => a - b),
  );
});

test("cancelled deadlines do not fire; cancelling twice is harmless", async () => {
  const deadlines = Array.from({ length: 100 }, (_, i) => new Noted(i % 60));
  const cancelled = deadlines.filter((_, i) => i % 3 === 0);
  for (const deadline of cancelled) {
    timers.cancel(deadline);
    timers.cancel(deadline);
    assert.equal(deadline.armed, false);
  }
  await waitFor(() => timers.size === 0, "the others");
  for (const deadline of deadlines) assert.equal(deadline.expirations, cancelled.includes(deadline) ? 0 : 1);
});

test("arming again replaces the old time", async () => {
  const deadline = new Noted(20);
  for (let i = 0; i < 5; i++) {
    timers.arm(deadline, 200);
    assert.equal(timers.size, 1);
  }
  await waitFor(() => timers.size === 0, "the deadline");
  assert.ok(deadline.elapsedMs >= 200);
  assert.equal(deadline.expirations, 1);
});

test("a deadline that arms itself again, further away than one turn of the wheel", async () => {
  const far = new CallbackDeadline(() => assert.fail("fired a whole turn early"));
  timers.arm(far, 1_024 * TIMER_TICK_MS + 60);
  let rounds = 0;
  const again = new CallbackDeadline(() => {
    if (++rounds < 5) timers.arm(again, 10);
  });
  timers.arm(again, 10);
  await waitFor(() => rounds === 5, "five rounds");
  await sleep(150);
  assert.equal(far.armed, true);
  timers.cancel(far);
});

test("a deadline that cancels or moves its neighbours while it fires leaves the others on time", async () => {
  // All of one tick, so neighbours in one list; each in turn is the one that disturbs.
  for (const disturb of ["cancel", "move"] as const) {
    for (let which = 0; which < 6; which++) {
      const fired: number[] = [];
      const start = performance.now();
      const deadlines: CallbackDeadline[] = [];
      for (let i = 0; i < 6; i++) {
        deadlines.push(
          new CallbackDeadline(() => {
            fired.push(i);
            if (i !== which) return;
            for (const other of [deadlines[which - 1], deadlines[which + 1]]) {
              if (other === undefined || !other.armed) continue;
              if (disturb === "cancel") timers.cancel(other);
              else timers.arm(other, 60);
            }
          }),
        );
      }
      const aligned = (Math.ceil(start / TIMER_TICK_MS) + 2) * TIMER_TICK_MS - start;
      for (const deadline of deadlines) timers.arm(deadline, aligned);
      await waitFor(() => timers.size === 0, `${disturb} around ${which}`);
      // Neighbours that had fired before can't be stopped; everybody else fired once.
      assert.equal(new Set(fired).size, fired.length);
      assert.ok(fired.length >= (disturb === "cancel" ? 4 : 6), `fired: ${fired}`);
      // Not a turn of the wheel (16 seconds) late. Generous: this is no measurement.
      assert.ok(performance.now() - start < 8_000, "a deadline was forgotten for a turn of the wheel");
    }
  }
});
