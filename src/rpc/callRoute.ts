// Routes one call among several endpoints. The call moves to another endpoint only when it is certain that no handler
// has begun with it.
//
//   refused (by the server, or by a limit of its connections) ──▶ another one that is open and has not had it, or it ends
//   lost before it was begun ──▶ the same, or, while none is open, the first one that opens
//
// The number of moves is bounded, so that a call does not circulate among servers that refuse everybody.

import { type ErrorCode, isSealwireError } from "../base/errors.ts";
import { now } from "../core/eventLoop.ts";
import { hasAborted } from "./abortWatchers.ts";
import type { EndpointMember } from "./endpointMember.ts";

/** The most moves of one call. */
const MOST_MOVES = 4;

/** The call itself is the cause, or its caller gave up, so another endpoint would not help. */
const FINAL: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "ERR_ABORTED",
  "ERR_INVALID_ARGUMENT",
  "ERR_MESSAGE_TOO_LARGE",
  "ERR_REQUEST_TIMEOUT",
  "ERR_UNSUPPORTED",
]);
/** The endpoint works and refuses the call. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "ERR_BACKPRESSURE",
  "ERR_REMOTE",
  "ERR_TOO_MANY_REQUESTS",
]);

/** The client's side of the routes of its calls. */
export interface RouteOwner {
  /** The client takes no more calls. */
  isClosed(): boolean;
  /** An open member that may take the call and has not had it. */
  elsewhere(key: string | undefined, tried: readonly EndpointMember[]): EndpointMember | undefined;
  /** An open member, now or as soon as there is one. */
  opened(
    key: string | undefined,
    bytes: number,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<EndpointMember>;
}

export class CallRoute {
  readonly #owner: RouteOwner;
  readonly #key: string | undefined;
  readonly #bytes: number;
  readonly #timeoutMs: number;
  readonly #signal: AbortSignal | undefined;
  readonly #startedAt = now();
  readonly #tried: EndpointMember[] = [];

  /** @param timeoutMs 0: without a limit */
  constructor(
    owner: RouteOwner,
    key: string | undefined,
    bytes: number,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ) {
    this.#owner = owner;
    this.#key = key;
    this.#bytes = bytes;
    this.#timeoutMs = timeoutMs;
    this.#signal = signal;
  }

  /** Milliseconds that the caller still waits, 1 at least; 0: without a limit. */
  get leftMs(): number {
    return this.#timeoutMs === 0 ? 0 : Math.max(Math.ceil(this.#untilEndMs), 1);
  }

  get #untilEndMs(): number {
    return this.#timeoutMs - (now() - this.#startedAt);
  }

  /** The endpoint has it now. */
  begins(member: EndpointMember): void {
    this.#tried.push(member);
  }

  /** Resolves with the first endpoint that takes the call, if none did at once. */
  first(): Promise<EndpointMember> {
    return this.#waits();
  }

  /** The endpoint for the call after `error`; undefined if the call ends with that error. */
  next(error: unknown): Promise<EndpointMember> | undefined {
    if (!isSealwireError(error) || !error.notBegun || FINAL.has(error.code)) return undefined;
    if (this.#owner.isClosed() || hasAborted(this.#signal) || this.#tried.length > MOST_MOVES)
      return undefined;
    if (this.#timeoutMs !== 0 && this.#untilEndMs <= 0) return undefined;
    const isRefusal = REFUSALS.has(error.code);
    if (isRefusal) this.#tried.at(-1)?.noteRefusal();
    const other = this.#owner.elsewhere(this.#key, this.#tried);
    if (other === undefined) return isRefusal ? undefined : this.#waits();
    this.begins(other);
    return Promise.resolve(other);
  }

  async #waits(): Promise<EndpointMember> {
    const member = await this.#owner.opened(this.#key, this.#bytes, this.leftMs, this.#signal);
    this.begins(member);
    return member;
  }
}
