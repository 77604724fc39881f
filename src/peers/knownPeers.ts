// Trust on first use, in the style of SSH's known_hosts. docs/KNOWN_PEERS.md describes the file and its limits.
//
//   db.example.net:7000 8BtEbUZ9i1Q5UmZAcvs0bGbTTJvRrKk0T8qVbPzR0Gs optional comment
//   @client alice 3lXtYkqTzZ0m0m5m0T0cP0o2v9i3Tn1C0m4vWq0xk1Y
//
// A client looks a server up by its name: the server's key must be one of those in that name's lines. A server has no
// names to look up, so a client's key must be in any line with @client, as in SSH's authorized_keys. The two never mix:
// a server that was dialled may not call in for it. All three runtimes have node:fs (Deno asks for read and write
// permission).

import { modulesLoading } from "../adapters/nodeModules.ts";
import { invalidArgument } from "../base/errors.ts";
import { loadPart } from "../base/loadPart.ts";
import { decodeKey, encodeKey, type KeyInput } from "../protocol/noise/keys.ts";
import type { Authorize } from "../protocol/noise/noiseOptions.ts";
import { requireName } from "./knownPeersName.ts";
import {
  checkOptions,
  type KnownPeer,
  type KnownPeerMarker,
  type KnownPeersOptions,
  markerOf,
} from "./knownPeersOptions.ts";
import type { KnownPeersRecords } from "./knownPeersRecords.ts";

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
  // Asked for now, because a program that changes its working directory must not come to trust another file. Deno needs a
  // permission to tell it, which an absolute path needs not.
  const directory = path.startsWith("/") ? "/" : process.cwd();
  let loading: Promise<KnownPeersRecords> | undefined;
  // Programs without known peers, and those before they ask, are spared what reads and writes the file.
  const records = (): Promise<KnownPeersRecords> => {
    loading ??= loadPart("known peers", async () => {
      await modulesLoading();
      return import("./knownPeersRecords.ts");
    }).then(
      ({ KnownPeersRecords }) => new KnownPeersRecords(path, directory, settings),
      (error) => {
        loading = undefined;
        throw error;
      },
    );
    return loading;
  };
  return {
    path,
    authorize: async (remoteStaticKey, info) => {
      const key = encodeKey(remoteStaticKey);
      return (await records()).authorize(key, info);
    },
    list: async () => (await records()).list(),
    add: (name, key, options) => {
      requireName(name);
      const kind = markerOf(options) ?? "server";
      const text = encodeKey(decodeKey("key", key));
      return records().then((loaded) => loaded.add(kind, name, text));
    },
    remove: (name, key, options) => {
      requireName(name);
      const marker = markerOf(options);
      const text = key === undefined ? undefined : encodeKey(decodeKey("key", key));
      return records().then((loaded) => loaded.remove(name, text, marker));
    },
  };
}
