// Bundles test/suites/**/*.ts with their npm packages into build/suites, because Node 20 runs no TypeScript and Deno
// resolves no packages without a configuration. Code that several suites share becomes chunks.
import { readdirSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const suitesFolder = join(root, "test/suites");
const outputFolder = join(root, "build/suites");
/** The source of the runner, which every suite is bundled with. */
const runnerSource = "test/support/runner.ts";

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
 * @param {string} [folder] where it was bundled into
 * @returns {string}
 */
export function suitePath(name, folder = outputFolder) {
  return join(folder, "suites", `${name}.js`);
}

/**
 * The runner that was bundled with the suites.
 *
 * @param {string} [folder]
 * @returns {string}
 */
export function runnerPath(folder = outputFolder) {
  return join(folder, "support/runner.js");
}

/**
 * Bundles these suites (all of them) and the runner.
 *
 * @param {string[]} [names]
 * @param {object} [options]
 * @param {string} [options.folder] where to; its files are deleted first
 * @param {import("esbuild").Plugin[]} [options.plugins]
 */
export async function bundleSuites(names = suiteNames(), { folder = outputFolder, plugins = [] } = {}) {
  rmSync(folder, { recursive: true, force: true });
  await bundle(suiteEntries(names), folder, plugins);
}

/**
 * The sources of these suites and of the runner.
 *
 * @param {string[]} names
 * @returns {string[]}
 */
export function suiteEntries(names) {
  return [runnerSource, ...names.map((name) => `test/suites/${name}.ts`)];
}

/**
 * How esbuild bundles files below test/ into a folder, with the same paths.
 *
 * @param {string[]} entryPoints relative to the repository
 * @param {string} folder
 * @returns {import("esbuild").BuildOptions}
 */
export function bundleOptions(entryPoints, folder) {
  return {
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
  };
}

/**
 * Bundles files below test/ into a folder, with the same paths.
 *
 * @param {string[]} entryPoints relative to the repository
 * @param {string} folder
 * @param {import("esbuild").Plugin[]} [plugins]
 */
export async function bundle(entryPoints, folder, plugins = []) {
  await build({ ...bundleOptions(entryPoints, folder), plugins });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await bundleSuites();
