// One end of a connection in memory. It delays bytes, cuts them into pieces and buffers them, as a network and two kernels
// do. Its conditions set delays and sizes: the program chooses those of a MemoryNetwork, a seed those of a simulation.

import { copyOf } from "../core/bytes.ts";
import type { Transport, TransportEvents } from "../rpc/transport.ts";

/** What an end asks. All times in milliseconds. */
export interface MemoryConditions {
  now(): number;
  /** Runs `run` in so many milliseconds, never within this call. */
  after(ms: number, run: () => void): void;
  /** How long the next thing is on its way. */
  delayMs(): number;
  /** Bytes that the kernels of both ends hold for one direction. */
  bufferBytes(): number;
  /** The longest piece that is handed out next. */
  pieceBytes(): number;
  /** How long the reader rests after a piece of so many bytes. */
  restMs(pieceBytes: number): number;
  /** Whether a write that fitted is told later nevertheless. */
  tellsLater(): boolean;
  /** Whether the peer of an end that is destroyed with so many bytes unread sees a reset, and not an end. */
  resets(unreadBytes: number): boolean;
  /** How long an end takes to be gone. */
  closingMs(): number;
  /** Hands a piece over; its memory is used again when this returns. */
  give(events: TransportEvents, piece: Uint8Array): void;
  /** Told of what leaves an end. */
  onSent?(end: MemorySocket, bytes: Uint8Array): void;
}

/** What the peer of a connection that is cut sees. */
export class ResetError extends Error {
  readonly code = "ECONNRESET";
}

/** Bytes on their way, in order. */
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

  /** Nothing comes in for a while; Infinity: until `endStall`. */
  stall(ms: number): void {
    this.#stalledUntil = Math.max(this.#stalledUntil, this.#conditions.now() + ms);
  }

  /** What is stalled arrives. */
  endStall(): void {
    this.#stalledUntil = 0;
    this.#pump();
  }

  /** Nothing comes in any more, and nobody is told. */
  lose(): void {
    this.#lost = true;
  }

  /** Both ends see that the connection was cut. */
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

  /** The kernel takes what it has room for. */
  #fill(): void {
    const bytes = this.#pending!;
    const room = this.#conditions.bufferBytes() - this.peer.#inboundBytes;
    const taken = Math.min(room, bytes.length - this.#pendingAt);
    if (taken <= 0) return;
    // Copied now and not before: until then the memory is the socket's.
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
      // A kernel answers what comes for a socket that is closed with a reset.
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

  /** What has arrived, up to so many bytes. */
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
