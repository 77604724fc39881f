// Connections whose handlers have used a whole turn and that have more messages. They continue one after the other, all
// together for one turn between two polls of the event loop. So a connection with few messages waits for one turn of
// all the others together, not for one turn of each.

import { now } from "../core/eventLoop.ts";
import { TURN_MS } from "./turnClock.ts";
import type { Deferring } from "./turnQueue.ts";

export interface RoundRobinTask {
  /** The line has reached this task, which has left the line and may join it again. Throws nothing. */
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
    // A task that joins meanwhile has run already, and waits for the next poll of the event loop.
    const here = line.length;
    const until = this.#time() + TURN_MS;
    let next = 0;
    do line[next++]!.goOn();
    while (next < here && this.#time() < until);
    for (const task of line.splice(0).slice(next)) this.join(task);
  };
}
