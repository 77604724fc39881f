// dist/: one ES module per entry point of package.json and the command line, code that they share in chunks. The code is
// shortened, because parsing it is most of an import's cost. Maps lead from it to src/, which is in the package.
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import esbuild from "rollup-plugin-esbuild";
import { minify } from "terser";
import { inlineNumbers } from "./scripts/inlineNumbers.js";

const entryPoints = [
  "index",
  "node",
  "bun",
  "deno",
  "crypto",
  "noise",
  "otel",
  "rpc",
  "testing",
  "wasm",
].filter((name) => existsSync(new URL(`src/${name}.ts`, import.meta.url)));

/** Libraries that the command line is bundled with; no other entry point has any. */
const bundled = ["@stricli/core"];
const resolveBundled = {
  name: "bundled",
  resolveId: (id) => (bundled.includes(id) ? fileURLToPath(import.meta.resolve(id)) : null),
};
const { version } = JSON.parse(readFileSync(new URL("package.json", import.meta.url), "utf8"));

const sourceFolder = fileURLToPath(new URL("src/", import.meta.url));
const sourceFile = (name) => `${sourceFolder}${name}.ts`;

/** What a module loads before it runs, itself included. */
function loadedBy(id, getModuleInfo, found = new Set()) {
  if (found.has(id)) return found;
  found.add(id);
  for (const imported of getModuleInfo(id)?.importedIds ?? []) loadedBy(imported, getModuleInfo, found);
  return found;
}

/**
 * Chunks of what connect and listen load, in layers, each of which imports those above it alone. Left to itself, Rollup
 * makes a chunk per set of entry points that share a module: 27 files for sealwire/node, and a file costs an import in
 * Node half a millisecond besides its contents. The layers keep from an entry point the larger parts that it does not
 * need: sealwire/otel and sealwire/wasm never start the core, sealwire/crypto has neither Noise nor calls,
 * sealwire/noise has no calls. What is imported late is in none of them.
 */
let layers;
function layerOf(id, { getModuleInfo }) {
  layers ??= Object.fromEntries(
    ["otel", "wasm", "crypto", "noise", "rpc/api", "adapters/nodeSockets", "entry/common"].map((name) => [
      name,
      loadedBy(sourceFile(name), getModuleInfo),
    ]),
  );
  const { otel, wasm, crypto, noise, ...calls } = layers;
  if (!Object.values(calls).some((layer) => layer.has(id))) return undefined;
  if (wasm.has(id) || (otel.has(id) && crypto.has(id))) return "base";
  if (crypto.has(id)) return "crypto";
  return noise.has(id) ? "noise" : "connections";
}

/**
 * Drops spaces and comments, and gives short names to the variables of functions. Functions, classes and names at the
 * top of a file stay as in src/, for stacks, profiles and debuggers, and most statements keep a line of their own.
 * The first line tells Bun to run the file as it is. Without that line Bun transpiles the file first.
 */
const shorten = {
  name: "shorten",
  renderChunk: (code, { name }) =>
    minify(code, {
      ecma: 2022,
      parse: { module: true },
      compress: false,
      mangle: { keep_classnames: true, keep_fnames: true },
      format: {
        comments: /webpackIgnore/,
        preserve_annotations: true,
        semicolons: false,
        ...(name === "cli" ? {} : { preamble: "// @bun" }),
      },
      sourceMap: true,
    }),
};

export default {
  input: {
    ...Object.fromEntries(entryPoints.map((name) => [name, `src/${name}.ts`])),
    cli: "src/cli/main.ts",
  },
  output: {
    dir: "dist",
    format: "es",
    entryFileNames: "[name].js",
    chunkFileNames: "chunks/[name]-[hash].js",
    manualChunks: layerOf,
    // Imports of chunks that only other chunks need make bundlers warn: they were said to have no side effects.
    hoistTransitiveImports: false,
    sourcemap: true,
    // The sources are in the package, too.
    sourcemapExcludeSources: true,
  },
  // Node's own modules, and the optional peer of sealwire/otel: anything else is a mistake.
  external: /^(node:|@opentelemetry\/api$)/,
  plugins: [
    resolveBundled,
    esbuild({
      target: "es2022",
      tsconfig: "tsconfig.json",
      define: { __SEALWIRE_VERSION__: JSON.stringify(version) },
    }),
    inlineNumbers(sourceFolder),
    shorten,
  ],
  onwarn(warning) {
    throw new Error(`rollup: ${warning.message}`);
  },
};
