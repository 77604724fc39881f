// peers list, add, remove: manages the file of known peers (docs/KNOWN_PEERS.md).

import { homedir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { buildCommand, buildRouteMap } from "@stricli/core";
import { type KnownPeers, knownPeers } from "../peers/knownPeers.ts";
import type { KnownPeerMarker } from "../peers/knownPeersOptions.ts";
import { encodeKey } from "../protocol/noise/keys.ts";
import { CommandError } from "./exitCodes.ts";
import { publicKeyOf } from "./keyCommands.ts";
import { jsonFlag, type OutputFlags, result } from "./output.ts";

interface FileFlags extends OutputFlags {
  readonly file?: string;
}
interface AddFlags extends FileFlags {
  readonly as: "server" | KnownPeerMarker;
}

/** The default file: SEALWIRE_KNOWN_PEERS, or a file in the user's configuration folder. */
export function defaultPeersFile(): string {
  const { SEALWIRE_KNOWN_PEERS, XDG_CONFIG_HOME } = process.env;
  return (
    SEALWIRE_KNOWN_PEERS ?? join(XDG_CONFIG_HOME ?? join(homedir(), ".config"), "sealwire", "known_peers")
  );
}

/** A mistake in the file is reported as an error of the file, not of the command. */
export async function usePeers<T>(
  path: string | undefined,
  use: (peers: KnownPeers) => Promise<T>,
): Promise<T> {
  const file = path ?? defaultPeersFile();
  try {
    return await use(knownPeers(file));
  } catch (cause) {
    throw new CommandError("file", `${file} can't be used`, { cause });
  }
}

const fileFlag = {
  kind: "parsed",
  parse: String,
  brief: "The file (default: $SEALWIRE_KNOWN_PEERS, else sealwire/known_peers in the user's configuration)",
  optional: true,
  placeholder: "FILE",
} as const;

const nameParameter = {
  parse: nameOf,
  brief: "host:port of a server, or a client's name",
  placeholder: "NAME",
};

function nameOf(text: string): string {
  if (text === "" || /\s/.test(text)) throw new Error("a name has no spaces");
  return text;
}

const list = buildCommand({
  docs: {
    brief: "List the known peers",
    fullDescription:
      "Prints a line per known peer: marker, name, public key.\n\nExample:\n  sealwire peers list --file known_peers",
  },
  parameters: { flags: { file: fileFlag, json: jsonFlag }, aliases: { f: "file" } },
  async func({ file, json }: FileFlags) {
    for (const { name, key, marker } of await usePeers(file, (peers) => peers.list())) {
      const text = encodeKey(key);
      result(
        { json },
        { name, key: text, as: marker ?? "server" },
        `${marker === undefined ? "" : `@${marker} `}${name} ${text}`,
      );
    }
  },
});

const add = buildCommand({
  docs: {
    brief: "Add a peer",
    fullDescription:
      "Adds a line unless it is there.\n\nExamples:\n  sealwire peers add db.example.net:7000 8BtEbUZ9i1Q5UmZAcvs0bGbTTJvRrKk0T8qVbPzR0Gs\n  sealwire peers add alice 3lXtYkqTzZ0m0m5m0T0cP0o2v9i3Tn1C0m4vWq0xk1Y --as client",
  },
  parameters: {
    flags: {
      file: fileFlag,
      as: {
        kind: "enum",
        values: ["server", "client", "revoked"],
        brief: "Dialled by this side, allowed to call in, or refused everywhere",
        default: "server",
      },
      json: jsonFlag,
    },
    aliases: { f: "file" },
    positional: {
      kind: "tuple",
      parameters: [
        nameParameter,
        { parse: String, brief: "The peer's public key", placeholder: "PUBLIC-KEY" },
      ],
    },
  },
  async func({ file, as, json }: AddFlags, name: string, key: string) {
    const publicKey = publicKeyOf(key);
    await usePeers(file, (peers) => peers.add(name, publicKey, as === "server" ? {} : { marker: as }));
    result({ json }, { name, key: encodeKey(publicKey), as }, `added ${name}`);
  },
});

const remove = buildCommand({
  docs: {
    brief: "Remove a peer",
    fullDescription:
      "Makes comments of the lines of a name; revoked keys stay so.\n\nExample:\n  sealwire peers remove db.example.net:7000",
  },
  parameters: {
    flags: { file: fileFlag, json: jsonFlag },
    aliases: { f: "file" },
    positional: {
      kind: "tuple",
      parameters: [
        nameParameter,
        {
          parse: String,
          brief: "Only the line with this public key",
          placeholder: "PUBLIC-KEY",
          optional: true,
        },
      ],
    },
  },
  async func({ file, json }: FileFlags, name: string, key?: string) {
    const publicKey = key === undefined ? undefined : publicKeyOf(key);
    const removed = await usePeers(file, (peers) => peers.remove(name, publicKey));
    result({ json }, { name, removed }, `${removed} removed`);
    if (removed === 0) throw new CommandError("failed", `nobody is known as ${name}`);
  },
});

export const peersCommands = buildRouteMap({
  docs: { brief: "The file of known peers" },
  routes: { list, add, remove },
});
