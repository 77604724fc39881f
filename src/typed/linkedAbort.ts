// Aborts what belongs to one call: its caller's signal does, and so does the failure of one of its streams.

import { type AbortWatcher, reasonOf, unwatchSignal, watchSignal } from "../rpc/abortWatchers.ts";
import { abortedError } from "../rpc/clientErrors.ts";

/** An AbortController that follows the caller's signal until either aborts or the call is over. */
export class LinkedAbort implements AbortWatcher {
  readonly #controller = new AbortController();
  #followed: AbortSignal | undefined;

  constructor(signal: AbortSignal | undefined) {
    this.#followed = signal;
    if (signal !== undefined && (signal.aborted || watchSignal(signal, this))) this.abort(reasonOf(signal));
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** AbortWatcher: the caller's signal. */
  aborted(reason: unknown): void {
    this.abort(reason);
  }

  abort(reason?: unknown): void {
    this.stopFollowing();
    this.#controller.abort(reason);
  }

  stopFollowing(): void {
    if (this.#followed !== undefined) unwatchSignal(this.#followed, this);
    this.#followed = undefined;
  }

  /**
   * The result of `work`, which is what is there already, or ERR_ABORTED as soon as it aborts; then the end of `work` is
   * ignored.
   */
  orEarlier<T>(work: Promise<T> | T): Promise<T> {
    const { signal } = this;
    const aborted = new Promise<never>((_, reject) => {
      const stop = (): void => reject(abortedError(signal));
      if (signal.aborted) stop();
      else signal.addEventListener("abort", stop);
    });
    return Promise.race([work, aborted]);
  }
}
