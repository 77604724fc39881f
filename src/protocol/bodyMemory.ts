// Memory that several short bodies share, because an ArrayBuffer costs several times more than the copy of a body. The
// bodies of one read share an ArrayBuffer that has room for this read. If each body arrives alone, or read after read
// brings several, the bodies of several reads share one: that memory stays with its connection, so only a few connections
// have it at a time.
//
// An ArrayBuffer holds bodies of one connection only. It is marked as untransferable, so that no handler can take it
// from its neighbours (Node and Deno respect that everywhere, Bun in `postMessage` and `structuredClone`, but not in
// `ArrayBuffer.prototype.transfer`).

import { builtinModule } from "../core/builtin.ts";

interface WorkerThreads {
  markAsUntransferable?(buffer: ArrayBuffer): void;
}

/** node:worker_threads, loaded by the first body that shares its memory. */
let workerThreads: WorkerThreads | undefined;

/** A runtime without this function shares memory that it can't protect: documented in docs/API.md. */
export function markAsUntransferable(buffer: ArrayBuffer): void {
  workerThreads ??= (builtinModule("node:worker_threads") as WorkerThreads | undefined) ?? {};
  workerThreads.markAsUntransferable?.(buffer);
}

/** Shared memory that the application keeps by one body is at most this many times as long as the body, or SHARED_BYTES. */
export const MAX_SHARE = 64;
const SHARED_BYTES = 16_384;
const MOST_SHARED_BYTES = 65_536;
/** Bodies of which each arrives alone share the memory of this many. */
const ALONE_BODIES = 32;
/** After memory was made so often for the bodies of one read, the next one's outlasts the read. */
const MADE_FOR_READS = 2;
/** So many connections have memory that outlasts their reads. */
const SEATS = 16;
/** A connection loses that memory to another one if it has not read for this many reads of all connections. */
const READS_UNUSED = 256;
export const ALIGNMENT = 8;

const NOTHING = new ArrayBuffer(0);
const NO_WORDS = new Int32Array(NOTHING);

/** The shared memory of one connection's bodies. */
export class BodyMemory {
  // Arrays are made over these, because reading the `buffer` of another array costs as much as making one.
  buffer: ArrayBuffer = NOTHING;
  words: Int32Array = NO_WORDS;
  used = 0;
  lastRead = 0;
  /** The length of `buffer`, because a getter of the runtime costs as much as a copy of some words. */
  #bytes = 0;
  /** The last body arrived alone. */
  #wasAlone = false;
  /** How often memory was made for a read with several bodies. */
  #madeForReads = 0;
  #hasSeat = false;

  /**
   * Whether there is room for a body of this length. `more` bytes of the same read follow it. A body that arrives alone
   * gets no shared memory if the one before it did not.
   */
  findRoom(length: number, more: number): boolean {
    const isAlone = more <= 0;
    const wasAlone = this.#wasAlone;
    this.#wasAlone = isAlone;
    // In Bun a handler may have transferred this memory, in spite of its mark. It has no words then.
    if (this.used + length <= this.#bytes && this.words[0] !== undefined) {
      if (this.#bytes <= SHARED_BYTES || this.#bytes <= length * MAX_SHARE) return true;
    }
    const mayRetain = Math.min(Math.max(SHARED_BYTES, length * MAX_SHARE), MOST_SHARED_BYTES);
    const outlasts = isAlone ? wasAlone : this.#madeForReads++ >= MADE_FOR_READS;
    const isSeated = outlasts && (this.#hasSeat || this.#takeSeat());
    if (isAlone && !isSeated) return false;
    const forRead = Math.max(length + more + 2 * ALIGNMENT, isSeated ? SHARED_BYTES : 0);
    const most = isAlone ? (length + ALIGNMENT) * ALONE_BODIES : forRead;
    this.#bytes = Math.min(mayRetain, most) & -ALIGNMENT;
    this.buffer = new ArrayBuffer(this.#bytes);
    this.words = new Int32Array(this.buffer);
    markAsUntransferable(this.buffer);
    this.used = 0;
    return true;
  }

  /** A read was handled. The bodies of the next one share no memory with it unless this connection has a seat. */
  readEnds(): void {
    if (!this.#hasSeat && this.buffer !== NOTHING) this.#drop();
  }

  /** The connection reads no more. */
  close(): void {
    const at = this.#hasSeat ? seats.indexOf(this) : -1;
    if (at >= 0) seats[at] = undefined;
    this.#hasSeat = false;
    this.#drop();
  }

  #takeSeat(): boolean {
    nextSeat = (nextSeat + 1) % SEATS;
    const sitter = seats[nextSeat];
    if (sitter !== undefined && reads - sitter.lastRead < READS_UNUSED) return false;
    if (sitter !== undefined) {
      sitter.#hasSeat = false;
      sitter.#drop();
    }
    seats[nextSeat] = this;
    this.#hasSeat = true;
    return true;
  }

  #drop(): void {
    this.buffer = NOTHING;
    this.words = NO_WORDS;
    this.#bytes = 0;
    this.used = 0;
  }
}

const seats: (BodyMemory | undefined)[] = new Array(SEATS).fill(undefined);
let nextSeat = 0;
let reads = 0;

/** The memory of the connection whose read is being handled. */
export let bodyMemory = new BodyMemory();

/** A read begins, whose bodies go into this memory. */
export function beginSharing(memory: BodyMemory): void {
  bodyMemory = memory;
  memory.lastRead = ++reads;
}
