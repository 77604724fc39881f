// Drives one handshake, from the connected socket to the keys: it takes the bytes that arrive, writes the handshake's
// messages, and waits while the application decides about the peer. It is over when the keys are there.

import { SealwireError } from "../base/errors.ts";
import type { Handshake, HandshakeResult } from "../protocol/handshake.ts";
import { ByteQueue } from "./byteQueue.ts";
import type { Writer } from "./writer.ts";

export interface EstablishingEvents {
  /** The keys are ready. `early` has the bytes after the peer's last handshake message, valid during the call. */
  onKeys(result: HandshakeResult, early: Uint8Array): void;
  onFailure(error: unknown): void;
  /** The application decides about the peer. Nothing should be read until `decided` is true. */
  onDeciding(decided: boolean): void;
}

/** A peer may send this many bytes after its last handshake message before this side is ready; then it is cut off. */
const MAX_EARLY_BYTES = 262_144;

export class Establishing {
  readonly #handshake: Handshake;
  readonly #writer: Writer;
  readonly #events: EstablishingEvents;
  readonly #early = new ByteQueue();
  #deciding = false;
  #over = false;

  constructor(handshake: Handshake, writer: Writer, events: EstablishingEvents) {
    this.#handshake = handshake;
    this.#writer = writer;
    this.#events = events;
  }

  /** The application has not decided yet. */
  get deciding(): boolean {
    return this.#deciding;
  }

  /** Bytes arrived; they are copied. */
  receive(bytes: Uint8Array): void {
    if (this.#over) return;
    if (this.#early.length + bytes.length > MAX_EARLY_BYTES) {
      this.#fail(new SealwireError("ERR_HANDSHAKE", "too many bytes before the handshake was complete"));
      return;
    }
    this.#early.append(bytes);
    this.advance();
  }

  /** Continues as far as possible: at the beginning, when bytes have arrived, and when a write is complete. */
  advance(): void {
    try {
      this.#advance();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Wipes the handshake. Idempotent. */
  destroy(): void {
    this.#over = true;
    this.#early.clear();
    this.#handshake.destroy();
  }

  #advance(): void {
    const handshake = this.#handshake;
    while (!this.#over && this.#writer.idle && !this.#deciding) {
      const message = handshake.send();
      if (message !== undefined) {
        this.#writer.writePiece(message, 0);
        continue;
      }
      if (handshake.done) {
        this.#finish();
        return;
      }
      const { expects } = handshake;
      if (expects === 0 || this.#early.length < expects) return;
      const decision = handshake.receive(this.#early.take(expects));
      if (decision !== undefined) this.#await(decision);
    }
  }

  #finish(): void {
    const result = this.#handshake.finish();
    const early = this.#early.take(this.#early.length);
    this.destroy();
    this.#events.onKeys(result, early);
  }

  #await(decision: Promise<void>): void {
    this.#deciding = true;
    this.#events.onDeciding(false);
    decision.then(
      () => {
        this.#deciding = false;
        if (this.#over) return;
        this.#events.onDeciding(true);
        this.advance();
      },
      (error) => {
        this.#deciding = false;
        this.#fail(error);
      },
    );
  }

  #fail(error: unknown): void {
    if (!this.#over) this.#events.onFailure(error);
  }
}
