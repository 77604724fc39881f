// Tasks that run at the end of the current turn of the event loop, by one deferred call of the runtime for all
// connections together. There are two such queues, which never run each other's tasks. One sends; it also runs at once
// when the pool has no free slot. The other continues reading, which runs handlers.

import { reportThrown } from "../core/reportThrown.ts";

export interface TurnTask {
  endOfTurn(): void;
  /** `endOfTurn` threw, which is a bug in this package. It ends this task's connection; later tasks still run. */
  endOfTurnFailed(error: unknown): void;
}

/**
 * The most ends of turns in a row without an event of the operating system. The next one waits until the event loop has
 * looked for events: a chain of promises (`for (;;) await client.send(body)`) would otherwise keep timers and sockets
 * from ever running.
 */
const TURNS_WITHOUT_EVENTS = 64;

/** The runtime's functions that run something later. */
export interface Deferring {
  /** Runs `callback` when the current turn ends: after the promise reactions that are already due. */
  defer(callback: () => void): void;
  /** Runs `callback` after the event loop has looked for timers and I/O once. */
  yieldToEventLoop(callback: () => void): void;
}

/** Neither a task that fails nor one that can't even be told costs another task its turn. */
function run(task: TurnTask): void {
  try {
    task.endOfTurn();
  } catch (failure) {
    reportThrown(() => task.endOfTurnFailed(failure));
  }
}

export class TurnQueue {
  readonly #runtime: Deferring;
  readonly #run = () => this.runNow();
  readonly #runAfterEvents = () => {
    this.#turns = 0;
    this.runNow();
  };
  /** The first `#count` are tasks. The array keeps its length, because shortening it costs its memory. */
  #tasks: (TurnTask | undefined)[] = [];
  #count = 0;
  /** The other array, which is filled next; missing while its tasks run. */
  #spare: (TurnTask | undefined)[] | undefined = [];
  #turns = 0;

  constructor(runtime: Deferring) {
    this.#runtime = runtime;
  }

  /** Runs `task.endOfTurn()` once, at the end of this turn. The task makes sure that it is queued only once. */
  add(task: TurnTask): void {
    this.#tasks[this.#count++] = task;
    if (this.#count > 1) return;
    if (++this.#turns > TURNS_WITHOUT_EVENTS) this.#runtime.yieldToEventLoop(this.#runAfterEvents);
    else this.#runtime.defer(this.#run);
  }

  /** An event of the operating system came, so the event loop runs. */
  eventSeen(): void {
    this.#turns = 0;
  }

  /** Runs the queued tasks without waiting for the end of the turn. */
  runNow(): void {
    const tasks = this.#tasks;
    const count = this.#count;
    // Tasks that are queued while tasks run have their own deferred call.
    if (count === 0 || this.#spare === undefined) return;
    this.#tasks = this.#spare;
    this.#count = 0;
    this.#spare = undefined;
    for (let i = 0; i < count; i++) {
      const task = tasks[i]!;
      tasks[i] = undefined;
      run(task);
    }
    this.#spare = tasks;
  }
}
