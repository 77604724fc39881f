// Memory of message bodies that the application may keep.
//
// If the runtime opened a frame, no other code uses the memory of its plaintext. A body stays there, moved down by up
// to 7 bytes over the header before it, unless it is a small part of the frame. Otherwise it is copied, short ones into
// memory that they share (bodyMemory.ts). In Bun short arrays need no ArrayBuffer. Other bytes beside bodies that stay
// (heads, short bodies that were copied) are wiped, because the application owns that memory and does not know of them.
//
// Every body begins at a multiple of 8, so any typed array can view it.

import { copyOf, viewOf } from "../core/bytes.ts";
import { ownsItsMemory } from "../core/detach.ts";
import { lastView } from "../core/lastView.ts";
import { runtimeName } from "../core/runtimeName.ts";
import { memory } from "../core/wasmModule.ts";
import { wipe } from "../core/wipe.ts";
import { ALIGNMENT, bodyMemory, MAX_SHARE, markAsUntransferable } from "./bodyMemory.ts";
import { isReading } from "./receiveMemory.ts";
import { KIND_HEADER_BYTES, RECORD_FRONT_BYTES } from "./wire.ts";

/** Copies up to this size share one allocation per read with their neighbours; longer ones get their own. */
const SHARED_BODY_BYTES = 4_096;
/** In Bun, arrays up to this size are in the collector's own memory, and cost half of a view of shared memory. */
const OWN_BODY_BYTES = runtimeName === "bun" ? 1_000 : 0;

/** Up to this size words are copied one by one, because `set` needs a view of its source, which costs more. */
const WORDS_COPY_BYTES = 128;

/** The order of the bytes of a word in this machine's memory. */
const IS_LITTLE_ENDIAN = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

const NOTHING = new Uint8Array(0);
const NO_WORDS = new DataView(NOTHING.buffer);

/** The source of the last copy of each kind, and views of it: the bodies of a bundle follow each other. */
let sliced: Uint8Array = NOTHING;
let slicedBytes: Uint8Array = NOTHING;
let source: Uint8Array = NOTHING;
let sourceWords: DataView = NO_WORDS;

const viewOfReceived = lastView();

/** The memory of the last body that was viewed in place. V8 takes longer to read an array's buffer than to make a view. */
let viewed: Uint8Array = NOTHING;
let viewedMemory: ArrayBufferLike = NOTHING.buffer;
let viewedOffset = 0;

/** The plaintext whose bodies may stay where they are, and its memory. */
let offered: Uint8Array | undefined;
let offeredMemory: ArrayBuffer = NOTHING.buffer;
/** A shorter body does not stay in it. */
let leastThatStays = 0;
let isShared = false;
let isTaken = false;
/**
 * The end of the last body that stays, at its arrival and now. Before the first body: the end of the frame's header.
 */
let lastArrivedEnd = KIND_HEADER_BYTES;
let lastEnd = 0;

/** The bodies of this plaintext may stay in it until `frameWasTaken` is called. No other code uses it. */
export function offerFrame(plaintext: Uint8Array): void {
  offered = ownsItsMemory(plaintext) ? plaintext : undefined;
  offeredMemory = plaintext.buffer as ArrayBuffer;
  leastThatStays = plaintext.length / MAX_SHARE;
  isShared = false;
  isTaken = false;
  lastArrivedEnd = KIND_HEADER_BYTES;
  lastEnd = 0;
}

/** The plaintext has more than one record. */
export function frameIsShared(): void {
  isShared = true;
}

/** Whether a body stays in the offered plaintext; then the application owns that memory. */
export function frameWasTaken(): boolean {
  const wasTaken = offered !== undefined && isTaken;
  // The application may have transferred a body that is alone in the frame, with all of its memory.
  if (wasTaken && isShared) wipeBetween(offered!, lastEnd, offered!.length);
  offered = undefined;
  offeredMemory = NOTHING.buffer;
  return wasTaken;
}

/**
 * Bytes [start, end), whose memory is reused later, as a body that the application may keep. `more` bytes of the same
 * read follow. The header of their record is before them, and was read.
 */
export function keepBody(bytes: Uint8Array, start: number, end: number, more: number): Uint8Array {
  const length = end - start;
  if (bytes === offered && length >= leastThatStays) return stay(bytes, start, end);
  return length <= OWN_BODY_BYTES ? ownBody(bytes, start, end) : sharedBody(bytes, start, end, more);
}

