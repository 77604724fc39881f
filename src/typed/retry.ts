// Repeats calls: those that certainly began no method, and those of methods that may run twice.

import { type ErrorCode, isSealwireError } from "../base/errors.ts";
import { checkOptionNames, integerOption } from "../base/options.ts";
import { now, startTimer, stopTimer } from "../core/eventLoop.ts";
import { unwatchSignal, watchSignal } from "../rpc/abortWatchers.ts";
import type { Interceptor, MadeCallInfo } from "./interceptor.ts";

/** Options of `retry`. */
export interface RetryOptions {
  /** How often a call is made at most, the first time included. Default 3. */
  attempts?: number;
  /** Pause before the first repetition, in milliseconds: a random part of it, and of twice as much each time. Default 50. */
  pauseMs?: number;
  /**
   * Repetitions that there may be at once beyond those that calls have earned: each costs one, and each call that succeeds
   * gives a tenth back. With none left nothing is repeated, so that a server in trouble gets little more than usual.
   * Default 10.
   */
  budget?: number;
}

/** The connection failed; a method that was begun may have run. */
const lost: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "ERR_CONNECTION_LOST",
  "ERR_READ_TIMEOUT",
  "ERR_WRITE_TIMEOUT",
  "ERR_DIAL_FAILED",
  "ERR_DIAL_TIMEOUT",
  "ERR_HANDSHAKE_TIMEOUT",
]);
/** Not worth another try, begun or not: the caller's doing, its time is over, or it will be the same again. */
const final: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "ERR_ABORTED",
  "ERR_CLOSED",
  "ERR_REQUEST_TIMEOUT",
  "ERR_INVALID_ARGUMENT",
  "ERR_MESSAGE_TOO_LARGE",
  "ERR_UNSUPPORTED",
  "ERR_HANDSHAKE",
  "ERR_UNAUTHORIZED",
]);
const EARNED = 0.1;

/**
 * An interceptor for `typed`: `typed(client, { use: [retry()] })`. It makes a call again if it is certain that no method
 * began with it, or if the connection was lost and the method says that it is `idempotent` (which its caller knows from
 * its first answer on). Never a call with streams in its arguments, never beyond the call's `timeoutMs`.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT
 */
export function retry(options: RetryOptions = {}): Interceptor<MadeCallInfo> {
  checkOptionNames(options, ["attempts", "pauseMs", "budget"]);
  const attempts = integerOption("attempts", options.attempts ?? 3, 1, 100);
  const pauseMs = integerOption("pauseMs", options.pauseMs ?? 50, 0, 60_000);
  const budget = integerOption("budget", options.budget ?? 10, 0, 1_000_000);
  let left = budget;
  return async (call, next) => {
    const { timeoutMs } = call.options;
    const endsAt = timeoutMs ? now() + timeoutMs : Number.POSITIVE_INFINITY;
    for (let attempt = 1; ; attempt++) {
      try {
        const result = await next();
        left = Math.min(budget, left + EARNED);
        return result;
      } catch (error) {
        if (attempt === attempts || left < 1 || !mayRepeat(call, error)) throw error;
        left--;
        const wait = Math.random() * pauseMs * 2 ** (attempt - 1);
        if (now() + wait >= endsAt) throw error;
        await pause(wait, call.options.signal);
        if (timeoutMs) call.options = { ...call.options, timeoutMs: Math.max(Math.ceil(endsAt - now()), 1) };
      }
    }
  };
}

function mayRepeat(call: MadeCallInfo, error: unknown): boolean {
  if (call.hasStreams || !isSealwireError(error) || final.has(error.code)) return false;
  return error.notBegun || (call.isIdempotent && lost.has(error.code));
}

/** Ends early when the signal aborts: the next attempt then says so. */
function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const watcher = {
      aborted: (): void => {
        stopTimer(timer);
        resolve();
      },
    };
    const timer = startTimer(() => {
      if (signal !== undefined) unwatchSignal(signal, watcher);
      resolve();
    }, ms);
    if (signal !== undefined) watchSignal(signal, watcher);
  });
}
