// A client: one endpoint, a few connections to it (rpc/connectionPool.ts), and the calls of the application.

import { copyOf } from "../core/bytes.ts";
import { now } from "../core/eventLoop.ts";
import { messageCost } from "../protocol/credit.ts";
import type { PendingCall } from "./call.ts";
import { requestOptionNames, sendOptionNames } from "./callOptions.ts";
import { closedError } from "./clientErrors.ts";
import { type ConnectedOptions, connectedWithin } from "./connectedWithin.ts";
import type { RpcConnection } from "./connection.ts";
import { type ClientContext, ConnectionPool } from "./connectionPool.ts";
import type { ConnectionTotals } from "./connectionStats.ts";
import { type CopyingFunctions, copyingFunctions } from "./copyingCaller.ts";
import { DisplacedCalls, mayGoAgain } from "./displacedCalls.ts";
import type { EndpointStats } from "./endpointStats.ts";
import { keptOptions } from "./keptOptions.ts";
import type { CallKind } from "./loadScale.ts";
import type { Call, CallOptions, Connection, RequestOptions, SendOptions } from "./peer.ts";
import { refused } from "./waitingCalls.ts";

/** The type of `Client.stats`. */
export interface ClientStats extends ConnectionTotals {
  /** Gauge: connections that are dialled, open or closing now. */
  readonly connections: number;
  /** With the option `endpoints`: each current endpoint. */
  readonly endpoints?: readonly EndpointStats[];
  /** With the option `endpoints`: counter of lookups. */
  readonly lookups?: number;
  /** With the option `endpoints`: why the last lookup, or a part of it, failed; undefined if it did not fail. */
  readonly lookupError?: unknown;
}

/** A client of one server; `connect` makes it. */
export interface Client {
  /**
   * Sends a one-way message. Resolves when the kernel has it, which does not mean that the peer has handled it. The
   * body is copied before this returns. Messages keep their order on one connection: with `maxConnections: 1` always.
   *
   * @throws SealwireError at once: ERR_INVALID_ARGUMENT, ERR_MESSAGE_TOO_LARGE, ERR_UNSUPPORTED (a head with protocol
   * v1).
   *   Rejects: ERR_CLOSED, ERR_BACKPRESSURE, ERR_DIAL_FAILED, ERR_DIAL_TIMEOUT, ERR_HANDSHAKE and the error that ended
   *   the connection.
   */
  send(body: Uint8Array, options?: SendOptions): Promise<void>;
  /**
   * Sends a one-way message without waiting. Returns false and sends nothing if every open connection is at the
   * high-water mark or its server is (`highWaterMarkBytes`), the server takes no message of that length, or the client is
   * closed. True does not promise delivery: a connection can be lost.
   *
   * @throws SealwireError ERR_INVALID_ARGUMENT, ERR_MESSAGE_TOO_LARGE.
   */
  sendNoWait(body: Uint8Array): boolean;
  /**
   * Sends a request and resolves with the answer, which the caller may keep. The body is copied before this returns. If
   * the connection is lost, the request rejects; a request that may have run is never sent again. With `endpoints`, a
   * request that certainly has not run (`error.notBegun`) goes to another endpoint first.
   *
   * @throws SealwireError at once: ERR_INVALID_ARGUMENT, ERR_MESSAGE_TOO_LARGE. Rejects: ERR_REMOTE,
   *   ERR_REQUEST_TIMEOUT, ERR_ABORTED, ERR_TOO_MANY_REQUESTS, ERR_BACKPRESSURE, ERR_CLOSED,
   *   ERR_CONNECTION_LOST and the error that ended the connection.
   */
  request(body: Uint8Array, options?: RequestOptions): Promise<Uint8Array>;
  /**
   * Makes a request with a head and with streams in both directions (protocol v2); see `Connection.call`.
   *
   * @throws SealwireError at once: ERR_INVALID_ARGUMENT, ERR_MESSAGE_TOO_LARGE, ERR_UNSUPPORTED (protocol v1),
   * ERR_CLOSED
   */
  call(body: Uint8Array, options?: CallOptions): Call;
  /**
   * Resolves when a connection is open, and dials one if there is none. Rejects as `send` does. With `timeoutMs` the
   * client repeats failed dials, and rejects only after that time.
   *
   * @throws SealwireError ERR_INVALID_ARGUMENT
   */
  connected(options?: ConnectedOptions): Promise<Connection>;
  /** True if the options do not identify the server: anyone on the path can be the server. */
  readonly anonymous: boolean;
  /** The connections that are open now. */
  readonly connections: readonly Connection[];
  /** Counters since the client was made, and gauges. A snapshot. */
  readonly stats: ClientStats;
  /**
   * Closes every connection in good order: calls in flight finish within `drainTimeoutMs`. Resolves when every socket
   * is gone. Idempotent, never rejects.
   */
  close(): Promise<void>;
  /**
   * Idle connections, and pauses between dials, no longer keep the process alive. An operation that ends by itself
   * still does: a dial, a request with a time limit, a close.
   */
  unref(): void;
  /** Reverses `unref`. */
  ref(): void;
  /** `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Makes a call on a connection, which copies the body before this returns. */
type Make<T> = (taker: RpcConnection, body: Uint8Array, timeoutMs: number) => Promise<T>;

export class RpcClient implements Client {
  readonly #context: ClientContext;
  readonly #pool: ConnectionPool;
  readonly #displaced: DisplacedCalls;
  #closed: Promise<void> | undefined;

