import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/*.test.ts"],
    setupFiles: ["test/support/plainEnvironment.ts"],
    // Each file spawns processes of its own and the suites want the cores: one file at a time.
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
