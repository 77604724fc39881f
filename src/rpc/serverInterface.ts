// The public types of a server.

import type { PeerOptions } from "../protocol/noise/noiseOptions.ts";
import type { OtherKeys } from "../protocol/noise/severalKeys.ts";
import type { ConnectionTotals } from "./connectionStats.ts";
import type { Health } from "./health.ts";
import type { Connection } from "./peer.ts";

/** What `Server.stats` gives. */
export interface ServerStats extends ConnectionTotals {
  /** Gauge: connections whose sockets are not gone. */
  readonly connections: number;
  /** Gauge: `waitingSockets` of the server. */
  readonly waitingSockets: number;
  /** Counter: `refusedConnections` of the server. */
  readonly refusedConnections: number;
  /** Counter: `droppedSockets` of the server. */
  readonly droppedSockets: number;
  /** Counter: `probes` of the server. */
  readonly probes: number;
  /** Counter: `badProxyHeaders` of the server. */
  readonly badProxyHeaders: number;
  /** Counter: how often the process had no file descriptor left for a connection (in Node always 0). */
  readonly acceptFailures: number;
}

/** A server that listens; `listen` makes it. */
export interface Server {
  /** The TCP port that it listens on (also when 0 was asked for); 0 for a Unix socket. */
  readonly port: number;
  /** The path of its Unix socket, if it has one. */
  readonly path: string | undefined;
  /** True when nothing tells who the clients are, and clients can't tell who the server is. */
  readonly anonymous: boolean;
  /** The connections that are open now. */
  readonly connections: readonly Connection[];
  /**
   * Sockets closed since the server started because of a limit of connections, handshakes or waiting sockets, in all
   * or per address. Silent ones are counted in `droppedSockets`.
   */
  readonly refusedConnections: number;
  /**
   * Sockets closed since the server started, by either side, that had sent no complete first message: too slow
   * (`handshakeTimeoutMs`), or the oldest of too many (`maxWaitingSockets`), or they left. `onConnectionState` is not
   * told of them: they were no connections yet.
   */
  readonly droppedSockets: number;
  /** Sockets now that have sent no complete first message, or wait for a place. */
  readonly waitingSockets: number;
  /** Counters since the server started, and gauges. A snapshot. */
  readonly stats: ServerStats;
  /**
   * Those of `droppedSockets` that the peer closed without having sent anything itself: health checks that connect and
   * close, with or without a proxy's header.
   */
  readonly probes: number;
  /** Those of `droppedSockets` whose address is trusted with `proxyProtocol`, and that began with something else. */
  readonly badProxyHeaders: number;
  /** "ready" from `listen` to `close`, "draining" from there until every socket is gone, then "stopped". */
  readonly health: Health;
  /** The TCP port on which the option `health` has probes answered (also when 0 was asked for); 0 without. */
  readonly healthPort: number;
  /**
   * Stops accepting and closes every connection in good order: handlers that run, their answers and queued writes
   * finish within `drainTimeoutMs`. Resolves when every socket is gone. Idempotent, never rejects.
   *
   * With `graceMs` it serves on for so long, new connections, too, while `health` says that it should get none: those
   * who send clients here need the time to notice. A call without it, or with a shorter one, cuts it short.
   *
   * @throws SealwireError ERR_INVALID_ARGUMENT
   */
  close(options?: CloseOptions): Promise<void>;
  /**
   * Puts other keys in place of all that `listen` or the last `reload` was given: what is left out is none. From here
   * on handshakes go by them. Connections whose keys are no longer accepted (their psk, the server's static key that
   * they knew, their own key by `remoteStatic` or `authorize`, which is asked again) are drained; the others stay.
   * Resolves with the number of those drained when all were looked at. A mistake changes nothing.
   *
   * @throws SealwireError ERR_INVALID_ARGUMENT, also where the keys would make the server anonymous, or had to stay with
   *   the option `handshake`; ERR_CLOSED. All as rejections.
   */
  reload(keys: ReloadedKeys): Promise<number>;
  /**
   * Lets the process end while nothing is under way on the server: neither listening (for health probes, too) nor idle
   * connections keep it alive any more. What has an end of its own does until then: a handshake, a request with a time
   * limit, closing.
   */
  unref(): void;
  /** Takes `unref` back. */
  ref(): void;
  /** `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** The options of `listen` that `reload` replaces. */
export type ReloadedKeys = Pick<PeerOptions, "psk" | "staticKey" | "remoteStatic" | "authorize"> & OtherKeys;

/** Options of `Server.close`. */
export interface CloseOptions {
  /** Milliseconds between "draining" and the end of accepting. Default 0. */
  graceMs?: number;
}
