// All addresses of a name, as the system resolves it (hosts file, DNS), in the order in which it would try them.

import { lookup } from "node:dns/promises";

/** IPv4 and IPv6 addresses in text form. Rejects with the runtime's error where the name has none. */
export async function resolveName(host: string): Promise<string[]> {
  const found = await lookup(host, { all: true, verbatim: true });
  return found.map(({ address }) => address);
}
