// Checks that only this user and root can change a file or put another one in its place, by the rules of sshd's
// StrictModes (OpenSSH misc.c, safe_path): the file and every folder above it belong to the user or to root and
// can't be written by group or others. Two things that sshd refuses are harmless and common, and accepted: a
// sticky folder such as /tmp, in which nobody renames what is another's, and the user's private group, whose
// number is the user's own (Debian and Fedora give one to every user and create folders writable by it).
//
// Windows has no such modes: nothing is checked there. Deno without the permission to ask for the user's number
// leaves owners unchecked, and folders that it may not read.

import { realpath, stat } from "node:fs/promises";
import { dirname } from "node:path";
import process from "node:process";
import { invalidArgument } from "../base/errors.ts";

export interface Ownership {
  readonly uid: number;
  readonly gid: number;
  /** With the bits of the file's type. */
  readonly mode: number;
}

const TYPE_BITS = 0o170000;
const FOLDER = 0o040000;
const SYMBOLIC_LINK = 0o120000;
const STICKY = 0o1000;

/**
 * Why somebody else can change what has these owners and modes, to follow "it"; undefined where nobody can.
 *
 * @param uid this process's user; undefined where that can't be known
 */
export function whyUnsafe(what: Ownership, uid: number | undefined): string | undefined {
  const type = what.mode & TYPE_BITS;
  if (uid !== undefined && what.uid !== 0 && what.uid !== uid) return `belongs to user ${what.uid}`;
  // A link's own mode means nothing, and in a sticky folder each entry is its owner's.
  if (type === SYMBOLIC_LINK || (type === FOLDER && (what.mode & STICKY) !== 0)) return undefined;
  if ((what.mode & 0o002) !== 0) return "can be written by everybody";
  const hasPrivateGroup = uid !== undefined && uid !== 0 && what.gid === uid;
  if ((what.mode & 0o020) !== 0 && !hasPrivateGroup) return `can be written by group ${what.gid}`;
  return undefined;
}

/** The user that this process runs as; undefined where the runtime does not say. */
export async function userOfProcess(): Promise<number | undefined> {
  if (!(await isAllowed({ name: "sys", kind: "uid" }))) return undefined;
  return process.geteuid?.() ?? process.getuid?.();
}

/** @throws SealwireError ERR_INVALID_ARGUMENT naming what is unsafe, and why */
export function requireSafe(path: string, what: Ownership, uid: number | undefined): void {
  const reason = process.platform === "win32" ? undefined : whyUnsafe(what, uid);
  if (reason !== undefined) {
    throw invalidArgument(path, `safe from other users (as sshd's StrictModes asks), but it ${reason}`);
  }
}

/**
 * Checks a folder and all above it, symbolic links resolved; of a path that does not exist yet, what exists.
 *
 * @param folder absolute
 * @throws SealwireError ERR_INVALID_ARGUMENT, or the runtime's error
 */
export async function requireSafeFolders(folder: string, uid: number | undefined): Promise<void> {
  if (process.platform === "win32") return;
  for (let path: string | undefined = await nearestExisting(folder); path !== undefined; ) {
    if (!(await isAllowed({ name: "read", path }))) return;
    requireSafe(path, await stat(path), uid);
    const above = dirname(path);
    path = above === path ? undefined : above;
  }
}

async function nearestExisting(folder: string): Promise<string | undefined> {
  for (let path = folder; ; path = dirname(path)) {
    if (!(await isAllowed({ name: "read", path }))) return undefined;
    const resolved = await unlessMissing(realpath(path));
    if (resolved !== undefined || dirname(path) === path) return resolved;
  }
}

/** What a call of node:fs gives; undefined where it says that there is no such file. */
export async function unlessMissing<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") return undefined;
    throw error;
  }
}

interface DenoPermissions {
  permissions: { query(what: object): Promise<{ state: string }> };
}

/** Asks Deno whether it allows something, since trying would ask the user; other runtimes allow everything. */
export async function isAllowed(what: object): Promise<boolean> {
  const deno = (globalThis as { Deno?: DenoPermissions }).Deno;
  return deno === undefined || (await deno.permissions.query(what)).state === "granted";
}
