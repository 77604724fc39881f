// Selects parts of the tests by name: `npm test -- rpc docs` means the suites and the files test/*.test.ts whose names
// contain "rpc" or "docs". An environment variable carries the parts to vitest's process.
import { readdirSync } from "node:fs";

const VARIABLE = "SEALWIRE_TEST_PARTS";
/** The test files that run the suites, each in one runtime. */
const SUITES_FILES = ["suitesNode", "suitesNodeCurrent", "suitesBun", "suitesDeno"].map(
  (name) => `${name}.test.ts`,
);

const named = (name, parts) => parts.some((part) => name.includes(part));

/**
 * The suites that the environment asks for; all without a word.
 *
 * @param {string[]} suites
 * @returns {string[]}
 */
export function selectSuites(suites) {
  const parts = process.env[VARIABLE]?.split(",").filter((part) => part !== "") ?? [];
  return parts.length === 0 ? suites : suites.filter((suite) => named(suite, parts));
}

/**
 * What `parts` stand for.
 *
 * @param {string[]} parts
 * @param {string[]} suites all of them
 * @returns {{ suites: string[], files: string[], env: Record<string, string> }} files: for vitest, below the root;
 *   none where the parts name nothing; env: for vitest's process
 */
export function selectParts(parts, suites) {
  const all = readdirSync(new URL("../test/", import.meta.url)).filter((file) => file.endsWith(".test.ts"));
  const chosen = suites.filter((suite) => named(suite, parts));
  const files = all.filter(
    (file) =>
      named(file.slice(0, -".test.ts".length), parts) || (SUITES_FILES.includes(file) && chosen.length > 0),
  );
  const env = chosen.length > 0 ? { [VARIABLE]: parts.join(",") } : {};
  return { suites: chosen, files: files.map((file) => `test/${file}`), env };
}
