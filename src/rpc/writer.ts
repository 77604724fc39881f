// The one write that a connection has in flight, and the memory that the socket owns meanwhile.

import { freePiece } from "../core/pieceMemory.ts";
import { releaseSlot } from "../core/slotPool.ts";
import { CallbackDeadline } from "./deadline.ts";
import { timers } from "./timers.ts";
import type { Transport } from "./transport.ts";

export interface WriterEvents {
  /** A write that did not complete at once is complete: the next one may begin. */
  onIdle(): void;
  /** The peer took nothing for `writeTimeoutMs`. */
  onStall(): void;
}

/** How often within the write time-out the progress of a write is checked. */
const CHECKS_PER_TIMEOUT = 4;

export class Writer {
  /** The time between two checks of the progress of a write; 0: none. */
  readonly #checkMs: number;
  readonly #events: WriterEvents;
  readonly #progressCheck: CallbackDeadline;
  #transport: Transport | undefined;
  #busy = false;
  /** The memory of the write: a pool slot (or 0), or memory of the runtime. */
  #slot = 0;
  #piece: Uint8Array | undefined;
  #cost = 0;
  /** The bytes that the kernel had not taken at the last check, and the number of checks without progress. */
  #leftBytes = 0;
  #checksWithoutProgress = 0;
  #closed = false;
  /** The costs of all complete writes. */
  writtenBytes = 0;
  /** Bytes passed to the socket. */
  sentBytes = 0;

  /** `timeoutMs` 0: a write may take for ever. */
  constructor(timeoutMs: number, events: WriterEvents) {
    this.#checkMs = timeoutMs / CHECKS_PER_TIMEOUT;
    this.#events = events;
    this.#progressCheck = new CallbackDeadline(() => this.#checkProgress());
  }

  /** Sets the socket to write to. */
  attach(transport: Transport): void {
    this.#transport = transport;
  }

  /** Whether a write may begin. */
  get idle(): boolean {
    return !this.#busy && !this.#closed && this.#transport !== undefined;
  }

  /** A write is in flight. */
  get busy(): boolean {
    return this.#busy;
  }

  /**
   * Writes a view of the pool slot at `slot`, which is released when the socket has it. Only while `idle`, and
   * `TimerWheel.turnEnds` has to follow.
   */
  writeSlot(bytes: Uint8Array, slot: number, cost: number): void {
    this.#requireIdle();
    this.#slot = slot;
    if (this.#write(bytes, cost)) timers.armFromTurnEnd(this.#progressCheck, this.#checkMs);
  }

  /**
   * Writes bytes that no other code uses any more; they are freed when the socket has them. Only while `idle`. They may be a
   * handshake's, which no `turnEnds` follows.
   */
  writePiece(bytes: Uint8Array, cost: number): void {
    this.#requireIdle();
    this.#piece = bytes;
    if (this.#write(bytes, cost)) timers.arm(this.#progressCheck, this.#checkMs);
  }

  /** From the transport: the pending write is complete. */
  onWritten(): void {
    if (!this.#busy) return;
    this.#finish();
    this.#events.onIdle();
  }

  /** No more writes. The one in flight keeps its memory until `releaseMemory`. */
  close(): void {
    this.#closed = true;
    timers.cancel(this.#progressCheck);
  }

  /** The socket is gone: the memory of the write in flight is free. */
  releaseMemory(): void {
    this.#free();
    this.#busy = false;
  }

  /** Otherwise the memory of the write in flight would never be freed. A write while busy is a bug in this package. */
  #requireIdle(): void {
    if (!this.idle) throw new Error("a write that the writer is not idle for");
  }

  /** Returns whether the write is in flight and has a time limit. */
  #write(bytes: Uint8Array, cost: number): boolean {
    this.#busy = true;
    this.#cost = cost;
    this.sentBytes += bytes.length;
    if (this.#transport!.write(bytes)) {
      this.#finish();
      return false;
    }
    this.#leftBytes = bytes.length;
    this.#checksWithoutProgress = 0;
    return this.#checkMs > 0 && !this.#closed;
  }

  /** A peer that takes some bytes of a write now and then is slow, not dead. */
  #checkProgress(): void {
    const leftBytes = this.#transport!.unwrittenBytes();
    if (leftBytes < this.#leftBytes) this.#checksWithoutProgress = 0;
    else this.#checksWithoutProgress++;
    this.#leftBytes = leftBytes;
    if (this.#checksWithoutProgress < CHECKS_PER_TIMEOUT) {
      timers.arm(this.#progressCheck, this.#checkMs);
    } else {
      this.#events.onStall();
    }
  }

  #finish(): void {
    this.#busy = false;
    this.writtenBytes += this.#cost;
    this.#free();
    timers.cancel(this.#progressCheck);
  }

  #free(): void {
    if (this.#slot !== 0) releaseSlot(this.#slot);
    this.#slot = 0;
    if (this.#piece !== undefined) freePiece(this.#piece);
    this.#piece = undefined;
  }
}
