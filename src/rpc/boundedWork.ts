// Waits for functions of the application, which may ignore their signal or never settle, no longer than a bound.

import { type AbortWatcher, unwatchSignal, watchSignal } from "./abortWatchers.ts";
import { CallbackDeadline } from "./deadline.ts";
import { timers } from "./timers.ts";

/** The result of `work`, or the signal's reason if that comes first, even if `work` ignores the signal. */
export function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const watcher: AbortWatcher = { aborted: reject };
    if (signal.aborted || watchSignal(signal, watcher)) reject(signal.reason);
    work.then(resolve, reject).finally(() => unwatchSignal(signal, watcher));
  });
}

/** The same, or `late()` after this time. */
export async function withinTime<T>(
  work: Promise<T>,
  signal: AbortSignal,
  timeoutMs: number,
  late: () => Error,
): Promise<T> {
  let expire!: (error: Error) => void;
  const expired = new Promise<never>((_resolve, reject) => {
    expire = reject;
  });
  const deadline = new CallbackDeadline(() => expire(late()));
  timers.arm(deadline, timeoutMs);
  try {
    return await orAborted(Promise.race([work, expired]), signal);
  } finally {
    timers.cancel(deadline);
  }
}
