// The public type of a client with several endpoints: the methods that it has in addition to those of every client.

import type { Client } from "./client.ts";

/** The part of a client that calls. `connected` gives the connection that a call would go to now. */
export type Caller = Pick<Client, "send" | "sendNoWait" | "request" | "call" | "connected">;

/** A client with the option `endpoints`. */
export interface StickyClient extends Client {
  /**
   * Calls that go to the same endpoint for the same key, as long as it works, from every client that knows the same
   * endpoints (rendezvous hashing). When one fails, only its own keys go elsewhere.
   *
   * @throws SealwireError ERR_INVALID_ARGUMENT
   */
  sticky(key: string): Caller;
}
