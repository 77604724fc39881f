// What a connection has to write, in order, behind the write in flight. Segments wait in their pool slots for a
// moment, and as copies outside of the pool for longer: a slot is a thing to pass through.

import { copyOf } from "../core/bytes.ts";
import { releaseSlot, SEALING_SLOT, slotsAreScarce } from "../core/slotPool.ts";
import { memory } from "../core/wasmModule.ts";
import { wipe } from "../core/wipe.ts";
import type { LoneFrame } from "../protocol/loneFrame.ts";
import type { Segment } from "../protocol/segment.ts";
import type { Session } from "../protocol/session.ts";
import type { Writer } from "./writer.ts";

const EMPTY = new Uint8Array(0);

/** Sealed frames in JavaScript memory, in pieces, a write each. Until they are `complete`, more are being sealed. */
export class SealedPieces {
  readonly pieces: Uint8Array[] = [];
  next = 0;
  complete = false;
  /** What was counted for its only piece; undefined: the length of each. */
  readonly cost: number | undefined;
  /** What was counted beside that, until the first piece leaves. */
  readonly overhead: number;

  constructor(cost?: number, overhead = 0) {
    this.cost = cost;
    this.overhead = overhead;
  }
}

/** A full segment in its slot: sealed, unless it was filled before the session existed. */
export class QueuedSegment {
  readonly segment: Segment;

  constructor(segment: Segment) {
    this.segment = segment;
  }
}

/** A segment that was filled before the session existed, moved out of its slot: plaintext frames. */
export class PlainSegment {
  readonly bytes: Uint8Array;
  readonly frames: number;
  readonly cost: number;
  /** Where it lay in its slot. */
  readonly offset: number;

  constructor(segment: Segment) {
    this.bytes = copyOf(memory, segment.start, segment.end);
    this.frames = segment.frames;
    this.cost = segment.cost;
    this.offset = segment.start - segment.slot;
  }
}

/** A message that no segment took, appended before the session existed. */
export class PlainLarge {
  readonly header: Uint8Array;
  readonly body: Uint8Array;
  /** What was counted beside the frame. */
  readonly overhead: number;

  constructor(header: Uint8Array, body: Uint8Array, overhead: number) {
    this.header = header;
    this.body = body;
    this.overhead = overhead;
  }
}

export type Chunk = QueuedSegment | SealedPieces | PlainSegment | PlainLarge;

/** Bytes that a chunk outside of the pool costs beside its content, about. */
export const CHUNK_OVERHEAD_BYTES = 256;

export class SendQueue {
  #chunks: (Chunk | undefined)[] = [];
  #head = 0;
  /** Index of the first chunk that may hold a slot: all before it were moved out. */
  #slottedFrom = 0;
  /** Segments that hold slots. */
  slots = 0;
  /** Chunks that are not sealed yet: as long as there is one, nothing behind it may be sealed. */
  plain = 0;

  get isEmpty(): boolean {
    return this.#head === this.#chunks.length;
  }

  /** What is next. Only while it is not empty. */
  get first(): Chunk {
    return this.#chunks[this.#head]!;
  }

  push(chunk: Chunk): void {
    if (chunk instanceof QueuedSegment) this.slots++;
    if (!isSealed(chunk)) this.plain++;
    this.#chunks.push(chunk);
  }

  /** Puts a sealed chunk in front of everything. */
  pushFirst(chunk: SealedPieces): void {
    this.#chunks.splice(this.#head, 0, chunk);
  }

  /** Seals what is next, if it is not, with a session that has sealed all before it; returns the sealed chunk. */
  sealFirst(session: Session): QueuedSegment | SealedPieces {
    const chunk = this.first;
    if (chunk instanceof SealedPieces) return chunk;
    if (chunk instanceof QueuedSegment) {
      if (!chunk.segment.sealed) {
        sealSegment(session, chunk.segment);
        this.plain--;
      }
      return chunk;
    }
    const sealed = sealPlain(session, chunk);
    this.#chunks[this.#head] = sealed;
    this.plain--;
    return sealed;
  }

  /** Writes what is next; false when that is not sealed yet. */
  writeFirst(session: Session, writer: Writer): boolean {
    const chunk = this.sealFirst(session);
    if (chunk instanceof QueuedSegment) {
      this.shift();
      writeSegment(writer, chunk.segment);
      return true;
    }
    const piece = chunk.pieces[chunk.next];
    if (piece !== undefined) chunk.pieces[chunk.next++] = EMPTY;
    if (chunk.complete && chunk.next === chunk.pieces.length) this.shift();
    if (piece === undefined) return chunk.complete;
    const overhead = chunk.next === 1 ? chunk.overhead : 0;
    writer.writePiece(piece, (chunk.cost ?? piece.length) + overhead);
    return true;
  }

