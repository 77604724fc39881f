// Bundles test/suites/**/*.ts with their npm packages into build/suites, because Node 20 runs no TypeScript
// and Deno resolves no packages without a configuration. Code that several suites share becomes chunks.
import { readdirSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const suitesFolder = join(root, "test/suites");
const outputFolder = join(root, "build/suites");

/**
 * The names of all suites: paths below test/suites without the extension.
 *
 * @returns {string[]}
 */
export function suiteNames() {
  return readdirSync(suitesFolder, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"))
    .map((path) => path.replaceAll("\\", "/").slice(0, -".ts".length))
    .sort();
}

/**
 * The bundled file of a suite.
 *
 * @param {string} name
 * @returns {string}
 */
export function suitePath(name) {
  return join(outputFolder, "suites", `${name}.js`);
}

/**
 * Bundles these suites (all of them) and the runner.
 *
 * @param {string[]} [names]
 */
export async function bundleSuites(names = suiteNames()) {
  rmSync(outputFolder, { recursive: true, force: true });
  await bundle(["test/support/runner.ts", ...names.map((name) => `test/suites/${name}.ts`)], outputFolder);
}

/**
 * Bundles files below test/ into a folder, with the same paths.
 *
 * @param {string[]} entryPoints relative to the repository
 * @param {string} folder
 */
export async function bundle(entryPoints, folder) {
  await build({
    absWorkingDir: root,
    entryPoints,
    outbase: "test",
    outdir: relative(root, folder),
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "es2022",
    sourcemap: true,
    sourcesContent: false,
    chunkNames: "chunks/[name]-[hash]",
    logLevel: "warning",
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await bundleSuites();
