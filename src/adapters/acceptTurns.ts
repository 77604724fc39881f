// Keeps a loop of accepts from keeping the event loop, in a runtime whose program accepts each socket itself (Deno).
//
// While sockets wait in the kernel, `accept` succeeds at once, and the loop goes on without a poll. Whoever opens sockets
// fast enough would keep every connection and every timer waiting. (In Node, libuv accepts one socket per poll.)

import { yieldToEventLoop } from "../core/eventLoop.ts";

/**
 * The most sockets in a row without a poll of the event loop. In Deno one costs 0.1 to 0.2 ms until it is closed again,
 * so these take about as long as a turn of handshakes (rpc/handshakeTurns.ts), and a poll takes 1 to 2 ms more.
 */
export const ACCEPTS_PER_POLL = 16;

export class AcceptTurns {
  readonly #yieldToEventLoop: (callback: () => void) => void;
  #accepted = 0;

  constructor(yieldTo: (callback: () => void) => void = yieldToEventLoop) {
    this.#yieldToEventLoop = yieldTo;
  }

  /** A socket was accepted. The next one may be when the promise resolves; undefined: at once. */
  accepted(): Promise<void> | undefined {
    if (++this.#accepted < ACCEPTS_PER_POLL) return undefined;
    this.#accepted = 0;
    return new Promise((resolve) => this.#yieldToEventLoop(resolve));
  }
}
