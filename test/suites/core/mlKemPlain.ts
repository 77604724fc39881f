// The same tests as mlKem.ts on the plain SIMD build of the core.

import { registerMlKemTests } from "../../support/mlKemTests.ts";
import { onPlainBuild } from "../../support/plainBuild.ts";

await onPlainBuild(async () => {
  registerMlKemTests(
    await import("../../../src/core/mlKem768.ts"),
    await import("../../../src/core/wasmModule.ts"),
  );
});
