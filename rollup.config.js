// dist/: one ES module per entry point of package.json and the command line, code that they share in chunks.
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import esbuild from "rollup-plugin-esbuild";

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
  ],
  onwarn(warning) {
    throw new Error(`rollup: ${warning.message}`);
  },
};
