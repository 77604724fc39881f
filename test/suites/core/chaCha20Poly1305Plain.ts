// The same tests as chaCha20Poly1305.ts on the plain SIMD build of the core.

import { registerChaChaTests } from "../../support/chaChaTests.ts";
import { onPlainBuild } from "../../support/plainBuild.ts";

await onPlainBuild(async () => {
  registerChaChaTests({
    aead: await import("../../../src/core/chaCha20Poly1305.ts"),
    frames: await import("../../../src/core/chaChaFrameCipher.ts"),
    runtime: await import("../../../src/core/runtimeChaCha.ts"),
    core: await import("../../../src/core/wasmModule.ts"),
  });
});