  constructor(context: ClientContext) {
    this.#context = context;
    this.#pool = new ConnectionPool(
      context,
      (error) => this.#displaced?.changed(error),
      () => this.#displaced?.roomFreed(),
    );
    this.#displaced = new DisplacedCalls(context, this.#pool);
  }

  get anonymous(): boolean {
    return this.#context.handshake.anonymous;
  }

  get connections(): readonly Connection[] {
    return this.#pool.usable.filter(({ isOpen }) => isOpen);
  }

  get stats(): ClientStats {
    const { inFlightRequests, pendingBytes } = this;
    return { connections: this.#pool.sockets, ...this.#pool.totals, inFlightRequests, pendingBytes };
  }

  /** The same as in `stats`, without the rest: every choice among clients reads it. */
  get inFlightRequests(): number {
    let sum = this.#displaced.requests;
    for (const { inFlightRequests } of this.#pool.members) sum += inFlightRequests;
    return sum;
  }

  get pendingBytes(): number {
    let sum = this.#displaced.bytes;
    for (const { pendingBytes } of this.#pool.members) sum += pendingBytes;
    return sum;
  }

  /** On every open connection, a call made now would wait until the server gives credit. */
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
    return this.#isCertain(connection)
      ? connection.send(body, options)
      : this.#sendOrAgain(connection, body, options);
  }

  sendNoWait(body: Uint8Array): boolean {
    if (this.#closed !== undefined) return false;
    return this.#choose("sendNoWait", body).sendNoWait(body);
  }

  request(body: Uint8Array, options?: RequestOptions): Promise<Uint8Array> {
    if (this.#closed !== undefined) return Promise.reject(closedError());
    const connection = this.#choose("request", body);
    return this.#isCertain(connection)
      ? connection.request(body, options)
      : this.#requestOrAgain(connection, body, options);
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
    return this.#pool.anyOpen;
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
    if (this.#closed === undefined) {
      this.#displaced.close();
      this.#closed = this.#pool.close().then(() => this.#context.wipeKeys());
    }
    return this.#closed;
  }

  /** A call on this connection has the best chance: the connection is open, or the only one. */
  #isCertain(connection: RpcConnection): boolean {
    return connection.isOpen || (this.#pool.usable.length <= 1 && this.#displaced.bytes === 0);
  }

  // Apart from their callers: variables that a closure captures cost an allocation at each call of their function.
  #sendOrAgain(connection: RpcConnection, body: Uint8Array, options: SendOptions = {}): Promise<void> {
    const kept = keptOptions(options, sendOptionNames);
    return this.#orAgain("send", connection, body, kept, (taker, bytes, timeoutMs) =>
      taker.send(bytes, { ...kept, timeoutMs }),
    );
  }

  #requestOrAgain(
    connection: RpcConnection,
    body: Uint8Array,
    options: RequestOptions = {},
  ): Promise<Uint8Array> {
    const kept = keptOptions(options, requestOptionNames);
    return this.#orAgain("request", connection, body, kept, (taker, bytes, timeoutMs) =>
      taker.request(bytes, { ...kept, timeoutMs }),
    );
  }

  /** A call goes to a connection that is not open, because the open ones are full. */
  #orAgain<T>(
    kind: CallKind,
    connection: RpcConnection,
    body: Uint8Array,
    { timeoutMs = this.#context.limits.requestTimeoutMs, signal }: RequestOptions,
    make: Make<T>,
  ): Promise<T> {
    connection.link.outbox.bodies.check(body);
    const refusal = this.#displaced.refusal(connection, kind, messageCost(body.length));
    if (refusal !== undefined) return refused(refusal);
    const startedAt = now();
    const leftMs = (): number =>
      timeoutMs === 0 ? 0 : Math.max(Math.ceil(timeoutMs - (now() - startedAt)), 1);
    const outcome = make(connection, body, timeoutMs);
    return this.#orDisplaced(connection, outcome, copyOf(body), (copy) =>
      this.#displaced.make(kind, messageCost(copy.length), leftMs, signal, (open) =>
        make(open, copy, leftMs()),
      ),
    );
  }

  /** If the connection of a call never opens and nothing of the call was sent, an open connection may take it. */
  async #orDisplaced<T>(
    connection: RpcConnection,
    outcome: Promise<T>,
    copy: Uint8Array,
    makeElsewhere: (copy: Uint8Array) => Promise<T>,
  ): Promise<T> {
    try {
      return await outcome;
    } catch (error) {
      const neverOpened = connection.state === "closed" && connection.link.identity === undefined;
      if (!neverOpened || !mayGoAgain(error) || this.#closed !== undefined) throw error;
      if (!this.hasOpenConnection) throw error;
      return await makeElsewhere(copy);
    } finally {
      copy.fill(0);
    }
  }

  /**
   * `body` is not checked here. The connection checks it, and throws on anything but bytes. Its `length`, because V8 calls
   * a function of its own for `byteLength`.
   */
  #choose(kind: CallKind, body: Uint8Array | undefined): RpcConnection {
    // Calls that were displaced are older.
    if (this.#displaced.mayWait) this.#displaced.goOn();
    return this.#pool.choose(kind, body?.length ?? 0);
  }
}

const { call, send } = RpcClient.prototype;
const ownFunctions: CopyingFunctions = { call, send };
