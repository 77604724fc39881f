// `npm run proxy:load` runs the tests of `sealwire proxy` with 1 GiB and 1,000 connections per pair of runtimes. It
// takes minutes; the gate runs the same tests with 32 MiB and 100 connections. Needs dist/ (npm run build).
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const { status } = spawnSync(
  process.execPath,
  ["node_modules/vitest/vitest.mjs", "run", "test/proxy.test.ts"],
  {
    cwd: fileURLToPath(new URL("..", import.meta.url)),
    env: { ...process.env, SEALWIRE_PROXY_LOAD: "full" },
    stdio: "inherit",
  },
);
process.exit(status ?? 1);
