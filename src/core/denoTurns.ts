// The end of a turn in Deno, which comes often and costs a fifth of `runSoon` this way.

import { outOfContext } from "./eventLoop.ts";
import { reportThrown } from "./reportThrown.ts";

/**
 * Makes a function that runs its argument at the end of the turn, among the promise reactions that are due, in no caller's
 * context: a promise reaction runs in the context in which it was registered, and these are registered by one endless loop.
 */
export function endOfTurnByPromise(): (callback: () => void) => void {
  // The arrays keep their lengths, because shortening one costs its memory.
  let waiting: ((() => void) | undefined)[] = [];
  let running: ((() => void) | undefined)[] = [];
  /** So many wait. */
  let count = 0;
  let wake: (() => void) | undefined;
  const sleeping = (resolve: () => void): void => {
    wake = resolve;
  };
  outOfContext(async () => {
    for (;;) {
      // Even if more callbacks wait: promise reactions that are due come first.
      await (count === 0 ? new Promise<void>(sleeping) : undefined);
      const callbacks = waiting;
      const due = count;
      waiting = running;
      running = callbacks;
      count = 0;
      for (let i = 0; i < due; i++) {
        const callback = callbacks[i]!;
        callbacks[i] = undefined;
        // An error costs no other callback its turn.
        reportThrown(callback);
      }
    }
  });
  return (callback) => {
    waiting[count++] = callback;
    if (count > 1 || wake === undefined) return;
    const resolve = wake;
    wake = undefined;
    resolve();
  };
}
