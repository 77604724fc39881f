// Resolves endpoints to addresses, and decides when they are looked up again: for a call that comes 30 s after the last
// answer, and after failures, but never more often than the floor allows. Nothing is looked up while nobody calls.
//
//   fresh ──30 s, or a failure and the floor──▶ stale ──a call──▶ looking up ──▶ fresh
//                                                                    └──failed──▶ stale after a pause that grows
//
// A lookup that takes long reports the addresses that it has found so far. Old addresses stay in use until the lookup is
// over, and when it fails.

import { SealwireError } from "../base/errors.ts";
import { now } from "../core/eventLoop.ts";
import { orAborted } from "./boundedWork.ts";
import { CallbackDeadline } from "./deadline.ts";
import type { Found } from "./endpointLookup.ts";
import type { EndpointNews } from "./endpointNews.ts";
import type { Target } from "./endpointTargets.ts";
import { timers } from "./timers.ts";

const FRESH_MS = 30_000;
/** The least time between two lookups; a random part of the same length is added. */
const FLOOR_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;

export interface ResolverEvents {
  /**
   * Reports found targets, never an empty list. Without `isAll` names are missing, and members that are not among the
   * targets stay. If this throws, the lookup fails with that error.
   */
  onTargets(targets: readonly Target[], isAll: boolean): void;
  /** A lookup, or a part of it, failed. */
  onLookupFailed(): void;
}

/** `tell` gets the found targets while names are missing, each time more are found, until the signal aborts. */
export type FindTargets = (signal: AbortSignal, tell: (targets: readonly Target[]) => void) => Promise<Found>;

export class EndpointResolver {
  readonly #find: FindTargets;
  readonly #timeoutMs: number;
  readonly #news: EndpointNews;
  readonly #events: ResolverEvents;
  readonly #random: () => number;
  #underWay: Promise<void> | undefined;
  /** Called once when the running lookup has found more, or is over. */
  #waitForMore: (() => void)[] = [];
  #abort: AbortController | undefined;
  #closed = false;
  #staleAt = Number.NEGATIVE_INFINITY;
  #notBefore = Number.NEGATIVE_INFINITY;
  #failuresInARow = 0;
  #endPause: (() => void) | undefined;
  readonly #pauseOver = new CallbackDeadline(() => this.#endPause?.());
  /** Why the last lookup, or a part of it, failed; undefined if it did not fail. */
  error: unknown;
  /** Lookups since the client was made. */
  lookups = 0;

  /** @param timeoutMs the time limit of one whole lookup */
  constructor(
    find: FindTargets,
    timeoutMs: number,
    news: EndpointNews,
    events: ResolverEvents,
    random: () => number = Math.random,
  ) {
    this.#find = find;
    this.#timeoutMs = timeoutMs;
    this.#news = news;
    this.#events = events;
    this.#random = random;
  }

  /** The running lookup: settles without an error when it is over. */
  get underWay(): Promise<void> | undefined {
    return this.#underWay;
  }

  /** Settles without an error when the running lookup has found more or is over; with false at once if none runs. */
  async foundMore(): Promise<boolean> {
    if (this.#underWay === undefined) return false;
    await new Promise<void>((resolve) => this.#waitForMore.push(resolve));
    return true;
  }

  /** The results may be out of date, or there are none yet. */
  get isStale(): boolean {
    return now() >= this.#staleAt;
  }

  /** A call was made: looks up again if a lookup is due. */
  refreshIfStale(): void {
    const time = now();
    if (this.#closed || this.#underWay !== undefined) return;
    if (time < this.#staleAt || time < this.#notBefore) return;
    // Deferred to a later turn, because this turn may be that of a call. A lookup calls the application, which may make
    // calls itself.
    this.#underWay = Promise.resolve()
      .then(() => this.#lookUp())
      .finally(() => {
        this.#underWay = undefined;
        this.#tellMore();
      });
  }

  /**
   * Everything that was found failed: looks up again as soon as the floor allows, if that is soon. Settles without an
   * error when that lookup has found something or is over; otherwise at once.
   */
  async refreshSoon(): Promise<void> {
    const waitMs = this.#notBefore - now();
    if (this.#closed || now() < this.#staleAt || waitMs > 2 * FLOOR_MS) return;
    if (waitMs > 0) {
      await new Promise<void>((resolve) => {
        this.#endPause = resolve;
        timers.arm(this.#pauseOver, waitMs);
      });
    }
    this.refreshIfStale();
    await this.foundMore();
  }

  /** A server failed or drains: the results may be out of date. */
  invalidate(): void {
    this.#staleAt = Number.NEGATIVE_INFINITY;
  }

  /** Whether the pause before a lookup keeps the process alive. */
  keepAlive(on: boolean): void {
    timers.setQuiet(this.#pauseOver, !on);
  }

  close(): void {
    this.#closed = true;
    timers.cancel(this.#pauseOver);
    this.#endPause?.();
    this.#abort?.abort(new SealwireError("ERR_CLOSED", "the client is closed"));
  }

  async #lookUp(): Promise<void> {
    // The client was closed in the turn of the call that caused this lookup, when `close` had nothing to abort yet.
    if (this.#closed) return;
    const abort = new AbortController();
    this.#abort = abort;
    this.lookups++;
    const text = `the endpoints were not found within ${this.#timeoutMs} ms`;
    const deadline = new CallbackDeadline(() => abort.abort(new SealwireError("ERR_DIAL_TIMEOUT", text)));
    timers.arm(deadline, this.#timeoutMs);
    try {
      const found = this.#find(abort.signal, (some) => {
        this.#events.onTargets(some, false);
        this.#tellMore();
      });
      const { targets, error } = await orAborted(found, abort.signal);
      if (this.#closed) return;
      if (targets.length > 0) this.#events.onTargets(targets, true);
      if (error === undefined) {
        this.error = undefined;
        this.#failuresInARow = 0;
        this.#staleAt = now() + FRESH_MS;
        this.#pause(FLOOR_MS);
      } else this.#failed(error);
    } catch (error) {
      this.#failed(error);
    } finally {
      timers.cancel(deadline);
      timers.rest();
    }
  }

  #tellMore(): void {
    const all = this.#waitForMore;
    this.#waitForMore = [];
    for (const resolve of all) resolve();
  }

  #failed(error: unknown): void {
    this.error = error;
    this.#pause(Math.min(FLOOR_MS * 2 ** this.#failuresInARow++, LONGEST_PAUSE_MS / 2));
    if (this.#closed) return;
    this.#news.lookupFailed(error);
    this.#events.onLookupFailed();
  }

  #pause(ms: number): void {
    this.#notBefore = now() + ms + this.#random() * ms;
  }
}
