// Reads IP addresses in text form. IPv4 addresses and those mapped into IPv6 (RFC 4291 section 2.5.5.2) are the same.

const IPV6_GROUPS = 8;

/**
 * The eight 16-bit groups of an address, or of the mapped form of an IPv4 address; undefined if the text is no address.
 */
export function addressGroups(text: string): number[] | undefined {
  const address = text.split("%", 1)[0]!;
  if (address.includes(":")) {
    const tail = address.includes(".") ? address.slice(address.lastIndexOf(":") + 1) : undefined;
    return tail === undefined || isIpv4(tail) ? ipv6Groups(address) : undefined;
  }
  return isIpv4(address) ? ipv6Groups(`::ffff:${address}`) : undefined;
}

/** Four decimal numbers up to 255. Leading zeros are refused, because some readers take such numbers for octal. */
export function isIpv4(text: string): boolean {
  const parts = text.split(".");
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
}

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
