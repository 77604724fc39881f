// Counters and gauges of connections, and of all connections that a client or server has had.

import type { SealwireError } from "../base/errors.ts";
import { channels } from "../core/diagnostics.ts";
import type { Connection } from "./peer.ts";

/** Counters never go down. Gauges say how things are now. */
export interface ConnectionStats {
  /** Counter: bytes that arrived on the socket, handshake and encryption included. */
  readonly receivedBytes: number;
  /** Counter: bytes given to the socket, handshake and encryption included. */
  readonly sentBytes: number;
  /** Counter: requests of this side. */
  readonly requests: number;
  /** Counter: answers that came too late, or to no request of ours, and were dropped. */
  readonly droppedReplies: number;
  /** Gauge: requests of this side that wait for answers. */
  readonly inFlightRequests: number;
  /** Gauge: bytes that wait for the kernel to take them. */
  readonly pendingBytes: number;
}

/** Of all connections since the client or server was made, those that are gone included. */
export interface ConnectionTotals extends ConnectionStats {
  /** Counter: connections that opened: their peers proved who they are. */
  readonly openedConnections: number;
  /** Counter: connections that ended before they opened: dials and handshakes that failed. */
  readonly failedConnections: number;
}

interface Counted extends Connection {
  readonly stats: ConnectionStats;
}

/** Keeps the counters of connections that are gone. */
export class ConnectionLedger {
  #receivedBytes = 0;
  #sentBytes = 0;
  #requests = 0;
  #droppedReplies = 0;
  #opened = 0;
  #failed = 0;

  opened(connection: Counted): void {
    this.#opened++;
    if (channels.connectionOpen.hasSubscribers) channels.connectionOpen.publish({ connection });
  }

  /** `wasOpen`: it has been counted by `opened`. */
  closed(connection: Counted, wasOpen: boolean, error: SealwireError | undefined): void {
    if (!wasOpen) this.#failed++;
    if (wasOpen) {
      if (channels.connectionClosed.hasSubscribers) channels.connectionClosed.publish({ connection, error });
      return;
    }
    const { dialFailed, handshakeFailed } = channels;
    const channel = error?.code.startsWith("ERR_DIAL") ? dialFailed : handshakeFailed;
    if (channel.hasSubscribers) channel.publish({ connection, error });
  }

  gone({ stats }: Counted): void {
    this.#receivedBytes += stats.receivedBytes;
    this.#sentBytes += stats.sentBytes;
    this.#requests += stats.requests;
    this.#droppedReplies += stats.droppedReplies;
  }

  /** The totals, with those of these connections, which are not gone. */
  totals(live: Iterable<Counted>): ConnectionTotals {
    let inFlightRequests = 0;
    let pendingBytes = 0;
    let receivedBytes = this.#receivedBytes;
    let sentBytes = this.#sentBytes;
    let requests = this.#requests;
    let droppedReplies = this.#droppedReplies;
    for (const { stats } of live) {
      receivedBytes += stats.receivedBytes;
      sentBytes += stats.sentBytes;
      requests += stats.requests;
      droppedReplies += stats.droppedReplies;
      inFlightRequests += stats.inFlightRequests;
      pendingBytes += stats.pendingBytes;
    }
    return {
      receivedBytes,
      sentBytes,
      requests,
      droppedReplies,
      inFlightRequests,
      pendingBytes,
      openedConnections: this.#opened,
      failedConnections: this.#failed,
    };
  }
}
