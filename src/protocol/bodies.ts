// Memory of message bodies that the application may keep.
//
// Where the runtime opened a frame, its plaintext lies in memory that nobody else uses: bodies stay there, moved down
// by up to 7 bytes over the header before them, unless they are a small part of it. Otherwise they are copied. A body that comes alone then gets an
// ArrayBuffer of its own. Short bodies of one read share one, as in Node's Buffer pool, because an ArrayBuffer costs
// several times more than the copy.
//
// A shared ArrayBuffer holds bodies of one connection only. It is marked as untransferable, so that no handler can take
// it from its neighbours (Node and Deno respect that everywhere, Bun in `postMessage` and `structuredClone`, but not in
// `ArrayBuffer.prototype.transfer`). Every body begins at a multiple of 8, so any typed array can view it.

import { copyOf, viewOf } from "../core/bytes.ts";
import { ownsItsMemory } from "../core/detach.ts";

/** A body that stays in its frame's plaintext holds at most so many times its length alive; shorter ones are copied. */
const MAX_FRAME_SHARE = 64;
/** Copies up to this size share one allocation per read with their neighbours; longer ones get their own. */
const SHARED_BODY_BYTES = 4_096;
/** A small copy that the application keeps holds at most this much alive. */
const SHARED_BYTES = 16_384;
const ALIGNMENT = 8;

type MarkAsUntransferable = (buffer: ArrayBuffer) => void;

function findMark(): MarkAsUntransferable {
  try {
    const found = globalThis.process?.getBuiltinModule?.("node:worker_threads")?.markAsUntransferable;
    if (typeof found === "function") return found as MarkAsUntransferable;
  } catch {
    // A runtime without it shares what it can't protect: documented in docs/API.md.
  }
  return () => {};
}

const markAsUntransferable = findMark();

/** Up to this size words are copied one by one: the view that `set` needs of its source costs more than they do. */
const WORDS_COPY_BYTES = 128;

const NOTHING = new Uint8Array(0);
const NO_WORDS = new DataView(NOTHING.buffer);

let shared = NOTHING;
let sharedWords: DataView = NO_WORDS;
let used = 0;
/** Of what was copied from last: the bodies of a bundle follow each other. */
let source: Uint8Array = NOTHING;
let sourceWords: DataView = NO_WORDS;

/** Where the last body that was placed lies: from `start` on. */
export const placed: { bytes: Uint8Array; start: number } = { bytes: NOTHING, start: 0 };

/** The plaintext whose bodies may stay where they are. */
let offered: Uint8Array | undefined;
let isShared = false;
let isTaken = false;

/** The bodies of this plaintext, which nobody else uses, may stay in it until `frameWasTaken` is asked. */
export function offerFrame(plaintext: Uint8Array): void {
  offered = ownsItsMemory(plaintext) ? plaintext : undefined;
  isShared = false;
  isTaken = false;
}

/** The plaintext that is being handled has more than one record. */
export function frameIsShared(): void {
  isShared = true;
}

/** Whether a body stays in the plaintext that was offered: then it is the application's. */
export function frameWasTaken(): boolean {
  const wasTaken = offered !== undefined && isTaken;
  offered = undefined;
  return wasTaken;
}

/**
 * Puts bytes [start, end), which are used otherwise later, where the application may keep them: `placed` says where.
 * `more` bytes of the same read follow. The header of their record lies before them, and was read.
 */
export function placeBody(bytes: Uint8Array, start: number, end: number, more: number): void {
  const length = end - start;
  if (bytes === offered && length * MAX_FRAME_SHARE >= bytes.length) stay(bytes, start, end);
  else if (length > SHARED_BODY_BYTES || !findRoom(length, more)) {
    placed.bytes = copyOf(bytes, start, end);
    placed.start = 0;
  } else {
    copyShort(bytes, start, end);
    placed.bytes = shared;
    placed.start = used;
    used = (used + length + ALIGNMENT - 1) & -ALIGNMENT;
  }
}

/** The same; returns the body. */
export function keepBody(bytes: Uint8Array, start: number, end: number, more: number): Uint8Array {
  placeBody(bytes, start, end, more);
  const length = end - start;
  return placed.bytes.length === length
    ? placed.bytes
    : viewOf(placed.bytes, placed.start, placed.start + length);
}

/** The body stays in the plaintext that was offered. */
function stay(bytes: Uint8Array, start: number, end: number): void {
  if (!isTaken) {
    isTaken = true;
    if (isShared) markAsUntransferable(bytes.buffer as ArrayBuffer);
  }
  const at = start & -ALIGNMENT;
  if (at !== start) bytes.copyWithin(at, start, end);
  placed.bytes = bytes;
  placed.start = at;
}

/** Whether a body of this length goes into shared memory; one that comes alone does not. */
function findRoom(length: number, more: number): boolean {
  if (used + length <= shared.length) return true;
  if (more <= 0) return false;
  shared = new Uint8Array(Math.min(SHARED_BYTES, length + more + ALIGNMENT));
  sharedWords = new DataView(shared.buffer);
  markAsUntransferable(shared.buffer);
  used = 0;
  return true;
}

/** Copies bytes [start, end) to the end of the shared memory's used part. */
function copyShort(bytes: Uint8Array, start: number, end: number): void {
  const length = end - start;
  if (length > WORDS_COPY_BYTES) {
    shared.set(viewOf(bytes, start, end), used);
    return;
  }
  if (bytes !== source) {
    source = bytes;
    sourceWords = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }
  const at = used;
  const inWords = length & -4;
  for (let i = 0; i < inWords; i += 4) sharedWords.setInt32(at + i, sourceWords.getInt32(start + i));
  for (let i = inWords; i < length; i++) shared[at + i] = bytes[start + i]!;
}

/** A read was handled: the next one's bodies share nothing with this one's. */
export function endSharing(): void {
  source = NOTHING;
  sourceWords = NO_WORDS;
  placed.bytes = NOTHING;
  if (shared.length === 0) return;
  shared = NOTHING;
  sharedWords = NO_WORDS;
  used = 0;
}
