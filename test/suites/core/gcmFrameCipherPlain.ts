// The same tests as gcmFrameCipher.ts on the plain SIMD build of the core.

import assert from "node:assert/strict";
import { wasmBuild } from "../../../src/core/instantiate.ts";
import { registerGcmFrameCipherTests } from "../../support/gcmFrameCipherTests.ts";
import { test } from "../../support/harness.ts";
import { usePlainBuild } from "../../support/plainBuild.ts";

usePlainBuild();
const frameCipher = await import("../../../src/core/gcmFrameCipher.ts");
const core = await import("../../../src/core/wasmModule.ts");
registerGcmFrameCipherTests(frameCipher, core, await import("../../../src/core/keystreamAhead.ts"));

test("this process really runs the plain build", () => {
  assert.equal(wasmBuild(), "precompiled");
});
