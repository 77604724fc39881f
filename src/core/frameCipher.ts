// One direction of a connection: AES-256-GCM with a counter as its nonce. Whole batches of frames are sealed and opened
// in place, in linear memory. engine.ts describes the engines.
//
// The layers above check what comes from outside. This class checks counters only.

import { AES_KEY_BYTES, CachedKey } from "./cachedKey.ts";
import { type Engine, requireEngine } from "./engine.ts";
import { LENGTH_BYTES, TAG_BYTES } from "./frameLayout.ts";
import { openMessage, sealMessage, sealPieces, thresholds } from "./gcmPieces.ts";
import { KeystreamAhead } from "./keystreamAhead.ts";
import { decryptFrameNatively, openFrameNatively, sealFrameNatively } from "./nativeFrames.ts";
import { NonceCounter, type NonceLayout } from "./nonceCounter.ts";
import { PieceWriter } from "./pieceWriter.ts";
import { nodeCrypto } from "./runtimeAes.ts";
import { core, framesPrepared, KEYSTREAM, memory, stoppedAt } from "./wasmModule.ts";
import { wipe } from "./wipe.ts";

export type { Engine } from "./engine.ts";
export type { NonceLayout } from "./nonceCounter.ts";

/** Bytes of a frame beside its text. */
const OVERHEAD = LENGTH_BYTES + TAG_BYTES;
const EMPTY = new Uint8Array(0);

export class FrameCipher extends NonceCounter {
  readonly #key: CachedKey;
  readonly #engine: Engine;
  readonly #ahead = new KeystreamAhead();

  /**
   * @param key 32 bytes, copied; the caller wipes its own
   * @throws SealwireError ERR_UNSUPPORTED for an engine that this runtime does not have
   */
  constructor(key: Uint8Array, layout: NonceLayout, engine: Engine = "auto") {
    requireEngine(engine);
    super(layout);
    this.#key = new CachedKey(key);
    this.#engine = engine;
  }