/** A copy in memory that it shares with its neighbours, if it is short. */
function sharedBody(bytes: Uint8Array, start: number, end: number, more: number): Uint8Array {
  const length = end - start;
  const shared = bodyMemory;
  if (length > SHARED_BODY_BYTES || !shared.findRoom(length, more)) return copyOf(bytes, start, end);
  const { used } = shared;
  const body = new Uint8Array(shared.buffer, used, length);
  if (length <= WORDS_COPY_BYTES) copyWords(bytes, start, length, body, shared.words, used);
  else body.set(bytes === memory ? viewOfReceived(start, end) : viewOf(bytes, start, end));
  shared.used = (used + length + ALIGNMENT - 1) & -ALIGNMENT;
  return body;
}

/** The body stays in the plaintext that was offered. */
function stay(bytes: Uint8Array, start: number, end: number): Uint8Array {
  if (!isTaken) {
    isTaken = true;
    if (isShared) markAsUntransferable(offeredMemory);
  }
  const at = moveDown(bytes, start, end);
  if (start - RECORD_FRONT_BYTES !== lastArrivedEnd) wipeBetween(bytes, lastEnd, at);
  lastArrivedEnd = end;
  lastEnd = at + end - start;
  return new Uint8Array(offeredMemory, at, end - start);
}

/** A copy whose array has no ArrayBuffer until code reads its `buffer`. */
function ownBody(bytes: Uint8Array, start: number, end: number): Uint8Array {
  if (bytes !== sliced) {
    sliced = bytes;
    // As a plain array, because `slice` of a Buffer is no copy.
    slicedBytes = viewOf(bytes, 0, bytes.length);
  }
  return slicedBytes.slice(start, end);
}

/** Moves bytes [start, end) down to a multiple of 8, and wipes what they leave. Returns where they begin now. */
function moveDown(bytes: Uint8Array, start: number, end: number): number {
  const at = start & -ALIGNMENT;
  if (at !== start) {
    bytes.copyWithin(at, start, end);
    for (let i = at + end - start; i < end; i++) bytes[i] = 0;
  }
  return at;
}

/**
 * The body of a frame that had `bytes` to itself, bytes [start, end), moves down to a multiple of 8. The head before it was
 * read, and is wiped. Returns where the body begins now.
 */
export function alignOwn(bytes: Uint8Array, start: number, end: number): number {
  const at = moveDown(bytes, start, end);
  wipeBetween(bytes, 0, at);
  return at;
}

/** Nothing before `end` is needed any more in a frame that had `bytes` to itself. */
export function wipeBefore(bytes: Uint8Array, end: number): void {
  wipeBetween(bytes, 0, end);
}

/** Zeroes handled bytes between two bodies that stay. Transferred memory has no bytes, so nothing happens. */
function wipeBetween(bytes: Uint8Array, from: number, to: number): void {
  if (to > from && bytes.length > 0) wipe(viewOf(bytes, from, to));
}

/** The body begins at the address `at` of shared memory, a multiple of 8, whose words are `words`. */
function copyWords(
  bytes: Uint8Array,
  start: number,
  length: number,
  body: Uint8Array,
  words: Int32Array,
  at: number,
): void {
  if (bytes !== source) {
    source = bytes;
    sourceWords = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }
  const end = start + (length & -16);
  let word = at >>> 2;
  let from = start;
  // Four at a time, because the loop costs as much as the copy of a word.
  for (; from < end; from += 16) {
    words[word] = sourceWords.getInt32(from, IS_LITTLE_ENDIAN);
    words[word + 1] = sourceWords.getInt32(from + 4, IS_LITTLE_ENDIAN);
    words[word + 2] = sourceWords.getInt32(from + 8, IS_LITTLE_ENDIAN);
    words[word + 3] = sourceWords.getInt32(from + 12, IS_LITTLE_ENDIAN);
    word += 4;
  }
  for (let i = length & -16; i < length; i++) body[i] = bytes[start + i]!;
}

/** `viewOf` for one of many bodies in the same memory. */
export function viewBody(bytes: Uint8Array, start: number, end: number): Uint8Array {
  if (bytes !== viewed) {
    // Nothing but the end of a read would forget it.
    if (!isReading) return viewOf(bytes, start, end);
    viewed = bytes;
    viewedMemory = bytes.buffer;
    viewedOffset = bytes.byteOffset;
  }
  return new Uint8Array(viewedMemory, viewedOffset + start, end - start);
}

/** A read was handled. */
export function endSharing(): void {
  viewed = NOTHING;
  viewedMemory = NOTHING.buffer;
  sliced = NOTHING;
  slicedBytes = NOTHING;
  source = NOTHING;
  sourceWords = NO_WORDS;
  bodyMemory.readEnds();
}
