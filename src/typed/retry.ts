// Repeats calls: those that certainly began no method, and those of methods that may run twice.

import { type ErrorCode, isSealwireError } from "../base/errors.ts";
import { checkOptionNames, integerOption, MAX_MS } from "../base/options.ts";
import { now, startTimer, stopTimer } from "../core/eventLoop.ts";
import { unwatchSignal, watchSignal } from "../rpc/abortWatchers.ts";
import type { Interceptor, MadeCallInfo } from "./interceptor.ts";

/** Options of `retry`. */
export interface RetryOptions {
  /** The most attempts of a call, including the first. Default 3. */
  attempts?: number;
  /**
   * The pause before the first repetition is a random part of this time, in milliseconds; the limit doubles with each
   * repetition. Default 50.
   */
  pauseMs?: number;
  /** That limit does not double beyond this time, in milliseconds. Default 30,000, or `pauseMs` if that is longer. */
  maxPauseMs?: number;
  /**
   * The number of repetitions in store. Each repetition costs one, and each successful call gives a tenth back, up to
   * this number. With none left no call is repeated, so a server in trouble gets little more load than usual. Default
   * 10.
   */
  budget?: number;
}

/** The connection failed, and a method that had begun may have run. */
const lost: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "ERR_CONNECTION_LOST",
  "ERR_READ_TIMEOUT",
  "ERR_WRITE_TIMEOUT",
  "ERR_DIAL_FAILED",
  "ERR_DIAL_TIMEOUT",
  "ERR_HANDSHAKE_TIMEOUT",
]);
/** Errors that a repetition would not change: the caller caused them, its time is over, or they would come again. */
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
 * An interceptor for `typed`: `typed(client, { use: [retry()] })`. It repeats a call if it is certain that no method
 * began with it. It also repeats a call if the connection was lost and the method is `idempotent`, which its caller
 * knows from the first answer on. It never repeats a call with streams in its arguments, and never beyond the call's
 * `timeoutMs`.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT
 */
export function retry(options: RetryOptions = {}): Interceptor<MadeCallInfo> {
  checkOptionNames(options, ["attempts", "pauseMs", "maxPauseMs", "budget"]);
  const attempts = integerOption("attempts", options.attempts ?? 3, 1, 100);
  const pauseMs = integerOption("pauseMs", options.pauseMs ?? 50, 0, 60_000);
  const maxPauseMs = integerOption("maxPauseMs", options.maxPauseMs ?? Math.max(pauseMs, 30_000), 0, MAX_MS);
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
        const wait = Math.random() * Math.min(pauseMs * 2 ** (attempt - 1), maxPauseMs);
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

/** Ends early if the signal aborts; the next attempt then rejects. */
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
    if (signal !== undefined && watchSignal(signal, watcher)) watcher.aborted();
  });
}
