// Counters and gauges of connections, and of all connections that a client or server has had.

import type { SealwireError } from "../base/errors.ts";
import { channels } from "../core/diagnostics.ts";
import type { RpcConnection } from "./connection.ts";
import type { Connection, ConnectionStats } from "./peer.ts";

/** The counters of all connections since the client or server was made, including closed ones. */
export interface ConnectionTotals extends ConnectionStats {
  /** Counter: connections that opened, so their peers proved who they are. */
  readonly openedConnections: number;
  /** Counter: connections that ended before they opened: failed dials and handshakes. */
  readonly failedConnections: number;
}

/** The sums of all members. */
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

/** Keeps the counters of closed connections. */
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

  /** `wasOpen`: `opened` has counted it. */
  closed(wasOpen: boolean): void {
    if (!wasOpen) this.#failed++;
  }

  /** Publishes the close on the diagnostics channel, never inside a call of the application. */
  tellClosed(connection: RpcConnection, error: SealwireError | undefined): void {
    const { connectionClosed, dialFailed, handshakeFailed } = channels;
    const failed = error?.code.startsWith("ERR_DIAL") ? dialFailed : handshakeFailed;
    const channel = connection.link.identity === undefined ? failed : connectionClosed;
    if (channel.hasSubscribers) channel.publish({ connection, error });
  }

  gone({ stats }: Connection): void {
    this.#receivedBytes += stats.receivedBytes;
    this.#sentBytes += stats.sentBytes;
    this.#requests += stats.requests;
    this.#droppedReplies += stats.droppedReplies;
  }

  /** The totals, including the counters of these open connections. */
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