  /**
   * Seals the `count` frames that fill linear memory [start, end), in place. A frame is u32be length ‖ text
   * ‖ 16 bytes for the tag; the length, already written, counts text and tag. Allocates nothing with engine
   * wasm, one view and the runtime's keystream per batch with keystream.
   *
   * @throws SealwireError ERR_COUNTER_EXHAUSTED, before anything is touched
   */
  sealFrames(start: number, end: number, count: number): void {
    this.requireCounters(count);
    const ready = this.#keystreamAhead(start, end, count);
    if (ready !== 0) {
      core.sealPrepared(this.#key.expanded(), start, end, ready);
      this.advance(1);
      return;
    }
    switch (this.#engineFor(end - start, count)) {
      case "wasm":
        core.sealFrames(this.#key.expanded(), this.layout, this.counterHigh, this.counterLow, start, end);
        this.advance(count);
        return;
      case "keystream":
        while (start < end) {
          const entry = this.#prepare(start, end);
          const stop = stoppedAt();
          const frames = framesPrepared();
          if (frames === 0) {
            // A frame that the keystream region can't serve: the module does it, and what follows, piece by piece.
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
        for (let frame = start; frame < end; ) {
          frame = sealFrameNatively(this.#key, this.currentIv(), frame);
          this.advance(1);
        }
    }
  }

  /**
   * Opens the `count` frames that fill linear memory [start, end), in place. Returns how many opened: a
   * smaller number means that the next one did not authenticate; that one and those after it are as they
   * were. The counter advances by what is returned.
   *
   * @throws SealwireError ERR_COUNTER_EXHAUSTED, before anything is touched
   */
  openFrames(start: number, end: number, count: number): number {
    this.requireCounters(count);
    const ready = this.#keystreamAhead(start, end, count);
    if (ready !== 0) {
      const authentic = core.openPrepared(this.#key.expanded(), start, end, ready);
      this.advance(authentic);
      return authentic;
    }
    let opened = 0;
    switch (this.#engineFor(end - start, count)) {
      case "wasm":
        opened = core.openFrames(
          this.#key.expanded(),
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
        for (let frame = start; frame < end; opened++) {
          const next = openFrameNatively(this.#key, this.currentIv(), frame);
          if (next === 0) break;
          this.advance(1);
          frame = next;
        }
        return opened;
    }
  }

  /**
   * Whether `openFrames` would take the runtime's GCM for `count` frames that fill `bytes` bytes. It gives plaintext
   * in memory of its own: whoever wants it there takes `openFrame` and spares two copies.
   */
  opensNatively(bytes: number, count: number): boolean {
    return this.#engineFor(bytes, count) === "native";
  }

  /**
   * Opens the frame at address `frame` with the runtime's GCM. Returns the plaintext in memory of its own, or
   * undefined when it does not authenticate; then the counter stays. The frame itself is not changed.
   *
   * @throws SealwireError ERR_COUNTER_EXHAUSTED
   */
  openFrame(frame: number): Uint8Array | undefined {
    this.requireCounters(1);
    const plaintext = decryptFrameNatively(this.#key, this.currentIv(), frame);
    if (plaintext !== undefined) this.advance(1);
    return plaintext;
  }

  /**
   * Seals one frame of header ‖ body, both in JavaScript memory, of any size. Gives the frame, length prefix included,
   * to `give` in pieces to be written one after the other, each in memory of its own, as soon as it is sealed. `give`
   * must not use this cipher.
   *
   * @throws SealwireError ERR_COUNTER_EXHAUSTED
   */
  sealPieces(header: Uint8Array, body: Uint8Array, give: (piece: Uint8Array) => void): void {
    this.requireCounters(1);
    const iv = this.currentIv();
    // Before the first piece is out: should `give` throw, its counter is used all the same.
    this.advance(1);
    const writer = new PieceWriter(header.length + body.length + TAG_BYTES, give);
    sealPieces(this.#key, this.#engine, iv, EMPTY, [header, body], LENGTH_BYTES, (ciphertext, owned) =>
      writer.append(ciphertext, owned),
    );
  }

  /**
   * Opens ciphertext ‖ tag in JavaScript memory, in pieces, without length prefix. Returns the plaintext, in `into` if
   * that is given (long enough) or in memory of its own, or null when it does not authenticate; then the counter stays
   * and `into` holds zeros or what it held.
   *
   * @throws SealwireError ERR_COUNTER_EXHAUSTED
   */
  openLarge(sealed: readonly Uint8Array[], into?: Uint8Array): Uint8Array | null {
    this.requireCounters(1);
    const plaintext = openMessage(this.#key, this.#engine, this.currentIv(), EMPTY, sealed, into);
    if (plaintext !== null) this.advance(1);
    return plaintext;
  }

  /** Noise section 11.3: the key becomes the first 32 bytes of ENCRYPT(k, 2^64 - 1, "", 32 zeros). */
  rekey(): void {
    const sealed = new Uint8Array(AES_KEY_BYTES + TAG_BYTES);
    sealMessage(this.#key, "wasm", this.rekeyIv(), EMPTY, [new Uint8Array(AES_KEY_BYTES)], sealed, 0);
    this.#ahead.drop();
    this.#key.replace(sealed.subarray(0, AES_KEY_BYTES));
    wipe(sealed);
  }

  /** Wipes the key and all that was expanded from it. Idempotent; every later use throws ERR_CLOSED. */
  destroy(): void {
    this.#ahead.drop();
    this.#key.destroy();
  }

  #engineFor(bytes: number, count: number): Engine {
    if (this.#engine !== "auto") return this.#engine;
    if (nodeCrypto === undefined) return "wasm";
    const text = bytes - OVERHEAD * count;
    if (text >= thresholds.nativeFromBytes * count) return "native";
    return text + 16 * count >= thresholds.keystreamFromBytes ? "keystream" : "wasm";
  }

  /** Where keystream for a batch of one frame lies ready, or 0. */
  #keystreamAhead(start: number, end: number, count: number): number {
    if (this.#engine !== "auto") return 0;
    const length = end - start - OVERHEAD;
    if (count !== 1 || length >= thresholds.aheadBelowBytes) {
      this.#ahead.pause();
      return 0;
    }
    return this.#ahead.take(this.#key, this.layout, this.counterHigh, this.counterLow, length);
  }

  /** Has the runtime make the keystream of as many frames from `start` as fit; returns the expanded key. */
  #prepare(start: number, end: number): number {
    const aes = this.#key.runtimeAes();
    const bytes = core.writeCounters(this.layout, this.counterHigh, this.counterLow, start, end);
    aes.encryptBlocks(memory.subarray(KEYSTREAM, KEYSTREAM + bytes));
    return this.#key.expanded();
  }
}
