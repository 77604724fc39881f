// The event loop of a simulated world. scripts/simulation/bundle.js puts it in the place of core/eventLoop.ts, and its
// clock and numbers in the place of performance.now, Math.random and crypto.getRandomValues. A world therefore depends
// only on its seed. Promise reactions are the runtime's own: a step ends when none is left.

import { Random } from "./random.ts";

export type RuntimeTimer = unknown;

interface Task {
  readonly at: number;
  /** Among those of one time, chance decides, as it may in a runtime. */
  readonly order: number;
  run: (() => void) | undefined;
}

/** A world begins at a multiple of this, so that the timer wheel stands at the same place in each. */
const WORLD_MS = 2 ** 24;
const LONGEST_LEAP_MS = 4_000_000;

class VirtualLoop {
  time = 0;
  random = new Random(0);
  /** How many promise reactions run before what is deferred to the end of a turn: runtimes differ. */
  deferHops = 0;
  /** Chance of a step that the loop stands still before it, and for how long at most. */
  stallChance = 0;
  stallMs = 0;
  /** Chance of a step that the clock leaps before it, as when a machine was suspended. */
  leapChance = 0;
  steps = 0;
  stalls = 0;
  leaps = 0;
  /** Iterations of loops in src/, counted by what the bundle puts into them. */
  work = 0;
  /** Changes with everything that happens: two runs of one seed must agree. */
  fingerprint = 0;
  #heap: Task[] = [];

  begin(seed: number): void {
    this.random = new Random(seed);
    this.time = (Math.floor(this.time / WORLD_MS) + 1) * WORLD_MS;
    this.#heap = [];
    this.steps = 0;
    this.stalls = 0;
    this.leaps = 0;
    this.work = 0;
    this.fingerprint = 0;
  }

  note(value: number): void {
    this.fingerprint = (Math.imul(this.fingerprint, 31) + value) | 0;
  }

  /** Runs `run` in `ms` milliseconds. The returned task's `run` may be taken out. */
  after(ms: number, run: () => void): Task {
    const task = { at: this.time + ms, order: this.random.next(), run };
    this.#push(task);
    return task;
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  /** Runs events until `done` says so. False: none is left, or there were too many. */
  async run(done: () => boolean, maxSteps: number): Promise<boolean> {
    for (let step = 0; step < maxSteps; step++) {
      if (done()) return true;
      let task = this.#pop();
      if (task === undefined) return done();
      this.#enter(task);
      // A runtime may hand out several events before it runs promise reactions.
      while (this.random.chance(0.4)) {
        task = this.#pop();
        if (task === undefined) break;
        if (task.at > this.time) {
          this.#push(task);
          break;
        }
        this.#enter(task);
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    return done();
  }

  #enter(task: Task): void {
    this.steps++;
    if (task.at > this.time) this.time = task.at;
    if (this.random.chance(this.stallChance)) {
      this.stalls++;
      this.time += this.random.between(1, this.stallMs);
    }
    if (this.leapChance > 0 && this.random.chance(this.leapChance)) {
      this.leaps++;
      this.time += this.random.between(60_000, LONGEST_LEAP_MS);
    }
    this.note(this.time * 4);
    task.run?.();
  }

  #push(task: Task): void {
    const heap = this.#heap;
    let at = heap.push(task) - 1;
    for (let up = (at - 1) >> 1; at > 0 && before(task, heap[up]!); up = (at - 1) >> 1) {
      heap[at] = heap[up]!;
      at = up;
    }
    heap[at] = task;
  }

  #pop(): Task | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (let down = 1; down < heap.length; down = 2 * at + 1) {
      if (down + 1 < heap.length && before(heap[down + 1]!, heap[down]!)) down++;
      if (!before(heap[down]!, last)) break;
      heap[at] = heap[down]!;
      at = down;
    }
    heap[at] = last;
    return first;
  }
}

function before(a: Task, b: Task): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

export const loop = new VirtualLoop();

// ---- What core/eventLoop.ts exports ---------------------------------------------------------------------------

export const now = (): number => loop.time;

export const outOfContext = <T>(callback: () => T): T => callback();

export function startTimer(callback: () => void, ms: number): RuntimeTimer {
  return loop.after(ms, callback);
}

export function stopTimer(timer: RuntimeTimer): void {
  (timer as Task).run = undefined;
}

/** No process ends here: the world does when its story is told. */
export function setTimerKeepsAlive(): void {}

export function runSoon(callback: () => void): void {
  queueMicrotask(callback);
}

export function runAtEndOfTurn(callback: () => void): void {
  let hops = loop.deferHops;
  const hop = (): void => {
    if (hops-- === 0) callback();
    else queueMicrotask(hop);
  };
  queueMicrotask(hop);
}

/** Behind everything that is due now. */
export function yieldToEventLoop(callback: () => void): void {
  loop.after(0.001, callback);
}

// ---- What scripts/simulation/bundle.js puts in the place of globals ----------------------------------------------

/** This loop polls whenever it is asked to: it needs none of Deno's ways. */
export const originalSetImmediate = undefined;

export function usePollInDeno(): void {}

export const virtualNow = now;

export const virtualRandom = (): number => loop.random.next();

export function virtualBytes<T extends Uint8Array>(bytes: T): T {
  bytes.set(loop.random.bytes(bytes.length));
  return bytes;
}

/** In every loop of src/. */
export function countWork(): void {
  loop.work++;
}
