// Calls whose connection never opened, while others are open and full. They wait here, whatever dials fail meanwhile,
// until a connection has room for them.

import { type ErrorCode, isSealwireError, SealwireError } from "../base/errors.ts";
import type { ResolvedLimits } from "../base/options.ts";
import { closedError } from "./clientErrors.ts";
import type { RpcConnection } from "./connection.ts";
import type { ClientContext, ConnectionPool } from "./connectionPool.ts";
import type { CallKind } from "./loadScale.ts";
import type { TurnQueue, TurnTask } from "./turnQueue.ts";
import { WaitingCalls } from "./waitingCalls.ts";

/** With these errors the caller has stopped waiting, whatever happened to the connection. */
const endedByCaller: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["ERR_ABORTED", "ERR_REQUEST_TIMEOUT"]);

export class DisplacedCalls implements TurnTask {
  readonly #limits: ResolvedLimits;
  readonly #pool: ConnectionPool;
  readonly #resumptions: TurnQueue;
  /** Apart from requests, because no number of requests in flight hinders a message. */
  readonly #sends: WaitingCalls;
  readonly #requests: WaitingCalls;
  #scheduled = false;
  #closed = false;
  /** False: no call waits. A field, because each call of the client reads it. */
  mayWait = false;

  /** Each connection that fails displaces no more calls than `limits` let it have. */
  constructor({ limits, maxConnections, resumptions }: ClientContext, pool: ConnectionPool) {
    const maxBytes = limits.maxPendingBytes * maxConnections;
    this.#limits = limits;
    this.#pool = pool;
    this.#resumptions = resumptions;
    this.#sends = new WaitingCalls(Number.POSITIVE_INFINITY, maxBytes);
    this.#requests = new WaitingCalls(limits.maxInFlightRequests * maxConnections, maxBytes);
  }

  get requests(): number {
    return this.#requests.size;
  }

  get bytes(): number {
    return this.#sends.bytes + this.#requests.bytes;
  }

  /**
   * Makes a displaced call on an open connection, now or as soon as one has room for it. It is made within the turn in
   * which the connection is chosen, so that the next choice counts it.
   *
   * @param leftMs how long its caller still waits; 0: without a limit
   */
  async make<T>(
    kind: CallKind,
    bytes: number,
    leftMs: () => number,
    signal: AbortSignal | undefined,
    makeOn: (connection: RpcConnection) => Promise<T>,
  ): Promise<T> {
    if (this.#closed) throw closedError();
    const calls = kind === "send" ? this.#sends : this.#requests;
    const open = calls.size === 0 ? this.#pool.openFor(kind, bytes) : undefined;
    if (open !== undefined) return makeOn(open);
    // No connection will open, so an open one takes the call or refuses it.
    if (!this.#pool.dialAnother()) return makeOn(this.#pool.choose(kind, bytes));
    this.mayWait = true;
    return calls.make(bytes, leftMs(), signal, async () => {
      const connection = this.#pool.choose(kind, bytes);
      return connection.isOpen ? makeOn(connection) : this.make(kind, bytes, leftMs, signal, makeOn);
    });
  }

  /**
   * The error if a call can't wait for this connection. When it opens, it takes the calls that waited for it first.
   * Those that were displaced before have to find room beside them.
   */
  refusal(
    { pendingBytes, inFlightRequests }: RpcConnection,
    kind: CallKind,
    bytes: number,
  ): SealwireError | undefined {
    if (this.bytes === 0) return undefined;
    const { maxInFlightRequests, maxPendingBytes } = this.#limits;
    if (pendingBytes + this.bytes + bytes > maxPendingBytes)
      return new SealwireError("ERR_BACKPRESSURE", `${this.bytes} bytes wait for a connection`);
    if (kind === "send" || inFlightRequests + this.requests < maxInFlightRequests) return undefined;
    return new SealwireError("ERR_TOO_MANY_REQUESTS", `${this.requests} requests wait for a connection`);
  }

  /**
   * A connection opened, or one that did not open is gone, for this reason. The calls for which the open connections have
   * no room wait for the next dial, too.
   */
  changed(error?: unknown): void {
    if (this.bytes === 0) return;
    if (!this.#pool.anyOpen) {
      this.#rejectAll(error);
      return;
    }
    this.goOn();
    if (this.bytes === 0 || this.#pool.dialAnother()) return;
    // No connection will open, so the open ones take these calls or refuse them.
    this.#sends.resolveAny();
    this.#requests.resolveAny();
  }

  /** An open connection may have room. However much becomes free within a turn, the calls are looked at once. */
  roomFreed(): void {
    if (this.#scheduled || this.bytes === 0) return;
    this.#scheduled = true;
    this.#resumptions.add(this);
  }

  /** Calls are made, the oldest first, while the open connections have room. The others cost nothing. */
  goOn(): void {
    this.mayWait = this.bytes > 0;
    if (!this.mayWait) return;
    this.#sends.resolveWhile((bytes) => this.#pool.openFor("send", bytes) !== undefined);
    this.#requests.resolveWhile((bytes) => this.#pool.openFor("request", bytes) !== undefined);
  }

  endOfTurn(): void {
    this.#scheduled = false;
    this.goOn();
  }

  endOfTurnFailed(error: unknown): void {
    this.#rejectAll(error);
  }

  #rejectAll(error: unknown): void {
    this.#sends.rejectAll(error);
    this.#requests.rejectAll(error);
  }

  close(): void {
    this.#closed = true;
    this.#sends.close();
    this.#requests.close();
  }
}

/**
 * No byte of the call was sent, and its caller still waits. A peer that has said nothing yet may have begun a call that
 * was sent.
 */
export function mayGoAgain(error: unknown): boolean {
  return isSealwireError(error) && error.notBegun && !endedByCaller.has(error.code);
}
