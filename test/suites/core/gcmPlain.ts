// The same tests as gcm.ts on the plain SIMD build of the core.

import { registerGcmTests } from "../../support/gcmTests.ts";
import { onPlainBuild } from "../../support/plainBuild.ts";

await onPlainBuild(async () => registerGcmTests(await import("../../../src/core/gcm.ts")));
