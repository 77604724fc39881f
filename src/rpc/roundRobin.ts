// Connections whose handlers have run for a whole turn and that have more to do. They go on one after the other, all of
// them together for one turn between two looks of the event loop: so a connection that asks little now and then waits
// for one turn of the others, and not for one of each.

import { now } from "../core/eventLoop.ts";
import { TURN_MS } from "./turnClock.ts";
import type { Deferring } from "./turnQueue.ts";

export interface RoundRobinTask {
  /** It is this one's turn: it has left the line, and may join it again. Throws nothing. */
  goOn(): void;
}

export class RoundRobin {
  readonly #runtime: Pick<Deferring, "yieldToEventLoop">;
  readonly #time: () => number;
  readonly #line: RoundRobinTask[] = [];

  /** `time`: milliseconds of a clock that never goes back. */
  constructor(runtime: Pick<Deferring, "yieldToEventLoop">, time: () => number = now) {
    this.#runtime = runtime;
    this.#time = time;
  }

  /** Joins at the end. The task makes sure that it is in the line only once. */
  join(task: RoundRobinTask): void {
    if (this.#line.push(task) === 1) this.#runtime.yieldToEventLoop(this.#run);
  }

  readonly #run = (): void => {
    const line = this.#line;
    // Whoever joins meanwhile has had a turn, and waits for the next look of the event loop.
    const here = line.length;
    const until = this.#time() + TURN_MS;
    let next = 0;
    do line[next++]!.goOn();
    while (next < here && this.#time() < until);
    for (const task of line.splice(0).slice(next)) this.join(task);
  };
}
