// The part of a client or connection that typed calls use.

import type { Client } from "../rpc/client.ts";
import type { Connection } from "../rpc/peer.ts";

/** A client, a connection, or the result of `client.sticky(key)`. */
export type TypedCaller = Pick<Client | Connection, "call" | "send"> & Partial<Pick<Client, "connected">>;
