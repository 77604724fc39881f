// The load of a client's connection on one scale: requests in flight, and bytes that wait.

import type { ResolvedLimits } from "../base/options.ts";
import type { RpcConnection } from "./connection.ts";

/** A connection is busy if this many requests wait for their answers… */
const BUSY_REQUESTS = 128;
/** …or this many bytes that the kernel has not taken. */
const BUSY_PENDING_BYTES = 262_144;

/** The kind of a call, which decides the limits of a connection that count. */
export type CallKind = "send" | "sendNoWait" | "request";

export class LoadScale {
  readonly #limits: ResolvedLimits;
  readonly #busyRequests: number;
  readonly #busyBytes: number;
  /** A connection that is not busy takes every call whose body is at most this long. */
  readonly surelyTakenBytes: number;

  constructor(limits: ResolvedLimits) {
    const { maxInFlightRequests, highWaterMarkBytes, maxPendingBytes } = limits;
    this.#limits = limits;
    // Half of a limit, so that another connection is open before the limit is reached.
    this.#busyRequests = Math.min(BUSY_REQUESTS, Math.ceil(maxInFlightRequests / 2));
    this.#busyBytes = Math.min(BUSY_PENDING_BYTES, Math.ceil(highWaterMarkBytes / 2), maxPendingBytes / 2);
    this.surelyTakenBytes = maxPendingBytes - this.#busyBytes;
  }

  /** The limits of the connection let it take the call. */
  takes(connection: RpcConnection, kind: CallKind, bodyBytes: number): boolean {
    const { outbox } = connection.link;
    if (kind === "sendNoWait") return outbox.takesNoWait();
    const { maxPendingBytes } = this.#limits;
    const pending = outbox.pendingBytes;
    if (pending > 0 && pending + bodyBytes > maxPendingBytes) return false;
    return kind === "send" || !connection.requestsFull;
  }

  /** 1 and more: busy. */
  load({ link }: RpcConnection): number {
    const { outbox, requests } = link;
    const load = requests.size / this.#busyRequests + outbox.pendingBytes / this.#busyBytes;
    return outbox.credit.peerIsFull ? load + 1 : load;
  }

  /** Whether the load is 1 or more. Every call asks this, so it has no fractions, which V8 computes slowly and allocates. */
  isBusy({ link }: RpcConnection): boolean {
    const { outbox, requests } = link;
    const weighed = requests.size * this.#busyBytes + outbox.pendingBytes * this.#busyRequests;
    return weighed >= this.#busyBytes * this.#busyRequests || outbox.credit.peerIsFull;
  }
}
