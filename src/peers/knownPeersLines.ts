// The text of a file of known peers: bytes to lines, lines to bytes. docs/KNOWN_PEERS.md describes the format.
//
//   # comment
//   NAME KEY [comment]            a server that this side dials
//   @client NAME KEY [comment]    a client that may call in
//   @revoked NAME KEY [comment]   a key that is refused everywhere
//
// Two more forms are left by writers. `NAME~KEY` is a claim: a first use that is not decided yet (see
// knownPeersTrust.ts). Text that ends with `#torn` is a line whose writing was cut short.

import type { Buffer } from "node:buffer";
import { invalidArgument } from "../base/errors.ts";
import { decodeKey, encodeKey } from "../protocol/noise/keys.ts";
import { isName } from "./knownPeersName.ts";

/** The kind of a line. */
export type LineKind = "server" | "client" | "revoked" | "claim";

export interface PeerLine {
  readonly kind: LineKind;
  readonly name: string;
  /** 43 characters of base64url. */
  readonly key: string;
  /** The position of the line in the file, in bytes, without its newline. */
  readonly start: number;
  readonly end: number;
}

/** How a file ends: with a newline, with a good line that lacks one, or in the middle of a line. */
export type FileTail = "whole" | "unterminated" | "torn";

export interface PeerLines {
  /** In order. */
  readonly lines: readonly PeerLine[];
  /** The lines of servers by name. */
  readonly servers: ReadonlyMap<string, readonly PeerLine[]>;
  readonly serverKeys: ReadonlySet<string>;
  readonly clientKeys: ReadonlySet<string>;
  readonly revokedKeys: ReadonlySet<string>;
  readonly tail: FileTail;
}

const CLAIM = /^(\S+)~([A-Za-z0-9_-]{43})$/;
const MARKERS: Record<string, LineKind> = { "@client": "client", "@revoked": "revoked" };

const NEWLINE = 0x0a;
/** Overwriting the first byte of a line with this turns it into a comment. */
export const COMMENT_BYTE = 0x23;
/** Overwriting the `~` of a claim with this turns it into a server's line. */
export const SPACE_BYTE = 0x20;
/** Ends a line that was cut short, so that it can be distinguished from a damaged one. */
const TORN_END = "#torn";

/**
 * Reads a whole file.
 *
 * A line that is not understood refuses the file, because it may have contained a revocation, or the key of a name that
 * would otherwise be trusted again. Only an append that was cut short is skipped, because its program never got a
 * success.
 *
 * @param path for the messages
 * @throws SealwireError ERR_INVALID_ARGUMENT naming the line
 */
export function parsePeerLines(path: string, bytes: Buffer): PeerLines {
  const lines: PeerLine[] = [];
  let tail: FileTail = "whole";
  let holdsALine = false;
  for (let start = 0, number = 1, next: number; start < bytes.length; start = next, number++) {
    const newline = bytes.indexOf(NEWLINE, start);
    const end = newline === -1 ? bytes.length : newline;
    next = end + 1;
    const text = bytes.toString("utf8", start, end).trim();
    if (newline === -1) tail = "unterminated";
    if (text === "") continue;
    // The lines of old systems, behind the first of which all others would look like its comment.
    if (text.includes("\r"))
      throw invalidArgument(`${path}:${number}`, "lines that end with LF or CR LF, not with CR");
    try {
      const line = parseLine(`${path}:${number}`, text, start, end);
      if (line !== undefined) lines.push(line);
      holdsALine = true;
    } catch (error) {
      if (newline === -1) tail = "torn";
      else if (!text.endsWith(TORN_END)) throw error;
    }
  }
  // No program that follows the rules leaves such a file, so it has lost its content.
  if (!holdsALine) {
    throw invalidArgument(path, "a file with a line in it, if only a comment; it is empty, as if damaged");
  }
  return { lines, ...indexOf(lines), tail };
}

/** Undefined for a comment. */
function parseLine(where: string, text: string, start: number, end: number): PeerLine | undefined {
  if (text.startsWith("#")) return undefined;
  const claim = CLAIM.exec(text);
  const [first = "", second, third] = text.split(/\s+/, 3);
  const kind = claim ? "claim" : first.startsWith("@") ? MARKERS[first] : "server";
  if (kind === undefined) throw invalidArgument(where, "a line with @client, @revoked or no marker");
  const [name, key] = claim
    ? [claim[1]!, claim[2]!]
    : kind === "server"
      ? [first, second]
      : [second ?? "", third];
  if (key === undefined || !isName(name)) throw invalidArgument(where, "a line of name and key");
  return { kind, name, key: encodeKey(decodeKey(`${where}: the key`, key)), start, end };
}

function indexOf(lines: readonly PeerLine[]): Omit<PeerLines, "lines" | "tail"> {
  const servers = new Map<string, PeerLine[]>();
  const keys = { server: new Set<string>(), client: new Set<string>(), revoked: new Set<string>() };
  for (const line of lines) {
    if (line.kind === "claim") continue;
    keys[line.kind].add(line.key);
    if (line.kind !== "server") continue;
    const ofName = servers.get(line.name);
    if (ofName === undefined) servers.set(line.name, [line]);
    else ofName.push(line);
  }
  return { servers, serverKeys: keys.server, clientKeys: keys.client, revokedKeys: keys.revoked };
}

/** The text of a line, without its newline. */
export function formatPeerLine(kind: LineKind, name: string, key: string): string {
  if (kind === "claim") return `${name}~${key}`;
  return `${kind === "server" ? "" : `@${kind} `}${name} ${key}`;
}

/** The position of a claim's `~`, in bytes from the beginning of the file. */
export function claimMarkAt(claim: PeerLine, bytes: Buffer): number {
  return bytes.lastIndexOf("~", claim.end - 1);
}

/** The text that must separate the end of the file from a new line. */
export function separatorAfter(tail: FileTail): string {
  return tail === "whole" ? "" : tail === "torn" ? `${TORN_END}\n` : "\n";
}

/**
 * The name of an address in the file. Characters that a name can't contain are percent-encoded (`%` as well, so that
 * two addresses never share a name). A host is in lower case, because DNS does not distinguish cases.
 */
export function nameOfAddress(address: string): string {
  const folded = /^[^/]*:\d+$/.test(address) ? address.toLowerCase() : address;
  return folded.replaceAll(/[\s\p{Cc}\p{Cf}\p{Cs}\ufffd%#]|^@/gu, percentEncode);
}

function percentEncode(character: string): string {
  const hex = (byte: number) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  return Array.from(new TextEncoder().encode(character), hex).join("");
}
