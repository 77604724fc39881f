// Options of known peers, and what a line of their file is to an application.

import { invalidArgument } from "../base/errors.ts";
import { checkOptionNames } from "../base/options.ts";
import { requireName } from "./knownPeersName.ts";

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

/** The options, checked and copied, so that no code changes them later. */
export function checkOptions(options: KnownPeersOptions): KnownPeersOptions {
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

/** @throws SealwireError ERR_INVALID_ARGUMENT */
export function markerOf(options: { marker?: KnownPeerMarker } = {}): KnownPeerMarker | undefined {
  checkOptionNames(options, ["marker"]);
  const { marker } = options;
  if (marker !== undefined && marker !== "client" && marker !== "revoked") {
    throw invalidArgument("marker", `"client" or "revoked"`);
  }
  return marker;
}
