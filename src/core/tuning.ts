// Tuning constants of the AES-GCM engines, per runtime. Changing one changes speed, never bytes.
// Measured with `npm run bench:core`; docs/PERFORMANCE.md has the table.

import type { RuntimeName } from "./runtimeAes.ts";

export interface EngineThresholds {
  /** From this many bytes of keystream in one batch the runtime's AES makes it, in one call. */
  keystreamFromBytes: number;
  /** From this mean length of a frame on, each frame goes through the runtime's GCM by itself. */
  nativeFromBytes: number;
  /** The same for one large message in JavaScript memory, where native GCM needs fewer copies. */
  nativeLargeFromBytes: number;
  /** Frames that come one at a time and are this long get keystream made ahead (keystreamAhead.ts) … */
  aheadFromBytes: number;
  /** … unless they are this long. */
  aheadBelowBytes: number;
}

const NEVER = Number.POSITIVE_INFINITY;

export const engineThresholds: Record<RuntimeName, EngineThresholds> = {
  // One AES call costs 0.7-0.9 µs, one native GCM message 2.3-2.8 µs.
  node: {
    keystreamFromBytes: 512,
    nativeFromBytes: 8192,
    nativeLargeFromBytes: 4096,
    aheadFromBytes: 128,
    aheadBelowBytes: 4096,
  },
  // 0.13 µs and 0.5-0.9 µs.
  bun: {
    keystreamFromBytes: 96,
    nativeFromBytes: 1400,
    nativeLargeFromBytes: 1400,
    aheadFromBytes: 128,
    aheadBelowBytes: 1400,
  },
  // 1.2 µs; native GCM is slower than the module at every size.
  deno: {
    keystreamFromBytes: 1400,
    nativeFromBytes: NEVER,
    nativeLargeFromBytes: NEVER,
    aheadFromBytes: 128,
    aheadBelowBytes: 4096,
  },
  other: {
    keystreamFromBytes: NEVER,
    nativeFromBytes: NEVER,
    nativeLargeFromBytes: NEVER,
    aheadFromBytes: NEVER,
    aheadBelowBytes: 0,
  },
};
