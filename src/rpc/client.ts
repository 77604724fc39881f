// A client: one endpoint, a few connections to it. A call takes the least loaded connection; another one is
// dialled only when all are busy, and one that was lost is dialled again when the next call needs it (or at once,
// with `keepConnected`).

import { BUSY_PENDING_BYTES, BUSY_REQUESTS } from "../constants.ts";
import { SealwireError } from "../errors.ts";
import { type ConnectionContext, type ConnectionObserver, RpcConnection } from "./connection.ts";
import { callListener } from "./listeners.ts";
import type { Connection, ConnectionStateListener, RequestOptions } from "./peer.ts";
import { CallbackDeadline, timers } from "./timers.ts";
import type { Adapter, Address } from "./transport.ts";

export interface ClientContext extends ConnectionContext {
  readonly adapter: Adapter;
  readonly address: Address;
  readonly maxConnections: number;
  readonly dialTimeoutMs: number;
  readonly keepConnected: boolean;
  readonly onConnectionState: ConnectionStateListener | undefined;
}

export interface ClientStats {
  /** Connections that are dialled, open or closing now. */
  readonly connections: number;
  /** Requests that wait for answers. */
  readonly inFlightRequests: number;
  /** Bytes that wait for the kernel to take them. */
  readonly pendingBytes: number;
  /** Answers that came too late and were dropped, since the client was made. */
  readonly droppedReplies: number;
}

export interface Client {
  /**
   * Sends a one-way message. Resolves when the kernel has it, which says nothing about the peer having handled it.
   * The body is copied before this returns. Messages keep their order on one connection: with `maxConnections: 1`
   * always.
   *
   * @throws SealwireError at once: ERR_INVALID_ARGUMENT, ERR_MESSAGE_TOO_LARGE. Rejects: ERR_CLOSED,
   *   ERR_BACKPRESSURE, ERR_DIAL_FAILED, ERR_DIAL_TIMEOUT, ERR_HANDSHAKE and what else ended the connection.
   */
  send(body: Uint8Array): Promise<void>;
  /**
   * Sends a one-way message without waiting. False, and nothing is sent, above the high-water mark of every
   * connection or when the client is closed. True does not promise delivery: a connection can be lost.
   *
   * @throws SealwireError ERR_INVALID_ARGUMENT, ERR_MESSAGE_TOO_LARGE.
   */
  sendNoWait(body: Uint8Array): boolean;
  /**
   * Sends a request; resolves with the answer, which is the caller's to keep. The body is copied before this
   * returns. A request whose connection is lost rejects: it is never sent twice.
   *
   * @throws SealwireError at once: ERR_INVALID_ARGUMENT, ERR_MESSAGE_TOO_LARGE. Rejects: ERR_REMOTE,
   *   ERR_REQUEST_TIMEOUT, ERR_ABORTED, ERR_TOO_MANY_REQUESTS, ERR_BACKPRESSURE, ERR_CLOSED,
   *   ERR_CONNECTION_LOST and what else ended the connection.
   */
  request(body: Uint8Array, options?: RequestOptions): Promise<Uint8Array>;
  /** Resolves when a connection is open, dialling one if there is none; rejects as `send` does. */
  connected(): Promise<Connection>;
  /** True when nothing tells who the server is: anyone on the way can be the server. */
  readonly anonymous: boolean;
  /** The connections that are open now. */
  readonly connections: readonly Connection[];
  readonly stats: ClientStats;
  /**
   * Closes every connection in good order: what is in flight finishes within `drainTimeoutMs`. Resolves when
   * every socket is gone. Idempotent, never rejects.
   */
  close(): Promise<void>;
}

const FIRST_REDIAL_MS = 100;
const LAST_REDIAL_MS = 5_000;

interface Waiter {
  resolve(connection: Connection): void;
  reject(error: SealwireError): void;
}

export class RpcClient implements Client, ConnectionObserver {
  readonly #context: ClientContext;
  /** Those that can take calls, and those that are on their way out but whose sockets still exist. */
  #usable: RpcConnection[] = [];
  readonly #all = new Set<RpcConnection>();
  readonly #dialDeadlines = new Map<RpcConnection, CallbackDeadline>();
  readonly #redial: CallbackDeadline;
  #redialMs = FIRST_REDIAL_MS;
  #waiters: Waiter[] = [];
  #droppedReplies = 0;
  #closed: Promise<void> | undefined;

  constructor(context: ClientContext) {
    this.#context = context;
    this.#redial = new CallbackDeadline(() => this.#keepConnected());
    if (context.keepConnected) this.#dial();
  }

  get anonymous(): boolean {
    return this.#context.handshake.anonymous;
  }

  get connections(): readonly Connection[] {
    return this.#usable.filter((connection) => connection.state === "open");
  }

