// All addresses of a name, as the system resolves it (hosts file, DNS), in the order in which it would try them; and the
// SRV records of a name, from the system's DNS servers.

import dns from "node:dns/promises";
import { outOfContext } from "../core/eventLoop.ts";
import type { Adapter } from "../rpc/transport.ts";

/** IPv4 and IPv6 addresses in text form. Rejects with the runtime's error where the name has none. */
export async function resolveName(host: string): Promise<string[]> {
  const found = await dns.lookup(host, { all: true, verbatim: true });
  return found.map(({ address }) => address);
}

/** What adapters have of names. Rejects with the runtime's error where a name has nothing of the kind. */
export const names: Required<Pick<Adapter, "resolve" | "resolveService">> = {
  resolve: (host) => outOfContext(() => resolveName(host)),
  // Of the module when it is called: `setServers` replaces it.
  resolveService: (name) => outOfContext(() => dns.resolveSrv(name)),
};
