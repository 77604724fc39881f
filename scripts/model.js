// `npm run model -- [--deep] [states]` bundles test/model and runs it (test/model/main.ts).
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const outfile = `${root}build/model.mjs`;
await build({
  absWorkingDir: root,
  entryPoints: ["test/model/main.ts"],
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  outfile,
  logLevel: "warning",
});
// Millions of states, each with its key, want memory.
const memory = process.argv.includes("--deep") ? ["--max-old-space-size=6144"] : [];
const { status } = spawnSync(process.execPath, [...memory, outfile, ...process.argv.slice(2)], {
  stdio: "inherit",
});
process.exit(status ?? 1);
