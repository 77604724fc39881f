// The statistics that a client with several endpoints gives about each of them.

import type { SealwireError } from "../base/errors.ts";

/** The state of a client's connection to one endpoint. */
export type EndpointState = "idle" | "connecting" | "open" | "failing";

/** One address of a client's endpoints, in `stats`. */
export interface EndpointStats {
  /** "host:port", the path or the name of SRV records, as the application gave it. */
  readonly name: string;
  /** The IP address or the path. */
  readonly address: string;
  /** 0 for a Unix socket. */
  readonly port: number;
  /**
   * From its SRV record: the endpoints with the lowest number get the calls as long as one of them works. Otherwise 0.
   */
  readonly priority: number;
  /** From its SRV record: its share of the calls among endpoints of the same priority. Otherwise 1. */
  readonly weight: number;
  /** The state of the client's connection to it. */
  readonly state: EndpointState;
  /** Connections that are open or begin. */
  readonly connections: number;
  /** Requests that wait for answers. */
  readonly inFlightRequests: number;
  /** Bytes that wait to be sent. */
  readonly pendingBytes: number;
  /** The number of failures in a row. */
  readonly failures: number;
  /**
   * While it is failing: milliseconds until it may be probed; the next call after that causes the probe. Otherwise 0.
   */
  readonly probeInMs: number;
  /** The last failure; undefined if it never failed. */
  readonly lastError: SealwireError | undefined;
}
