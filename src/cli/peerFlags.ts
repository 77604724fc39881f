// The flags for this side's keys and its trusted peers. All commands with a connection share them.

import process from "node:process";
import { knownPeers } from "../peers/knownPeers.ts";
import type { CipherName } from "../protocol/handshake.ts";
import { encodeKey } from "../protocol/noise/keys.ts";
import type { PeerOptions } from "../protocol/noise/noiseOptions.ts";
import type { Connection } from "../rpc/peer.ts";
import { CommandError } from "./exitCodes.ts";
import { publicKeyOf } from "./keyCommands.ts";
import type { OutputFlags } from "./output.ts";
import { jsonFlag } from "./output.ts";
import { defaultPeersFile } from "./peersCommands.ts";
import { readKey, sourceBrief } from "./secrets.ts";

export interface PeerFlags extends OutputFlags {
  readonly key?: string;
  readonly peer?: readonly string[];
  readonly psk?: string;
  readonly knownPeers?: string;
  readonly name?: string;
  readonly trust: boolean;
  readonly cipher?: readonly CipherName[];
  readonly anonymous: boolean;
  readonly timeout: number;
}

/** A whole number of at least `least`; `unit` is what it counts, where that is easily mistaken. */
export function wholeNumber(least: number, most: number, unit?: string): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least || value > most)
      throw new Error(`a whole number${unit === undefined ? "" : ` of ${unit}`} from ${least} to ${most}`);
    return value;
  };
}

const optionalText = (brief: string, placeholder: string) =>
  ({ kind: "parsed", parse: String, brief, optional: true, placeholder }) as const;

export const peerFlags = {
  key: optionalText(`This side's private key: ${sourceBrief} (default: $SEALWIRE_KEY)`, "SOURCE"),
  peer: {
    kind: "parsed",
    parse: String,
    brief: "A public key that the peer may have; may be repeated",
    optional: true,
    variadic: true,
    placeholder: "PUBLIC-KEY",
  },
  psk: optionalText(`A key that both sides share: ${sourceBrief} (default: $SEALWIRE_PSK)`, "SOURCE"),
  knownPeers: optionalText("Accept the peers of this file only (peers list); default: 'default'", "FILE"),
  name: optionalText(
    "The peer's name in the file, in place of its address: for servers behind a balancer (with --known-peers)",
    "NAME",
  ),
  trust: {
    kind: "boolean",
    brief: "Write down a server's key when it is first met (with --known-peers)",
    default: false,
  },
  cipher: {
    kind: "enum",
    values: ["AESGCM", "ChaChaPoly"],
    brief: "What encrypts; may be repeated by a server that takes both (default: AESGCM)",
    optional: true,
    variadic: true,
  },
  anonymous: { kind: "boolean", brief: "Accept a peer that could be anyone", default: false },
  timeout: {
    kind: "parsed",
    parse: wholeNumber(1, 0x7fffffff, "milliseconds"),
    brief: "Milliseconds for a dial, a handshake and a request each",
    default: "5000",
    placeholder: "MS",
  },
  json: jsonFlag,
} as const;

/** The file that --known-peers names. */
export function peersFileOf(flag: string): string {
  return flag === "default" ? defaultPeersFile() : flag;
}

/** The options of `connect` and `listen` that identify the peers. At least one must be given. */
export function peerOptions(flags: PeerFlags, read: (source: string) => Uint8Array = readKey): PeerOptions {
  const { SEALWIRE_KEY, SEALWIRE_PSK } = process.env;
  const options: PeerOptions = {};
  const key = flags.key ?? (SEALWIRE_KEY === undefined ? undefined : "env:SEALWIRE_KEY");
  const psk = flags.psk ?? (SEALWIRE_PSK === undefined ? undefined : "env:SEALWIRE_PSK");
  if (flags.cipher !== undefined) options.cipher = flags.cipher;
  if (flags.peer !== undefined) options.remoteStatic = flags.peer.map(publicKeyOf);
  if (key !== undefined) options.staticKey = read(key);
  if (psk !== undefined) options.psk = read(psk);
  if (flags.knownPeers !== undefined) {
    const { name } = flags;
    options.authorize = knownPeers(peersFileOf(flags.knownPeers), {
      firstUse: flags.trust ? "trust" : "refuse",
      ...(name !== undefined && { name }),
    }).authorize;
  } else if (flags.trust || flags.name !== undefined) {
    throw new CommandError("usage", `--${flags.trust ? "trust" : "name"} needs --known-peers, the file`);
  }
  const proven = options.psk ?? options.remoteStatic ?? options.authorize;
  if (proven === undefined && !flags.anonymous) {
    const text =
      "nothing says who the peer is: give --psk, --peer or --known-peers (or --anonymous, for tests)";
    throw new CommandError("usage", text);
  }
  return options;
}

/** Wipes the keys that were read. */
export function wipeOptions({ staticKey, psk }: PeerOptions): void {
  for (const secret of [staticKey, psk]) if (secret instanceof Uint8Array) secret.fill(0);
}

/** A description of a peer, for people. */
export function describePeer({ remoteStaticKey, authenticated }: Connection): string {
  if (remoteStaticKey !== undefined) return encodeKey(remoteStaticKey);
  return authenticated ? "holder of the pre-shared key" : "anonymous";
}

/** HOST:PORT, [IPv6]:PORT, :PORT, or the path of a Unix socket (unix:PATH, or anything with a slash). */
export function addressOf(text: string): { path: string } | { host: string; port: number } {
  if (text.startsWith("unix:")) return { path: text.slice("unix:".length) };
  if (text.includes("/") && !text.includes("://")) return { path: text };
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:/]*)):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === undefined || port > 65_535) throw new Error("HOST:PORT, [IPv6]:PORT or unix:PATH");
  return { host: bracketed ?? (plain || "127.0.0.1"), port };
}

export const targetParameter = {
  parse: addressOf,
  brief: "HOST:PORT, [IPv6]:PORT or unix:PATH",
  placeholder: "TARGET",
};
