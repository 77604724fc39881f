// Decides which addresses share the limits per address: one IPv4 address, or one IPv6 network of 64 bits. Providers
// give a whole such network to one customer, who can use any address of it.

const IPV6_GROUPS = 8;
const NETWORK_GROUPS = 4;

/** The eight 16-bit groups of an IPv6 address in text form; undefined if the text is none. */
export function ipv6Groups(text: string): number[] | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [head, tail] = halves.map((half) => (half === "" ? [] : half.split(":").flatMap(groupsOf)));
  const missing = IPV6_GROUPS - head!.length - (tail?.length ?? 0);
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined;
  const groups = [...head!, ...new Array<number>(missing).fill(0), ...(tail ?? [])];
  return groups.every((group) => group >= 0 && group <= 0xffff) ? groups : undefined;
}

/** One hexadecimal group, or the two groups of a dotted IPv4 tail. NaN if the text is neither. */
function groupsOf(part: string): number[] {
  if (!part.includes(".")) return [/^[0-9a-f]{1,4}$/i.test(part) ? Number.parseInt(part, 16) : Number.NaN];
  const [a, b, c, d] = part.split(".").map(Number);
  return [a! * 256 + b!, c! * 256 + d!];
}

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
