// Gives handshakes their time. A peer in a handshake has proven nothing, and anybody can send its first message, which
// costs this side hundreds of microseconds. So all handshakes have a short time together between two polls of the event
// loop (roundRobin.ts). A handshake begins at once while some of this time is left. Otherwise it waits in a line, as it
// does behind proven connections whose turn is over. The line goes on after the next poll, behind those connections. The
// reads of that poll have been handled by then, so many first messages in one poll do not delay a proven peer's bytes.

import { now } from "../core/eventLoop.ts";
import { Fifo } from "./fifo.ts";

/** Something that handshakes wait for in line. */
export interface HandshakeTask {
  /**
   * The line has reached this task, which has left the line: it does one step, and joins again if more is to be done.
   * Throws nothing.
   */
  goOn(): void;
}

/** The time that all connections have together between two polls of the event loop. */
export interface SharedTurn {
  /** Proven connections wait for their next turn. */
  readonly someWait: boolean;
  /** Work took `ms` milliseconds. */
  spend(ms: number): void;
  /** Calls `polled` after the next poll of the event loop. */
  askForPoll(): void;
}

/**
 * The milliseconds of handshakes between two polls; one more may begin within them. With a full turn of handlers, a
 * proven peer waits for 3.5 ms and one handshake, and handshakes have four sevenths of the processor.
 */
export const HANDSHAKES_MS = 2;

export class HandshakeTurns {
  readonly #turn: SharedTurn;
  readonly #time: () => number;
  readonly #line = new Fifo<HandshakeTask>();
  /** Milliseconds of handshakes since the last poll. */
  #spentMs = 0;
  #runs = false;

  /** `time`: milliseconds of a clock that never goes back. */
  constructor(turn: SharedTurn, time: () => number = now) {
    this.#turn = turn;
    this.#time = time;
  }

  /** A step may be done at once, before the next poll. */
  get isFree(): boolean {
    return this.#line.isEmpty && this.#spentMs < HANDSHAKES_MS && !this.#turn.someWait;
  }

  /** A step is being done; what it causes belongs to it. */
  get runs(): boolean {
    return this.#runs;
  }

  /** Does a step and counts its time. */
  run(step: () => void): void {
    if (this.#runs) {
      step();
      return;
    }
    const began = this.#time();
    this.#runs = true;
    try {
      step();
    } finally {
      this.#runs = false;
      const ms = this.#time() - began;
      this.#spentMs += ms;
      this.#turn.spend(ms);
    }
  }

  /** Joins at the end. The task makes sure that it is in the line only once. */
  join(task: HandshakeTask): void {
    this.#line.push(task);
    this.#turn.askForPoll();
  }

  /** The event loop has polled, and the proven connections have had their turn: at least one task goes on. */
  polled(): void {
    this.#spentMs = 0;
    if (this.#line.isEmpty) return;
    // Asked for before the work, as in roundRobin.ts.
    this.#turn.askForPoll();
    do {
      const task = this.#line.shift()!;
      this.run(() => task.goOn());
    } while (!this.#line.isEmpty && this.#spentMs < HANDSHAKES_MS);
  }
}
