// Shares the event loop among connections. All of them have one turn together between two polls of the event loop. A read
// that arrives when this turn is nearly used up has a short one. Connections whose turn was over wait in a line, and
// continue one after the other after the next poll. So a connection with few messages waits for one turn of all the
// others together, not for one turn of each. Handshakes have a line of their own behind them (handshakeTurns.ts).

import { now } from "../core/eventLoop.ts";
import { runtimeName } from "../core/runtimeName.ts";
import { HandshakeTurns, type SharedTurn } from "./handshakeTurns.ts";
import type { Adapter } from "./transport.ts";
import { LEAST_TURN_MS, TURN_MS } from "./turnClock.ts";

/**
 * Less work of several connections is not worth a poll of its own, which takes 8 µs in Node and a timer in Deno. Less
 * than HANDSHAKES_MS: who has used that up waits for a poll.
 */
export const UNPOLLED_MS = runtimeName === "deno" ? 1.2 : 0.9;
/** The same for a connection that works alone: it keeps nobody waiting but those that have not begun yet. */
export const UNPOLLED_ALONE_MS = 3;

/** Names no connection. */
const SEVERAL = 0;
let named = SEVERAL;

/** The name of a connection whose work counts in a shared turn: a number, so that nothing holds its memory. */
export function nameOfWorker(): number {
  return ++named;
}

export interface RoundRobinTask {
  /** The line has reached this task, which has left the line and may join it again. Throws nothing. */
  goOn(): void;
}

export class RoundRobin implements SharedTurn {
  /** The time of handshakes, which comes after that of the connections in the line. */
  readonly handshakes: HandshakeTurns;
  readonly #takeTurns: Adapter["yieldToEventLoop"];
  readonly #time: () => number;
  readonly #line: RoundRobinTask[] = [];
  /** Milliseconds of all work until now. */
  workedMs = 0;
  /** The work that came before a poll of the event loop. */
  #polledMs = 0;
  /** The only connection that has worked since then. */
  #only = SEVERAL;
  /** `workedMs` at the end of the last work of handshakes, whose time begins anew with a poll that was asked for. */
  #handshakesMs = 0;
  #pollAsked = false;

  /** `time`: milliseconds of a clock that never goes back. */
  constructor(runtime: Pick<Adapter, "yieldToEventLoop" | "takeTurns">, time: () => number = now) {
    const { yieldToEventLoop, takeTurns = yieldToEventLoop } = runtime;
    this.#takeTurns = takeTurns;
    this.#time = time;
    this.handshakes = new HandshakeTurns(this, time);
  }

  get someWait(): boolean {
    return this.#line.length > 0;
  }

  /** The milliseconds that a turn may take which begins now. */
  get turnMs(): number {
    return Math.max(TURN_MS - this.#spentMs, LEAST_TURN_MS);
  }

  /** Milliseconds of work since the last poll, as far as it is known. */
  get #spentMs(): number {
    return this.workedMs - this.#polledMs;
  }

  /** Work of this connection, or of handshakes, took `ms` milliseconds. */
  spend(ms: number, worker = SEVERAL): void {
    if (this.#spentMs === 0) this.#only = worker;
    else if (worker !== this.#only) this.#only = SEVERAL;
    this.workedMs += ms;
    if (worker === SEVERAL) this.#handshakesMs = this.workedMs;
    if (this.#spentMs > (this.#only === SEVERAL ? UNPOLLED_MS : UNPOLLED_ALONE_MS)) this.askForPoll();
  }

  /** The event loop has polled its sockets since `workedMs` was this much. */
  pollSeen(workedMs: number): void {
    if (this.#handshakesMs <= this.#polledMs) this.#polledMs = Math.max(this.#polledMs, workedMs);
  }

  /** Joins at the end. The task makes sure that it is in the line only once. */
  join(task: RoundRobinTask): void {
    this.#line.push(task);
    this.askForPoll();
  }

  askForPoll(): void {
    if (this.#pollAsked) return;
    this.#pollAsked = true;
    this.#takeTurns(this.#polled);
  }

  readonly #polled = (): void => {
    this.#pollAsked = false;
    this.#polledMs = this.workedMs;
    if (this.#line.length > 0) {
      // Asked for before the work: in Deno a poll takes a timer of a millisecond, which runs meanwhile.
      this.askForPoll();
      this.#run();
    }
    this.handshakes.polled();
  };

  #run(): void {
    const line = this.#line;
    // A task that joins meanwhile has run already, and waits for the next poll of the event loop.
    const here = line.length;
    const until = this.#time() + TURN_MS;
    let next = 0;
    do line[next++]!.goOn();
    while (next < here && this.#time() < until);
    for (const task of line.splice(0).slice(next)) this.join(task);
  }
}
