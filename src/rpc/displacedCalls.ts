// Calls whose connection never opened, while others are open and full. They wait here, whatever dials fail meanwhile,
// until a connection can take them.

import { type ErrorCode, isSealwireError, SealwireError } from "../base/errors.ts";
import type { ResolvedLimits } from "../base/options.ts";
import { closedError } from "./clientErrors.ts";
import type { RpcConnection } from "./connection.ts";
import type { CallKind, ConnectionPool } from "./connectionPool.ts";
import { WaitingCalls } from "./waitingCalls.ts";

/** With these errors the caller has stopped waiting, whatever happened to the connection. */
const endedByCaller: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["ERR_ABORTED", "ERR_REQUEST_TIMEOUT"]);

export class DisplacedCalls {
  readonly #limits: ResolvedLimits;
  readonly #pool: ConnectionPool;
  /** Apart from requests, because no number of requests in flight hinders a message. */
  readonly #sends: WaitingCalls;
  readonly #requests: WaitingCalls;
  #closed = false;

  /** Each connection that fails displaces no more calls than `limits` let it have. */
  constructor(limits: ResolvedLimits, maxConnections: number, pool: ConnectionPool) {
    const maxBytes = limits.maxPendingBytes * maxConnections;
    this.#limits = limits;
    this.#pool = pool;
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
   * Makes a displaced call on an open connection, now or as soon as there is one. It is made within the turn in which the
   * connection is chosen, so that the next choice counts it.
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
    for (;;) {
      if (this.#closed) throw closedError();
      const connection = this.#pool.choose(kind, bytes);
      if (connection.isOpen) return makeOn(connection);
      await (kind === "send" ? this.#sends : this.#requests).wait(bytes, leftMs(), signal);
    }
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
   * A connection opened, or one that did not open is gone, for this reason. As many calls as the open connections can
   * take continue. The others wait for the next dial.
   */
  changed(error?: unknown): void {
    if (this.bytes === 0) return;
    const open = this.#pool.usable.filter(({ isOpen }) => isOpen);
    if (open.length === 0) {
      this.#sends.rejectAll(error);
      this.#requests.rejectAll(error);
      return;
    }
    const { maxInFlightRequests, maxPendingBytes } = this.#limits;
    let calls = 0;
    let room = 0;
    for (const { inFlightRequests, pendingBytes } of open) {
      calls += maxInFlightRequests - inFlightRequests;
      room += pendingBytes === 0 ? Number.POSITIVE_INFINITY : maxPendingBytes - pendingBytes;
    }
    const fits = (bytes: number): boolean => {
      room -= bytes;
      return room >= 0;
    };
    this.#sends.resolveWhile(fits);
    this.#requests.resolveWhile((bytes) => calls-- > 0 && fits(bytes));
    if (this.bytes === 0 || this.#pool.dialAnother()) return;
    // No connection will open, so the open ones take these calls or refuse them.
    this.#sends.resolveAny();
    this.#requests.resolveAny();
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
