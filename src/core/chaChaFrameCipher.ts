// One direction of a connection under ChaCha20-Poly1305. The module processes whole batches, or the runtime processes
// frame by frame where that is faster (tuning.ts). The nonce is Noise's (section 12.3): 32 zero bits ‖ u64le n.

import { ChaChaKey } from "./chaChaKey.ts";
import type { Engine } from "./engine.ts";
import { FRAME_OVERHEAD_BYTES, FrameCipher } from "./frameCipher.ts";
import { requireChaChaEngine } from "./runtimeChaCha.ts";
import { core } from "./wasmModule.ts";

export class ChaChaFrameCipher extends FrameCipher {
  protected override readonly key: ChaChaKey;

  /**
   * @param key 32 bytes, copied; the caller wipes its own
   * @throws SealwireError ERR_UNSUPPORTED for an engine that this cipher does not have in this runtime
   */
  constructor(key: Uint8Array, engine: Engine = "auto") {
    requireChaChaEngine(engine);
    super("counter-last-le", engine);
    this.key = new ChaChaKey(key);
  }

  override sealFrames(start: number, end: number, count: number): void {
    this.requireCounters(count);
    if (this.engineFor(end - start, count) === "native") {
      this.sealNatively(start, end);
      return;
    }
    core.chachaSealFrames(this.key.load(), this.counterHigh, this.counterLow, start, end);
    this.key.unload();
    this.advance(count);
  }

  override openFrames(start: number, end: number, count: number): number {
    this.requireCounters(count);
    if (this.engineFor(end - start, count) === "native") return this.openNatively(start, end);
    const opened = core.chachaOpenFrames(this.key.load(), this.counterHigh, this.counterLow, start, end);
    this.key.unload();
    this.advance(opened);
    return opened;
  }

  /** `bytes` includes the bytes beside the text. */
  protected override engineFor(bytes: number, count: number): Engine {
    return this.key.engineFor(this.engine, (bytes - FRAME_OVERHEAD_BYTES * count) / count);
  }
}
