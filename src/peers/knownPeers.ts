// Trust on first use, in the style of SSH's known_hosts. docs/KNOWN_PEERS.md describes the file and its limits.
//
//   db.example.net:7000 8BtEbUZ9i1Q5UmZAcvs0bGbTTJvRrKk0T8qVbPzR0Gs optional comment
//   @client alice 3lXtYkqTzZ0m0m5m0T0cP0o2v9i3Tn1C0m4vWq0xk1Y
//
// A client looks a server up by its name: the server's key must be one of those in that name's lines. A server has no
// names to look up, so a client's key must be in any line with @client, as in SSH's authorized_keys. The two never mix:
// a server that was dialled may not call in for it. All three runtimes have node:fs (Deno asks for read and write
// permission).

import { invalidArgument } from "../base/errors.ts";
import { checkOptionNames } from "../base/options.ts";
import { decodeKey, encodeKey, type KeyInput } from "../protocol/noise/keys.ts";
import type { Authorize, AuthorizeInfo } from "../protocol/noise/noiseOptions.ts";
import { type Edit, KnownPeersFile } from "./knownPeersFile.ts";
import { formatPeerLine, isName, nameOfAddress, type PeerLine, type PeerLines } from "./knownPeersLines.ts";
import {
  acceptsClient,
  acceptsServer,
  toComment,
  trustServer,
  unauthorized,
  whyUnknown,
} from "./knownPeersTrust.ts";

/** The treatment of a peer that the file does not contain. */
export type FirstUse = "trust" | "refuse" | ((key: string, name: string) => boolean | Promise<boolean>);

/** The kind of a marked line; a line without a marker is about a server that this side dials. */
export type KnownPeerMarker = "client" | "revoked";

/** Options of `knownPeers`. */
export interface KnownPeersOptions {
  /**
   * "trust" writes the key down and accepts it, "refuse" refuses it, and a function decides (`key` is base64url text),
   * for example by asking a person. Default: "trust" on a client, "refuse" on a server. Changed and revoked keys are
   * refused in any case.
   */
  firstUse?: FirstUse;
  /**
   * The peer's name in the file, or a function that returns it for the dialled address (on a server: the peer's
   * address). For servers behind a balancer, which share an address or have many. Default: the address, with a host in
   * lower case, and percent-encoded where a name can't contain a character.
   */
  name?: string | ((address: string) => string);
  /**
   * Whether to refuse a file that other users can change or replace, as sshd's StrictModes does: the file and all
   * folders above it must belong to this user or root, and group and others must not be able to write them. Default:
   * true. No effect on Windows.
   */
  strictModes?: boolean;
}

/** A line of the file. */
export interface KnownPeer {
  /** host:port of a server, or the name of a client. */
  readonly name: string;
  /** 32 bytes. */
  readonly key: Uint8Array;
  /** "client": may call in; "revoked": refused everywhere. Absent: a server that this side dials. */
  readonly marker?: KnownPeerMarker;
}

/** A file of known peers. */
export interface KnownPeers {
  /** The path as it was given. */
  readonly path: string;
  /** For the option `authorize` of clients and servers. Throws ERR_UNAUTHORIZED with the reason. */
  readonly authorize: Authorize;
  /** Every line, in order. */
  list(): Promise<KnownPeer[]>;
  /**
   * Adds a line unless it exists, and resolves when it is on the disk. Without a marker the peer is a server that this
   * side dials; `{ marker: "client" }` lets it call in; `{ marker: "revoked" }` refuses its key under every name, in
   * both directions.
   */
  add(name: string, key: KeyInput, options?: { marker?: KnownPeerMarker }): Promise<void>;
  /**
   * Turns the lines of a name, or only those with this key or marker, into comments. Revoked keys stay revoked unless
   * the marker is "revoked". Returns the number of lines.
   */
  remove(name: string, key?: KeyInput, options?: { marker?: KnownPeerMarker }): Promise<number>;
}

/**
 * A file of known peers.
 *
 * @param path created at the first use (mode 0600), folders included (0700); at most 1 MiB
 * @throws SealwireError ERR_INVALID_ARGUMENT. The methods reject with it, too, if the file is malformed, empty, no
 *   regular file, changeable by other users, or can't be read or written (`cause`). Such a file refuses everybody
 *   instead of trusting anew
 */
