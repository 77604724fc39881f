// Collects what wants to run when the current turn of the event loop ends: one deferred call of the runtime
// for all connections together.

export interface TurnTask {
  endOfTurn(): void;
}

export class TurnQueue {
  readonly #defer: (callback: () => void) => void;
  readonly #run = () => this.runNow();
  #tasks: TurnTask[] = [];
  /** The other array, to be filled next; missing while its tasks run. */
  #spare: TurnTask[] | undefined = [];

  constructor(defer: (callback: () => void) => void) {
    this.#defer = defer;
  }

  /** Runs `task.endOfTurn()` once, at the end of this turn. The task makes sure that it is queued only once. */
  add(task: TurnTask): void {
    if (this.#tasks.push(task) === 1) this.#defer(this.#run);
  }

  /** Runs what is queued without waiting for the end of the turn. */
  runNow(): void {
    const tasks = this.#tasks;
    if (tasks.length === 0) return;
    this.#tasks = this.#spare ?? [];
    this.#spare = undefined;
    for (let i = 0; i < tasks.length; i++) tasks[i]!.endOfTurn();
    tasks.length = 0;
    this.#spare = tasks;
  }
}
