// The same tests as arguments.ts on the plain SIMD build of the core.
import assert from "node:assert/strict";
import { wasmBuild } from "../../../src/core/instantiate.ts";
import { test } from "../../support/harness.ts";
import { usePlainBuild } from "../../support/plainBuild.ts";

usePlainBuild();
(await import("../../support/cryptoArguments.ts")).registerCryptoArgumentTests();

test("this process really runs the plain build", () => {
  assert.equal(wasmBuild(), "precompiled");
});
