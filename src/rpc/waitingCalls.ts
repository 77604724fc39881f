// Calls of a client none of whose endpoints is open. They belong to the client: the endpoint that opens first takes
// them. No byte of a call is sent while it waits.

import { isSealwireError, SealwireError } from "../base/errors.ts";
import { channels } from "../core/diagnostics.ts";
import { type AbortWatcher, reasonOf, unwatchSignal, watchSignal } from "./abortWatchers.ts";
import { abortError, closedError } from "./clientErrors.ts";
import { Deadline } from "./deadline.ts";
import { timers } from "./timers.ts";

class WaitingCall extends Deadline implements AbortWatcher {
  readonly promise: Promise<unknown>;
  readonly bytes: number;
  /** The call waits for one endpoint, not for any. */
  readonly waitsForOne: boolean;
  readonly #timeoutMs: number;
  readonly #signal: AbortSignal | undefined;
  readonly #calls: Set<WaitingCall>;
  readonly #onEnd: () => void;
  readonly #make: (() => unknown) | undefined;
  #resolve!: (result: unknown) => void;
  #reject!: (error: unknown) => void;

  constructor(
    calls: Set<WaitingCall>,
    onEnd: () => void,
    bytes: number,
    timeoutMs: number,
    signal: AbortSignal | undefined,
    waitsForOne: boolean,
    make: (() => unknown) | undefined,
  ) {
    super();
    this.bytes = bytes;
    this.waitsForOne = waitsForOne;
    this.#calls = calls;
    this.#onEnd = onEnd;
    this.#make = make;
    this.#timeoutMs = timeoutMs;
    this.#signal = signal;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // First, because a signal that is not the runtime's may throw.
    const hasAborted = signal !== undefined && watchSignal(signal, this);
    calls.add(this);
    if (hasAborted) this.aborted(reasonOf(signal));
    else if (timeoutMs > 0) timers.arm(this, timeoutMs);
  }

  override expire(): void {
    this.end(new SealwireError("ERR_REQUEST_TIMEOUT", `no answer within ${this.#timeoutMs} ms`));
  }

  aborted(cause: unknown): void {
    this.end(abortError(cause));
  }

  /** `error` is undefined if an endpoint is open. */
  end(error: unknown): void {
    if (!this.#calls.delete(this)) return;
    this.#onEnd();
    timers.cancel(this);
    if (this.#signal !== undefined) unwatchSignal(this.#signal, this);
    if (error === undefined) this.#resolve(this.#make?.());
    else this.#reject(notBegun(error));
  }
}

export class WaitingCalls {
  readonly #maxCalls: number;
  readonly #maxBytes: number;
  readonly #calls = new Set<WaitingCall>();
  #bytes = 0;
  #closed = false;

  constructor(maxCalls: number, maxBytes: number) {
    this.#maxCalls = maxCalls;
    this.#maxBytes = maxBytes;
  }

  get size(): number {
    return this.#calls.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Resolves when an endpoint is open.
   *
   * @param timeoutMs 0: no limit
   * @param wake ends the wait in place of any endpoint that opens
   * @throws the error of a signal that is not the runtime's. Rejects: ERR_TOO_MANY_REQUESTS, ERR_BACKPRESSURE,
   *   ERR_REQUEST_TIMEOUT, ERR_ABORTED, ERR_CLOSED, and the error that `rejectAll` gets
   */
  wait(
    bytes: number,
    timeoutMs: number,
    signal: AbortSignal | undefined,
    wake?: Promise<unknown>,
  ): Promise<void> {
    return this.#wait(bytes, timeoutMs, signal, wake, undefined) as Promise<void>;
  }

  /**
   * The same for a call that `make` makes within the turn in which its wait ends. The promise takes the outcome.
   *
   * @param make does not throw
   */
  make<T>(
    bytes: number,
    timeoutMs: number,
    signal: AbortSignal | undefined,
    make: () => Promise<T>,
  ): Promise<T> {
    return this.#wait(bytes, timeoutMs, signal, undefined, make) as Promise<T>;
  }

  #wait(
    bytes: number,
    timeoutMs: number,
    signal: AbortSignal | undefined,
    wake: Promise<unknown> | undefined,
    make: (() => unknown) | undefined,
  ): Promise<unknown> {
    if (this.#calls.size >= this.#maxCalls) {
      const text = `${this.#calls.size} calls wait for a connection`;
      return refused(new SealwireError("ERR_TOO_MANY_REQUESTS", text));
    }
    const waiting = this.#bytes;
    if (waiting > 0 && waiting + bytes > this.#maxBytes) {
      const text = `${waiting} bytes wait for a connection`;
      return refused(new SealwireError("ERR_BACKPRESSURE", text));
    }
    const onEnd = (): void => {
      this.#bytes -= bytes;
    };
    const call = new WaitingCall(this.#calls, onEnd, bytes, timeoutMs, signal, wake !== undefined, make);
    this.#bytes += bytes;
    wake?.then(() => call.end(undefined));
    // The signal may have run code that closed the client.
    if (this.#closed) call.end(closedError());
    return call.promise;
  }

  /** Calls that wait for any endpoint. */
  get waitForAny(): boolean {
    for (const call of this.#calls) if (!call.waitsForOne) return true;
    return false;
  }

  /** An endpoint is open: all calls that wait for any endpoint continue. */
  resolveAny(): void {
    for (const call of [...this.#calls]) if (!call.waitsForOne) call.end(undefined);
  }

  /** Calls continue, the oldest first, as long as `takes` takes their bytes. */
  resolveWhile(takes: (bytes: number) => boolean): void {
    for (const call of this.#calls) {
      if (!takes(call.bytes)) return;
      call.end(undefined);
    }
  }

  /** No endpoint could be opened. */
  rejectAny(error: unknown): void {
    for (const call of [...this.#calls]) if (!call.waitsForOne) call.end(error);
  }

  rejectAll(error: unknown): void {
    for (const call of [...this.#calls]) call.end(error);
  }

  /** The client is closed: no call waits any more. */
  close(): void {
    this.#closed = true;
    this.rejectAll(closedError());
  }
}

/** A call that has no place among those that wait. */
export function refused(error: SealwireError): Promise<never> {
  const { queueFull } = channels;
  if (queueFull.hasSubscribers) queueFull.publish({ connection: undefined, code: error.code });
  return Promise.reject(notBegun(error));
}

/** A waiting call has never been sent. */
function notBegun(error: unknown): unknown {
  if (!isSealwireError(error) || error.notBegun) return error;
  return new SealwireError(error.code, error.message, { cause: error.cause, notBegun: true });
}
