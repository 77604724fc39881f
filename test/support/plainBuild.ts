// Runs the tests of a suite again on the plain SIMD build, in runtimes that choose the relaxed build.

import assert from "node:assert/strict";
import { usePrecompiledModule, wasmBuild } from "../../src/core/instantiate.ts";
import { test } from "./harness.ts";
import { plainModule, relaxedModule } from "./inlinedBuilds.ts";

let chosen = false;

/**
 * Registers tests that run on the plain build. Where that is the runtime's own, the suite whose name lacks "Plain" has
 * run them on it, and the only test left is that this is so.
 *
 * @param register imports what it tests only when it is called, because the build is chosen before the core runs
 */
export async function onPlainBuild(register: () => Promise<void>): Promise<void> {
  if (!WebAssembly.validate(relaxedModule)) {
    test("this runtime runs the plain build wherever it is not given another", () => {
      assert.equal(wasmBuild(), "plain");
    });
    return;
  }
  // Several such suites may share a process; a build is chosen once.
  if (!chosen) usePrecompiledModule(new WebAssembly.Module(plainModule));
  chosen = true;
  await register();
  test("this process really runs the plain build", () => {
    assert.equal(wasmBuild(), "precompiled");
  });
}
