// Limits how many handlers of one client or server run at once, over all its connections and beyond their ends: a
// handler that ignores its signal outlives its connection, and a peer that reconnects must not start more of them
// each time. (`maxConcurrentHandlers` is the limit of one connection.)

import { Line, Position } from "./line.ts";

/** A connection that has something to handle and no room for it. */
export interface HandlerWaiter {
  /**
   * There is room now. Called once per `waitForRoom`, from where promises settle: only queue there what is to be done,
   * look at `full` again when it runs, and then call `passOn`.
   */
  roomForHandlers(): void;
}

export class HandlerBudget {
  readonly #limit: number;
  #running = 0;
  readonly #waiting = new Line<HandlerWaiter>();
  readonly #positions = new Map<HandlerWaiter, Position<HandlerWaiter>>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Handlers that returned a promise which has not settled, also those whose connection is gone. */
  get running(): number {
    return this.#running;
  }

  /** No handler should be started now. */
  get full(): boolean {
    return this.#running >= this.#limit;
  }

  /** A handler goes on after it returned. Counted above the limit, too: it runs already. */
  begin(): void {
    this.#running++;
  }

  /** It has settled; exactly once per `begin`. Who has waited longest is told, if anybody waits. */
  end(): void {
    this.#running--;
    this.passOn();
  }

  /** Asks to be told once when there is room, in turn with the others. Asking twice is asking once. */
  waitForRoom(waiter: HandlerWaiter): void {
    if (this.#positions.has(waiter)) return;
    const position = new Position(waiter);
    this.#positions.set(waiter, position);
    this.#waiting.join(position);
  }

  /** Waits no more: its connection is gone. Harmless for one that does not wait. */
  forget(waiter: HandlerWaiter): void {
    this.#positions.get(waiter)?.leave();
    this.#positions.delete(waiter);
  }

  /** Who was told calls this when it has taken what it wanted: the room that is left goes to the next one. */
  passOn(): void {
    const waiter = this.full ? undefined : this.#waiting.first;
    if (waiter === undefined) return;
    this.forget(waiter);
    waiter.roomForHandlers();
  }
}
