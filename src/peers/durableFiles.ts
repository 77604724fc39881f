// Makes files that are complete whenever another process reads them, and that survive a crash.

import type { FileHandle } from "node:fs/promises";
import { isAllowed } from "../base/denoPermission.ts";
import { randomBytes } from "../core/random.ts";
import { buffers, files, flags, paths, safely } from "./nodeFiles.ts";

/** Makes a file that has its text from the first moment on. True if it was made; false if it exists. */
export async function createWhole(path: string, text: string): Promise<boolean> {
  if (!isAllowed({ name: "write", path: paths().dirname(path) })) return createDirectly(path, text);
  const temporaryPath = `${path}.${buffers().from(randomBytes(8)).toString("hex")}.new`;
  await createDirectly(temporaryPath, text);
  try {
    await files().link(temporaryPath, path);
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    // A file system without hard links: for a moment the file is empty, and a program that reads it then refuses its
    // peers.
    return await createDirectly(path, text);
  } finally {
    await files()
      .rm(temporaryPath, { force: true })
      .catch(() => {});
  }
}

/** Makes a file and then writes to it. True if it was made; false if it exists. */
async function createDirectly(path: string, text: string): Promise<boolean> {
  let handle: FileHandle;
  try {
    handle = await files().open(path, flags().O_WRONLY | flags().O_CREAT | flags().O_EXCL | safely(), 0o600);
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
    await files()
      .rm(path, { force: true })
      .catch(() => {});
    throw error;
  } finally {
    await handle.close();
  }
}

/** Makes the disk store a file or the entries of a folder, if the system can (Windows can't for folders). */
export async function syncByPath(path: string): Promise<void> {
  if (!isAllowed({ name: "read", path })) return;
  let handle: FileHandle | undefined;
  try {
    handle = await files().open(path, flags().O_RDONLY | safely());
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
