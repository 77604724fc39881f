// A poll of Deno's event loop is waited for in ways that differ in what they cost. Tested on a loop of the test's own, whose
// timers run as soon as they are due, also if its sockets were not polled, as Deno's do while garbage is collected.

import assert from "node:assert/strict";
import { DenoPolls } from "../../../src/core/denoPolls.ts";
import { test } from "../../support/harness.ts";

/** What `afterPoll` takes while the loop has nothing else to do. */
const IDLE_MS = 1;

class Loop {
  ms = 0;
  polls = 0;
  #timers = new Map<number, { readonly at: number; readonly callback: () => void }>();
  #started = 0;
  #immediates: (() => void)[] = [];
  #afterPoll: (() => void)[] = [];
  readonly polling = new DenoPolls({
    setTimeout: (callback, ms) => {
      this.#timers.set(++this.#started, { at: this.ms + Math.max(ms, 1), callback });
      return this.#started;
    },
    clearTimeout: (timer) => void this.#timers.delete(timer as number),
    setImmediate: (callback) => this.#immediates.push(callback),
    afterPoll: (callback) => void this.#afterPoll.push(callback),
    now: () => this.ms,
  });

  get timers(): number {
    return this.#timers.size;
  }

  /** Runs what is due. Only if nothing is, the loop polls. */
  run(): void {
    const due = [...this.#timers].filter(([, { at }]) => at <= this.ms);
    for (const [timer, { callback }] of due) {
      this.#timers.delete(timer);
      callback();
    }
    if (due.length === 0) {
      this.polls++;
      this.ms += IDLE_MS;
      for (const callback of this.#afterPoll.splice(0)) callback();
    }
    for (const callback of this.#immediates.splice(0)) callback();
  }
}

/** Work of `workMs` that asks for a poll before it begins, `rounds` times: the longest time without a poll. */
function longestWithoutPoll(
  loop: Loop,
  rounds: number,
  workMs: number,
  ask: (callback: () => void) => void,
): number {
  let left = rounds;
  let longestMs = 0;
  let [seen, seenAt] = [loop.polls, loop.ms];
  const turn = (): void => {
    if (loop.polls !== seen) [seen, seenAt] = [loop.polls, loop.ms];
    if (left-- === 0) return;
    ask(turn);
    loop.ms += workMs;
    longestMs = Math.max(longestMs, loop.ms - seenAt);
  };
  turn();
  for (let i = 0; i < 5 * rounds && left >= 0; i++) loop.run();
  assert.equal(left, -1, "each callback was called");
  assert.equal(loop.timers, 0, "no timer is left");
  return longestMs;
}

test("a poll is certain, whatever is due", () => {
  for (const workMs of [0.125, 5, 50]) {
    const loop = new Loop();
    const longestMs = longestWithoutPoll(loop, 20, workMs, (callback) => loop.polling.poll(callback));
    assert.equal(longestMs, workMs);
    assert.ok(loop.polls >= 20);
  }
});

test("work that follows work does not wait for each poll, and is followed by one often enough", () => {
  const loop = new Loop();
  const longestMs = longestWithoutPoll(loop, 100, 3, (callback) => loop.polling.likelyPoll(callback));
  assert.ok(longestMs <= 9, `${longestMs} ms without a poll`);
  assert.ok(loop.polls >= 25 && loop.polls <= 70, `${loop.polls} polls in 100 turns`);
});

test("the first work after a pause waits for no certain poll", () => {
  const loop = new Loop();
  for (let i = 0; i < 5; i++) {
    loop.ms += 1_000;
    let called = false;
    loop.polling.likelyPoll(() => {
      called = true;
    });
    loop.ms += 5;
    const { polls } = loop;
    loop.run();
    assert.deepEqual([called, loop.polls], [true, polls]);
  }
});
