// Resolves a name to all its addresses through the system (hosts file, DNS), in the system's order, and to
// its SRV records through the system's DNS servers.

import { outOfContext } from "../core/eventLoop.ts";
import type { Adapter } from "../rpc/transport.ts";
import { modulesLoading, nodeModule } from "./nodeModules.ts";

/** IPv4 and IPv6 addresses in text form. Rejects with the runtime's error where the name has none. */
export async function resolveName(host: string): Promise<string[]> {
  await modulesLoading();
  const found = await nodeModule("dns/promises").lookup(host, { all: true, verbatim: true });
  return found.map(({ address }) => address);
}

async function resolveService(name: string): ReturnType<NonNullable<Adapter["resolveService"]>> {
  await modulesLoading();
  // Looked up in the module at each call, because `setServers` replaces it.
  return nodeModule("dns/promises").resolveSrv(name);
}

/** The resolving members of an adapter. Rejects with the runtime's error if a name has no such record. */
export const names: Required<Pick<Adapter, "resolve" | "resolveService">> = {
  resolve: (host) => outOfContext(() => resolveName(host)),
  resolveService: (name) => outOfContext(() => resolveService(name)),
};
