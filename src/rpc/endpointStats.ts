// The statistics that a client with several endpoints gives about each of them.

import type { SealwireError } from "../base/errors.ts";

/** What a client has with one of its endpoints now. */
export type EndpointState = "idle" | "connecting" | "open" | "failing";

/** One address of a client's endpoints, in `stats`. */
export interface EndpointStats {
  /** "host:port", the path or the name of SRV records, as it was given. */
  readonly name: string;
  /** The IP address or the path. */
  readonly address: string;
  /** 0 for a Unix socket. */
  readonly port: number;
  /** Of its SRV record: those with the lowest number get the calls as long as one of them works. Otherwise 0. */
  readonly priority: number;
  /** Of its SRV record: its share of the calls among those of its priority. Otherwise 1. */
  readonly weight: number;
  /** What the client has with it now. */
  readonly state: EndpointState;
  /** Connections that are open or begin. */
  readonly connections: number;
  /** Requests that wait for answers. */
  readonly inFlightRequests: number;
  /** Bytes that wait to be sent. */
  readonly pendingBytes: number;
  /** In a row, up to now. */
  readonly failures: number;
  /** While it is failing: until it may be probed, in milliseconds; the next call does that then. Otherwise 0. */
  readonly probeInMs: number;
  /** Why it failed last, if it ever did. */
  readonly lastError: SealwireError | undefined;
}
