// The same tests as gcmFrameCipher.ts on the plain SIMD build of the core.

import { registerGcmFrameCipherTests } from "../../support/gcmFrameCipherTests.ts";
import { onPlainBuild } from "../../support/plainBuild.ts";

await onPlainBuild(async () => {
  const frameCipher = await import("../../../src/core/gcmFrameCipher.ts");
  const core = await import("../../../src/core/wasmModule.ts");
  registerGcmFrameCipherTests(frameCipher, core, await import("../../../src/core/keystreamAhead.ts"));
});
