// A client: one endpoint, a few connections to it (rpc/connectionPool.ts), and the calls of the application.

import { type ErrorCode, SealwireError } from "../base/errors.ts";
import { copyOf } from "../core/bytes.ts";
import type { PendingCall } from "./call.ts";
import { type ConnectedOptions, connectedWithin } from "./connectedWithin.ts";
import type { RpcConnection } from "./connection.ts";
import { type CallKind, type ClientContext, ConnectionPool } from "./connectionPool.ts";
import type { ConnectionTotals } from "./connectionStats.ts";
import { type CopyingFunctions, copyingFunctions } from "./copyingCaller.ts";
import type { EndpointStats } from "./endpointStats.ts";
import type { Call, CallOptions, Connection, RequestOptions, SendOptions } from "./peer.ts";

/** What `Client.stats` gives. */
export interface ClientStats extends ConnectionTotals {
  /** Gauge: connections that are dialled, open or closing now. */
  readonly connections: number;
  /** With the option `endpoints`: each address that is one now. */
  readonly endpoints?: readonly EndpointStats[];
  /** With the option `endpoints`: counter: how often they were looked up. */
  readonly lookups?: number;
  /** With the option `endpoints`: why the last lookup, or a part of it, failed; undefined when none did. */
  readonly lookupError?: unknown;
}

/** A client of one server; `connect` makes it. */
export interface Client {
  /**
   * Sends a one-way message. Resolves when the kernel has it, which says nothing about the peer having handled it.
   * The body is copied before this returns. Messages keep their order on one connection: with `maxConnections: 1`
   * always.
   *
   * @throws SealwireError at once: ERR_INVALID_ARGUMENT, ERR_MESSAGE_TOO_LARGE, ERR_UNSUPPORTED (a head with protocol v1).
   *   Rejects: ERR_CLOSED, ERR_BACKPRESSURE, ERR_DIAL_FAILED, ERR_DIAL_TIMEOUT, ERR_HANDSHAKE and what else ended the connection.
   */
  send(body: Uint8Array, options?: SendOptions): Promise<void>;
  /**
   * Sends a one-way message without waiting. False, and nothing is sent, above the high-water mark of every
   * connection or when the client is closed. True does not promise delivery: a connection can be lost.
   *
   * @throws SealwireError ERR_INVALID_ARGUMENT, ERR_MESSAGE_TOO_LARGE.
   */
  sendNoWait(body: Uint8Array): boolean;
  /**
   * Sends a request; resolves with the answer, which is the caller's to keep. The body is copied before this
   * returns. A request whose connection is lost rejects: one that may have run is never sent again. With `endpoints` one
   * that certainly has not (`error.notBegun`) goes to another of them first.
   *
   * @throws SealwireError at once: ERR_INVALID_ARGUMENT, ERR_MESSAGE_TOO_LARGE. Rejects: ERR_REMOTE,
   *   ERR_REQUEST_TIMEOUT, ERR_ABORTED, ERR_TOO_MANY_REQUESTS, ERR_BACKPRESSURE, ERR_CLOSED,
   *   ERR_CONNECTION_LOST and what else ended the connection.
   */
  request(body: Uint8Array, options?: RequestOptions): Promise<Uint8Array>;
  /**
   * A request with a head and with streams both ways (protocol v2); see `Connection.call`.
   *
   * @throws SealwireError at once: ERR_INVALID_ARGUMENT, ERR_MESSAGE_TOO_LARGE, ERR_UNSUPPORTED (protocol v1), ERR_CLOSED
   */
  call(body: Uint8Array, options?: CallOptions): Call;
  /**
   * Resolves when a connection is open, dialling one if there is none; rejects as `send` does, with `timeoutMs` only
   * when that is over.
   *
   * @throws SealwireError ERR_INVALID_ARGUMENT
   */
  connected(options?: ConnectedOptions): Promise<Connection>;
  /** True when nothing tells who the server is: anyone on the way can be the server. */
  readonly anonymous: boolean;
  /** The connections that are open now. */
  readonly connections: readonly Connection[];
  /** Counters since the client was made, and gauges. A snapshot. */
  readonly stats: ClientStats;
  /**
   * Closes every connection in good order: what is in flight finishes within `drainTimeoutMs`. Resolves when
   * every socket is gone. Idempotent, never rejects.
   */
  close(): Promise<void>;
  /**
   * Lets the process end while nothing is under way on the client: idle connections, and pauses between dials, do not
   * keep it alive any more. What has an end of its own does until then: a dial, a request with a time limit, closing.
   */
  unref(): void;
  /** Takes `unref` back. */
  ref(): void;
  /** `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** The caller waits no more, whatever became of the connection. */
const endedByCaller: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["ERR_ABORTED", "ERR_REQUEST_TIMEOUT"]);

export class RpcClient implements Client {
  readonly #context: ClientContext;
  readonly #pool: ConnectionPool;
  #closed: Promise<void> | undefined;

