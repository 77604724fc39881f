// Bundles the library's sources with edits: faults that tests have to find (scripts/conformance, scripts/simulation,
// scripts/fuzz), or a busy machine (busyMachine.js).
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
 * The text of a source with those edits that are its own; undefined if none is. Throws if one is not found once.
 *
 * @param {string} path absolute
 * @param {Edit[]} edits
 * @returns {string | undefined}
 */
export function editedText(path, edits) {
  const mine = edits.filter(({ file }) => path === join(root, file));
  if (mine.length === 0) return undefined;
  const [stale] = staleEdits(mine);
  if (stale !== undefined) throw new Error(stale);
  let text = readFileSync(path, "utf8");
  for (const { find, replace } of mine) text = text.replace(find, () => replace);
  return text;
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
      const contents = editedText(path, edits);
      return contents === undefined ? undefined : { contents, loader: "ts" };
    });
  },
});
