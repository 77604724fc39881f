// Resolves a name to all its addresses through the system (hosts file, DNS), in the system's order, and to
// its SRV records through the system's DNS servers.

import dns from "node:dns/promises";
import { outOfContext } from "../core/eventLoop.ts";
import type { Adapter } from "../rpc/transport.ts";

/** IPv4 and IPv6 addresses in text form. Rejects with the runtime's error where the name has none. */
export async function resolveName(host: string): Promise<string[]> {
  const found = await dns.lookup(host, { all: true, verbatim: true });
  return found.map(({ address }) => address);
}

/** The resolving members of an adapter. Rejects with the runtime's error if a name has no such record. */
export const names: Required<Pick<Adapter, "resolve" | "resolveService">> = {
  resolve: (host) => outOfContext(() => resolveName(host)),
  // Looked up in the module at each call, because `setServers` replaces it.
  resolveService: (name) => outOfContext(() => dns.resolveSrv(name)),
};
