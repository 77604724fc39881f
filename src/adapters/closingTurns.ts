// Keeps the end of many sockets from keeping the event loop. The loops of Node and Deno hand out everything that a poll of
// the kernel brought, so thousands of ends at the same time close thousands of sockets in a row. To close one takes 10 to
// 30 µs, most of it in the kernel.

import { yieldToEventLoop } from "../core/eventLoop.ts";

/**
 * The most sockets that are closed without a poll of the event loop in between. They take about as long as a turn of
 * handshakes (rpc/handshakeTurns.ts).
 */
export const CLOSED_PER_POLL = 64;

const waiting: (() => void)[] = [];
/** Since the last poll that was asked for. */
let closed = 0;

/**
 * Calls `close` at once, or after the next poll if many were closed. If it throws, `failed` gets the error: nobody else
 * would see that of a later call, and the other sockets of its turn must be closed as well.
 */
export function closeInTurn(close: () => void, failed: (error: unknown) => void): void {
  const closing = (): void => {
    try {
      close();
    } catch (error) {
      failed(error);
    }
  };
  if (closed++ < CLOSED_PER_POLL) closing();
  else if (waiting.push(closing) === 1) yieldToEventLoop(polled);
}

function polled(): void {
  const turn = waiting.splice(0, CLOSED_PER_POLL);
  closed = turn.length;
  if (waiting.length > 0) yieldToEventLoop(polled);
  for (const closing of turn) closing();
}
