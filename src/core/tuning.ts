// Tuning constants of the ciphers' engines, per runtime. A change alters speed, never bytes. Beside each are the
// measurements around it: µs per message, minima, AMD EPYC (Zen 4). docs/PERFORMANCE-LOG.md has the whole table, and
// `npm run bench:core` repeats them.

import { type RuntimeName, runtimeName } from "./runtimeName.ts";

export interface EngineThresholds {
  /** From this many bytes of keystream in one batch the runtime's AES makes it, in one call. */
  keystreamFromBytes: number;
  /** From this mean length of text on, the runtime's GCM processes each frame of a batch by itself. */
  nativeFromBytes: number;
  /** The same for one message in JavaScript memory, where native GCM needs fewer copies. */
  nativeMessageFromBytes: number;
  /** ChaCha20-Poly1305: from this many bytes of text on, mean or of one message, the runtime computes it if it can. */
  chaChaNativeFromBytes: number;
  /** Frames that come one at a time and are shorter than this get keystream made ahead (keystreamAhead.ts). */
  aheadBelowBytes: number;
}

const NEVER = Number.POSITIVE_INFINITY;

export const engineThresholds: Record<RuntimeName, EngineThresholds> = {
  node: {
    keystreamFromBytes: 320, // 4 × 64 B: wasm 0.26-0.44, keystream 0.27-0.34; 4 × 16 B: 0.19, 0.23
    nativeFromBytes: 6000, // 4 × 4,096 B: keystream 4.2-4.6, native 5.1-5.7; 4 × 8,192 B: 7.7-10.4, 7.2-8.6
    nativeMessageFromBytes: 4096,
    chaChaNativeFromBytes: 12_000, // one of 4,096 B: wasm 4.3-4.9, native 6.9-9.9; of 16,384 B: 16-19, 13-20 (Zen 3)
    aheadBelowBytes: 6000, // one of 5,300 B: ahead 3.5-4.9, keystream 4.3-5.9; of 6,500 B: 4.2-6.0, native 4.2-5.7
  },
  bun: {
    keystreamFromBytes: 64, // 1 × 64 B: wasm 0.31, keystream 0.28; a call costs 0.1 only
    nativeFromBytes: 2000, // 16 × 1,404 B: keystream 1.04, native 1.07; 16 × 2,048 B: 1.48, 1.12
    nativeMessageFromBytes: 1400,
    chaChaNativeFromBytes: NEVER, // node:crypto of Bun 1.4.5 has none
    aheadBelowBytes: 2000, // one of 1,404 B: ahead 1.06, native 1.15; of 2,800 B: 2.1, 1.6
  },
  deno: {
    keystreamFromBytes: 1000, // 4 × 256 B: wasm 1.14, keystream 1.14
    nativeFromBytes: NEVER, // 16 × 4,096 B: keystream 5.0, native 25
    nativeMessageFromBytes: NEVER,
    chaChaNativeFromBytes: 8_000, // one of 4,096 B: wasm 4.5, native 5.9-8.3; of 16,384 B: 17.0, 13.8-14.5 (Zen 3)
    aheadBelowBytes: 10_000, // one of 5,300 B: ahead 5.7, keystream 6.5; of 10,000 B: 10.6, 11.2; above, too few fit
  },
  other: {
    keystreamFromBytes: NEVER,
    nativeFromBytes: NEVER,
    nativeMessageFromBytes: NEVER,
    chaChaNativeFromBytes: NEVER,
    aheadBelowBytes: 0,
  },
};

/** The thresholds of this runtime. */
export const thresholds = engineThresholds[runtimeName];
