// What known peers do with their file: look peers up, write down new ones, add and remove lines. Loaded when it is first
// needed; knownPeers.ts has checked the arguments.

import { invalidArgument } from "../base/errors.ts";
import { decodeKey } from "../protocol/noise/keys.ts";
import type { AuthorizeInfo } from "../protocol/noise/noiseOptions.ts";
import { type Edit, KnownPeersFile, type PeerSnapshot } from "./knownPeersFile.ts";
import { formatPeerLine, nameOfAddress, type PeerLine, type PeerLines } from "./knownPeersLines.ts";
import { requireName } from "./knownPeersName.ts";
import type { KnownPeer, KnownPeerMarker, KnownPeersOptions } from "./knownPeersOptions.ts";
import {
  acceptsClient,
  acceptsServer,
  toComment,
  trustServer,
  unauthorized,
  whyUnknown,
} from "./knownPeersTrust.ts";

export class KnownPeersRecords {
  readonly #file: KnownPeersFile;
  readonly #options: KnownPeersOptions;

  constructor(path: string, directory: string, options: KnownPeersOptions) {
    this.#file = new KnownPeersFile(path, options.strictModes ?? true, directory);
    this.#options = options;
  }

  async list(): Promise<KnownPeer[]> {
    return ((await this.#file.read())?.peers.lines ?? []).flatMap(toKnownPeer);
  }

  /** @param key base64url text, here and below */
  add(kind: "server" | KnownPeerMarker, name: string, key: string): Promise<void> {
    const { path } = this.#file;
    return this.#file.change((snapshot) => addition(path, snapshot?.peers, kind, name, key));
  }

  /** Of every key, or of any marker but "revoked", where that is undefined. Returns how many. */
  async remove(name: string, key: string | undefined, marker: KnownPeerMarker | undefined): Promise<number> {
    const isMeant = (line: PeerLine): boolean =>
      line.name === name &&
      (key === undefined || line.key === key) &&
      (marker === undefined ? line.kind !== "revoked" : line.kind === marker);
    const removed = new Set<number>();
    await this.#file.change((snapshot) => {
      const lines = (snapshot?.peers.lines ?? []).filter(isMeant);
      for (const line of lines) removed.add(line.start);
      return lines.length === 0 ? undefined : { replace: lines.map(toComment) };
    });
    return removed.size;
  }

  /** @throws SealwireError as rejections: ERR_UNAUTHORIZED with the reason, ERR_INVALID_ARGUMENT */
  async authorize(key: string, info: AuthorizeInfo): Promise<boolean> {
    const file = this.#file;
    const name = nameFor(this.#options, info);
    const accepts = info.role === "client" ? acceptsServer : acceptsClient;
    const peers = (await file.read())?.peers;
    if (accepts(file.path, peers, name, key)) return true;
    const firstUse = this.#options.firstUse ?? (info.role === "client" ? "trust" : "refuse");
    const trusted = typeof firstUse === "function" ? await firstUse(key, name) : firstUse === "trust";
    if (trusted !== true) throw unauthorized(whyUnknown(file.path, peers, info, name, key));
    // The file is checked again within the change, because another process may have been first, with another key.
    const nextStep = (snapshot: PeerSnapshot | undefined): Edit | undefined =>
      info.role === "client"
        ? trustServer(file.path, snapshot, name, key)
        : acceptsClient(file.path, snapshot?.peers, name, key)
          ? undefined
          : { append: formatPeerLine("client", name, key) };
    const writeDown = (): Promise<boolean> => file.change(nextStep).then(() => true);
    if (info.whenProven === undefined) return writeDown();
    // Who has not proven itself yet must not become the known peer. Whatever refuses it already refuses it now.
    nextStep(await file.read());
    info.whenProven(writeDown);
    return true;
  }
}

function toKnownPeer({ kind, name, key }: PeerLine): KnownPeer[] {
  if (kind === "claim") return [];
  const peer = { name, key: decodeKey("key", key) };
  return [kind === "server" ? peer : { ...peer, marker: kind }];
}

function addition(
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

function nameFor({ name }: KnownPeersOptions, info: AuthorizeInfo): string {
  if (typeof name === "function") {
    const given: unknown = name(info.remoteAddress);
    requireName(given);
    return given;
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