  get stats(): ClientStats {
    let inFlightRequests = 0;
    let pendingBytes = 0;
    let droppedReplies = this.#droppedReplies;
    for (const connection of this.#all) {
      inFlightRequests += connection.inFlightRequests;
      pendingBytes += connection.pendingBytes;
      droppedReplies += connection.droppedReplies;
    }
    return { connections: this.#all.size, inFlightRequests, pendingBytes, droppedReplies };
  }

  send(body: Uint8Array): Promise<void> {
    if (this.#closed !== undefined) return Promise.reject(closedError());
    return this.#choose().send(body);
  }

  sendNoWait(body: Uint8Array): boolean {
    if (this.#closed !== undefined) return false;
    return this.#choose().sendNoWait(body);
  }

  request(body: Uint8Array, options?: RequestOptions): Promise<Uint8Array> {
    if (this.#closed !== undefined) return Promise.reject(closedError());
    return this.#choose().request(body, options);
  }

  connected(): Promise<Connection> {
    if (this.#closed !== undefined) return Promise.reject(closedError());
    const open = this.#usable.find((connection) => connection.state === "open");
    if (open !== undefined) return Promise.resolve(open);
    if (this.#usable.length === 0) this.#dial();
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
    });
  }

  close(): Promise<void> {
    if (this.#closed === undefined) {
      timers.cancel(this.#redial);
      this.#closed = Promise.all([...this.#all].map((connection) => connection.close())).then(() => {
        this.#context.releaseKeys();
      });
    }
    return this.#closed;
  }

  // ---- Choosing and dialling ----------------------------------------------------------------------------

  /** The least loaded connection; the first of equals, so that a quiet client uses one. */
  #choose(): RpcConnection {
    const usable = this.#usable;
    let best = usable[0];
    if (best === undefined) return this.#dial();
    if (!isBusy(best)) return best;
    for (let i = 1; i < usable.length; i++) {
      const other = usable[i]!;
      if (load(other) < load(best)) best = other;
    }
    if (isBusy(best) && this.#all.size < this.#context.maxConnections) return this.#dial();
    return best;
  }

  #dial(): RpcConnection {
    const { adapter, address, dialTimeoutMs } = this.#context;
    const connection = new RpcConnection("client", this.#context, this);
    this.#usable.push(connection);
    this.#all.add(connection);
    if (dialTimeoutMs > 0) {
      const deadline = new CallbackDeadline(() => {
        const text = `no connection within ${dialTimeoutMs} ms`;
        connection.destroy(new SealwireError("ERR_DIAL_TIMEOUT", text));
      });
      this.#dialDeadlines.set(connection, deadline);
      timers.arm(deadline, dialTimeoutMs);
    }
    connection.dialling(adapter.dial(address, connection));
    return connection;
  }

  #cancelDialDeadline(connection: RpcConnection): void {
    const deadline = this.#dialDeadlines.get(connection);
    if (deadline === undefined) return;
    timers.cancel(deadline);
    this.#dialDeadlines.delete(connection);
  }

  #keepConnected(): void {
    if (this.#closed === undefined && this.#usable.length === 0) this.#dial();
  }

  #remove(connection: RpcConnection): void {
    this.#usable = this.#usable.filter((other) => other !== connection);
  }

  // ---- What connections tell ----------------------------------------------------------------------------

  onSocket(connection: RpcConnection): void {
    this.#cancelDialDeadline(connection);
  }

  onOpen(connection: RpcConnection): void {
    this.#redialMs = FIRST_REDIAL_MS;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter.resolve(connection);
    callListener("onConnectionState", this.#context.onConnectionState, connection, "open", undefined);
  }

  onDraining(connection: RpcConnection): void {
    this.#remove(connection);
    callListener("onConnectionState", this.#context.onConnectionState, connection, "draining", undefined);
    // A server that closes is left at once: with `keepConnected` its successor is looked for while it drains.
    if (this.#context.keepConnected) this.#keepConnected();
  }

  onClosed(connection: RpcConnection, error: SealwireError | undefined): void {
    this.#cancelDialDeadline(connection);
    this.#remove(connection);
    if (this.#usable.length === 0 && this.#waiters.length > 0) {
      const waiters = this.#waiters;
      this.#waiters = [];
      for (const waiter of waiters) waiter.reject(error ?? closedError());
    }
    callListener("onConnectionState", this.#context.onConnectionState, connection, "closed", error);
    if (this.#context.keepConnected && this.#closed === undefined && this.#usable.length === 0) {
      timers.arm(this.#redial, this.#redialMs);
      this.#redialMs = Math.min(this.#redialMs * 2, LAST_REDIAL_MS);
    }
  }

  onGone(connection: RpcConnection): void {
    this.#droppedReplies += connection.droppedReplies;
    this.#all.delete(connection);
  }
}

function closedError(): SealwireError {
  return new SealwireError("ERR_CLOSED", "the client is closed");
}

function isBusy(connection: RpcConnection): boolean {
  return connection.inFlightRequests >= BUSY_REQUESTS || connection.pendingBytes >= BUSY_PENDING_BYTES;
}

/** Requests in flight and bytes that wait, on one scale: either limit of `isBusy` counts the same. */
function load(connection: RpcConnection): number {
  return connection.inFlightRequests + connection.pendingBytes * (BUSY_REQUESTS / BUSY_PENDING_BYTES);
}
