// Bundles a simulated world (test/simulation): the library's own sources, with the world's event loop, clock and
// sources of chance in place of the runtime's. The package has no switch for this.
//
// Every loop in src/rpc and src/protocol counts its iterations (`countWork`), so that work can be compared with what
// arrived. A fault is planted by rewriting a source.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { editedText } from "../sourceEdits.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const virtualLoop = fileURLToPath(new URL("../../test/simulation/virtualLoop.ts", import.meta.url));

/** Where the list in parentheses that begins at `from` ends. */
function closing(text, from) {
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    if (text[at] === "(") depth++;
    else if (text[at] === ")" && --depth === 0) return at;
  }
  throw new Error("parentheses that do not end");
}

/** Every loop with a block counts. */
export function withCountedLoops(text) {
  let output = "";
  let done = 0;
  for (const { index } of text.matchAll(/^\s*(?:\} )?(?:for|while) \(/gm)) {
    if (index < done) continue;
    const end = closing(text, text.indexOf("(", index)) + 1;
    const block = /^\s*\{/.exec(text.slice(end));
    if (block === null) continue;
    const after = end + block[0].length;
    output += `${text.slice(done, after)} countWork();`;
    done = after;
  }
  return output + text.slice(done);
}

/**
 * @param {string} entry relative to the repository
 * @param {string} outfile
 * @param {{ file: string, find: string, replace: string }[]} [edits] faults to plant; each must be found exactly once
 * @param {{ inject: string, rewrite: (text: string) => string }} [also] done to all of the library's sources
 */
export async function bundleWorld(entry, outfile, edits = [], also = undefined) {
  const planted = new Set();
  const plugin = {
    name: "world",
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /\/eventLoop\.ts$/ }, () => ({ path: virtualLoop }));
      const sources = also === undefined ? /\/src\/(rpc|protocol)\/.*\.ts$/ : /\/src\/.*\.ts$/;
      onLoad({ filter: sources }, ({ path }) => {
        const edited = editedText(path, edits);
        if (edited !== undefined) planted.add(path);
        let text = edited ?? readFileSync(path, "utf8");
        if (/\/src\/(rpc|protocol)\//.test(path)) text = withCountedLoops(text);
        return { contents: also === undefined ? text : also.rewrite(text), loader: "ts" };
      });
    },
  };
  await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "es2022",
    sourcemap: "inline",
    sourcesContent: false,
    logLevel: "warning",
    define: {
      "performance.now": "virtualNow",
      "Math.random": "virtualRandom",
      "crypto.getRandomValues": "virtualBytes",
    },
    inject: also === undefined ? [virtualLoop] : [virtualLoop, also.inject],
    plugins: [plugin],
  });
  if (planted.size !== new Set(edits.map(({ file }) => file)).size)
    throw new Error("a fault was planted into a file that is not in the bundle");
}
