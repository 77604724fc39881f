// The order of the test files. The files that take longest run first, so that none of them runs alone at the end while
// other cores are idle. vitest knows only the durations of earlier runs, and a clean checkout has had none.
import { existsSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { BaseSequencer } from "vitest/node";

/** The longest of test/*.test.ts, longest first; all others take seconds, and go last. */
const longest = [
  "suitesDeno",
  "suitesNode",
  "suitesNodeCurrent",
  "suitesBun",
  "cli",
  "bundles",
  "fuzz",
  "proxy",
  "packaging",
  "examples",
  "simulation",
  "guide",
  "site",
  "taint",
  "processes",
  "benchAb",
  "noisePairs",
  "mutate",
  "network",
  "haproxy",
];

for (const name of longest) {
  const path = fileURLToPath(new URL(`../test/${name}.test.ts`, import.meta.url));
  if (!existsSync(path)) throw new Error(`scripts/longestFirst.js names ${name}, which is no file of test/`);
}

/** @param {{ moduleId: string }} file */
function rank({ moduleId }) {
  const at = longest.indexOf(basename(moduleId, ".test.ts"));
  return at === -1 ? longest.length : at;
}

export class LongestFirst extends BaseSequencer {
  /** @param {import("vitest/node").TestSpecification[]} files */
  async sort(files) {
    const byName = [...files].sort((a, b) => (a.moduleId < b.moduleId ? -1 : 1));
    return byName.sort((a, b) => rank(a) - rank(b));
  }
}