  shift(): void {
    const chunk = this.first;
    if (chunk instanceof QueuedSegment) this.slots--;
    if (!isSealed(chunk)) this.plain--;
    this.#chunks[this.#head++] = undefined;
    if (this.#head === this.#chunks.length) {
      this.#chunks.length = 0;
      this.#head = 0;
      this.#slottedFrom = 0;
    } else if (this.#head >= 64 && this.#head * 2 >= this.#chunks.length) {
      this.#chunks.splice(0, this.#head);
      this.#slottedFrom = Math.max(this.#slottedFrom - this.#head, 0);
      this.#head = 0;
    }
  }

  /** Moves every segment out of its slot. Constant work for each segment, however many chunks wait. */
  moveOut(): void {
    for (let i = Math.max(this.#slottedFrom, this.#head); i < this.#chunks.length; i++) {
      const chunk = this.#chunks[i];
      if (chunk instanceof QueuedSegment) this.#chunks[i] = movedOut(chunk.segment);
    }
    this.#slottedFrom = this.#chunks.length;
    this.slots = 0;
  }

  /** Forgets everything; wipes what is not sealed, gives slots back. */
  clear(): void {
    for (let i = this.#head; i < this.#chunks.length; i++) {
      const chunk = this.#chunks[i]!;
      if (chunk instanceof QueuedSegment) releaseSegment(chunk.segment);
      else if (chunk instanceof PlainSegment) wipe(chunk.bytes);
      else if (chunk instanceof PlainLarge) wipe(chunk.body);
    }
    this.#chunks = [];
    this.#head = 0;
    this.#slottedFrom = 0;
    this.slots = 0;
    this.plain = 0;
  }
}

function isSealed(chunk: Chunk): boolean {
  return chunk instanceof SealedPieces || (chunk instanceof QueuedSegment && chunk.segment.sealed);
}

/** Seals a finished segment in its slot. */
export function sealSegment(session: Session, segment: Segment): void {
  session.seal(segment.start, segment.end, segment.frames);
  segment.sealed = true;
}

/** Gives a segment's slot back; plaintext in it is wiped. */
export function releaseSegment(segment: Segment): void {
  releaseSlot(segment.slot, segment.sealed ? 0 : segment.end - segment.slot);
  segment.slot = 0;
}

/** Writes a sealed segment, and leaves it without a slot. */
export function writeSegment(writer: Writer, segment: Segment): void {
  const { slot, start, end, cost } = segment;
  segment.slot = 0;
  if (slotsAreScarce()) {
    // A write that takes its time would keep the slot from a connection that has something to seal.
    const piece = copyOf(memory, start, end);
    releaseSlot(slot);
    writer.writePiece(piece, cost);
    return;
  }
  writer.writeSlot(memory.subarray(start, end), slot, cost);
}

/** A frame that is sealed as a whole before any of it leaves. */
export function sealedWhole(session: Session, { header, text }: LoneFrame): SealedPieces {
  const sealed = new SealedPieces();
  session.sealPieces(header, text, (piece) => sealed.pieces.push(piece));
  sealed.complete = true;
  return sealed;
}

/** A copy of a finished segment outside of the pool; its slot is free afterwards. */
export function movedOut(segment: Segment): SealedPieces | PlainSegment {
  let chunk: SealedPieces | PlainSegment;
  if (segment.sealed) {
    chunk = new SealedPieces(segment.cost);
    chunk.pieces.push(copyOf(memory, segment.start, segment.end));
    chunk.complete = true;
  } else chunk = new PlainSegment(segment);
  releaseSegment(segment);
  return chunk;
}

/** Seals what was appended before the session existed, and wipes it. */
function sealPlain(session: Session, chunk: PlainSegment | PlainLarge): SealedPieces {
  if (chunk instanceof PlainLarge) {
    const sealed = new SealedPieces(undefined, chunk.overhead);
    session.sealPieces(chunk.header, chunk.body, (piece) => sealed.pieces.push(piece));
    sealed.complete = true;
    wipe(chunk.body);
    return sealed;
  }
  const sealed = new SealedPieces(chunk.cost);
  const start = SEALING_SLOT + chunk.offset;
  const end = start + chunk.bytes.length;
  memory.set(chunk.bytes, start);
  wipe(chunk.bytes);
  try {
    session.seal(start, end, chunk.frames);
    sealed.pieces.push(copyOf(memory, start, end));
  } finally {
    memory.fill(0, start, end);
  }
  sealed.complete = true;
  return sealed;
}
