// A runtime without WebAssembly, such as `node --jitless`: the import fails with one typed error.

import assert from "node:assert/strict";
import { SealwireError } from "../../../src/base/errors.ts";
import { test } from "../../support/harness.ts";

Object.defineProperty(globalThis, "WebAssembly", { value: undefined, configurable: true, writable: true });
const { usePrecompiledModule, wasmBuild } = await import("../../../src/wasm.ts");

const unsupported = { code: "ERR_UNSUPPORTED", message: /needs WebAssembly.*--jitless/ };

test("the hook for modules loads, and says what is missing when it is used", () => {
  assert.throws(() => wasmBuild(), unsupported);
  assert.throws(() => usePrecompiledModule({}), unsupported);
});

test("everything else says it when it is imported", async () => {
  const imports = [
    () => import("../../../src/crypto.ts"),
    () => import("../../../src/noise.ts"),
    () => import("../../../src/index.ts"),
  ];
  for (const load of imports) {
    await assert.rejects(load, (error) => {
      assert.ok(error instanceof SealwireError);
      assert.equal(error.code, "ERR_UNSUPPORTED");
      return true;
    });
  }
});
