// Memory of message bodies that the application may keep.
//
// Where the runtime opened a frame, its plaintext lies in memory that nobody else uses. A body stays there, moved down
// by up to 7 bytes over the header before it, unless it is a small part of the frame. Otherwise it is copied. A body
// that comes alone then gets an ArrayBuffer of its own. Short bodies of one read share one, as in Node's Buffer pool,
// because an ArrayBuffer costs several times more than the copy. In Bun short arrays need no ArrayBuffer. Whatever else
// lay beside bodies that stay (heads, short bodies that were copied) is wiped, because the application frees that memory
// and does not know of it.
//
// A shared ArrayBuffer holds bodies of one connection only. It is marked as untransferable, so that no handler can take
// it from its neighbours (Node and Deno respect that everywhere, Bun in `postMessage` and `structuredClone`, but not in
// `ArrayBuffer.prototype.transfer`). Every body begins at a multiple of 8, so any typed array can view it.

import { builtinModule } from "../core/builtin.ts";
import { copyOf, viewOf } from "../core/bytes.ts";
import { ownsItsMemory } from "../core/detach.ts";
import { runtimeName } from "../core/runtimeName.ts";
import { wipe } from "../core/wipe.ts";
import { KIND_HEADER_BYTES, LENGTH_BYTES } from "./wire.ts";

/** A body that stays in its frame's plaintext holds at most so many times its length alive; shorter ones are copied. */
const MAX_FRAME_SHARE = 64;
/** Copies up to this size share one allocation per read with their neighbours; longer ones get their own. */
const SHARED_BODY_BYTES = 4_096;
/** A small copy that the application keeps holds at most this much alive. */
const SHARED_BYTES = 16_384;
/** In Bun, arrays up to this size lie in the collector's own memory: one costs half of a view of memory that is shared. */
const OWN_BODY_BYTES = runtimeName === "bun" ? 1_000 : 0;
const ALIGNMENT = 8;
/** What lies between two neighbours in a bundle: the length and the header of the second one's record. */
const RECORD_FRONT_BYTES = LENGTH_BYTES + KIND_HEADER_BYTES;

interface WorkerThreads {
  markAsUntransferable?(buffer: ArrayBuffer): void;
}

const workerThreads = builtinModule("node:worker_threads") as WorkerThreads | undefined;
/** A runtime without it shares what it can't protect: documented in docs/API.md. */
const markAsUntransferable = workerThreads?.markAsUntransferable ?? (() => {});

/** Up to this size words are copied one by one: the view that `set` needs of its source costs more than they do. */
const WORDS_COPY_BYTES = 128;

const NOTHING = new Uint8Array(0);
const NO_WORDS = new DataView(NOTHING.buffer);

// Arrays are made over these, not over the `buffer` of others: asking for that costs as much as making one.
let sharedWords: DataView = NO_WORDS;
let shared: ArrayBuffer = NOTHING.buffer;
let used = 0;
/** What was copied from last, in words: the bodies of a bundle follow each other. */
let source: Uint8Array = NOTHING;
let sourceWords: DataView = NO_WORDS;

/** The plaintext whose bodies may stay where they are, and its memory. */
let offered: Uint8Array | undefined;
let offeredMemory: ArrayBuffer = NOTHING.buffer;
let isShared = false;
let isTaken = false;
/** Where the last body that stays ended when it arrived, and where it ends now. Before the first: the frame's header. */
let lastArrivedEnd = KIND_HEADER_BYTES;
let lastEnd = 0;

/** The bodies of this plaintext, which nobody else uses, may stay in it until `frameWasTaken` is asked. */
export function offerFrame(plaintext: Uint8Array): void {
  offered = ownsItsMemory(plaintext) ? plaintext : undefined;
  offeredMemory = plaintext.buffer as ArrayBuffer;
  isShared = false;
  isTaken = false;
  lastArrivedEnd = KIND_HEADER_BYTES;
  lastEnd = 0;
}

/** The plaintext that is being handled has more than one record. */
export function frameIsShared(): void {
  isShared = true;
}

/** Whether a body stays in the plaintext that was offered: then it is the application's. */
export function frameWasTaken(): boolean {
  const wasTaken = offered !== undefined && isTaken;
  // A body that is alone in the frame may have been given to somebody else by now, with all of its memory.
  if (wasTaken && isShared) wipeBetween(offered!, lastEnd, offered!.length);
  offered = undefined;
  offeredMemory = NOTHING.buffer;
  return wasTaken;
}

