// One end of a connection in memory. It delays bytes, cuts them into pieces and buffers them, as a network and two kernels
// do. Its conditions set delays and sizes: the program chooses those of a MemoryNetwork, a seed those of a simulation.

import { copyOf } from "../core/bytes.ts";
import type { Transport, TransportEvents } from "../rpc/transport.ts";

/** The delays and sizes that an end asks for. All times are in milliseconds. */
export interface MemoryConditions {
  now(): number;
  /** Runs `run` after `ms` milliseconds, never within this call. */
  after(ms: number, run: () => void): void;
  /** The delay of the next bytes or event. */
  delayMs(): number;
  /** Bytes that the kernels of both ends hold for one direction. */
  bufferBytes(): number;
  /** The length of the longest piece that is delivered next. */
  pieceBytes(): number;
  /** How long the reader rests after a piece of this length. */
  restMs(pieceBytes: number): number;
  /** Whether `onWritten` comes later even though the write fitted. */
  tellsLater(): boolean;
  /** Whether the peer of a destroyed end sees a reset instead of an end, by the number of unread bytes. */
  resets(unreadBytes: number): boolean;
  /** How long an end takes to close. */
  closingMs(): number;
  /** Delivers a piece; its memory is reused when this returns. */
  give(events: TransportEvents, piece: Uint8Array): void;
  /** Called with the bytes that leave an end. */
  onSent?(end: MemorySocket, bytes: Uint8Array): void;
}

/** The error that the peer of a cut connection sees. */
export class ResetError extends Error {
  readonly code = "ECONNRESET";
}

/** Bytes in transit, in order. */
interface Flight {
  readonly at: number;
  bytes: Uint8Array;
}

export class MemorySocket implements Transport {
  readonly remoteAddress: string;
  peer!: MemorySocket;
  events: TransportEvents | undefined;
  closed = false;
  readonly #conditions: MemoryConditions;
  #paused = true;
  #inbound: Flight[] = [];
  #inboundBytes = 0;
  #lastArrival = 0;
  #pumping = false;
  #stalledUntil = 0;
  #lost = false;
  #pending: Uint8Array | undefined;
  #pendingAt = 0;
  #ending = false;
  #finSent = false;
  #finReceived = false;
  #finHanded = false;

  constructor(conditions: MemoryConditions, remoteAddress: string) {
    this.#conditions = conditions;
    this.remoteAddress = remoteAddress;
  }

  // ---- Transport --------------------------------------------------------------------------------------------

