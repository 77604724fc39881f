// The same tests as x25519.ts on the plain SIMD build of the core.

import assert from "node:assert/strict";
import { wasmBuild } from "../../../src/core/instantiate.ts";
import { test } from "../../support/harness.ts";
import { usePlainBuild } from "../../support/plainBuild.ts";
import { registerX25519Tests } from "../../support/x25519Tests.ts";

usePlainBuild();
registerX25519Tests(await import("../../../src/core/x25519.ts"));

test("this process really runs the plain build", () => {
  assert.equal(wasmBuild(), "precompiled");
});
