// Publishes what happens to a client's endpoints on node:diagnostics_channel. Subscribers never run inside a call of
// the application, because endpoints are found, fail and leave in turns of their own.

import type { SealwireError } from "../base/errors.ts";
import { channels } from "../core/diagnostics.ts";
import type { EndpointStats } from "./endpointStats.ts";

/** Why an endpoint left the client. */
export type LeavingReason = "closed" | "unlisted";

interface Told {
  readonly stats: EndpointStats;
}

export class EndpointNews {
  readonly #client: object;

  /** @param client that the endpoints belong to */
  constructor(client: object) {
    this.#client = client;
  }

  /** A lookup found the endpoint. */
  joined(endpoint: Told): void {
    this.#tell(channels.endpointJoined, endpoint, {});
  }

  /** The client was closed, or a lookup no longer found the endpoint. */
  left(endpoint: Told, reason: LeavingReason): void {
    this.#tell(channels.endpointLeft, endpoint, { reason });
  }

  /** The endpoint gets no calls for `pauseMs`; then it is probed. */
  failed(endpoint: Told, error: SealwireError, pauseMs: number): void {
    this.#tell(channels.endpointFailed, endpoint, { error, pauseMs });
  }

  /** The endpoint was dialled again after a failure. Without an error it can be chosen again. */
  probed(endpoint: Told, error: SealwireError | undefined): void {
    this.#tell(channels.endpointProbed, endpoint, { error });
  }

  /** A lookup, or a part of it, failed. Earlier results stay in use. */
  lookupFailed(error: unknown): void {
    if (channels.lookupFailed.hasSubscribers) channels.lookupFailed.publish({ client: this.#client, error });
  }

  #tell(channel: (typeof channels)["endpointLeft"], { stats }: Told, more: object): void {
    if (channel.hasSubscribers) channel.publish({ client: this.#client, endpoint: stats, ...more });
  }
}