  write(bytes: Uint8Array): boolean {
    if (this.#pending !== undefined) throw new Error("two writes at a time");
    if (this.#ending) throw new Error("a write after the end");
    if (this.closed) return false;
    this.#pending = bytes;
    this.#pendingAt = 0;
    this.#fill();
    if (this.#pendingAt < bytes.length || this.#conditions.tellsLater()) {
      this.#fillLater();
      return false;
    }
    this.#pending = undefined;
    return true;
  }

  unwrittenBytes(): number {
    return this.#pending === undefined ? 0 : this.#pending.length - this.#pendingAt;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#pump();
  }

  end(): void {
    this.#ending = true;
    if (this.#pending === undefined) this.#sendFin();
  }

  destroy(): void {
    if (this.closed) return;
    const unread = this.#inboundBytes;
    this.close(undefined);
    if (this.#conditions.resets(unread)) this.#resetPeer();
    else this.#sendFin();
  }

  // ---- What happens to it -----------------------------------------------------------------------------------

  /** The socket is gone. */
  close(error: Error | undefined): void {
    if (this.closed) return;
    this.closed = true;
    this.#pending = undefined;
    this.#inbound = [];
    this.#inboundBytes = 0;
    this.#conditions.after(this.#conditions.closingMs(), () => this.events?.onClose(error));
  }

  /** Nothing arrives for this time; Infinity: until `endStall`. */
  stall(ms: number): void {
    this.#stalledUntil = Math.max(this.#stalledUntil, this.#conditions.now() + ms);
  }

  /** The stalled bytes arrive. */
  endStall(): void {
    this.#stalledUntil = 0;
    this.#pump();
  }

  /** Nothing arrives any more, and neither end notices. */
  lose(): void {
    this.#lost = true;
  }

  /** Both ends see a cut connection. */
  reset(): void {
    for (const end of [this, this.peer]) this.#later(() => end.close(new ResetError("reset")));
  }

  // ---- The way ----------------------------------------------------------------------------------------------

  #later(run: () => void): void {
    this.#conditions.after(this.#conditions.delayMs(), run);
  }

  #resetPeer(): void {
    this.#later(() => this.peer.close(new ResetError("reset by the peer")));
  }

  #sendFin(): void {
    if (this.#finSent) return;
    this.#finSent = true;
    this.peer.#arrive(undefined);
    this.#closeIfDone();
  }

  /** Moves bytes to the kernel as far as it has room. */
  #fill(): void {
    const bytes = this.#pending!;
    const room = this.#conditions.bufferBytes() - this.peer.#inboundBytes;
    const taken = Math.min(room, bytes.length - this.#pendingAt);
    if (taken <= 0) return;
    // Copied only now: until then the socket owns the memory.
    const copy = copyOf(bytes, this.#pendingAt, this.#pendingAt + taken);
    this.#pendingAt += taken;
    this.#conditions.onSent?.(this, copy);
    this.peer.#arrive(copy);
  }

  #fillLater(): void {
    this.#later(() => {
      if (this.#pending === undefined || this.closed) return;
      this.#fill();
      // Otherwise the peer calls when it has read.
      if (this.#pendingAt < this.#pending.length) return;
      this.#pending = undefined;
      this.events?.onWritten();
      if (this.#ending) this.#sendFin();
    });
  }

  #arrive(bytes: Uint8Array | undefined): void {
    if (this.closed || this.#lost) {
      // A kernel answers bytes for a closed socket with a reset.
      if (bytes !== undefined && this.closed && !this.#lost) this.#resetPeer();
      if (bytes !== undefined && this.#lost) this.#inboundBytes += bytes.length;
      return;
    }
    const at = Math.max(this.#lastArrival, this.#conditions.now() + this.#conditions.delayMs());
    this.#lastArrival = at;
    if (bytes === undefined) this.#finReceived = true;
    else {
      this.#inbound.push({ at, bytes });
      this.#inboundBytes += bytes.length;
    }
    this.#pump();
  }

  #pump(): void {
    if (this.#pumping || this.closed || this.#stalledUntil === Number.POSITIVE_INFINITY) return;
    this.#pumping = true;
    const now = this.#conditions.now();
    const next = this.#inbound[0]?.at ?? this.#lastArrival;
    this.#conditions.after(Math.max(next, this.#stalledUntil, now) - now, () => {
      this.#pumping = false;
      this.#handOut();
    });
  }

  #handOut(): void {
    if (this.closed || this.#paused || this.events === undefined || this.#lost) return;
    if (this.#conditions.now() < this.#stalledUntil) return this.#pump();
    const piece = this.#take(this.#conditions.pieceBytes());
    if (piece !== undefined) {
      const restMs = this.#conditions.restMs(piece.length);
      if (restMs > 0) this.#stalledUntil = this.#conditions.now() + restMs;
      this.peer.#fillLater();
      this.#conditions.give(this.events, piece);
    } else if (this.#finReceived && this.#inbound.length === 0 && !this.#finHanded) {
      this.#finHanded = true;
      this.events.onEnd();
      this.#closeIfDone();
    }
    if (this.#inbound.length > 0 || (this.#finReceived && !this.#finHanded)) this.#pump();
  }

  /** Takes arrived bytes, at most this many. */
  #take(most: number): Uint8Array | undefined {
    const parts: Uint8Array[] = [];
    const now = this.#conditions.now();
    let left = most;
    while (left > 0 && this.#inbound.length > 0 && this.#inbound[0]!.at <= now) {
      const first = this.#inbound[0]!;
      const part = first.bytes.subarray(0, left);
      left -= part.length;
      parts.push(part);
      if (part.length === first.bytes.length) this.#inbound.shift();
      else first.bytes = first.bytes.subarray(part.length);
    }
    if (parts.length === 0) return undefined;
    const piece = new Uint8Array(most - left);
    let at = 0;
    for (const part of parts) {
      piece.set(part, at);
      at += part.length;
    }
    this.#inboundBytes -= piece.length;
    return piece;
  }

  #closeIfDone(): void {
    if (this.#finSent && this.#finHanded) this.close(undefined);
  }
}
