// One direction of a connection: AES-256-GCM with a counter for a nonce, so that whole batches of frames are
// sealed and opened in place, in linear memory.
//
// Engines, all with the same bytes:
//   wasm       everything in the module
//   keystream  counters are known beforehand, so the runtime's AES makes the keystream of a whole batch in
//              one call; XOR, GHASH and tags stay in the module
//   native     the runtime's GCM, frame by frame
//   auto       the fastest of these by size (tuning.ts)
//
// The layers above validate what comes from outside; here only counters are checked.

import { SealwireError } from "../base/errors.ts";
import { readU32, writeU32 } from "./bytes.ts";
import { AES_KEY_BYTES, CachedKey } from "./cachedKey.ts";
import { copyInto } from "./copy.ts";
import {
  type Engine,
  IV_BYTES,
  openMessage,
  requireEngine,
  sealMessage,
  sealPieces,
  TAG_BYTES,
  thresholds,
  WINDOW_BYTES,
} from "./gcmPieces.ts";
import { KeystreamAhead } from "./keystreamAhead.ts";
import { release, wipeAndRelease } from "./release.ts";
import { nodeCrypto } from "./runtimeAes.ts";
import { core, framesPrepared, KEYSTREAM, memory, stoppedAt } from "./wasmModule.ts";
import { wipe } from "./wipe.ts";

export type { Engine } from "./gcmPieces.ts";

/**
 * Where the 64-bit counter stands in the 12-byte IV: "counter-first" is protocol v1 (u64be counter ‖
 * 00000000), "counter-last" Noise (00000000 ‖ u64be n, section 12.4).
 */
export type NonceLayout = "counter-first" | "counter-last";

const LENGTH_BYTES = 4;
/** Bytes of a frame beside its text. */
const OVERHEAD = LENGTH_BYTES + TAG_BYTES;
const TWO_32 = 2 ** 32;
const LAST = TWO_32 - 1;
const EMPTY = new Uint8Array(0);

export class FrameCipher {
  /** The counter of the next frame, in two u32 halves. 2^64 - 1 is never used (Noise section 5.1). */
  counterHigh = 0;
  counterLow = 0;
  readonly #key: CachedKey;
  readonly #layout: 0 | 1;
  readonly #engine: Engine;
  readonly #iv = new Uint8Array(IV_BYTES);
  readonly #ahead = new KeystreamAhead();

