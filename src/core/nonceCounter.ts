// The counter of one direction's frames, and the 12-byte IV that each of its values makes.

import { SealwireError } from "../base/errors.ts";
import { writeU32 } from "./bytes.ts";

/**
 * The place of the 64-bit counter in the 12-byte IV: "counter-first" is protocol v1 (u64be counter ‖ 00000000),
 * "counter-last" Noise with AESGCM (00000000 ‖ u64be n, section 12.4), "counter-last-le" Noise with ChaChaPoly
 * (00000000 ‖ u64le n, section 12.3).
 */
export type NonceLayout = "counter-first" | "counter-last" | "counter-last-le";

export const IV_BYTES = 12;
const TWO_32 = 2 ** 32;
const LAST = TWO_32 - 1;

export class NonceCounter {
  /** The counter of the next frame, in two u32 halves. 2^64 - 1 is never used (Noise section 5.1). */
  counterHigh = 0;
  counterLow = 0;
  /** As the wasm module takes it for AES-GCM: 0 is counter-first, 1 counter-last. */
  protected readonly layout: 0 | 1;
  readonly #littleEndian: boolean;
  readonly #iv = new Uint8Array(IV_BYTES);

  constructor(layout: NonceLayout) {
    this.layout = layout === "counter-first" ? 0 : 1;
    this.#littleEndian = layout === "counter-last-le";
  }

  /** The IV of the next frame: the same 12 bytes of memory every time. */
  protected currentIv(): Uint8Array {
    return this.#ivOf(this.counterHigh, this.counterLow);
  }

  /** The IV of the counter 2^64 - 1, which Noise reserves for Rekey (section 11.3). In the same memory. */
  protected rekeyIv(): Uint8Array {
    return this.#ivOf(LAST, LAST);
  }

  /** @throws SealwireError ERR_COUNTER_EXHAUSTED unless `count` more counters may be used */
  protected requireCounters(count: number): void {
    // Counters used: counter … counter + count - 1, all below 2^64 - 1.
    if (this.counterHigh === LAST && this.counterLow + count > LAST) {
      throw new SealwireError("ERR_COUNTER_EXHAUSTED", "2^64 - 1 frames were sent under one key");
    }
  }

  protected advance(count: number): void {
    const low = this.counterLow + count;
    if (low < TWO_32) {
      this.counterLow = low;
      return;
    }
    this.counterLow = low - TWO_32;
    this.counterHigh++;
  }

  #ivOf(high: number, low: number): Uint8Array {
    const iv = this.#iv;
    const at = this.layout === 0 ? 0 : 4;
    writeU32(iv, at, high);
    writeU32(iv, at + 4, low);
    if (this.#littleEndian) iv.subarray(at).reverse();
    return iv;
  }
}
