// The same tests as gcm.ts on the plain SIMD build of the core.

import assert from "node:assert/strict";
import { wasmBuild } from "../../../src/core/instantiate.ts";
import { registerGcmTests } from "../../support/gcmTests.ts";
import { test } from "../../support/harness.ts";
import { usePlainBuild } from "../../support/plainBuild.ts";

usePlainBuild();
registerGcmTests(await import("../../../src/core/gcm.ts"));

test("this process really runs the plain build", () => {
  assert.equal(wasmBuild(), "precompiled");
});
