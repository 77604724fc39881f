// Resolves endpoints to addresses, and decides when they are looked up again: for a call that comes 30 s after the last
// answer, and after failures, but never more often than the floor allows. Nothing is looked up while nobody calls.
//
//   fresh ──30 s, or a failure and the floor──▶ stale ──a call──▶ looking up ──▶ fresh
//                                                                    └──failed──▶ stale after a pause that grows
//
// A lookup that takes long reports the addresses that it has found so far. Old addresses stay in use until the lookup is
// over, and when it fails.

import { SealwireError } from "../base/errors.ts";
import { orAborted } from "./boundedWork.ts";
import type { Found } from "./endpointLookup.ts";
import type { EndpointNews } from "./endpointNews.ts";
import type { Target } from "./endpointTargets.ts";
import { CallbackDeadline, timers } from "./timers.ts";

const FRESH_MS = 30_000;
/** Between two lookups at least, plus as much again by chance. */
const FLOOR_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;

export interface ResolverEvents {
  /**
   * What was found, never nothing; not `isAll`: names are missing, and those that are not among the targets stay. Where
   * this throws, the lookup has failed with that.
   */
  onTargets(targets: readonly Target[], isAll: boolean): void;
  /** A lookup, or a part of it, failed. */
  onLookupFailed(): void;
}

/** `tell` takes what is found while more is missing, as often as that grows, until the signal aborts. */
export type FindTargets = (signal: AbortSignal, tell: (targets: readonly Target[]) => void) => Promise<Found>;

export class EndpointResolver {
  readonly #find: FindTargets;
  readonly #timeoutMs: number;
  readonly #news: EndpointNews;
  readonly #events: ResolverEvents;
  readonly #random: () => number;
  #underWay: Promise<void> | undefined;
  /** Told once when the lookup that is under way has found more, or is over. */
  #waitForMore: (() => void)[] = [];
  #abort: AbortController | undefined;
  #closed = false;
  #staleAt = Number.NEGATIVE_INFINITY;
  #notBefore = Number.NEGATIVE_INFINITY;
  #failuresInARow = 0;
  #endPause: (() => void) | undefined;
  readonly #pauseOver = new CallbackDeadline(() => this.#endPause?.());
  /** Why the last lookup, or a part of it, failed; undefined when none did. */
  error: unknown;
  /** Lookups since the client was made. */
  lookups = 0;

  /** @param timeoutMs for one lookup in all */
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

  /** A lookup is under way: settles, without an error, when it is over. */
  get underWay(): Promise<void> | undefined {
    return this.#underWay;
  }

  /** Settles, without an error, when the lookup that is under way has found more or is over; false at once without one. */
  async foundMore(): Promise<boolean> {
    if (this.#underWay === undefined) return false;
    await new Promise<void>((resolve) => this.#waitForMore.push(resolve));
    return true;
  }

  /** What was found may be old, or nothing was found yet. */
  get isStale(): boolean {
    return performance.now() >= this.#staleAt;
  }

  /** Somebody calls: looks up again if that is due. */
  refreshIfStale(): void {
    const now = performance.now();
    if (this.#closed || this.#underWay !== undefined) return;
    if (now < this.#staleAt || now < this.#notBefore) return;
    // Not in this turn, which may be a call's: functions of the application are asked, which may call in their turn.
    this.#underWay = Promise.resolve()
      .then(() => this.#lookUp())
      .finally(() => {
        this.#underWay = undefined;
        this.#tellMore();
      });
  }

  /**
   * Everything that was found failed: looks up again as soon as the floor allows it, if that is soon. Settles, without
   * an error, when that has found something or is over, or at once.
   */
  async refreshSoon(): Promise<void> {
    const waitMs = this.#notBefore - performance.now();
    if (this.#closed || performance.now() < this.#staleAt || waitMs > 2 * FLOOR_MS) return;
    if (waitMs > 0) {
      await new Promise<void>((resolve) => {
        this.#endPause = resolve;
        timers.arm(this.#pauseOver, waitMs);
      });
    }
    this.refreshIfStale();
    await this.foundMore();
  }

  /** A server failed or goes: what was found may be old. */
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
    // Closed in the turn of the call that asked for it: there was nothing yet that `close` could abort.
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
        this.#staleAt = performance.now() + FRESH_MS;
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
    this.#notBefore = performance.now() + ms + this.#random() * ms;
  }
}
