// The builds of the crypto core that the package has inlined, each in memory of its own.

import { moduleBuilds } from "../../src/core/wasmBytes.ts";

const builds = Object.fromEntries([...moduleBuilds()].map(([build, bytes]) => [build, bytes.slice()]));

/** The build for every runtime with SIMD. */
export const plainModule: Uint8Array<ArrayBuffer> = builds.plain!;
/** The build that uses relaxed SIMD. */
export const relaxedModule: Uint8Array<ArrayBuffer> = builds.relaxed!;