  constructor(context: ClientContext) {
    this.#context = context;
    this.#pool = new ConnectionPool(context);
  }

  get anonymous(): boolean {
    return this.#context.handshake.anonymous;
  }

  get connections(): readonly Connection[] {
    return this.#pool.usable.filter(({ isOpen }) => isOpen);
  }

  get stats(): ClientStats {
    return { connections: this.#pool.sockets, ...this.#pool.totals };
  }

  /** As in `stats`, without the rest: the choice among clients asks for it with every call. */
  get inFlightRequests(): number {
    let sum = 0;
    for (const { inFlightRequests } of this.#pool.members) sum += inFlightRequests;
    return sum;
  }

  get pendingBytes(): number {
    let sum = 0;
    for (const { pendingBytes } of this.#pool.members) sum += pendingBytes;
    return sum;
  }

  /** A call given now would wait at this side until the server takes more, on every open connection. */
  get lacksCredit(): boolean {
    let anyOpen = false;
    for (const connection of this.#pool.usable) {
      if (connection.state !== "open") continue;
      if (!connection.link.outbox.lacksCredit) return false;
      anyOpen = true;
    }
    return anyOpen;
  }

  send(body: Uint8Array, options?: SendOptions): Promise<void> {
    if (this.#closed !== undefined) return Promise.reject(closedError());
    const connection = this.#choose("send", body);
    const sent = connection.send(body, options);
    return this.#isCertain(connection)
      ? sent
      : this.#orAgain(connection, sent, body, (copy) => this.send(copy, options));
  }

  sendNoWait(body: Uint8Array): boolean {
    if (this.#closed !== undefined) return false;
    return this.#choose("sendNoWait", body).sendNoWait(body);
  }

  request(body: Uint8Array, options?: RequestOptions): Promise<Uint8Array> {
    if (this.#closed !== undefined) return Promise.reject(closedError());
    const connection = this.#choose("request", body);
    const answer = connection.request(body, options);
    if (this.#isCertain(connection)) return answer;
    const startedAt = performance.now();
    return this.#orAgain(connection, answer, body, (copy) => {
      const timeoutMs = options?.timeoutMs ?? this.#context.limits.requestTimeoutMs;
      if (timeoutMs === 0) return this.request(copy, options);
      const leftMs = Math.max(Math.ceil(timeoutMs - (performance.now() - startedAt)), 1);
      return this.request(copy, { ...options, timeoutMs: leftMs });
    });
  }

  get [copyingFunctions](): CopyingFunctions {
    return ownFunctions;
  }

  call(body: Uint8Array, options?: CallOptions): PendingCall {
    if (this.#closed !== undefined) throw closedError();
    return this.#choose("request", body).call(body, options);
  }

  connected(options?: ConnectedOptions): Promise<Connection> {
    return connectedWithin(
      () => (this.#closed === undefined ? this.#pool.connected() : Promise.reject(closedError())),
      options,
    );
  }

  /** A connection takes calls without waiting. */
  get hasOpenConnection(): boolean {
    return this.#pool.usable.some(({ isOpen }) => isOpen);
  }

  ref(): void {
    this.#pool.keepAlive(true);
  }

  unref(): void {
    this.#pool.keepAlive(false);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  close(): Promise<void> {
    this.#closed ??= this.#pool.close().then(() => this.#context.wipeKeys());
    return this.#closed;
  }

  /** A call on it has the best chance there is: the connection is open, or the only one. */
  #isCertain(connection: RpcConnection): boolean {
    return connection.isOpen || this.#pool.usable.length <= 1;
  }

  /**
   * The call was given to another connection than those that are open, because they were full. If it never opens,
   * nothing of the call was sent, and another connection may take it.
   */
  async #orAgain<T>(
    connection: RpcConnection,
    outcome: Promise<T>,
    body: Uint8Array,
    again: (copy: Uint8Array) => Promise<T>,
  ): Promise<T> {
    const copy = copyOf(body);
    try {
      return await outcome;
    } catch (error) {
      const neverOpened = connection.state === "closed" && connection.identity === undefined;
      const givenUp = error instanceof SealwireError && endedByCaller.has(error.code);
      if (!neverOpened || givenUp || this.#closed !== undefined) throw error;
      if (!this.#pool.usable.some(({ isOpen }) => isOpen)) throw error;
      return await again(copy);
    } finally {
      copy.fill(0);
    }
  }

  /** What `body` is, the connection checks, which throws on anything but bytes. */
  #choose(kind: CallKind, body: Uint8Array | undefined): RpcConnection {
    return this.#pool.choose(kind, body?.byteLength ?? 0);
  }
}

const { call, send } = RpcClient.prototype;
const ownFunctions: CopyingFunctions = { call, send };

function closedError(): SealwireError {
  return new SealwireError("ERR_CLOSED", "the client is closed", { notBegun: true });
}
