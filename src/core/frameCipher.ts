// One direction of a connection: an AEAD with a counter as its nonce. Whole batches of frames are sealed and opened in
// place, in linear memory. Each cipher has a class for its batches (gcmFrameCipher.ts, chaChaFrameCipher.ts). This file
// has their common code: frames through the runtime's cipher, and frames that are too long for a batch.
//
// The layers above check input from outside. This class checks counters only.

import { AEAD_KEY_BYTES, type AeadKey } from "./aeadKey.ts";
import { openMessage, sealMessage, sealPieces } from "./aeadPieces.ts";
import type { Engine } from "./engine.ts";
import { LENGTH_BYTES, TAG_BYTES } from "./frameLayout.ts";
import { decryptNatively, openFrameNatively, sealFrameNatively } from "./nativeFrames.ts";
import { NonceCounter, type NonceLayout } from "./nonceCounter.ts";
import type { PieceWriter } from "./pieceWriter.ts";
import { secretBytes, wipe } from "./wipe.ts";

/** Bytes of a frame beside its text. */
export const FRAME_OVERHEAD_BYTES = LENGTH_BYTES + TAG_BYTES;
const EMPTY = new Uint8Array(0);

export abstract class FrameCipher extends NonceCounter {
  protected abstract readonly key: AeadKey;
  protected readonly engine: Engine;

  protected constructor(layout: NonceLayout, engine: Engine) {
    super(layout);
    this.engine = engine;
  }

  /**
   * Seals the `count` frames that fill linear memory [start, end), in place. A frame is u32be length ‖ text ‖ 16 bytes
   * for the tag. The length is written already, and counts text and tag.
   *
   * @throws SealwireError ERR_COUNTER_EXHAUSTED, before anything is touched
   */
  abstract sealFrames(start: number, end: number, count: number): void;

  /**
   * Opens the `count` frames that fill linear memory [start, end), in place. Returns the number of opened frames. If it
   * is smaller than `count`, the next frame did not authenticate; that frame and the later ones are unchanged. The
   * counter advances by the returned number.
   *
   * @throws SealwireError ERR_COUNTER_EXHAUSTED, before anything is touched
   */
  abstract openFrames(start: number, end: number, count: number): number;

  /** The engine for a batch of `count` frames that fill `bytes` bytes; never "auto". */
  protected abstract engineFor(bytes: number, count: number): Engine;

  /**
   * Whether `openFrames` would use the runtime's cipher for `count` frames that fill `bytes` bytes. That cipher gives
   * plaintext in memory of its own, so a caller that wants such memory uses `openAlone` and saves two copies.
   */
  opensNatively(bytes: number, count: number): boolean {
    return this.engineFor(bytes, count) === "native";
  }

  /**
   * Opens ciphertext ‖ tag, bytes [start, end), with the runtime's cipher. Returns the plaintext in memory of its own, or
   * undefined if it does not authenticate; then the counter stays. The bytes are only read.
   *
   * @throws SealwireError ERR_COUNTER_EXHAUSTED
   */
  openAlone(bytes: Uint8Array, start: number, end: number): Uint8Array | undefined {
    this.requireCounters(1);
    const plaintext = decryptNatively(this.key, this.currentIv(), bytes, start, end);
    if (plaintext !== undefined) this.advance(1);
    return plaintext;
  }

  /**
   * Seals one frame of header ‖ body, both in JavaScript memory, of any size. The frame, length prefix included, goes to
   * `writer`, whose pieces leave as soon as they are full. Who takes them must not use this cipher.
   *
   * @throws SealwireError ERR_COUNTER_EXHAUSTED
   */
  sealPieces(header: Uint8Array, body: Uint8Array, writer: PieceWriter): void {
    this.requireCounters(1);
    const iv = this.currentIv();
    // Before the first piece is passed on: if its taker throws, the counter is used all the same.
    this.advance(1);
    writer.begin(header.length + body.length + TAG_BYTES);
    sealPieces(this.key, this.engine, iv, EMPTY, [header, body], writer.filled, (ciphertext, owned) =>
      writer.append(ciphertext, owned),
    );
  }

  /**
   * Opens ciphertext ‖ tag in JavaScript memory, in pieces, without length prefix. Returns the plaintext, in `into` if
   * that is given (long enough) or in memory of its own. Returns null if it does not authenticate; then the counter
   * stays, and `into` holds zeros or its old content.
   *
   * @throws SealwireError ERR_COUNTER_EXHAUSTED
   */
  openLarge(sealed: readonly Uint8Array[], into?: Uint8Array): Uint8Array | null {
    this.requireCounters(1);
    const plaintext = openMessage(this.key, this.engine, this.currentIv(), EMPTY, sealed, into);
    if (plaintext !== null) this.advance(1);
    return plaintext;
  }

  /** Noise section 11.3: the key becomes the first 32 bytes of ENCRYPT(k, 2^64 - 1, "", 32 zeros). */
  rekey(): void {
    const sealed = secretBytes(AEAD_KEY_BYTES + TAG_BYTES);
    sealMessage(this.key, "wasm", this.rekeyIv(), EMPTY, [new Uint8Array(AEAD_KEY_BYTES)], sealed, 0);
    this.key.replace(sealed.subarray(0, AEAD_KEY_BYTES));
    wipe(sealed);
  }

  /** Wipes the key and everything that was expanded from it. Idempotent; every later use throws ERR_CLOSED. */
  destroy(): void {
    this.key.destroy();
  }

  /** Seals the frames in linear memory [start, end) one by one with the runtime's cipher. */
  protected sealNatively(start: number, end: number): void {
    for (let frame = start; frame < end; ) {
      frame = sealFrameNatively(this.key, this.currentIv(), frame);
      this.advance(1);
    }
  }

  /**
   * Opens frames one by one in the same way, up to the first that does not authenticate; returns the number of opened
   * frames.
   */
  protected openNatively(start: number, end: number): number {
    let opened = 0;
    for (let frame = start; frame < end; opened++) {
      const next = openFrameNatively(this.key, this.currentIv(), frame);
      if (next === 0) break;
      this.advance(1);
      frame = next;
    }
    return opened;
  }
}
