// Opens an endpoint for calls that found none open. A call that waits starts a race (RFC 8305) over the known
// addresses, then over those that a new lookup finds, until one of them opens or none is left to try.

import { isSealwireError, SealwireError } from "../base/errors.ts";
import { now } from "../core/eventLoop.ts";
import { closedError } from "./clientErrors.ts";
import type { EndpointMember } from "./endpointMember.ts";
import type { EndpointRace } from "./endpointRace.ts";
import type { EndpointSet, EndpointsContext } from "./endpointSet.ts";
import { WaitingCalls } from "./waitingCalls.ts";

/** The most races in a row for one waiting call, because newly found addresses are tried, too. */
const MOST_RACES = 3;
/** How often the endpoint that opened for a call may be gone before the call uses it. */
const MOST_OPENINGS = 16;

export class EndpointOpening {
  readonly #canChange: boolean;
  readonly #endpoints: EndpointSet;
  readonly #waiting: WaitingCalls;
  #race: EndpointRace | undefined;
  /** Members that were in the races for the calls that wait now. */
  #tried = new Set<EndpointMember>();
  #racing = false;
  #closed = false;

  constructor({ limits, maxConnections, canChange }: EndpointsContext, endpoints: EndpointSet) {
    this.#canChange = canChange;
    this.#endpoints = endpoints;
    this.#waiting = new WaitingCalls(limits.maxInFlightRequests * maxConnections, limits.maxPendingBytes);
  }

  get waitingCalls(): number {
    return this.#waiting.size;
  }

  get waitingBytes(): number {
    return this.#waiting.bytes;
  }

  /** A connection opened. */
  opened(): void {
    this.#race?.stop();
    this.#waiting.resolveAny();
  }

  /** New members take part in the running race. */
  joined(): void {
    this.#race?.add(() => this.#untried());
  }

  /** Rejects all waiting calls. */
  close(): void {
    this.#closed = true;
    this.#race?.stop();
    this.#waiting.close();
  }

  /** An open member for a call, now or as soon as there is one. */
  async wait(
    key: string | undefined,
    bytes: number,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<EndpointMember> {
    const end = now() + timeoutMs;
    for (let i = 0; i < MOST_OPENINGS + this.#endpoints.size; i++) {
      if (this.#closed) throw closedError();
      const member = this.#endpoints.choose(key);
      if (member !== undefined) return member;
      const leftMs = timeoutMs === 0 ? 0 : Math.max(Math.ceil(end - now()), 1);
      const one = key === undefined ? undefined : this.#endpoints.byKey(key)?.connect();
      const opened = this.#waiting.wait(bytes, leftMs, signal, one);
      if (one === undefined) this.#startRaces();
      await opened;
    }
    throw new SealwireError("ERR_CONNECTION_LOST", "the endpoints close as soon as they are open", {
      notBegun: true,
    });
  }

  #startRaces(): void {
    if (this.#racing) return;
    this.#racing = true;
    this.#runRaces().then(
      (error) => {
        this.#racing = false;
        // Waiting calls resolve if an endpoint opened; otherwise they reject with the reason.
        if (error !== undefined) this.#waiting.rejectAny(error);
        else if (this.#endpoints.anyOpen) this.#waiting.resolveAny();
        else if (this.#waiting.waitForAny) this.#startRaces();
      },
      (error) => {
        this.#racing = false;
        this.#waiting.rejectAny(error);
      },
    );
  }

  /**
   * The members that were in none of the races, in the order in which they are dialled. From now on they count as
   * tried.
   */
  #untried(): EndpointMember[] {
    const order = this.#endpoints.order(this.#tried);
    for (const member of order) this.#tried.add(member);
    return order;
  }

  /** Resolves with undefined when an endpoint opened, otherwise with the reason of the failure. */
  async #runRaces(): Promise<unknown> {
    const { resolver } = this.#endpoints;
    this.#tried = new Set();
    let error: unknown;
    for (let races = 0; races < MOST_RACES && !this.#closed; ) {
      resolver.refreshIfStale();
      let order = this.#untried();
      // The first lookup runs now, or a new one if all known endpoints have failed, because the known ones may be out
      // of date.
      if (order.length === 0 && (this.#canChange || this.#tried.size === 0)) await resolver.refreshSoon();
      if (order.length === 0) order = this.#untried();
      while (order.length === 0 && (await resolver.foundMore())) order = this.#untried();
      if (order.length === 0 || this.#closed) break;
      this.#race = this.#endpoints.race(order);
      error = await this.#race.outcome;
      if (error === undefined) return undefined;
      // Endpoints that the running lookup finds join the same race.
      if (resolver.underWay === undefined) races++;
    }
    if (this.#closed) return closedError();
    return error ?? notFound(resolver.error);
  }
}

/** The error if nothing was found. The application's function may have thrown any value. */
function notFound(cause: unknown): SealwireError {
  if (isSealwireError(cause)) return cause;
  let why = "something that can't be told";
  try {
    why = cause instanceof Error ? cause.message : String(cause);
  } catch {
    // A revoked proxy, or an object whose methods throw.
  }
  return new SealwireError("ERR_DIAL_FAILED", `the endpoints could not be found: ${why}`, { cause });
}