export function knownPeers(path: string, options: KnownPeersOptions = {}): KnownPeers {
  if (typeof path !== "string" || path === "" || path.includes("\0")) {
    throw invalidArgument("path", "the path of a file");
  }
  const settings = checkOptions(options);
  const file = new KnownPeersFile(path, settings.strictModes ?? true);
  return {
    path,
    authorize: (key, info) => authorize(file, settings, key, info),
    list: async () => ((await file.read())?.peers.lines ?? []).flatMap(toKnownPeer),
    add: (name, key, options) => {
      requireName(name);
      const kind = markerOf(options) ?? "server";
      const text = encodeKey(decodeKey("key", key));
      return file.change((snapshot) => add(path, snapshot?.peers, kind, name, text));
    },
    remove: (name, key, options) => {
      requireName(name);
      const marker = markerOf(options);
      const text = key === undefined ? undefined : encodeKey(decodeKey("key", key));
      return remove(
        file,
        (line) =>
          line.name === name &&
          (text === undefined || line.key === text) &&
          (marker === undefined ? line.kind !== "revoked" : line.kind === marker),
      );
    },
  };
}

/** The options, checked and copied, so that no code changes them later. */
function checkOptions(options: KnownPeersOptions): KnownPeersOptions {
  checkOptionNames(options, ["firstUse", "name", "strictModes"]);
  const { firstUse, name, strictModes } = options;
  if (
    firstUse !== undefined &&
    firstUse !== "trust" &&
    firstUse !== "refuse" &&
    typeof firstUse !== "function"
  ) {
    throw invalidArgument("firstUse", `"trust", "refuse" or a function`);
  }
  if (name !== undefined && typeof name !== "function") requireName(name);
  if (strictModes !== undefined && typeof strictModes !== "boolean") {
    throw invalidArgument("strictModes", "true or false");
  }
  return { firstUse, name, strictModes };
}

function markerOf(options: { marker?: KnownPeerMarker } = {}): KnownPeerMarker | undefined {
  checkOptionNames(options, ["marker"]);
  const { marker } = options;
  if (marker !== undefined && marker !== "client" && marker !== "revoked") {
    throw invalidArgument("marker", `"client" or "revoked"`);
  }
  return marker;
}

function requireName(name: unknown): void {
  if (!isName(name)) {
    throw invalidArgument(
      "name",
      "text of at most 512 bytes without spaces or invisible characters that does not begin with # or @",
    );
  }
}

function toKnownPeer({ kind, name, key }: PeerLine): KnownPeer[] {
  if (kind === "claim") return [];
  const peer = { name, key: decodeKey("key", key) };
  return [kind === "server" ? peer : { ...peer, marker: kind }];
}

function add(
  path: string,
  peers: PeerLines | undefined,
  kind: "server" | KnownPeerMarker,
  name: string,
  key: string,
): Edit | undefined {
  if (peers?.lines.some((line) => line.kind === kind && line.name === name && line.key === key)) {
    return undefined;
  }
  if (kind !== "revoked" && peers?.revokedKeys.has(key)) {
    throw invalidArgument("key", `one that ${path} does not revoke`);
  }
  return { append: formatPeerLine(kind, name, key) };
}

async function remove(file: KnownPeersFile, isMeant: (line: PeerLine) => boolean): Promise<number> {
  const removed = new Set<number>();
  await file.change((snapshot) => {
    const lines = (snapshot?.peers.lines ?? []).filter(isMeant);
    for (const line of lines) removed.add(line.start);
    return lines.length === 0 ? undefined : { replace: lines.map(toComment) };
  });
  return removed.size;
}

async function authorize(
  file: KnownPeersFile,
  options: KnownPeersOptions,
  remoteStaticKey: Uint8Array,
  info: AuthorizeInfo,
): Promise<boolean> {
  const name = nameFor(options, info);
  const key = encodeKey(remoteStaticKey);
  const accepts = info.role === "client" ? acceptsServer : acceptsClient;
  const peers = (await file.read())?.peers;
  if (accepts(file.path, peers, name, key)) return true;
  const firstUse = options.firstUse ?? (info.role === "client" ? "trust" : "refuse");
  const trusted = typeof firstUse === "function" ? await firstUse(key, name) : firstUse === "trust";
  if (trusted !== true) throw unauthorized(whyUnknown(file.path, peers, info, name, key));
  // The file is checked again within the change, because another process may have been first, with another key.
  await file.change((snapshot) =>
    info.role === "client"
      ? trustServer(file.path, snapshot, name, key)
      : acceptsClient(file.path, snapshot?.peers, name, key)
        ? undefined
        : { append: formatPeerLine("client", name, key) },
  );
  return true;
}

function nameFor({ name }: KnownPeersOptions, info: AuthorizeInfo): string {
  if (typeof name === "function") {
    const given: unknown = name(info.remoteAddress);
    requireName(given);
    return given as string;
  }
  if (name !== undefined) return name;
  const ofAddress = nameOfAddress(info.remoteAddress);
  if (ofAddress !== "") {
    requireName(ofAddress);
    return ofAddress;
  }
  if (info.role === "server") return "-";
  throw unauthorized("the runtime tells no address of the peer: give knownPeers the option name");
}
