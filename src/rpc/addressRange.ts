// Ranges of IP addresses ("10.0.0.0/8", "fd00::/8", "192.0.2.7"), and whether an address is in one of them. IPv4
// addresses and those mapped into IPv6 (RFC 4291 section 2.5.5.2) are the same.

import { invalidArgument } from "../base/errors.ts";
import { addressGroups } from "./addressText.ts";

const ADDRESS_BITS = 128;
/** An IPv4 prefix counts from here in the mapped form ::ffff:a.b.c.d. */
const MAPPED_BITS = 96;
const GROUP_BITS = 16;

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
