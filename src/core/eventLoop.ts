// The event loop's functions as they were when this file was loaded. A test library that replaces the global functions
// with fakes (Sinon, Jest, @std/testing) then fakes the time of the test, but not the time of this library, whose
// deadlines would never fire. Code that needs the time, a later turn or a context of its own imports it from this file.

import { runtimeName } from "./runtimeName.ts";

/** Milliseconds of the monotonic clock. */
export const now: () => number = performance.now.bind(performance);

/** What `startTimer` returns: an object in Node and Bun, a number in Deno. */
export type RuntimeTimer = unknown;

const { setTimeout: originalSetTimeout, clearTimeout: originalClearTimeout } = globalThis;
/** Undefined where there is none. */
export const originalSetImmediate = (globalThis as { setImmediate?: typeof setImmediate }).setImmediate;
const originalQueueMicrotask = globalThis.queueMicrotask;
const originalNextTick = globalThis.process?.nextTick?.bind(globalThis.process);

/**
 * Runs `callback` in the asynchronous context (AsyncLocalStorage) in which the library was loaded, which normally is
 * none. Otherwise a socket or timer that is made within a request of the application would keep that request's context
 * for its whole life, and every handler that it calls would run in that context.
 */
export const outOfContext: <T>(callback: () => T) => T = findOutOfContext();

/** The members of node:async_hooks that this package uses. */
interface AsyncHooks {
  readonly AsyncResource: new (type: string) => { runInAsyncScope<T>(callback: () => T): T };
}

function findOutOfContext(): <T>(callback: () => T) => T {
  try {
    // Not imported, as in core/runtimeAes.ts. AsyncResource is faster per call than a snapshot
    // (docs/PERFORMANCE-LOG.md).
    const hooks = globalThis.process?.getBuiltinModule?.("node:async_hooks") as AsyncHooks | undefined;
    if (hooks === undefined) return (callback) => callback();
    const outside = new hooks.AsyncResource("sealwire");
    return (callback) => outside.runInAsyncScope(callback);
  } catch {
    return (callback) => callback();
  }
}

/** A timer that keeps the process alive until it has fired or was stopped. It runs in no caller's context. */
export function startTimer(callback: () => void, ms: number): RuntimeTimer {
  return outOfContext(() => originalSetTimeout(callback, ms));
}

/** Deno's functions that decide whether a timer, which is a number there, keeps the process alive. */
interface DenoTimers {
  refTimer(timer: number): void;
  unrefTimer(timer: number): void;
}

/** Whether this timer keeps the process alive; a new one does. */
export function setTimerKeepsAlive(timer: RuntimeTimer, keepsAlive: boolean): void {
  if (typeof timer === "number") {
    const deno = (globalThis as { Deno?: DenoTimers }).Deno;
    if (keepsAlive) deno?.refTimer(timer);
    else deno?.unrefTimer(timer);
  } else {
    const { ref, unref } = timer as Partial<ReturnType<typeof setTimeout>>;
    (keepsAlive ? ref : unref)?.call(timer as ReturnType<typeof setTimeout>);
  }
}

export function stopTimer(timer: RuntimeTimer): void {
  originalClearTimeout(timer as ReturnType<typeof setTimeout>);
}

/** Runs `callback` once this call has returned to the event loop or an `await`. It runs in no caller's context. */
export function runSoon(callback: () => void): void {
  outOfContext(() => originalQueueMicrotask(callback));
}

/**
 * Runs `callback` at the end of the turn: in Node and Bun before the promise reactions that follow, in Deno among them.
 * It runs in no caller's context. Deno's own sockets come with a faster one (denoTurns.ts).
 */
export const runAtEndOfTurn: (callback: () => void) => void =
  runtimeName === "deno" || originalNextTick === undefined
    ? runSoon
    : (callback) => outOfContext(() => originalNextTick(callback));

/** How Deno is made to poll. Its own sockets come with a better way (denoPolls.ts). */
let pollInDeno: (callback: () => void) => unknown = (callback) =>
  startTimer(() => originalSetImmediate!(callback), 0);

/** From now on, `yieldToEventLoop` calls `poll` in Deno. */
export function usePollInDeno(poll: (callback: () => void) => void): void {
  pollInDeno = poll;
}

/**
 * Runs `callback` after the runtime has polled its sockets once: data that lay in the kernel was handed out, due
 * timers ran. Belongs to no caller's context.
 *
 * One `setImmediate` would do in a timer of Node, but not in a socket's event or a promise reaction, whose iteration
 * of the loop has polled before. Two are right everywhere in Node and Bun (8 and 2 µs). Deno's `setImmediate` does
 * not poll at all, and a timer of 0 ms, which takes 1–2 ms, in most cases. But a timer that is due together with the
 * events of sockets runs before them, and `setImmediate` runs behind them.
 */
export function yieldToEventLoop(callback: () => void): void {
  if (originalSetImmediate === undefined) startTimer(callback, 0);
  else if (runtimeName === "deno") pollInDeno(callback);
  else outOfContext(() => originalSetImmediate(() => originalSetImmediate(callback)));
}
