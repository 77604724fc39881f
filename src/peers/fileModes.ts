// Checks that only this user and root can change a file or replace it, by the rules of sshd's StrictModes (OpenSSH
// misc.c, safe_path): the file and every folder above it must belong to the user or to root, and must not be writable
// by group or others. Two things that sshd refuses are accepted, because they are harmless and common. One is a sticky
// folder such as /tmp, in which nobody can rename another user's files. The other is the user's private group, whose
// number is the user's own (Debian and Fedora give one to every user and create folders writable by it).
//
// Windows has no such modes, so nothing is checked there. Deno without the permission to ask for the user's number does
// not check owners, or folders that it may not read.

import { isAllowed } from "../base/denoPermission.ts";
import { invalidArgument } from "../base/errors.ts";
import { files, paths } from "./nodeFiles.ts";

export interface Ownership {
  readonly uid: number;
  readonly gid: number;
  /** Includes the bits of the file's type. */
  readonly mode: number;
}

const TYPE_BITS = 0o170000;
const FOLDER = 0o040000;
const SYMBOLIC_LINK = 0o120000;
const STICKY = 0o1000;

/**
 * Why another user can change an object with these owners and modes, to follow "it"; undefined if nobody can.
 *
 * @param uid this process's user; undefined if that is unknown
 */
export function whyUnsafe(what: Ownership, uid: number | undefined): string | undefined {
  const type = what.mode & TYPE_BITS;
  if (uid !== undefined && what.uid !== 0 && what.uid !== uid) return `belongs to user ${what.uid}`;
  // A link's own mode means nothing, and in a sticky folder each entry belongs to its owner.
  if (type === SYMBOLIC_LINK || (type === FOLDER && (what.mode & STICKY) !== 0)) return undefined;
  if ((what.mode & 0o002) !== 0) return "can be written by everybody";
  const hasPrivateGroup = uid !== undefined && uid !== 0 && what.gid === uid;
  if ((what.mode & 0o020) !== 0 && !hasPrivateGroup) return `can be written by group ${what.gid}`;
  return undefined;
}

/** The user of this process; undefined if the runtime does not tell it. */
export async function userOfProcess(): Promise<number | undefined> {
  if (!isAllowed({ name: "sys", kind: "uid" })) return undefined;
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
 * Checks a folder and all folders above it, with symbolic links resolved. If the path does not exist yet, it checks the
 * existing part.
 *
 * @param folder absolute
 * @throws SealwireError ERR_INVALID_ARGUMENT, or the runtime's error
 */
export async function requireSafeFolders(folder: string, uid: number | undefined): Promise<void> {
  if (process.platform === "win32") return;
  for (let path: string | undefined = await nearestExisting(folder); path !== undefined; ) {
    if (!isAllowed({ name: "read", path })) return;
    requireSafe(path, await files().stat(path), uid);
    const above = paths().dirname(path);
    path = above === path ? undefined : above;
  }
}

async function nearestExisting(folder: string): Promise<string | undefined> {
  for (let path = folder; ; path = paths().dirname(path)) {
    if (!isAllowed({ name: "read", path })) return undefined;
    const resolved = await unlessMissing(files().realpath(path));
    if (resolved !== undefined || paths().dirname(path) === path) return resolved;
  }
}

/** The result of a call of node:fs; undefined if there is no such file. */
export async function unlessMissing<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") return undefined;
    throw error;
  }
}
