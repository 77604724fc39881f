// Bundles the library's sources with edits: faults that tests have to find (scripts/conformance), or a busy machine
// (busyMachine.js).
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** @typedef {{ file: string, find: string, replace: string }} Edit file: relative to the repository */

/**
 * What is wrong with these edits, in words: each must be found exactly once.
 *
 * @param {Edit[]} edits
 * @returns {string[]}
 */
export function staleEdits(edits) {
  return edits.flatMap(({ file, find }) => {
    const count = readFileSync(join(root, file), "utf8").split(find).length - 1;
    return count === 1 ? [] : [`${file} holds ${count} times: ${find}`];
  });
}

/**
 * Gives esbuild the sources with these edits. The build fails if one of a source that it loads is not found once.
 *
 * @param {Edit[]} edits
 * @returns {import("esbuild").Plugin}
 */
export const editedSources = (edits) => ({
  name: "edited sources",
  setup({ onLoad }) {
    onLoad({ filter: /\/src\/.*\.ts$/ }, ({ path }) => {
      const mine = edits.filter(({ file }) => path === join(root, file));
      if (mine.length === 0) return undefined;
      const [stale] = staleEdits(mine);
      if (stale !== undefined) throw new Error(stale);
      let contents = readFileSync(path, "utf8");
      for (const { find, replace } of mine) contents = contents.replace(find, () => replace);
      return { contents, loader: "ts" };
    });
  },
});
