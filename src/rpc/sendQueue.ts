// The queue of sealed and unsealed frames that a connection writes, in order, after the write in flight. Segments stay
// in their pool slots for a moment only. Segments that wait for longer are copied out of the pool.

import { copyOf } from "../core/bytes.ts";
import { wipeAndDetach } from "../core/detach.ts";
import { lastView } from "../core/lastView.ts";
import { freePiece } from "../core/pieceMemory.ts";
import { releaseSlot, SEALING_SLOT, slotsAreScarce } from "../core/slotPool.ts";
import { memory } from "../core/wasmModule.ts";
import { wipe } from "../core/wipe.ts";
import type { Segment } from "../protocol/segment.ts";
import type { Session } from "../protocol/session.ts";
import { GrowingPieces, SealedPieces } from "./sealedPieces.ts";
import type { Writer } from "./writer.ts";

const EMPTY = new Uint8Array(0);

/** A full segment in its slot: sealed, unless it was filled before the session existed. */
export class QueuedSegment {
  readonly segment: Segment;

  constructor(segment: Segment) {
    this.segment = segment;
  }
}

/** A segment that was filled before the session existed, moved out of its slot as plaintext frames. */
export class PlainSegment {
  readonly bytes: Uint8Array;
  readonly frames: number;
  readonly cost: number;
  /** Its offset in the slot. */
  readonly offset: number;

  constructor(segment: Segment) {
    this.bytes = copyOf(memory, segment.start, segment.end);
    this.frames = segment.frames;
    this.cost = segment.cost;
    this.offset = segment.start - segment.slot;
  }
}

/** A message that no segment took, appended before the session existed. */
export class PlainLone {
  readonly header: Uint8Array;
  readonly bytes: Uint8Array;
  /** The counted overhead. */
  readonly overhead: number;

  constructor(header: Uint8Array, bytes: Uint8Array, overhead: number) {
    this.header = header;
    this.bytes = bytes;
    this.overhead = overhead;
  }
}

export type Queued = QueuedSegment | SealedPieces | PlainSegment | PlainLone;

/** The approximate overhead of an element outside of the pool. */
export const QUEUED_OVERHEAD_BYTES = 256;

export class SendQueue {
  #queued: (Queued | undefined)[] = [];
  #head = 0;
  /** The last element, while it takes further frames. */
  #growing: GrowingPieces | undefined;
  /** Index of the first element that may hold a slot: all earlier ones were moved out. */
  #slottedFrom = 0;
  /** Segments that hold slots. */
  slots = 0;
  /** Elements that are not sealed yet. While there is one, nothing after it may be sealed. */
  plain = 0;

  get isEmpty(): boolean {
    return this.#head === this.#queued.length;
  }

  /** The first element. Only while the queue is not empty. */
  get first(): Queued {
    return this.#queued[this.#head]!;
  }

  push(queued: Queued): void {
    this.endGrowing();
    if (queued instanceof QueuedSegment) this.slots++;
    if (!isSealed(queued)) this.plain++;
    this.#queued.push(queued);
  }

  /**
   * The pieces to which a frame behind all elements is sealed. `onPiece`: see GrowingPieces. A frame with `overhead` begins
   * them, because it is counted with the first piece that leaves.
   */
  growingPieces(overhead: number, onPiece: () => void): GrowingPieces {
    if (this.#growing === undefined || overhead > 0) {
      const growing = new GrowingPieces(onPiece);
      growing.overhead = overhead;
      this.push(growing);
      this.#growing = growing;
    }
    return this.#growing;
  }

  /** Lets the last piece of a frame leave if nothing is in front of it. Not while a frame is being sealed. */
  closeFirst(): void {
    const growing = this.#growing;
    if (this.first === growing && growing.next === growing.pieces.length) this.#close(false);
  }

  /** What did not leave yet may wait for long, and frames that follow begin a piece. */
  endGrowing(): void {
    this.#close(true);
  }

