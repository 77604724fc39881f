// dist/: one ES module per entry point of package.json, code that they share in chunks.
import { existsSync } from "node:fs";
import esbuild from "rollup-plugin-esbuild";

const entryPoints = ["index", "node", "bun", "deno", "crypto", "noise", "wasm"].filter((name) =>
  existsSync(new URL(`src/${name}.ts`, import.meta.url)),
);

export default {
  input: Object.fromEntries(entryPoints.map((name) => [name, `src/${name}.ts`])),
  output: {
    dir: "dist",
    format: "es",
    entryFileNames: "[name].js",
    chunkFileNames: "chunks/[name]-[hash].js",
    sourcemap: true,
    // The sources are in the package, too.
    sourcemapExcludeSources: true,
  },
  // Node's own modules only: the package has no runtime dependencies, so anything else is a mistake.
  external: /^node:/,
  plugins: [esbuild({ target: "es2022", tsconfig: "tsconfig.json" })],
  onwarn(warning) {
    throw new Error(`rollup: ${warning.message}`);
  },
};
