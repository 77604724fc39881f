// The header that a proxy puts before the bytes of the client (PROXY protocol of HAProxy, versions 1 and 2:
// https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt). Pure functions of the bytes received so far. The work
// per call is constant, whatever length is announced.

import { addressGroups, IPV6_GROUPS, isIpv4 } from "./addressText.ts";

/** Section 2.1: the longest line of version 1, with its end. */
const LONGEST_LINE_BYTES = 107;
/** Section 2.2: signature, version and command, family, and a u16be length of the rest. */
const FIXED_BYTES = 16;
/**
 * The most bytes after these in version 2. Addresses take up to 216 bytes; the rest is for extensions (TLVs), which are
 * skipped. The protocol allows 65,535.
 */
const MOST_VARIABLE_BYTES = 4_096;
export const PROXY_SIGNATURE = Uint8Array.of(
  0x0d,
  0x0a,
  0x0d,
  0x0a,
  0x00,
  0x0d,
  0x0a,
  0x51,
  0x55,
  0x49,
  0x54,
  0x0a,
);
const LINE_START = Uint8Array.from("PROXY ", (letter) => letter.charCodeAt(0));
const CR = 0x0d;
const LF = 0x0a;
const IPV4_BYTES = 4;
const IPV6_BYTES = 16;
const PORT_BYTES = 2;

/** A complete header. */
export interface ProxyHeader {
  /** Its length; the client's own bytes follow. */
  readonly bytes: number;
  /**
   * The client's address. Undefined if the proxy speaks for itself (LOCAL: a health check) or gives none (UNKNOWN, a
   * Unix socket).
   */
  readonly address: string | undefined;
}

/** "more": it may become a header. "invalid": it never will. */
export type ProxyHeaderRead = ProxyHeader | "more" | "invalid";

/** Reads the beginning of a stream. */
export function readProxyHeader(received: Uint8Array): ProxyHeaderRead {
  if (startsLike(received, PROXY_SIGNATURE)) return readBinary(received);
  if (startsLike(received, LINE_START)) return readLine(received);
  return "invalid";
}

/** Whether the received bytes are `start` or a beginning of it. */
function startsLike(received: Uint8Array, start: Uint8Array): boolean {
  const length = Math.min(received.length, start.length);
  for (let i = 0; i < length; i++) if (received[i] !== start[i]) return false;
  return true;
}

// ---- Version 1 --------------------------------------------------------------------------------------------

function readLine(received: Uint8Array): ProxyHeaderRead {
  const end = received.subarray(0, LONGEST_LINE_BYTES).indexOf(CR);
  if (end < 0) return received.length < LONGEST_LINE_BYTES ? "more" : "invalid";
  if (end + 1 >= LONGEST_LINE_BYTES) return "invalid";
  if (end + 1 >= received.length) return "more";
  if (received[end + 1] !== LF) return "invalid";
  const line = String.fromCharCode(...received.subarray(0, end));
  const bytes = end + 2;
  const [, family, source, destination, ...ports] = line.split(" ");
  if (family === "UNKNOWN") return { bytes, address: undefined };
  if (source === undefined || destination === undefined || ports.length !== 2) return "invalid";
  const isAddress = family === "TCP4" ? isIpv4 : family === "TCP6" ? isIpv6 : () => false;
  if (![source, destination].every(isAddress) || !ports.every(isPort)) return "invalid";
  return { bytes, address: family === "TCP4" ? source : ipv6Text(addressGroups(source)!) };
}

function isIpv6(text: string): boolean {
  return text.includes(":") && !text.includes("%") && addressGroups(text) !== undefined;
}

function isPort(text: string): boolean {
  return /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;
}

// ---- Version 2 --------------------------------------------------------------------------------------------

function readBinary(received: Uint8Array): ProxyHeaderRead {
  if (received.length < FIXED_BYTES) return "more";
  const version = received[12]! >>> 4;
  const command = received[12]! & 0x0f;
  const variable = received[14]! * 256 + received[15]!;
  // Command 0 is LOCAL, 1 is PROXY.
  if (version !== 2 || command > 1 || variable > MOST_VARIABLE_BYTES) return "invalid";
  const bytes = FIXED_BYTES + variable;
  if (received.length < bytes) return "more";
  // The family of a LOCAL header must be ignored.
  if (command === 0) return { bytes, address: undefined };
  return readAddress(received[13]!, received.subarray(FIXED_BYTES, bytes), bytes);
}

/** `family`: address family in the upper half (1 IPv4, 2 IPv6, 3 Unix), transport in the lower one (1 a stream). */
function readAddress(family: number, body: Uint8Array, bytes: number): ProxyHeaderRead {
  if (family === 0x11) {
    if (body.length < 2 * (IPV4_BYTES + PORT_BYTES)) return "invalid";
    return { bytes, address: body.subarray(0, IPV4_BYTES).join(".") };
  }
  if (family === 0x21) {
    if (body.length < 2 * (IPV6_BYTES + PORT_BYTES)) return "invalid";
    const groups = Array.from({ length: IPV6_GROUPS }, (_, i) => body[2 * i]! * 256 + body[2 * i + 1]!);
    return { bytes, address: ipv6Text(groups) };
  }
  // No address (0), or a Unix socket at the proxy. Datagrams can't arrive here.
  return family === 0x00 || family === 0x31 ? { bytes, address: undefined } : "invalid";
}

/**
 * The one text of an address, whatever the proxy wrote: applications compare texts. RFC 5952: the longest run of at least
 * two zero groups is shortened; of equal runs the first one.
 */
function ipv6Text(groups: readonly number[]): string {
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return `::ffff:${groups
      .slice(6)
      .flatMap((group) => [group >>> 8, group & 255])
      .join(".")}`;
  }
  let start = -1;
  let longest = 1;
  for (let i = 0; i < IPV6_GROUPS; i++) {
    let end = i;
    while (end < IPV6_GROUPS && groups[end] === 0) end++;
    if (end - i > longest) [start, longest] = [i, end - i];
  }
  const text = (from: number, to: number) =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(":");
  return start < 0 ? text(0, IPV6_GROUPS) : `${text(0, start)}::${text(start + longest, IPV6_GROUPS)}`;
}
