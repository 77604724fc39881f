// The same tests as x25519.ts as if the self-test for fused multiply-add had failed.

import assert from "node:assert/strict";
import { core } from "../../../src/core/wasmModule.ts";
import * as module from "../../../src/core/x25519.ts";
import { test } from "../../support/harness.ts";
import { registerX25519Tests } from "../../support/x25519Tests.ts";

core.x25519AllowFused(0);
registerX25519Tests(module);

test("this process really runs the ladder that needs no fused multiply-add", () => {
  assert.equal(core.x25519Fused(), 0);
});
