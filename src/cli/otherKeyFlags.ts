// Flags for keys that are accepted besides the first ones, so that keys change without an outage. They belong to the
// commands that run until they are stopped, and read their keys again on SIGHUP.

import type { OtherKeys } from "../index.ts";
import type { PeerOptions } from "../protocol/noise/noiseOptions.ts";
import { type PeerFlags, peerOptions, wipeOptions } from "./peerFlags.ts";
import { readKey, sourceBrief } from "./secrets.ts";

export interface OtherKeyFlags {
  readonly otherKey?: readonly string[];
  readonly otherPsk?: readonly string[];
}

const sources = {
  kind: "parsed",
  parse: String,
  optional: true,
  variadic: true,
  placeholder: "SOURCE",
} as const;

export const otherKeyFlags = {
  otherKey: {
    ...sources,
    brief: `A further private key of a server, for clients that pin its public key: ${sourceBrief}; up to three`,
  },
  otherPsk: {
    ...sources,
    brief: `A further pre-shared key that the peer may have: ${sourceBrief}; up to three`,
  },
} as const;

/** All options of the flags about keys. */
export type AllKeys = PeerOptions & OtherKeys;

/**
 * The keys of the flags, read from their sources now. The caller wipes them with `wipeAllKeys`.
 *
 * @throws CommandError; then all keys that were read are wiped
 */
export function allKeys(
  flags: PeerFlags & OtherKeyFlags,
  read: (source: string) => Uint8Array = readKey,
): AllKeys {
  const secrets: Uint8Array[] = [];
  const readAll = (source: string): Uint8Array => {
    const secret = read(source);
    secrets.push(secret);
    return secret;
  };
  const { otherKey, otherPsk } = flags;
  try {
    const keys: AllKeys = peerOptions(flags, readAll);
    if (otherKey !== undefined) keys.otherStaticKeys = otherKey.map(readAll);
    if (otherPsk !== undefined) keys.otherPsks = otherPsk.map(readAll);
    return keys;
  } catch (error) {
    for (const secret of secrets) secret.fill(0);
    throw error;
  }
}

/** Wipes the keys that were read. */
export function wipeAllKeys(keys: AllKeys): void {
  wipeOptions(keys);
  for (const secret of [...(keys.otherStaticKeys ?? []), ...(keys.otherPsks ?? [])])
    if (secret instanceof Uint8Array) secret.fill(0);
}
