// Counters and gauges of connections, and of all connections that a client or server has had.

import type { SealwireError } from "../base/errors.ts";
import { channels } from "../core/diagnostics.ts";
import type { Connection, ConnectionStats } from "./peer.ts";

/** Of all connections since the client or server was made, those that are gone included. */
export interface ConnectionTotals extends ConnectionStats {
  /** Counter: connections that opened: their peers proved who they are. */
  readonly openedConnections: number;
  /** Counter: connections that ended before they opened: dials and handshakes that failed. */
  readonly failedConnections: number;
}

/** Everything of all of them. */
export function sumTotals(all: Iterable<ConnectionTotals>): ConnectionTotals {
  const sum = {
    receivedBytes: 0,
    sentBytes: 0,
    requests: 0,
    droppedReplies: 0,
    inFlightRequests: 0,
    pendingBytes: 0,
    openedConnections: 0,
    failedConnections: 0,
  };
  for (const totals of all) for (const name of names(sum)) sum[name] += totals[name];
  return sum;
}

function names<T extends object>(object: T): (keyof T)[] {
  return Object.keys(object) as (keyof T)[];
}

/** Keeps the counters of connections that are gone. */
export class ConnectionLedger {
  #receivedBytes = 0;
  #sentBytes = 0;
  #requests = 0;
  #droppedReplies = 0;
  #opened = 0;
  #failed = 0;

  opened(connection: Connection): void {
    this.#opened++;
    if (channels.connectionOpen.hasSubscribers) channels.connectionOpen.publish({ connection });
  }

  /** `wasOpen`: it has been counted by `opened`. */
  closed(wasOpen: boolean): void {
    if (!wasOpen) this.#failed++;
  }

  /** Tells the subscribers of the channels. Not inside a call of the application. */
  tellClosed(connection: Connection, error: SealwireError | undefined): void {
    const { connectionClosed, dialFailed, handshakeFailed } = channels;
    const failed = error?.code.startsWith("ERR_DIAL") ? dialFailed : handshakeFailed;
    const channel = connection.identity === undefined ? failed : connectionClosed;
    if (channel.hasSubscribers) channel.publish({ connection, error });
  }

  gone({ stats }: Connection): void {
    this.#receivedBytes += stats.receivedBytes;
    this.#sentBytes += stats.sentBytes;
    this.#requests += stats.requests;
    this.#droppedReplies += stats.droppedReplies;
  }

  /** The totals, with those of these connections, which are not gone. */
  totals(live: Iterable<Connection>): ConnectionTotals {
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
