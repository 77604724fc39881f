// Makes files that are complete whenever another process reads them, and that survive a crash.

import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, link, open, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { isAllowed } from "./fileModes.ts";

const { O_CREAT, O_EXCL, O_RDONLY, O_WRONLY } = constants;
/**
 * Flags for opening a path whose symbolic links are resolved. O_NOFOLLOW refuses a link that was put there meanwhile,
 * and O_NONBLOCK does not wait for a FIFO. Windows has neither.
 */
export const SAFELY = (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/** Makes a file that has its text from the first moment on. True if it was made; false if it exists. */
export async function createWhole(path: string, text: string): Promise<boolean> {
  if (!(await isAllowed({ name: "write", path: dirname(path) }))) return createDirectly(path, text);
  const temporaryPath = `${path}.${randomBytes(8).toString("hex")}.new`;
  await createDirectly(temporaryPath, text);
  try {
    await link(temporaryPath, path);
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    // A file system without hard links: for a moment the file is empty, and a program that reads it then refuses its
    // peers.
    return await createDirectly(path, text);
  } finally {
    await rm(temporaryPath, { force: true }).catch(() => {});
  }
}

/** Makes a file and then writes to it. True if it was made; false if it exists. */
async function createDirectly(path: string, text: string): Promise<boolean> {
  let handle: FileHandle;
  try {
    handle = await open(path, O_WRONLY | O_CREAT | O_EXCL | SAFELY, 0o600);
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  }
  try {
    await handle.writeFile(text);
    await handle.sync();
    return true;
  } catch (error) {
    // For example a full disk. The rest of the file would refuse everybody.
    await rm(path, { force: true }).catch(() => {});
    throw error;
  } finally {
    await handle.close();
  }
}

/** Makes the disk store a file or the entries of a folder, if the system can (Windows can't for folders). */
export async function syncByPath(path: string): Promise<void> {
  if (!(await isAllowed({ name: "read", path }))) return;
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, O_RDONLY | SAFELY);
    await handle.sync();
  } catch {
    // No data of this process is lost: what it wrote into a file was synced there.
  } finally {
    await handle?.close();
  }
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | null)?.code;
}
