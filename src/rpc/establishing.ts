// Drives one handshake, from the connected socket to the keys: it takes the bytes that arrive, writes the handshake's
// messages, and waits while the application decides about the peer. On a server, it also waits for its turn among the
// handshakes (handshakeTurns.ts). It is over when the keys are there.

import { SealwireError } from "../base/errors.ts";
import type { Handshake, HandshakeResult } from "../protocol/handshake.ts";
import { ByteQueue } from "./byteQueue.ts";
import { lostInHandshake } from "./closeReason.ts";
import type { HandshakeTask, HandshakeTurns } from "./handshakeTurns.ts";
import { ReadBackoff, type RestingReader } from "./readBackoff.ts";
import type { Writer } from "./writer.ts";

export interface EstablishingEvents {
  /** The keys are ready. `early` has the bytes after the peer's last handshake message, valid during the call. */
  onKeys(result: HandshakeResult, early: Uint8Array): void;
  onFailure(error: unknown): void;
  /** False: the application decides about the peer, or other handshakes come first. Nothing should be read until true. */
  onReading(on: boolean): void;
}

/** A peer may send this many bytes after its last handshake message before this side is ready; then it is cut off. */
const MAX_EARLY_BYTES = 262_144;

export class Establishing implements HandshakeTask, RestingReader {
  readonly #handshake: Handshake;
  readonly #writer: Writer;
  readonly #events: EstablishingEvents;
  readonly #turns: HandshakeTurns | undefined;
  readonly #early = new ByteQueue();
  #deciding = false;
  /** It is in the line of those who wait for a turn. */
  #inLine = false;
  /** On a server, from the first bytes of an incomplete message until that is complete. */
  #backoff: ReadBackoff | undefined;
  /** The peer sends no more bytes. */
  #streamEnded = false;
  #over = false;

  /** `turns`: the turns that handshakes have on a server; a client's goes on at once. */
  constructor(handshake: Handshake, writer: Writer, events: EstablishingEvents, turns?: HandshakeTurns) {
    this.#handshake = handshake;
    this.#writer = writer;
    this.#events = events;
    this.#turns = turns;
  }

  /** Nothing should be read: the application has not decided yet, or its turn has not come. */
  get waits(): boolean {
    return this.#deciding || this.#inLine;
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
    if (this.#inLine) return;
    try {
      const turns = this.#turns;
      if (turns === undefined || turns.runs || !this.#hasWork()) this.#advance();
      else if (turns.isFree) turns.run(() => this.#advance());
      else this.#joinLine(turns);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** RestingReader */
  readOn(): void {
    if (!this.#over && !this.waits) this.#events.onReading(true);
  }

  /** HandshakeTask: its turn has come. */
  goOn(): void {
    if (this.#over) return;
    try {
      this.#events.onReading(true);
      this.#inLine = false;
      this.#advance();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The peer's stream has ended. The handshake fails unless the bytes that have arrived complete it. */
  peerStreamEnded(): void {
    this.#streamEnded = true;
    if (!this.waits) this.#fail(lostInHandshake(undefined));
  }

  /** Wipes the handshake. Idempotent. */
  destroy(): void {
    this.#over = true;
    this.#early.clear();
    this.#handshake.destroy();
    this.#backoff?.end();
  }

  /** The message is incomplete. A server reads its client less and less often. */
  #limitReads(): void {
    if (this.#turns === undefined) return;
    if (this.#backoff === undefined) this.#backoff = new ReadBackoff(this);
    else if (this.#backoff.begin()) this.#events.onReading(false);
  }

  #joinLine(turns: HandshakeTurns): void {
    this.#inLine = true;
    this.#events.onReading(false);
    turns.join(this);
  }

  /** The next step computes something for the peer. */
  #hasWork(): boolean {
    if (this.#over || !this.#writer.idle || this.#deciding || this.#handshake.done) return false;
    const { expects } = this.#handshake;
    return expects === 0 || this.#early.length >= expects;
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
      if (expects === 0 || this.#early.length < expects) {
        if (this.#streamEnded) this.#fail(lostInHandshake(undefined));
        else if (this.#early.length > 0 && expects > 0) this.#limitReads();
        return;
      }
      if (this.#backoff?.end()) this.#events.onReading(true);
      this.#backoff = undefined;
      const decision = handshake.receive(this.#early.take(expects));
      if (decision !== undefined) this.#await(decision);
    }
  }

  #finish(): void {
    const result = this.#handshake.finish();
    const early = this.#early.take(this.#early.length);
    this.destroy();
    try {
      this.#events.onKeys(result, early);
    } catch (error) {
      // The handshake is over, so nobody else would tell: the connection would stay as it is until its time limit.
      this.#events.onFailure(error);
    }
  }

  #await(decision: Promise<void>): void {
    this.#deciding = true;
    this.#events.onReading(false);
    decision.then(
      () => {
        this.#deciding = false;
        if (this.#over) return;
        this.#events.onReading(true);
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
