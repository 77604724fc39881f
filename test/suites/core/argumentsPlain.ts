// The same tests as arguments.ts on the plain SIMD build of the core.

import { onPlainBuild } from "../../support/plainBuild.ts";

await onPlainBuild(async () => {
  (await import("../../support/cryptoArguments.ts")).registerCryptoArgumentTests();
});
