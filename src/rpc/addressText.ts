// Reads IP addresses in text form. IPv4 addresses and those mapped into IPv6 (RFC 4291 section 2.5.5.2) are the same.

export const IPV6_GROUPS = 8;

/**
 * The eight 16-bit groups of an address, or of the mapped form of an IPv4 address; undefined if the text is no address.
 */
export function addressGroups(text: string): number[] | undefined {
  const address = text.split("%", 1)[0]!;
  if (address.includes(":")) return ipv6Groups(address);
  return isIpv4(address) ? ipv6Groups(`::ffff:${address}`) : undefined;
}

/** Four decimal numbers up to 255. Leading zeros are refused, because some readers take such numbers for octal. */
export function isIpv4(text: string): boolean {
  const parts = text.split(".");
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
}

/** The eight 16-bit groups of an IPv6 address in text form; undefined if the text is none. */
export function ipv6Groups(text: string): number[] | undefined {
  const tail = text.slice(text.lastIndexOf(":") + 1);
  // Only the last 32 bits may be written as an IPv4 address.
  const hexadecimal = isIpv4(tail) ? text.slice(0, -tail.length) + asTwoGroups(tail) : text;
  const halves = hexadecimal.split("::").map((half) => (half === "" ? [] : half.split(":").map(groupOf)));
  const [head, rest] = halves;
  const missing = IPV6_GROUPS - halves.flat().length;
  if (halves.length > 2 || (rest === undefined ? missing !== 0 : missing < 1)) return undefined;
  const groups = [...head!, ...new Array<number>(missing).fill(0), ...(rest ?? [])];
  return groups.includes(-1) ? undefined : groups;
}

function asTwoGroups(ipv4: string): string {
  const [a, b, c, d] = ipv4.split(".").map(Number);
  return `${(a! * 256 + b!).toString(16)}:${(c! * 256 + d!).toString(16)}`;
}

/** -1 if the text is no group. */
function groupOf(part: string): number {
  return /^[0-9a-f]{1,4}$/i.test(part) ? Number.parseInt(part, 16) : -1;
}
