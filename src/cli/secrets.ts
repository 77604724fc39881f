// Reads and writes keys. Keys are read from files, descriptors, standard input or the environment, and never from
// arguments, which every user of the machine can read. They are written to new files that only their owner can read.

import { Buffer } from "node:buffer";
import { closeSync, fstatSync, fsyncSync, openSync, rmSync, writeSync } from "node:fs";
import process from "node:process";
import { decodeKey } from "../protocol/noise/keys.ts";
import { readSome } from "./descriptorInput.ts";
import { CommandError } from "./exitCodes.ts";

/** The longest key file, which has a few lines. */
const MAX_BYTES = 4_096;
const GROUP_AND_OTHERS = 0o077;

/** The help text of every flag that names a secret. */
export const sourceBrief = "a file, fd:N, env:NAME or - (standard input)";

function readDescriptor(descriptor: number, name: string): string {
  const buffer = Buffer.alloc(MAX_BYTES + 1);
  let length = 0;
  try {
    for (;;) {
      const read = readSome(descriptor, buffer, length);
      length += read;
      if (length > MAX_BYTES) throw new CommandError("file", `${name} is longer than any key file`);
      if (read === 0) return buffer.toString("utf8", 0, length);
    }
  } catch (cause) {
    if (cause instanceof CommandError) throw cause;
    throw new CommandError("file", `${name} can't be read`, { cause });
  } finally {
    buffer.fill(0);
  }
}

function readFile(path: string): string {
  let descriptor: number;
  try {
    descriptor = openSync(path, "r");
  } catch (cause) {
    throw new CommandError("file", `${path} can't be read`, { cause });
  }
  try {
    const status = fstatSync(descriptor);
    if (process.platform !== "win32" && status.isFile() && (status.mode & GROUP_AND_OTHERS) !== 0) {
      const mode = (status.mode & 0o777).toString(8).padStart(4, "0");
      throw new CommandError(
        "file",
        `${path} has mode ${mode}: other users can reach it; chmod 600 it first`,
      );
    }
    return readDescriptor(descriptor, path);
  } finally {
    closeSync(descriptor);
  }
}

/** Whether the text is a key itself. */
function isKey(text: string): boolean {
  try {
    decodeKey("key", text).fill(0);
    return true;
  } catch {
    return false;
  }
}

function readSource(source: string): string {
  if (source === "-") return readDescriptor(0, "standard input");
  const [, kind, name] = /^(fd|env):(.+)$/.exec(source) ?? [];
  if (kind === "env") {
    const text = process.env[name!];
    if (text === undefined) throw new CommandError("file", `the environment has no ${name}`);
    return text;
  }
  if (kind === "fd") {
    if (!/^\d{1,4}$/.test(name!)) throw new CommandError("usage", `${source} names no descriptor`);
    return readDescriptor(Number(name), source);
  }
  if (isKey(source)) {
    // The message does not repeat it, although the process list has shown it already.
    throw new CommandError(
      "usage",
      "a key as an argument can be seen by every user: name a file, fd:N, env:NAME or -",
    );
  }
  return readFile(source);
}

/**
 * The 32 bytes of a key: the first line of its source that is neither empty nor a comment (#).
 *
 * @param source {@link sourceBrief}
 */
export function readKey(source: string): Uint8Array {
  const lines = readSource(source).split(/\r?\n/);
  const line = lines.map((text) => text.trim()).find((text) => text !== "" && !text.startsWith("#"));
  try {
    return decodeKey("key", line ?? "");
  } catch {
    // Without the cause, which must not repeat what may be a secret.
    throw new CommandError(
      "file",
      `${source} holds no key: 43 characters of base64url, or 64 hex digits, were expected`,
    );
  }
}

/** Sources of keys that are read again. A source that can be read only once is stored until `wipe`. */
export class SecretSources {
  readonly #readOnce = new Map<string, Uint8Array>();

  /** The same as `readKey`; the caller wipes the copy. */
  read(source: string): Uint8Array {
    if (source !== "-" && !source.startsWith("fd:")) return readKey(source);
    const key = this.#readOnce.get(source) ?? readKey(source);
    this.#readOnce.set(source, key);
    return key.slice();
  }

  wipe(): void {
    for (const key of this.#readOnce.values()) key.fill(0);
    this.#readOnce.clear();
  }
}

/**
 * Writes a new file that only its owner can read (0600); it is on the disk when this returns. When it throws there is no
 * such file, not even a part.
 */
export function writeSecretFile(path: string, text: string): void {
  let descriptor: number;
  try {
    descriptor = openSync(path, "wx", 0o600);
  } catch (cause) {
    const exists = (cause as { code?: string }).code === "EEXIST";
    const reason = exists ? "exists already, and nothing is ever overwritten" : "can't be created";
    throw new CommandError("file", `${path} ${reason}`, exists ? undefined : { cause });
  }
  const bytes = Buffer.from(text);
  try {
    // The system may write a part, on a disk that gets full or for a signal, without an error.
    for (let written = 0; written < bytes.length; ) written += writeSync(descriptor, bytes, written);
    fsyncSync(descriptor);
  } catch (cause) {
    rmSync(path, { force: true });
    throw new CommandError("file", `${path} can't be written`, { cause });
  } finally {
    bytes.fill(0);
    closeSync(descriptor);
  }
}