  /**
   * @param key 32 bytes, copied; the caller wipes its own
   * @throws SealwireError ERR_UNSUPPORTED for an engine that this runtime does not have
   */
  constructor(key: Uint8Array, layout: NonceLayout, engine: Engine = "auto") {
    requireEngine(engine);
    this.#key = new CachedKey(key);
    this.#layout = layout === "counter-first" ? 0 : 1;
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
    this.#requireCounters(count);
    const ready = this.#keystreamAhead(start, end, count);
    if (ready !== 0) {
      core.sealPrepared(this.#key.expanded(), start, end, ready);
      this.#advance(1);
      return;
    }
    switch (this.#engineFor(end - start, count)) {
      case "wasm":
        core.sealFrames(this.#key.expanded(), this.#layout, this.counterHigh, this.counterLow, start, end);
        this.#advance(count);
        return;
      case "keystream":
        while (start < end) {
          const slot = this.#prepare(start, end);
          const stop = stoppedAt();
          const frames = framesPrepared();
          if (frames === 0) {
            // A frame that the keystream region can't serve: the module does it, and what follows, by windows.
            core.sealFrames(slot, this.#layout, this.counterHigh, this.counterLow, start, end);
            this.#advance(count);
            return;
          }
          core.sealPrepared(slot, start, stop, KEYSTREAM);
          this.#advance(frames);
          count -= frames;
          start = stop;
        }
        return;
      default:
        for (let frame = start; frame < end; ) frame = this.#sealNatively(frame);
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
    this.#requireCounters(count);
    const ready = this.#keystreamAhead(start, end, count);
    if (ready !== 0) {
      const authentic = core.openPrepared(this.#key.expanded(), start, end, ready);
      this.#advance(authentic);
      return authentic;
    }
    let opened = 0;
    switch (this.#engineFor(end - start, count)) {
      case "wasm":
        opened = core.openFrames(
          this.#key.expanded(),
          this.#layout,
          this.counterHigh,
          this.counterLow,
          start,
          end,
        );
        this.#advance(opened);
        return opened;
      case "keystream":
        while (start < end) {
          const slot = this.#prepare(start, end);
          const stop = stoppedAt();
          const frames = framesPrepared();
          if (frames === 0) {
            const { counterHigh, counterLow } = this;
            const rest = core.openFrames(slot, this.#layout, counterHigh, counterLow, start, end);
            this.#advance(rest);
            return opened + rest;
          }
          const authentic = core.openPrepared(slot, start, stop, KEYSTREAM);
          this.#advance(authentic);
          opened += authentic;
          if (authentic < frames) break;
          start = stop;
        }
        return opened;
      default:
        for (let frame = start; frame < end; opened++) {
          const next = this.#openNatively(frame);
          if (next === 0) break;
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
    this.#requireCounters(1);
    const plaintext = this.#decryptNatively(frame);
    if (plaintext !== undefined) this.#advance(1);
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
    this.#requireCounters(1);
    const iv = this.#currentIv();
    // Before the first piece is out: should `give` throw, its counter is used all the same.
    this.#advance(1);
    const length = header.length + body.length + TAG_BYTES;
    let left = LENGTH_BYTES + length;
    let piece = new Uint8Array(Math.min(left, WINDOW_BYTES));
    writeU32(piece, 0, length);
    let at = LENGTH_BYTES;
    // The last bytes of a piece are never missing: pieces are full, but for the last one, whose length is known.
    const next = (full: Uint8Array) => {
      left -= full.length;
      at = 0;
      give(full);
    };
    sealPieces(this.#key, this.#engine, iv, EMPTY, [header, body], LENGTH_BYTES, (text, owned) => {
      for (let from = 0; from < text.length; ) {
        if (at === 0) {
          if (owned && text.length === WINDOW_BYTES) return next(text);
          piece = new Uint8Array(Math.min(left, WINDOW_BYTES));
        }
        const take = Math.min(text.length - from, piece.length - at);
        copyInto(piece, at, text.subarray(from, from + take));
        from += take;
        at += take;
        if (at === piece.length) next(piece);
      }
      if (owned) release(text);
    });
  }

  /**
   * Opens ciphertext ‖ tag in JavaScript memory, in pieces, without length prefix. Returns the plaintext, in `into` if
   * that is given (long enough) or in memory of its own, or null when it does not authenticate; then the counter stays
   * and `into` holds zeros or what it held.
   *
   * @throws SealwireError ERR_COUNTER_EXHAUSTED
   */
  openLarge(sealed: readonly Uint8Array[], into?: Uint8Array): Uint8Array | null {
    this.#requireCounters(1);
    const plaintext = openMessage(this.#key, this.#engine, this.#currentIv(), EMPTY, sealed, into);
    if (plaintext !== null) this.#advance(1);
    return plaintext;
  }

  /** Noise section 11.3: the key becomes the first 32 bytes of ENCRYPT(k, 2^64 - 1, "", 32 zeros). */
  rekey(): void {
    const sealed = new Uint8Array(AES_KEY_BYTES + TAG_BYTES);
    this.#writeIv(LAST, LAST);
    sealMessage(this.#key, "wasm", this.#iv, EMPTY, [new Uint8Array(AES_KEY_BYTES)], sealed, 0);
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
    return this.#ahead.take(this.#key, this.#layout, this.counterHigh, this.counterLow, length);
  }

  /** Has the runtime make the keystream of as many frames from `start` as fit; returns the expanded key. */
  #prepare(start: number, end: number): number {
    const aes = this.#key.runtimeAes();
    const bytes = core.writeCounters(this.#layout, this.counterHigh, this.counterLow, start, end);
    aes.encryptBlocks(memory.subarray(KEYSTREAM, KEYSTREAM + bytes));
    return this.#key.expanded();
  }

  #sealNatively(frame: number): number {
    const length = readU32(memory, frame) - TAG_BYTES;
    const text = frame + LENGTH_BYTES;
    const cipher = nodeCrypto!.createCipheriv("aes-256-gcm", this.#key.bytes, this.#currentIv(), {
      authTagLength: TAG_BYTES,
    });
    if (length > 0) {
      const ciphertext = cipher.update(memory.subarray(text, text + length));
      copyInto(memory, text, ciphertext);
      release(ciphertext);
    }
    cipher.final();
    memory.set(cipher.getAuthTag(), text + length);
    this.#advance(1);
    return text + length + TAG_BYTES;
  }

  /** The address of the next frame, or 0 when this one does not authenticate. */
  #openNatively(frame: number): number {
    const plaintext = this.#decryptNatively(frame);
    if (plaintext === undefined) return 0;
    copyInto(memory, frame + LENGTH_BYTES, plaintext);
    const next = frame + LENGTH_BYTES + plaintext.length + TAG_BYTES;
    wipeAndRelease(plaintext);
    this.#advance(1);
    return next;
  }

  /** The frame's text in memory of its own, or undefined, with nothing left, when it does not authenticate. */
  #decryptNatively(frame: number): Uint8Array | undefined {
    const text = frame + LENGTH_BYTES;
    const tag = text + readU32(memory, frame) - TAG_BYTES;
    const decipher = nodeCrypto!.createDecipheriv("aes-256-gcm", this.#key.bytes, this.#currentIv(), {
      authTagLength: TAG_BYTES,
    });
    decipher.setAuthTag(memory.subarray(tag, tag + TAG_BYTES));
    const plaintext = decipher.update(memory.subarray(text, tag));
    try {
      decipher.final();
      return plaintext;
    } catch {
      wipe(plaintext);
      return undefined;
    }
  }

  #currentIv(): Uint8Array {
    this.#writeIv(this.counterHigh, this.counterLow);
    return this.#iv;
  }

  #writeIv(high: number, low: number): void {
    const iv = this.#iv;
    const at = this.#layout === 0 ? 0 : 4;
    writeU32(iv, at, high);
    writeU32(iv, at + 4, low);
  }

  #requireCounters(count: number): void {
    // Counters used: counter … counter + count - 1, all below 2^64 - 1.
    if (this.counterHigh === LAST && this.counterLow + count > LAST) {
      throw new SealwireError("ERR_COUNTER_EXHAUSTED", "2^64 - 1 frames were sent under one key");
    }
  }

  #advance(count: number): void {
    const low = this.counterLow + count;
    if (low < TWO_32) {
      this.counterLow = low;
      return;
    }
    this.counterLow = low - TWO_32;
    this.counterHigh++;
  }
}
