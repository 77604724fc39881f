// Decides which peers are accepted, by the lines of a file of known peers. This file neither reads nor writes.
//
// A first use goes through a claim. So if two processes meet a name at the same moment with two keys, one wins, and the
// other's key is never accepted, even if one of them crashes:
//
//   unknown ── append NAME~KEY ──▶ claimed ── it is the name's first claim: `~` becomes a space ──▶ known
//                                     └────── another key is before it: `#` over the line, refused

import { SealwireError } from "../base/errors.ts";
import type { AuthorizeInfo } from "../protocol/noise/noiseOptions.ts";
import type { ByteEdit, Edit, PeerSnapshot } from "./knownPeersFile.ts";
import {
  COMMENT_BYTE,
  claimMarkAt,
  formatPeerLine,
  type PeerLine,
  type PeerLines,
  SPACE_BYTE,
} from "./knownPeersLines.ts";

/** The most known keys that are named if a key has changed. */
const MAX_KEYS_SHOWN = 4;

/**
 * Whether a server of this name has this key.
 *
 * @throws SealwireError ERR_UNAUTHORIZED if the key is revoked, or the name has other keys only
 */
export function acceptsServer(
  path: string,
  peers: PeerLines | undefined,
  name: string,
  key: string,
): boolean {
  if (peers === undefined) return false;
  requireUnrevoked(path, peers, key);
  const ofName = peers.servers.get(name) ?? [];
  if (ofName.some((line) => line.key === key)) return true;
  if (ofName.length === 0) return false;
  const shown = ofName.slice(0, MAX_KEYS_SHOWN).map((line) => line.key);
  throw unauthorized(
    `the key of ${name} has changed: ${path} has ${shown.join(", ")}${ofName.length > shown.length ? ", …" : ""}, ` +
      `the peer ${key}. Somebody may be in between; if the change is right, remove the old line`,
  );
}

/**
 * Whether a client with this key may call in, whatever its name.
 *
 * @throws SealwireError ERR_UNAUTHORIZED if the key is revoked
 */
export function acceptsClient(
  path: string,
  peers: PeerLines | undefined,
  _name: string,
  key: string,
): boolean {
  if (peers === undefined) return false;
  requireUnrevoked(path, peers, key);
  return peers.clientKeys.has(key);
}

function requireUnrevoked(path: string, peers: PeerLines, key: string): void {
  if (peers.revokedKeys.has(key)) throw unauthorized(`${path} revokes the key ${key}`);
}

/** The next step of writing a server's line (see the top of this file); undefined if the file has it. */
export function trustServer(
  path: string,
  snapshot: PeerSnapshot | undefined,
  name: string,
  key: string,
): Edit | undefined {
  // The file is made with its first line, and only one process can make it, so its claim is the first one.
  if (snapshot === undefined) return { append: formatPeerLine("server", name, key) };
  const { peers, bytes } = snapshot;
  const claims = peers.lines.filter((line) => line.kind === "claim" && line.name === name);
  const own = claims.filter((claim) => claim.key === key);
  const known = peers.servers.get(name) ?? [];
  const [first] = claims;
  const others = known.length > 0 ? known : first === undefined ? [] : [first];
  if (own.length > 0 && others.every((line) => line.key !== key)) return { replace: own.map(toComment) };
  if (acceptsServer(path, peers, name, key)) return undefined;
  if (first === undefined) return { append: formatPeerLine("claim", name, key) };
  if (first.key === key) {
    return { replace: [{ line: first, at: claimMarkAt(first, bytes), byte: SPACE_BYTE }] };
  }
  throw unauthorized(
    `${name} shows the key ${key}, but ${path} has a first use with ${first.key} that is under way or was ` +
      "cut short. Somebody may be in between; if the key is right, remove the name",
  );
}

export function whyUnknown(
  path: string,
  peers: PeerLines | undefined,
  info: AuthorizeInfo,
  name: string,
  key: string,
): string {
  const why = `${key} of ${name} is not in ${path}`;
  if (info.role === "client" || peers?.serverKeys.has(key) !== true) return why;
  return `${why} with @client: it is known as a server, and may not call in for it`;
}

export function unauthorized(why: string): SealwireError {
  return new SealwireError("ERR_UNAUTHORIZED", why);
}

/** Turns a line into a comment. */
export function toComment(line: PeerLine): ByteEdit {
  return { line, at: line.start, byte: COMMENT_BYTE };
}
