// Makes sure that Deno's event loop polls its sockets.
//
// Deno polls when nothing else is due. A timer that is due runs without a poll if the loop has another reason to go on,
// and steps of V8's garbage collection are one. In an experiment without this library, a read waited for 160 ms while
// timers ran one after the other, whose callbacks took 3 ms each (docs/PERFORMANCE-LOG.md). The time-out of
// `Atomics.waitAsync` is a timer of another kind: it is noticed by a poll only.

import { now, originalSetImmediate, outOfContext, startTimer, stopTimer } from "./eventLoop.ts";

export interface DenoLoop {
  setTimeout(callback: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
  setImmediate(callback: () => void): unknown;
  /** Calls `callback` when the shortest time is over, as a poll notices it; it keeps no process alive. */
  afterPoll(callback: () => void): void;
  /** Milliseconds of the monotonic clock. */
  now(): number;
}

/**
 * While one poll is asked for after the other, a likely one will do for so long. A certain one takes about a millisecond in
 * which nothing is done.
 */
const UNSEEN_MS = 3;
/** A time-out of 0 would be over at once. */
const SHORTEST_MS = 0.01;
/** Longer than a poll takes. */
const LONG_MS = 60_000;

const doNothing = (): void => {};

export class DenoPolls {
  readonly #loop: DenoLoop;
  /** When the loop polled, for those whom a likely poll suffices. */
  #seenAt = 0;
  /** When one of them went on. */
  #likelyAt = 0;

  constructor(loop: DenoLoop) {
    this.#loop = loop;
  }

  /** Calls `callback` after the loop has polled its sockets and has handed out what they had. */
  poll(callback: () => void): void {
    const loop = this.#loop;
    const keepsAlive = loop.setTimeout(doNothing, LONG_MS);
    loop.afterPoll(() => {
      loop.clearTimeout(keepsAlive);
      this.#seenAt = loop.now();
      this.#goOn(callback);
    });
  }

  /** The same after a poll that is likely. If this is called again and again, every few of them are certain. */
  likelyPoll(callback: () => void): void {
    const at = this.#loop.now();
    // No poll was asked for during this time: the loop had nothing to do, and polled.
    if (at - this.#likelyAt > UNSEEN_MS) this.#seenAt = at;
    if (at - this.#seenAt > UNSEEN_MS) this.poll(callback);
    else this.#loop.setTimeout(() => this.#goOn(callback), 0);
  }

  /** What is due together with the events of sockets runs before them, and an immediate behind them. */
  #goOn(callback: () => void): void {
    this.#likelyAt = this.#loop.now();
    this.#loop.setImmediate(callback);
  }
}

/** `Atomics.waitAsync` (ES2024), which TypeScript's library has only with that target. */
interface WaitAsync {
  waitAsync?(
    array: Int32Array,
    index: number,
    value: number,
    ms: number,
  ): { readonly value: Promise<unknown> };
}

/** The polls of this Deno; undefined if it is too old for them, or a test environment took away what they need. */
export function makeDenoPolls(): DenoPolls | undefined {
  // Taken now, as the functions of eventLoop.ts are.
  const { waitAsync } = Atomics as unknown as WaitAsync;
  const { SharedArrayBuffer: Memory } = globalThis;
  if (originalSetImmediate === undefined || !Memory || !waitAsync) return undefined;
  const cell = new Int32Array(new Memory(4));
  return new DenoPolls({
    setTimeout: startTimer,
    clearTimeout: stopTimer,
    setImmediate: originalSetImmediate,
    afterPoll(callback) {
      outOfContext(() => waitAsync(cell, 0, 0, SHORTEST_MS).value.then(callback));
    },
    now,
  });
}
