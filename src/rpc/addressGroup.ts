// Decides which addresses share the limits per address: one IPv4 address, or one IPv6 network of 64 bits. Providers
// give a whole such network to one customer, who can use any address of it.

import { ipv6Groups } from "./addressText.ts";

const NETWORK_GROUPS = 4;

/**
 * Whether an IPv6 address contains an IPv4 address: mapped addresses (RFC 4291 section 2.5.5.2) and NAT64 (RFC 6052
 * section 2.1).
 */
function embedsIpv4(groups: readonly number[]): boolean {
  const zeros = (from: number, to: number) => groups.slice(from, to).every((group) => group === 0);
  return (zeros(0, 5) && groups[5] === 0xffff) || (groups[0] === 0x64 && groups[1] === 0xff9b && zeros(2, 6));
}

/**
 * The group of `remoteAddress` (text form, with or without a zone). A text that is no IP address is a group of its own.
 */
export function addressGroup(remoteAddress: string): string {
  if (!remoteAddress.includes(":")) return remoteAddress;
  const [address, zone] = remoteAddress.split("%", 2);
  const groups = ipv6Groups(address!);
  if (groups === undefined) return remoteAddress;
  if (embedsIpv4(groups)) {
    const [high, low] = groups.slice(-2) as [number, number];
    return `${high >>> 8}.${high & 255}.${low >>> 8}.${low & 255}`;
  }
  const network = groups.slice(0, NETWORK_GROUPS).map((group) => group.toString(16));
  return `${network.join(":")}::/64${zone === undefined ? "" : `%${zone}`}`;
}
