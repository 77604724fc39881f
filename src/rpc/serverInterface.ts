// The public types of a server.

import type { PeerOptions } from "../protocol/noise/noiseOptions.ts";
import type { OtherKeys } from "../protocol/noise/severalKeys.ts";
import type { ConnectionTotals } from "./connectionStats.ts";
import type { Health } from "./health.ts";
import type { Connection } from "./peer.ts";

/** The type of `Server.stats`. */
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
  /** The TCP port of the listener (also if 0 was asked for); 0 for a Unix socket. */
  readonly port: number;
  /** The path of the listener's Unix socket, if it has one. */
  readonly path: string | undefined;
  /** True if the options identify neither the clients nor, to the clients, the server. */
  readonly anonymous: boolean;
  /** The connections that are open now. */
  readonly connections: readonly Connection[];
  /**
   * Sockets that were closed because of a limit of connections, handshakes or waiting sockets, in all or per address.
   * Silent sockets are counted in `droppedSockets`.
   */
  readonly refusedConnections: number;
  /**
   * Sockets that were closed, by either side, before they had sent a complete first message. They were too slow
   * (`handshakeTimeoutMs`), or the oldest of too many (`maxWaitingSockets`), or their peer closed them. Those count as
   * well that had sent one and waited for a place or a turn, when their peer closed them or sent too much behind it.
   * `onConnectionState` is not called for them, because they were no connections yet.
   */
  readonly droppedSockets: number;
  /** Sockets that now wait for a place or have sent no complete first message. */
  readonly waitingSockets: number;
  /** Counters since the server started, and gauges. A snapshot. */
  readonly stats: ServerStats;
  /**
   * Sockets among `droppedSockets` that the peer closed without having sent anything itself: health checks that connect
   * and close, with or without a proxy's header.
   */
  readonly probes: number;
  /**
   * Sockets among `droppedSockets` whose address is trusted with `proxyProtocol`, and which did not begin with a PROXY
   * header.
   */
  readonly badProxyHeaders: number;
  /** "ready" from `listen` to `close`, then "draining" until every socket is gone, then "stopped". */
  readonly health: Health;
  /** The TCP port of the HTTP server for probes, option `health` (also if 0 was asked for); 0 without it. */
  readonly healthPort: number;
  /**
   * Stops accepting and closes every connection in good order: running handlers, their answers and queued writes finish
   * within `drainTimeoutMs`. Resolves when every socket is gone. Idempotent, never rejects.
   *
   * With `graceMs` the server first serves on for that time, including new connections, while `health` is "draining",
   * so that balancers have time to notice. A further call without `graceMs`, or with a shorter one, ends the grace
   * earlier.
   *
   * @throws SealwireError ERR_INVALID_ARGUMENT
   */
  close(options?: CloseOptions): Promise<void>;
  /**
   * Replaces all keys that `listen` or the last `reload` was given; a key that is left out is removed. Later handshakes
   * use the new keys. A connection is drained if its keys are no longer accepted: its psk, the server's static key that
   * it knew, or the client's own key by `remoteStatic` or `authorize`, which is called again. The others stay. A
   * connection whose handshake was under way is checked when it opens; if it is refused at once, nobody is told that it
   * opened. What `authorize` puts off with `info.whenProven` is decided as soon as it has answered true. No answer within
   * `handshakeTimeoutMs` is a refusal. Each connection is drained as soon as that is known. A later reload asks about the
   * same connections, and its answers count instead. Resolves with the number of drained connections when all that were
   * open have been checked. A mistake changes nothing. It also works while the server closes, above all during a grace,
   * until every socket is gone.
   *
   * @throws SealwireError as rejections: ERR_INVALID_ARGUMENT, also if clients would have to prove less than before (to
   *   let any key in, give `authorize: () => true`), or the server has the option `handshake`; ERR_CLOSED once it is
   *   stopped.
   */
  reload(keys: ReloadedKeys): Promise<number>;
  /**
   * Listening (for health probes, too) and idle connections no longer keep the process alive. An operation that ends by
   * itself still does: a handshake, a request with a time limit, a close.
   */
  unref(): void;
  /** Reverses `unref`. */
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
