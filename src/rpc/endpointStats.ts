// What a client with several endpoints tells about each of them.

import type { SealwireError } from "../base/errors.ts";

/** What a client has with one of its endpoints now. */
export type EndpointState = "idle" | "connecting" | "open" | "failing";

/** One address of a client's endpoints, in `stats`. */
export interface EndpointStats {
  /** "host:port" or the path, as it was given. */
  readonly name: string;
  /** The IP address or the path. */
  readonly address: string;
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
  /** Why it failed last, if it ever did. */
  readonly lastError: SealwireError | undefined;
}
