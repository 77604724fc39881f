// One address of a client with several: its connections, and whether calls should go there.
//
//   idle ──picked──▶ connecting ──▶ open ──the server drains──▶ idle
//                        └──failed──▶ failing ◀──the last connection was lost── open
//                                      └──the pause is over: a probe──▶ connecting
//
// Pauses grow with every failure in a row. An open connection does not end the row by itself, because a server that
// drops everybody after the handshake opens every connection first.

import { SealwireError } from "../base/errors.ts";
import { now } from "../core/eventLoop.ts";
import { RpcClient } from "./client.ts";
import type { ClientContext } from "./connectionPool.ts";
import type { EndpointNews } from "./endpointNews.ts";
import type { EndpointState, EndpointStats } from "./endpointStats.ts";
import type { Target } from "./endpointTargets.ts";
import type { Connection, ConnectionStateListener } from "./peer.ts";
import { USEFUL_LIFE_MS } from "./redial.ts";

export interface MemberEvents {
  /** A connection opened. */
  onOpen(member: EndpointMember): void;
  /** Its state has changed. */
  onChange(member: EndpointMember): void;
  /** It failed, or its server drains: other servers may have started elsewhere. */
  onFailure(member: EndpointMember): void;
}

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 60_000;
/** After this many doublings, 500 ms exceed the longest pause. */
const MOST_DOUBLINGS = 7;
/** A byte that waits counts as this part of a request in flight. */
const LOAD_PER_BYTE = 1 / 2_048;
/** The load of an endpoint that has no credit for another call, or has just refused one. */
const FULL_LOAD = 1_024;
/** How long a refusal counts. */
const REFUSAL_MS = 1_000;

export class EndpointMember {
  /** Its priority and weight may change. */
  target: Target;
  readonly client: RpcClient;
  readonly #news: EndpointNews;
  readonly #events: MemberEvents;
  readonly #random: () => number;
  #attempt: Promise<SealwireError | undefined> | undefined;
  #failures = 0;
  #notBefore = Number.NEGATIVE_INFINITY;
  #lastError: SealwireError | undefined;
  /** The time at which each open connection opened, by the monotonic clock. */
  readonly #openedAt = new Map<Connection, number>();
  #isClosed = false;
  /** 0: the member has refused no call lately. */
  #refusedUntil = 0;

  /** @param context the client's context; its `onConnectionState` is called for this member's connections, too */
  constructor(
    target: Target,
    context: ClientContext,
    events: MemberEvents,
    news: EndpointNews,
    random: () => number = Math.random,
  ) {
    this.target = target;
    this.#events = events;
    this.#news = news;
    this.#random = random;
    const tell = context.onConnectionState;
    const onConnectionState: ConnectionStateListener = (connection, state, error) => {
      this.#note(connection, state, error);
      return tell?.(connection, state, error);
    };
    this.client = new RpcClient({ ...context, onConnectionState });
  }

  get state(): EndpointState {
    if (this.client.hasOpenConnection) return "open";
    if (this.#attempt !== undefined) return "connecting";
    return this.#failures > 0 ? "failing" : "idle";
  }

  /** Calls may go to the member, or it may be dialled for them. False while it is probed after a failure. */
  get isInChoice(): boolean {
    return !this.#isClosed && (this.state === "open" || this.#failures === 0);
  }

  /** The earliest time of a probe, by the monotonic clock. */
  get notBefore(): number {
    return this.#notBefore;
  }

  get weight(): number {
    return this.target.weight;
  }

  /** The number of requests that wait for answers, plus other load in the same unit. */
  get load(): number {
    const { inFlightRequests, pendingBytes } = this.client;
    const held = inFlightRequests + pendingBytes * LOAD_PER_BYTE;
    return this.client.lacksCredit || this.#hasRefused ? held + FULL_LOAD : held;
  }

  get #hasRefused(): boolean {
    if (this.#refusedUntil === 0) return false;
    if (now() < this.#refusedUntil) return true;
    this.#refusedUntil = 0;
    return false;
  }

  /**
   * The member refused a call, so others are preferred for a while. A refusing server looks free and would otherwise
   * get more and more calls.
   */
  noteRefusal(): void {
    this.#refusedUntil = now() + REFUSAL_MS;
  }

  get stats(): EndpointStats {
    const { address, endpoint, priority, weight } = this.target;
    const { connections, inFlightRequests, pendingBytes } = this.client.stats;
    const { state } = this;
    const probeInMs = state === "failing" ? Math.max(0, Math.ceil(this.#notBefore - now())) : 0;
    return {
      name: endpoint.name,
      address: address.path ?? address.host,
      port: address.port ?? 0,
      priority,
      weight,
      state,
      connections,
      inFlightRequests,
      pendingBytes,
      failures: this.#failures,
      probeInMs,
      lastError: this.#lastError,
    };
  }

  /** Dials unless a connection is open. Resolves with the error when that fails. */
  connect(): Promise<SealwireError | undefined> {
    this.#attempt ??= this.#connect(this.state === "failing");
    return this.#attempt;
  }

  async #connect(isProbe: boolean): Promise<SealwireError | undefined> {
    let failure: SealwireError | undefined;
    try {
      await this.client.connected();
    } catch (error) {
      failure = error as SealwireError;
      // The member's own client was closed, not the client of the application.
      if (this.#isClosed) failure = new SealwireError("ERR_DIAL_FAILED", "it is no endpoint any more");
    }
    this.#attempt = undefined;
    if (failure !== undefined) this.#failed(failure);
    if (isProbe && !this.#isClosed) this.#news.probed(this, failure);
    return failure;
  }

  close(): Promise<void> {
    this.#isClosed = true;
    return this.client.close();
  }

  #note(connection: Connection, state: "open" | "draining" | "closed", error: SealwireError | undefined) {
    if (this.#isClosed) return;
    if (state === "open") {
      this.#openedAt.set(connection, now());
      this.#events.onOpen(this);
      return;
    }
    const openedAt = this.#openedAt.get(connection);
    this.#openedAt.delete(connection);
    if (openedAt !== undefined) this.#judge(connection, openedAt);
    // The failed dial reports to its attempt.
    if (error !== undefined && this.#attempt === undefined && !this.client.hasOpenConnection)
      this.#failed(error);
    else this.#events.onChange(this);
    if (openedAt !== undefined && !this.client.hasOpenConnection) this.#events.onFailure(this);
  }

  /** A connection takes no more calls: decides whether it was useful. */
  #judge(connection: Connection, openedAt: number): void {
    const { answered } = connection as { answered?: boolean };
    if (answered || now() - openedAt >= USEFUL_LIFE_MS) this.#failures = 0;
  }

  #failed(error: SealwireError): void {
    if (this.#isClosed) return;
    this.#lastError = error;
    const longestMs = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures, LONGEST_PAUSE_MS);
    this.#failures = Math.min(this.#failures + 1, MOST_DOUBLINGS);
    const pauseMs = longestMs * (0.5 + this.#random() / 2);
    this.#notBefore = now() + pauseMs;
    this.#news.failed(this, error, pauseMs);
    this.#events.onChange(this);
    this.#events.onFailure(this);
  }
}
