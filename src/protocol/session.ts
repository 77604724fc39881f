// An established session: two directional ciphers that seal and open whole runs of frames in place, and
// replace their keys after a fixed number of frames (Noise section 11.3) where the protocol says so.

import { readU32 } from "../core/bytes.ts";
import { ChaChaFrameCipher } from "../core/chaChaFrameCipher.ts";
import { channels } from "../core/diagnostics.ts";
import type { Engine } from "../core/engine.ts";
import { runSoon } from "../core/eventLoop.ts";
import type { FrameCipher } from "../core/frameCipher.ts";
import { GcmFrameCipher } from "../core/gcmFrameCipher.ts";
import type { PieceWriter } from "../core/pieceWriter.ts";
import { hasNativeChaCha } from "../core/runtimeChaCha.ts";
import { memory } from "../core/wasmModule.ts";
import type { CipherName, HandshakeResult, TransportFormat } from "./handshake.ts";
import { LENGTH_BYTES } from "./wire.ts";

/**
 * The cipher of one direction. The engine is named before the client has chosen the cipher: an engine that
 * ChaCha20-Poly1305 lacks here means the automatic choice.
 */
function frameCipher(
  key: Uint8Array,
  cipher: CipherName,
  format: TransportFormat,
  engine: Engine,
): FrameCipher {
  if (cipher === "AESGCM") return new GcmFrameCipher(key, format.nonceLayout, engine);
  const isThere = engine === "wasm" || (engine === "native" && hasNativeChaCha());
  return new ChaChaFrameCipher(key, isThere ? engine : "auto");
}

/** One direction: its cipher and how many frames its key still serves. */
class Direction {
  readonly cipher: FrameCipher;
  readonly #name: "send" | "receive";
  readonly #rekeyAfter: number;
  #left: number;

  constructor(name: "send" | "receive", cipher: FrameCipher, format: TransportFormat) {
    this.#name = name;
    this.cipher = cipher;
    this.#rekeyAfter = format.rekeyAfterFrames === 0 ? Number.POSITIVE_INFINITY : format.rekeyAfterFrames;
    this.#left = this.#rekeyAfter;
  }

  /**
   * Frames until the key changes. At 0 the next use changes the key first, so that both ends do it at the same frame.
   */
  available(): number {
    if (this.#left === 0) {
      this.cipher.rekey();
      this.#left = this.#rekeyAfter;
      if (channels.rekey.hasSubscribers) this.#tellRekey();
    }
    return this.#left;
  }

  used(count: number): void {
    this.#left -= count;
  }

  /** Later: frames are being sealed or opened, and a subscriber may send, which would change them under the cipher. */
  #tellRekey(): void {
    runSoon(() => channels.rekey.publish({ direction: this.#name }));
  }
}

/** The address after `count` frames of linear memory from `address`. */
function skipFrames(address: number, count: number): number {
  for (let i = 0; i < count; i++) {
    address += LENGTH_BYTES + readU32(memory, address);
  }
  return address;
}

export class Session {
  readonly #send: Direction;
  readonly #receive: Direction;

  /** Takes over the keys of `result` and wipes them there. */
  constructor(result: HandshakeResult, format: TransportFormat, engine: Engine) {
    const { sendKey, receiveKey, cipher = "AESGCM" } = result;
    this.#send = new Direction("send", frameCipher(sendKey, cipher, format, engine), format);
    this.#receive = new Direction("receive", frameCipher(receiveKey, cipher, format, engine), format);
    result.sendKey.fill(0);
    result.receiveKey.fill(0);
  }

  /**
   * Seals `count` frames that fill linear memory [start, end), in place.
   *
   * @throws SealwireError ERR_COUNTER_EXHAUSTED
   */
  seal(start: number, end: number, count: number): void {
    let available = this.#send.available();
    while (count > available) {
      const boundary = skipFrames(start, available);
      this.#send.cipher.sealFrames(start, boundary, available);
      this.#send.used(available);
      start = boundary;
      count -= available;
      available = this.#send.available();
    }
    this.#send.cipher.sealFrames(start, end, count);
    this.#send.used(count);
  }

  /**
   * Opens `count` complete frames that fill linear memory [start, end), in place. Returns the number of opened frames.
   * If it is smaller than `count`, the next frame did not authenticate; its bytes are unchanged.
   */
  open(start: number, end: number, count: number): number {
    let opened = 0;
    let available = this.#receive.available();
    while (count - opened > available) {
      const boundary = skipFrames(start, available);
      const done = this.#receive.cipher.openFrames(start, boundary, available);
      this.#receive.used(done);
      opened += done;
      if (done < available) return opened;
      start = boundary;
      available = this.#receive.available();
    }
    const done = this.#receive.cipher.openFrames(start, end, count - opened);
    this.#receive.used(done);
    return opened + done;
  }

  /** Whether frames like these are opened faster one by one with `openAlone`. */
  opensNatively(bytes: number, count: number): boolean {
    return this.#receive.cipher.opensNatively(bytes, count);
  }

  /** Opens ciphertext ‖ tag, bytes [start, end), to memory of its own; undefined if it does not authenticate. */
  openAlone(bytes: Uint8Array, start: number, end: number): Uint8Array | undefined {
    this.#receive.available();
    const plaintext = this.#receive.cipher.openAlone(bytes, start, end);
    if (plaintext !== undefined) this.#receive.used(1);
    return plaintext;
  }

  /**
   * Seals header ‖ body as one frame, length prefix included, to `writer`, whose pieces leave as soon as they are full.
   * Who takes them must not use this session.
   */
  sealPieces(header: Uint8Array, body: Uint8Array, writer: PieceWriter): void {
    this.#send.available();
    this.#send.cipher.sealPieces(header, body, writer);
    this.#send.used(1);
  }

  /**
   * Opens ciphertext ‖ tag in JavaScript memory, in pieces, to `into` if it is given (long enough), otherwise to memory
   * of its own; null if it does not authenticate.
   */
  openLarge(sealed: readonly Uint8Array[], into?: Uint8Array): Uint8Array | null {
    this.#receive.available();
    const plaintext = this.#receive.cipher.openLarge(sealed, into);
    if (plaintext !== null) this.#receive.used(1);
    return plaintext;
  }

  /** Wipes the keys of both directions. Idempotent. */
  destroy(): void {
    this.#send.cipher.destroy();
    this.#receive.cipher.destroy();
  }
}
