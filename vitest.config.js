import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import { LongestFirst } from "./scripts/longestFirst.js";

export default defineConfig({
  test: {
    include: ["test/*.test.ts"],
    setupFiles: ["test/support/plainEnvironment.ts"],
    // A file mostly waits for one process that it started, which now and then waits for a timer itself: one file more
    // than there are cores keeps all of these busy.
    maxWorkers: availableParallelism() + 1,
    sequence: { sequencer: LongestFirst },
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
