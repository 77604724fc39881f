import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import { LongestFirst } from "./scripts/longestFirst.js";

export default defineConfig({
  test: {
    include: ["test/*.test.ts"],
    globalSetup: ["test/support/runFolder.ts"],
    setupFiles: ["test/support/plainEnvironment.ts"],
    // A file mostly waits for one process that it started, which often waits for a timer or a socket itself: two files
    // more than there are cores keep all of these busy. No test has a limit that this could break: they count causes, or
    // wait for what has to come within bounds of many times what it takes.
    maxWorkers: availableParallelism() + 2,
    sequence: { sequencer: LongestFirst },
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
