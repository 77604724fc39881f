// The same tests as chaCha20Poly1305.ts on the plain SIMD build of the core.

import assert from "node:assert/strict";
import { wasmBuild } from "../../../src/core/instantiate.ts";
import { registerChaChaTests } from "../../support/chaChaTests.ts";
import { test } from "../../support/harness.ts";
import { usePlainBuild } from "../../support/plainBuild.ts";

usePlainBuild();
registerChaChaTests({
  aead: await import("../../../src/core/chaCha20Poly1305.ts"),
  frames: await import("../../../src/core/chaChaFrameCipher.ts"),
  runtime: await import("../../../src/core/runtimeChaCha.ts"),
  core: await import("../../../src/core/wasmModule.ts"),
});

test("this process really runs the plain build", () => {
  assert.equal(wasmBuild(), "precompiled");
});
