// The same tests as x25519.ts on the plain SIMD build of the core.

import { onPlainBuild } from "../../support/plainBuild.ts";
import { registerX25519Tests } from "../../support/x25519Tests.ts";

await onPlainBuild(async () => registerX25519Tests(await import("../../../src/core/x25519.ts")));
