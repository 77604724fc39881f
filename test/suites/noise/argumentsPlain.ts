// The tests of byte arguments and ends of arguments.ts on the plain SIMD build of the core.

import { onPlainBuild } from "../../support/plainBuild.ts";

await onPlainBuild(async () => {
  (await import("../../support/noiseArguments.ts")).registerNoiseArgumentTests();
});
