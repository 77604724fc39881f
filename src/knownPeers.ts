// Trust on first use, in the style of SSH's known_hosts: a text file of peers and their static keys.
//
//   # comment
//   db.example.net:7000 8BtEbUZ9i1Q5UmZAcvs0bGbTTJvRrKk0T8qVbPzR0Gs optional comment
//
// A client looks a peer up by its name: its key must be one of those in that name's lines. A server has no
// names to go by, so a client's key must be in any line, as in SSH's authorized_keys. node:fs is in all
// three runtimes (Deno asks for read and write permission).

import { mkdir, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { invalidArgument, SealwireError } from "./errors.ts";
import { decodeKey, encodeKey, equalKeys, type KeyInput } from "./protocol/noise/keys.ts";
import type { Authorize, AuthorizeInfo } from "./protocol/noise/noiseOptions.ts";

/** What happens with a peer that the file does not know. */
export type FirstUse = "trust" | "refuse" | ((key: string, name: string) => boolean | Promise<boolean>);

export interface KnownPeersOptions {
  /**
   * "trust": write the key down and accept it; "refuse"; or a function that decides (`key` is base64url text),
   * for example by asking somebody. Default: "trust" on a client, "refuse" on a server. A changed key is
   * refused whatever this says.
   */
  firstUse?: FirstUse;
  /** The peer's name in the file. Default: the address of the connection. */
  name?: string;
}

export interface KnownPeer {
  readonly name: string;
  /** 32 bytes. */
  readonly key: Uint8Array;
}

export interface KnownPeers {
  readonly path: string;
  /** For the option `authorize` of clients and servers. Throws ERR_UNAUTHORIZED with the reason. */
  readonly authorize: Authorize;
  /** Every line, in order. */
  list(): Promise<KnownPeer[]>;
  /** Adds a line unless it is there. */
  add(name: string, key: KeyInput): Promise<void>;
  /** Removes the lines of a name, or only the one with this key. Returns how many. */
  remove(name: string, key?: KeyInput): Promise<number>;
}

/** A change waits this long for another process's change, and takes over a lock that is older. */
const LOCK_WAIT_MS = 5_000;
const LOCK_RETRY_MS = 20;

/**
 * A file of known peers.
 *
 * @param path created at the first use (mode 0600), folders included
 * @throws SealwireError ERR_INVALID_ARGUMENT; the methods reject with it when a line of the file is malformed,
 *   so that a damaged file refuses everybody instead of trusting anew
 */
export function knownPeers(path: string, options: KnownPeersOptions = {}): KnownPeers {
  if (typeof path !== "string" || path === "") throw invalidArgument("path", "the path of a file");
  const { firstUse, name } = options;
  if (
    firstUse !== undefined &&
    firstUse !== "trust" &&
    firstUse !== "refuse" &&
    typeof firstUse !== "function"
  ) {
    throw invalidArgument("firstUse", `"trust", "refuse" or a function`);
  }
  if (name !== undefined) requireName(name);
  const file = new KnownPeersFile(path);
  return {
    path,
    authorize: (key, info) => authorize(file, options, key, info),
    list: async () => parse(path, await file.read()),
    add: (peerName, key) => {
      requireName(peerName);
      const bytes = decodeKey("key", key);
      return file.change((text) => {
        const known = parse(path, text).some((peer) => peer.name === peerName && equalKeys(peer.key, bytes));
        return [known ? text : append(text, peerName, bytes), undefined];
      });
    },
    remove: (peerName, key) => {
      const bytes = key === undefined ? undefined : decodeKey("key", key);
      return file.change((text) => {
        const lines = text.split("\n");
        const kept = lines.filter((line, i) => {
          const peer = parseLine(path, line, i + 1);
          return peer?.name !== peerName || (bytes !== undefined && !equalKeys(peer.key, bytes));
        });
        return [kept.join("\n"), lines.length - kept.length];
      });
    },
  };
}

async function authorize(
  file: KnownPeersFile,
  options: KnownPeersOptions,
  key: Uint8Array,
  info: AuthorizeInfo,
): Promise<boolean> {
  // The path of a Unix socket may hold what a line can't.
  const name = options.name ?? info.remoteAddress.replaceAll(/[\s#]/g, encodeURIComponent);
  if (info.role === "client" && name === "") {
    throw unauthorized("the runtime tells no address of the peer: give knownPeers the option name");
  }
  if (isKnown(file.path, await file.read(), name, key, info)) return true;
  const firstUse = options.firstUse ?? (info.role === "client" ? "trust" : "refuse");
  const trusted =
    typeof firstUse === "function" ? await firstUse(encodeKey(key), name) : firstUse === "trust";
  if (trusted !== true) throw unauthorized(`${encodeKey(key)} of ${name} is not in ${file.path}`);
  await file.change((text) => {
    // Once more, now that nobody else writes: another connection may have been first, with another key.
    if (isKnown(file.path, text, name, key, info)) return [text, undefined];
    return [append(text, name === "" ? "-" : name, key), undefined];
  });
  return true;
}

/**
 * Whether the file accepts this key.
 *
 * @throws SealwireError ERR_UNAUTHORIZED on a client when the name is there with other keys only
 */
function isKnown(path: string, text: string, name: string, key: Uint8Array, info: AuthorizeInfo): boolean {
  const peers = parse(path, text);
  if (info.role === "server") return peers.some((peer) => equalKeys(peer.key, key));
  const ofName = peers.filter((peer) => peer.name === name);
  if (ofName.some((peer) => equalKeys(peer.key, key))) return true;
  if (ofName.length === 0) return false;
  throw unauthorized(
    `the key of ${name} has changed: ${path} has ${ofName.map((peer) => encodeKey(peer.key)).join(", ")}, ` +
      `the peer ${encodeKey(key)}. Somebody may be in between; if the change is right, remove the old line`,
  );
}

function unauthorized(why: string): SealwireError {
  return new SealwireError("ERR_UNAUTHORIZED", why);
}

function requireName(name: string): void {
  if (typeof name !== "string" || !/^[^\s#]\S*$/.test(name)) {
    throw invalidArgument("name", "text without spaces that does not begin with #");
  }
}

function append(text: string, name: string, key: Uint8Array): string {
  const separator = text === "" || text.endsWith("\n") ? "" : "\n";
  return `${text}${separator}${name} ${encodeKey(key)}\n`;
}

function parse(path: string, text: string): KnownPeer[] {
  return text
    .split("\n")
    .map((line, i) => parseLine(path, line, i + 1))
    .filter((peer) => peer !== undefined);
}

function parseLine(path: string, line: string, number: number): KnownPeer | undefined {
  const trimmed = line.trim();
  if (trimmed === "" || trimmed.startsWith("#")) return undefined;
  const [name, key] = trimmed.split(/\s+/) as [string, string?];
  if (key === undefined) throw invalidArgument(`${path}:${number}`, "a line of name and key");
  return { name, key: decodeKey(`${path}:${number}: the key`, key) };
}

/** The file, changed by one writer at a time: in this process by a queue, among processes by a lock file. */
class KnownPeersFile {
  readonly path: string;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(path: string) {
    this.path = path;
  }

  /** The text; empty when there is no file yet. */
  async read(): Promise<string> {
    try {
      return await readFile(this.path, "utf8");
    } catch (error) {
      if ((error as { code?: string }).code === "ENOENT") return "";
      throw error;
    }
  }

  /** Replaces the text by what `edit` makes of it, whole or not at all. */
  change<T>(edit: (text: string) => [text: string, result: T]): Promise<T> {
    const run = this.#queue.then(() => this.#locked(edit));
    this.#queue = run.catch(() => {});
    return run;
  }

  async #locked<T>(edit: (text: string) => [text: string, result: T]): Promise<T> {
    await mkdir(dirname(this.path), { recursive: true });
    const lockPath = `${this.path}.lock`;
    await takeLock(lockPath);
    try {
      const text = await this.read();
      const [edited, result] = edit(text);
      if (edited !== text) {
        const temporaryPath = `${this.path}.new`;
        await writeFile(temporaryPath, edited, { mode: 0o600 });
        await rename(temporaryPath, this.path);
      }
      return result;
    } finally {
      await rm(lockPath, { force: true });
    }
  }
}

async function takeLock(lockPath: string): Promise<void> {
  for (let waitedMs = 0; waitedMs <= 2 * LOCK_WAIT_MS; waitedMs += LOCK_RETRY_MS) {
    try {
      const handle = await open(lockPath, "wx", 0o600);
      await handle.close();
      return;
    } catch (error) {
      if ((error as { code?: string }).code !== "EEXIST") throw error;
    }
    if (await isAbandoned(lockPath)) await rm(lockPath, { force: true });
    else await new Promise((resolve) => setTimeout(resolve, LOCK_RETRY_MS));
  }
  throw unauthorized(`${lockPath} is held by another process`);
}

/** A change takes milliseconds, so a lock of this age was left behind by a process that died. */
async function isAbandoned(lockPath: string): Promise<boolean> {
  try {
    return Date.now() - (await stat(lockPath)).mtimeMs > LOCK_WAIT_MS;
  } catch {
    return false; // gone meanwhile
  }
}