/**
 * Bytes [start, end), which are used otherwise later, as a body that the application may keep. `more` bytes of the same
 * read follow. The header of their record lies before them, and was read.
 */
export function keepBody(bytes: Uint8Array, start: number, end: number, more: number): Uint8Array {
  const length = end - start;
  if (bytes === offered && length * MAX_FRAME_SHARE >= bytes.length) return stay(bytes, start, end);
  if (length <= OWN_BODY_BYTES) return ownBody(bytes, start, length);
  if (length > SHARED_BODY_BYTES || !findRoom(length, more)) return copyOf(bytes, start, end);
  const body = new Uint8Array(shared, used, length);
  if (length > WORDS_COPY_BYTES) body.set(viewOf(bytes, start, end));
  else copyWords(bytes, start, body);
  used = (used + length + ALIGNMENT - 1) & -ALIGNMENT;
  return body;
}

/** The body stays in the plaintext that was offered. */
function stay(bytes: Uint8Array, start: number, end: number): Uint8Array {
  if (!isTaken) {
    isTaken = true;
    if (isShared) markAsUntransferable(offeredMemory);
  }
  const at = start & -ALIGNMENT;
  if (start - RECORD_FRONT_BYTES !== lastArrivedEnd) wipeBetween(bytes, lastEnd, at);
  lastArrivedEnd = end;
  lastEnd = at + end - start;
  if (at !== start) {
    bytes.copyWithin(at, start, end);
    for (let i = lastEnd; i < end; i++) bytes[i] = 0;
  }
  return new Uint8Array(offeredMemory, at, end - start);
}

/** A copy whose array has no ArrayBuffer before somebody asks for it. */
function ownBody(bytes: Uint8Array, start: number, length: number): Uint8Array {
  const body = new Uint8Array(length);
  if (length > WORDS_COPY_BYTES) body.set(viewOf(bytes, start, start + length));
  else {
    const inWords = length & -4;
    for (let i = 0; i < inWords; i += 4) {
      body[i] = bytes[start + i]!;
      body[i + 1] = bytes[start + i + 1]!;
      body[i + 2] = bytes[start + i + 2]!;
      body[i + 3] = bytes[start + i + 3]!;
    }
    for (let i = inWords; i < length; i++) body[i] = bytes[start + i]!;
  }
  return body;
}

/** The body of a frame that had `bytes` to itself begins at `start`: what was read before it, a head, is wiped. */
export function wipeBefore(bytes: Uint8Array, start: number): void {
  wipeBetween(bytes, 0, start);
}

/** Zeroes what was handled between two bodies that stay. Nothing to do for memory that was transferred away: no bytes. */
function wipeBetween(bytes: Uint8Array, from: number, to: number): void {
  if (to > from && bytes.length > 0) wipe(viewOf(bytes, from, to));
}

/** Whether a body of this length goes into shared memory; one that comes alone does not. */
function findRoom(length: number, more: number): boolean {
  if (used + length <= shared.byteLength) return true;
  if (more <= 0) return false;
  shared = new ArrayBuffer(Math.min(SHARED_BYTES, length + more + ALIGNMENT));
  sharedWords = new DataView(shared);
  markAsUntransferable(shared);
  used = 0;
  return true;
}

/** Fills a body at the end of the shared memory's used part. */
function copyWords(bytes: Uint8Array, start: number, body: Uint8Array): void {
  if (bytes !== source) {
    source = bytes;
    sourceWords = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }
  const at = used;
  const { length } = body;
  const inWords = length & -4;
  // The order of bytes that needs no swapping.
  for (let i = 0; i < inWords; i += 4)
    sharedWords.setInt32(at + i, sourceWords.getInt32(start + i, true), true);
  for (let i = inWords; i < length; i++) body[i] = bytes[start + i]!;
}

/** A read was handled: the next one's bodies share nothing with this one's. */
export function endSharing(): void {
  source = NOTHING;
  sourceWords = NO_WORDS;
  if (shared.byteLength === 0) return;
  shared = NOTHING.buffer;
  sharedWords = NO_WORDS;
  used = 0;
}
