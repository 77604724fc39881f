// Bundles the fuzzer (test/fuzz) with counters in the library's blocks. Levels that can be played again exactly run in
// virtual time; the live levels use the runtime. A fault is planted by rewriting a source.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { bundleWorld } from "../simulation/bundle.js";
import { editedText } from "../sourceEdits.js";
import { BlockCounter } from "./coverage.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const coverage = fileURLToPath(new URL("../../test/fuzz/coverage.ts", import.meta.url));

// One count for all bundles of a process, so that a source is read once.
const counter = new BlockCounter();
/** @type {Map<string, string>} */
const instrumented = new Map();

function instrument(text) {
  let output = instrumented.get(text);
  if (output === undefined) {
    output = counter.instrument(text);
    instrumented.set(text, output);
  }
  return output;
}

/**
 * @typedef {{ file: string, find: string, replace: string }} Edit
 * @param {string} folder
 * @param {Edit[]} [edits]
 * @returns {Promise<{ path: string, levels: string[], blocks: number }[]>}
 */
export async function bundleFuzzer(folder, edits = []) {
  return [await bundleExact(folder, edits), await bundleLive(folder, edits)];
}

/** The levels that are played again exactly. */
export async function bundleExact(folder, edits = []) {
  const exact = `${folder}/exact.js`;
  const also = { inject: coverage, rewrite: instrument };
  await bundleWorld("test/fuzz/deterministicLevels.ts", exact, edits, also);
  return {
    path: exact,
    levels: ["exports", "frames", "handshakes", "protocol", "codecs"],
    blocks: counter.blocks,
  };
}

async function bundleLive(folder, edits) {
  const outfile = `${folder}/live.js`;
  const plugin = {
    name: "covered",
    setup({ onLoad }) {
      onLoad({ filter: /\/src\/.*\.ts$/ }, ({ path }) => {
        const text = editedText(path, edits) ?? readFileSync(path, "utf8");
        return { contents: instrument(text), loader: "ts" };
      });
    },
  };
  await build({
    absWorkingDir: root,
    entryPoints: ["test/fuzz/live.ts"],
    outfile,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "es2022",
    sourcemap: "inline",
    sourcesContent: false,
    logLevel: "warning",
    inject: [coverage],
    plugins: [plugin],
  });
  return { path: outfile, levels: ["live server", "typed calls", "typed answers"], blocks: counter.blocks };
}
