// Ranges of IP addresses ("10.0.0.0/8", "fd00::/8", "192.0.2.7"), and whether an address is in one of them. IPv4
// addresses and those mapped into IPv6 (RFC 4291 section 2.5.5.2) are the same.

import { invalidArgument } from "../base/errors.ts";
import { ipv6Groups } from "./addressGroup.ts";

const ADDRESS_BITS = 128;
/** An IPv4 prefix counts from here in the mapped form ::ffff:a.b.c.d. */
const MAPPED_BITS = 96;
const GROUP_BITS = 16;

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

interface Range {
  readonly groups: readonly number[];
  readonly bits: number;
}

function parseRange(name: string, text: unknown): Range {
  const wrong = () => invalidArgument(name, `a list of IP addresses or ranges like "10.0.0.0/8", or "unix"`);
  if (typeof text !== "string") throw wrong();
  const [address, prefix, ...more] = text.split("/");
  const groups = addressGroups(address!);
  if (groups === undefined || address!.includes("%") || more.length > 0) throw wrong();
  const offset = address!.includes(":") ? 0 : MAPPED_BITS;
  if (prefix === undefined) return { groups, bits: ADDRESS_BITS };
  if (!/^(0|[1-9]\d{0,2})$/.test(prefix) || Number(prefix) + offset > ADDRESS_BITS) throw wrong();
  return { groups, bits: Number(prefix) + offset };
}

function isWithin({ groups, bits }: Range, address: readonly number[]): boolean {
  for (let i = 0; i * GROUP_BITS < bits; i++) {
    const unchecked = Math.max(GROUP_BITS * (i + 1) - bits, 0);
    if (groups[i]! >>> unchecked !== address[i]! >>> unchecked) return false;
  }
  return true;
}

/** Addresses that are trusted. "unix" stands for peers on Unix sockets, which have no address. */
export class AddressRanges {
  readonly #ranges: readonly Range[];
  readonly includesUnix: boolean;

  /**
   * @param name the option, for its error
   * @throws SealwireError ERR_INVALID_ARGUMENT naming the option.
   */
  constructor(name: string, ranges: readonly string[]) {
    if (!Array.isArray(ranges) || ranges.length === 0) {
      throw invalidArgument(name, `a list of IP addresses or ranges like "10.0.0.0/8", or "unix"`);
    }
    this.includesUnix = ranges.includes("unix");
    this.#ranges = ranges.filter((range) => range !== "unix").map((range) => parseRange(name, range));
  }

  /** @param address in text form; empty if the peer has none */
  includes(address: string): boolean {
    if (address === "") return this.includesUnix;
    const groups = addressGroups(address);
    return groups !== undefined && this.#ranges.some((range) => isWithin(range, groups));
  }
}
