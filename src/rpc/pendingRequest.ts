// One request or call of this side, from the caller's promise to its answer.

import { SealwireError } from "../base/errors.ts";
import { type AbortWatcher, unwatchSignal, watchSignal } from "./abortWatchers.ts";
import { abortError, abortedError } from "./clientErrors.ts";
import type { WheelEntry } from "./deadline.ts";
import { timers } from "./timers.ts";

/** The table that has the request. */
export interface RequestOwner {
  /** The caller gave up on the request. */
  abandon(request: PendingRequest, error: SealwireError): void;
}

type Resolve = (body: Uint8Array) => void;
type Reject = (error: SealwireError) => void;

/** The resolve function of the last promise: one shared executor saves a closure per request. */
let lastResolve!: Resolve;
let lastReject!: Reject;
const keepSettlers = (resolve: Resolve, reject: Reject): void => {
  lastResolve = resolve;
  lastReject = reject;
};

/** The text of ERR_REQUEST_TIMEOUT. */
export function noAnswerWithin(timeoutMs: number): string {
  return `no answer within ${timeoutMs} ms`;
}

/**
 * One request in flight, which is its own deadline and abort listener. Settles exactly once.
 *
 * The constructor sets all fields, and `declare` keeps them from being defined before: V8 may run a list of fields with
 * values so slowly that a request costs twice as much (docs/PERFORMANCE-LOG.md, "Two builds in one process"). It extends
 * nothing, because an object of a class that does costs V8 twice as much ("Loops for requests and replies").
 */
export class PendingRequest implements WheelEntry, AbortWatcher {
  declare previous: WheelEntry | undefined;
  declare next: WheelEntry | undefined;
  declare list: number;
  declare tick: number;
  declare quiet: boolean;
  /** 0 until it is sent. */
  declare sequence: number;
  /** The era of its number (see `RequestTable`). */
  declare era: number;
  declare settled: boolean;
  /** Settles once. */
  declare readonly settling: Promise<Uint8Array>;
  declare readonly into: Uint8Array | undefined;
  declare readonly timeoutMs: number;
  readonly #table: RequestOwner;
  readonly #resolve: Resolve;
  readonly #reject: Reject;
  #signal: AbortSignal | undefined;

  constructor(table: RequestOwner, into: Uint8Array | undefined, timeoutMs: number) {
    this.previous = undefined;
    this.next = undefined;
    this.list = -1;
    this.tick = -1;
    this.quiet = false;
    this.sequence = 0;
    this.era = 0;
    this.settled = false;
    this.settling = new Promise(keepSettlers);
    this.#resolve = lastResolve;
    this.#reject = lastReject;
    this.#table = table;
    this.into = into;
    this.timeoutMs = timeoutMs;
  }

  /** AbortWatcher: the caller's signal. */
  aborted(cause: unknown): void {
    this.#table.abandon(this, abortError(cause));
  }

  /** From now on the signal can end it. An error if it does at once, and the request must not be sent. */
  watch(signal: AbortSignal): SealwireError | undefined {
    if (watchSignal(signal, this)) return abortedError(signal);
    this.#signal = signal;
    return undefined;
  }

  expire(): void {
    this.#table.abandon(this, new SealwireError("ERR_REQUEST_TIMEOUT", noAnswerWithin(this.timeoutMs)));
  }

  /** It waits for a reply, and its caller gets the body as it is. */
  get takesReply(): boolean {
    return !this.settled && this.into === undefined;
  }

  /** It has its number, and its record is being sent: chunks may follow. */
  started(): void {}

  resolve(body: Uint8Array): void {
    if (this.settled) return;
    this.leave();
    this.#resolve(body);
    this.ended(undefined);
  }

  reject(error: SealwireError): void {
    if (this.settled) return;
    this.leave();
    this.#reject(error);
    this.ended(error);
  }

  /** For subclasses: the request has settled. */
  protected ended(_error: SealwireError | undefined): void {}

  /** Neither its deadline nor its signal can end it any more. */
  private leave(): void {
    this.settled = true;
    timers.cancel(this);
    if (this.#signal !== undefined) {
      unwatchSignal(this.#signal, this);
      this.#signal = undefined;
    }
  }
}
