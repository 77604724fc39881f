// Limits how many handlers of one client or server run at once, over all its connections and beyond their ends: a
// handler that ignores its signal outlives its connection, and a peer that reconnects must not start more of them
// each time. (`maxConcurrentHandlers` is the limit of one connection.)

import { Line, Position } from "./line.ts";

/** A connection that has messages to handle and no room for them. */
export interface HandlerWaiter {
  /**
   * There is room now. Called once per `waitForRoom`, from where promises settle. So only queue the work there, check
   * `full` again when it runs, and then call `passOn`.
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

  /** Handlers whose promise has not settled, including those of closed connections. */
  get running(): number {
    return this.#running;
  }

  /** No handler should be started now. */
  get full(): boolean {
    return this.#running >= this.#limit;
  }

  /** A handler continues after its return. It counts even above the limit, because it runs already. */
  begin(): void {
    this.#running++;
  }

  /** A handler has settled; exactly once per `begin`. The waiter that has waited longest is called. */
  end(): void {
    this.#running--;
    this.passOn();
  }

  /** Calls the waiter once when there is room, after the earlier waiters. Asking twice counts once. */
  waitForRoom(waiter: HandlerWaiter): void {
    if (this.#positions.has(waiter)) return;
    const position = new Position(waiter);
    this.#positions.set(waiter, position);
    this.#waiting.join(position);
  }

  /** The waiter's connection is gone. Harmless for one that does not wait. */
  forget(waiter: HandlerWaiter): void {
    this.#positions.get(waiter)?.leave();
    this.#positions.delete(waiter);
  }

  /** A called waiter calls this when it is done, so that the remaining room goes to the next one. */
  passOn(): void {
    const waiter = this.full ? undefined : this.#waiting.first;
    if (waiter === undefined) return;
    this.forget(waiter);
    waiter.roomForHandlers();
  }
}
