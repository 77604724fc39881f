// Makes something once for all files of a run, which are processes of their own: the first that asks makes it, the
// others wait for it.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** How long the others wait: some ten times what anything that is made so takes on a busy machine. */
const MOST_MS = 300_000;
const PAUSE_MS = 50;

const sleeping = new Int32Array(new SharedArrayBuffer(4));

/** Writes a file whose name stands for a state: it is there whole or not at all. */
function put(path: string, text: string): void {
  writeFileSync(`${path}.part`, text);
  renameSync(`${path}.part`, path);
}

/**
 * The folder `name` of the folder of a run, filled by `make` in the process that asks first. What `make` throws, it
 * throws there, and all others throw an error with the same message.
 *
 * @param runFolder see runFolder.ts
 * @param mostMs how long the others wait (300,000)
 */
export function onceInRun(
  runFolder: string,
  name: string,
  make: (folder: string) => void,
  mostMs = MOST_MS,
): string {
  const folder = join(runFolder, name);
  const [made, failed] = [`${folder}.made`, `${folder}.failed`];
  try {
    mkdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    for (let waited = 0; !existsSync(made); waited += PAUSE_MS) {
      if (existsSync(failed)) throw new Error(readFileSync(failed, "utf8"));
      if (waited >= mostMs) throw new Error(`${name} was not made within ${mostMs} ms`);
      Atomics.wait(sleeping, 0, 0, PAUSE_MS);
    }
    return folder;
  }
  try {
    make(folder);
  } catch (error) {
    put(failed, String((error as Error).message));
    throw error;
  }
  put(made, "");
  return folder;
}
