// The PROXY header (version 2) that the opening side puts before a connection to its target, for services that need to
// identify the peer: the address of the sealing proxy, and its public key if it has one.
// https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt, section 2.2

import { addressGroups } from "../../rpc/addressText.ts";
import { PROXY_SIGNATURE } from "../../rpc/proxyHeader.ts";

const VERSION_2_PROXY = 0x21;
/** By the length of an address: no address, TCP over IPv4, TCP over IPv6. */
const families = { 0: 0x00, 4: 0x11, 16: 0x21 } as const;
/** An IPv4 address in the form of IPv6 begins with these groups. */
const MAPPED = [0, 0, 0, 0, 0, 0xffff];
/** The first type that is free for applications: 32 bytes, the peer's static public key. */
const TLV_PUBLIC_KEY = 0xe0;

/** 4 or 16 bytes; none if the text is no address. */
function addressBytes(text: string): number[] {
  const groups = addressGroups(text);
  if (groups === undefined) return [];
  const bytes = groups.flatMap((group) => [group >>> 8, group & 0xff]);
  const mapped = groups.slice(0, MAPPED.length).every((group, i) => group === MAPPED[i]);
  return mapped ? bytes.slice(-4) : bytes;
}

/**
 * The header, 16 bytes and the rest.
 *
 * @param address of the peer in text form; empty if it has none
 * @param publicKey 32 bytes, if the handshake proved one
 */
export function proxyAnnouncement(address: string, publicKey: Uint8Array | undefined): Uint8Array {
  const source = addressBytes(address);
  const family = families[source.length as keyof typeof families];
  // The destination and the ports are unknown here, so they are zeros.
  const addresses = source.length === 0 ? [] : [...source, ...source.map(() => 0), 0, 0, 0, 0];
  const extension = publicKey === undefined ? [] : [TLV_PUBLIC_KEY, 0, publicKey.length, ...publicKey];
  const variable = addresses.length + extension.length;
  const header = [VERSION_2_PROXY, family, variable >>> 8, variable & 0xff];
  return Uint8Array.of(...PROXY_SIGNATURE, ...header, ...addresses, ...extension);
}
