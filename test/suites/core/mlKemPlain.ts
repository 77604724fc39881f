// The same tests as ml-kem.ts on the plain SIMD build of the core.

import assert from "node:assert/strict";
import { wasmBuild } from "../../../src/core/instantiate.ts";
import { test } from "../../support/harness.ts";
import { registerMlKemTests } from "../../support/mlKemTests.ts";
import { usePlainBuild } from "../../support/plainBuild.ts";

usePlainBuild();
registerMlKemTests(
  await import("../../../src/core/mlKem768.ts"),
  await import("../../../src/core/wasmModule.ts"),
);

test("this process really runs the plain build", () => {
  assert.equal(wasmBuild(), "precompiled");
});
