// The public type of a client with several endpoints: the methods that it has in addition to those of every client.

import type { Client } from "./client.ts";

/** The calling methods of a client. `connected` resolves with the connection that a call would take now. */
export type Caller = Pick<Client, "send" | "sendNoWait" | "request" | "call" | "connected">;

/** A client with the option `endpoints`. */
export interface StickyClient extends Client {
  /**
   * Returns a caller whose calls all go to the same endpoint, as long as that endpoint works. Every client with the
   * same endpoints chooses the same one for a key (rendezvous hashing). When an endpoint fails, only its own keys go
   * elsewhere.
   *
   * @throws SealwireError ERR_INVALID_ARGUMENT
   */
  sticky(key: string): Caller;
}
