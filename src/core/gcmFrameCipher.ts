// One direction of a connection under AES-256-GCM. engine.ts describes the engines.

import { type Engine, requireEngine } from "./engine.ts";
import { FRAME_OVERHEAD_BYTES, FrameCipher } from "./frameCipher.ts";
import { GcmKey } from "./gcmKey.ts";
import { KeystreamAhead } from "./keystreamAhead.ts";
import type { NonceLayout } from "./nonceCounter.ts";
import { nodeCrypto } from "./runtimeAes.ts";
import { thresholds } from "./tuning.ts";
import { core, framesPrepared, KEYSTREAM, memory, stoppedAt } from "./wasmModule.ts";

export class GcmFrameCipher extends FrameCipher {
  protected override readonly key: GcmKey;
  readonly #ahead = new KeystreamAhead();

  /**
   * @param key 32 bytes, copied; the caller wipes its own
   * @throws SealwireError ERR_UNSUPPORTED for an engine that this runtime does not have
   */
  constructor(key: Uint8Array, layout: NonceLayout, engine: Engine = "auto") {
    requireEngine(engine);
    super(layout, engine);
    this.key = new GcmKey(key);
  }

  /** Allocates nothing with engine wasm, one view and the runtime's keystream per batch with keystream. */
  override sealFrames(start: number, end: number, count: number): void {
    this.requireCounters(count);
    const ready = this.#keystreamAhead(start, end, count);
    if (ready !== 0) {
      core.sealPrepared(this.key.expanded(), start, end, ready);
      this.advance(1);
      return;
    }
    switch (this.engineFor(end - start, count)) {
      case "wasm":
        core.sealFrames(this.key.expanded(), this.layout, this.counterHigh, this.counterLow, start, end);
        this.advance(count);
        return;
      case "keystream":
        while (start < end) {
          const entry = this.#prepare(start, end);
          const stop = stoppedAt();
          const frames = framesPrepared();
          if (frames === 0) {
            // The keystream region is too small for this frame: the module processes it and the later ones, piece by
            // piece.
            core.sealFrames(entry, this.layout, this.counterHigh, this.counterLow, start, end);
            this.advance(count);
            return;
          }
          core.sealPrepared(entry, start, stop, KEYSTREAM);
          this.advance(frames);
          count -= frames;
          start = stop;
        }
        return;
      default:
        this.sealNatively(start, end);
    }
  }

  override openFrames(start: number, end: number, count: number): number {
    this.requireCounters(count);
    const ready = this.#keystreamAhead(start, end, count);
    if (ready !== 0) {
      const authentic = core.openPrepared(this.key.expanded(), start, end, ready);
      this.advance(authentic);
      return authentic;
    }
    let opened = 0;
    switch (this.engineFor(end - start, count)) {
      case "wasm":
        opened = core.openFrames(
          this.key.expanded(),
          this.layout,
          this.counterHigh,
          this.counterLow,
          start,
          end,
        );
        this.advance(opened);
        return opened;
      case "keystream":
        while (start < end) {
          const entry = this.#prepare(start, end);
          const stop = stoppedAt();
          const frames = framesPrepared();
          if (frames === 0) {
            const { counterHigh, counterLow } = this;
            const rest = core.openFrames(entry, this.layout, counterHigh, counterLow, start, end);
            this.advance(rest);
            return opened + rest;
          }
          const authentic = core.openPrepared(entry, start, stop, KEYSTREAM);
          this.advance(authentic);
          opened += authentic;
          if (authentic < frames) break;
          start = stop;
        }
        return opened;
      default:
        return this.openNatively(start, end);
    }
  }

  override rekey(): void {
    this.#ahead.drop();
    super.rekey();
  }

  override destroy(): void {
    this.#ahead.drop();
    super.destroy();
  }

  protected override engineFor(bytes: number, count: number): Engine {
    if (this.engine !== "auto") return this.engine;
    if (nodeCrypto() === undefined) return "wasm";
    const text = bytes - FRAME_OVERHEAD_BYTES * count;
    if (text >= thresholds.nativeFromBytes * count) return "native";
    return text + 16 * count >= thresholds.keystreamFromBytes ? "keystream" : "wasm";
  }

  /** The address of keystream that was made ahead for a batch of one frame, or 0. */
  #keystreamAhead(start: number, end: number, count: number): number {
    if (this.engine !== "auto") return 0;
    const length = end - start - FRAME_OVERHEAD_BYTES;
    if (count !== 1 || length >= thresholds.aheadBelowBytes) {
      this.#ahead.pause();
      return 0;
    }
    return this.#ahead.take(this.key, this.layout, this.counterHigh, this.counterLow, length);
  }

  /** Lets the runtime make the keystream of as many frames from `start` as fit; returns the expanded key. */
  #prepare(start: number, end: number): number {
    const aes = this.key.runtimeAes();
    const bytes = core.writeCounters(this.layout, this.counterHigh, this.counterLow, start, end);
    aes.encryptBlocks(memory.subarray(KEYSTREAM, KEYSTREAM + bytes));
    return this.key.expanded();
  }
}