  #close(waits: boolean): void {
    this.#growing?.close(waits);
    this.#growing = undefined;
  }

  /** Puts sealed pieces in front of all elements. */
  pushFirst(queued: SealedPieces): void {
    this.#queued.splice(this.#head, 0, queued);
  }

  /** Seals the first element if necessary, with a session that has sealed all earlier frames; returns it. */
  sealFirst(session: Session): QueuedSegment | SealedPieces {
    const queued = this.first;
    if (queued instanceof SealedPieces) return queued;
    if (queued instanceof QueuedSegment) {
      if (!queued.segment.sealed) {
        sealSegment(session, queued.segment);
        this.plain--;
      }
      return queued;
    }
    const sealed = sealPlain(session, queued);
    this.#queued[this.#head] = sealed;
    this.plain--;
    return sealed;
  }

  /** Writes the first element; false if it is not sealed yet. */
  writeFirst(session: Session, writer: Writer): boolean {
    const queued = this.sealFirst(session);
    if (queued instanceof QueuedSegment) {
      this.shift();
      writeSegment(writer, queued.segment);
      return true;
    }
    const piece = queued.pieces[queued.next];
    if (piece !== undefined) queued.pieces[queued.next++] = EMPTY;
    if (queued.complete && queued.next === queued.pieces.length) this.shift();
    if (piece === undefined) return queued.complete;
    const { overhead } = queued;
    queued.overhead = 0;
    writer.writePiece(piece, (queued.cost ?? piece.length) + overhead);
    return true;
  }

  shift(): void {
    const queued = this.first;
    if (queued instanceof QueuedSegment) this.slots--;
    if (!isSealed(queued)) this.plain--;
    this.#queued[this.#head++] = undefined;
    if (this.#head === this.#queued.length) {
      this.#queued.length = 0;
      this.#head = 0;
      this.#slottedFrom = 0;
    } else if (this.#head >= 64 && this.#head * 2 >= this.#queued.length) {
      this.#queued.splice(0, this.#head);
      this.#slottedFrom = Math.max(this.#slottedFrom - this.#head, 0);
      this.#head = 0;
    }
  }

  /** Moves every segment out of its slot. The work per segment is constant, however many elements wait. */
  moveOut(): void {
    for (let i = Math.max(this.#slottedFrom, this.#head); i < this.#queued.length; i++) {
      const queued = this.#queued[i];
      if (queued instanceof QueuedSegment) this.#queued[i] = movedOut(queued.segment);
    }
    this.#slottedFrom = this.#queued.length;
    this.slots = 0;
  }

  /** Drops all elements: wipes unsealed ones, releases slots, and frees their memory. */
  clear(): void {
    this.#close(false);
    for (let i = this.#head; i < this.#queued.length; i++) {
      const queued = this.#queued[i]!;
      if (queued instanceof QueuedSegment) releaseSegment(queued.segment);
      else if (queued instanceof SealedPieces) for (const piece of queued.pieces) freePiece(piece);
      else wipeAndDetach(queued.bytes);
    }
    this.#queued = [];
    this.#head = 0;
    this.#slottedFrom = 0;
    this.slots = 0;
    this.plain = 0;
  }
}

function isSealed(queued: Queued): boolean {
  return queued instanceof SealedPieces || (queued instanceof QueuedSegment && queued.segment.sealed);
}

/** Seals a finished segment in its slot. */
export function sealSegment(session: Session, segment: Segment): void {
  session.seal(segment.start, segment.end, segment.frames);
  segment.sealed = true;
}

/** Releases a segment's slot; plaintext in it is wiped. */
export function releaseSegment(segment: Segment): void {
  releaseSlot(segment.slot, segment.sealed ? 0 : segment.end - segment.slot);
  segment.slot = 0;
}

const viewOfSlot = lastView();

/** Writes a sealed segment, and leaves it without a slot. */
export function writeSegment(writer: Writer, segment: Segment): void {
  const { slot, start, end, cost } = segment;
  segment.slot = 0;
  if (slotsAreScarce()) {
    // A write that takes long would keep the slot from a connection that has something to seal.
    const piece = copyOf(memory, start, end);
    releaseSlot(slot);
    writer.writePiece(piece, cost);
    return;
  }
  writer.writeSlot(viewOfSlot(start, end), slot, cost);
}

/** A frame that is sealed completely before a part of it leaves. */
export function sealedWhole(session: Session, header: Uint8Array, text: Uint8Array): SealedPieces {
  const sealed = new GrowingPieces(() => {});
  session.sealPieces(header, text, sealed.writer);
  sealed.close(true);
  return sealed;
}

/** A copy of a finished segment outside of the pool; its slot is free afterwards. */
export function movedOut(segment: Segment): SealedPieces | PlainSegment {
  let queued: SealedPieces | PlainSegment;
  if (segment.sealed) {
    queued = new SealedPieces(segment.cost);
    queued.pieces.push(copyOf(memory, segment.start, segment.end));
    queued.complete = true;
  } else queued = new PlainSegment(segment);
  releaseSegment(segment);
  return queued;
}

/** Seals and wipes an element that was appended before the session existed. */
function sealPlain(session: Session, queued: PlainSegment | PlainLone): SealedPieces {
  if (queued instanceof PlainLone) {
    const sealed = sealedWhole(session, queued.header, queued.bytes);
    sealed.overhead = queued.overhead;
    wipeAndDetach(queued.bytes);
    return sealed;
  }
  const sealed = new SealedPieces(queued.cost);
  const start = SEALING_SLOT + queued.offset;
  const end = start + queued.bytes.length;
  memory.set(queued.bytes, start);
  wipe(queued.bytes);
  try {
    session.seal(start, end, queued.frames);
    sealed.pieces.push(copyOf(memory, start, end));
  } finally {
    memory.fill(0, start, end);
  }
  sealed.complete = true;
  return sealed;
}
