// Everything a connection sends passes here, and this is the one place that decides when frames are sealed
// and written. The rules:
//
//  1. A body is copied once, framed in place, to the end of the current segment (a pool slot, 64 KiB). With
//     protocol v2, messages share frames (protocol/segment.ts).
//  2. A segment is sealed as one batch and leaves in one write:
//     - when the handling of a read ends (replies, and calls made meanwhile),
//     - otherwise when the turn ends,
//     - at once when it is full, or when the pool has no slot left for somebody else.
//  3. Group commit: one write is in flight at a time (writer.ts); meanwhile messages are only appended, and when it is
//     done everything that waits leaves. A full segment is sealed, and if many wait it is copied out of its slot.
//  4. Frames above SEGMENT_FRAME_BYTES are sealed at once, piece by piece, into JavaScript memory of their own, and each
//     piece leaves as soon as it is sealed. Order on the wire is always the order of the calls.
//  5. Sending never runs anything but sending: no user code runs inside a call of this class. Work per message is
//     constant, whatever waits.
//
//  append ──▶ [current segment] ──full──▶ [queue: segments, large frames] ──▶ seal ──▶ socket
//
// In the steady state a call allocates nothing here; a flush allocates one view.

import type { SealwireError } from "../base/errors.ts";
import { copyOf, writeU32 } from "../core/bytes.ts";
import { acquireSlot, releaseSlot, slotsAreScarce } from "../core/slotPool.ts";
import { memory } from "../core/wasmModule.ts";
import {
  type Framing,
  headerBytes,
  longestBody,
  paddedBytes,
  SEGMENT_FRAME_BYTES,
  Segment,
  writePadding,
} from "../protocol/segment.ts";
import type { Session } from "../protocol/session.ts";
import { LENGTH_BYTES, PADDED_FLAG, TAG_BYTES } from "../protocol/wire.ts";
import { FlushPromises } from "./flushPromises.ts";
import { memoryBudget } from "./memoryBudget.ts";
import {
  CHUNK_OVERHEAD_BYTES,
  movedOut,
  PlainLarge,
  QueuedSegment,
  releaseSegment,
  SealedPieces,
  SendQueue,
  sealSegment,
} from "./sendQueue.ts";
import { reclaimSlot, type SlotHolder, slotHolders } from "./slotHolders.ts";
import type { TurnQueue, TurnTask } from "./turnQueue.ts";
import type { Writer } from "./writer.ts";

export interface SenderOptions extends Framing {
  readonly lowWaterMarkBytes: number;
}

export interface SenderEvents {
  /** Less waits than before, after `wantsRelief` was set. */
  onRelief(): void;
  /** Sealing failed (counter exhausted). Not called from inside a call of this class. */
  onFailure(error: unknown): void;
}

/**
 * Full segments of one connection that wait in their slots behind a write; more are copied out of the pool. A
 * mebibyte is what `sendNoWait` queues in one go by default.
 */
const MAX_QUEUED_SLOTS = 16;

export class Sender implements TurnTask, SlotHolder {
  readonly #options: SenderOptions;
  readonly #events: SenderEvents;
  readonly #flushes: TurnQueue;
  readonly #writer: Writer;
  readonly #headerBytes: number;
  /** The longest body that a segment takes. */
  readonly #longestSmallBody: number;
  readonly #queue = new SendQueue();
  readonly #promises = new FlushPromises();

  #session: Session | undefined;
  #failed = false;
  #closed = false;
  /** The current segment; without a slot when nothing waits in it. */
  #segment: Segment;
  #enqueuedBytes = 0;
  /** Of the writer's bytes, those that the budget of the process knows of. */
  #settledBytes = 0;
  #scheduled = false;
  #held = false;
  /** Reading is paused until less waits. */
  wantsRelief = false;

  constructor(flushes: TurnQueue, writer: Writer, options: SenderOptions, events: SenderEvents) {
    this.#flushes = flushes;
    this.#writer = writer;
    this.#options = options;
    this.#events = events;
    this.#headerBytes = headerBytes(options);
    this.#longestSmallBody = longestBody(options, SEGMENT_FRAME_BYTES);
    this.#segment = new Segment(options);
  }

  /** Bytes accepted that the kernel has not taken: bodies, headers, lengths; padding and tags once a frame is full. */
  get pendingBytes(): number {
    return this.#enqueuedBytes - this.#settledBytes;
  }

  /** What was accepted and what the kernel has taken, since the connection began. */
  get enqueuedBytes(): number {
    return this.#enqueuedBytes;
  }

  get writtenBytes(): number {
    return this.#settledBytes;
  }

  /** More waits for this peer than the process has room for. */
  get overBudget(): boolean {
    return memoryBudget.isExceededBy(this.pendingBytes);
  }

  /** So little waits that a reader which was paused may go on. */
  get relieved(): boolean {
    const pending = this.pendingBytes;
    return pending <= this.#options.lowWaterMarkBytes && (pending === 0 || pending * 2 <= memoryBudget.free);
  }

  /** Plaintext length of a body: header, body, padding. */
  plaintextBytes(bodyBytes: number): number {
    return paddedBytes(this.#options, this.#headerBytes + bodyBytes);
  }

  /**
   * From now on, frames can be sealed. `first`: the body of a record that leaves before all others, in a frame of its
   * own. What was appended before leaves behind it.
   */
  start(session: Session, first?: { readonly kind: number; readonly body: Uint8Array }): void {
    this.#session = session;
    if (first !== undefined) {
      const { header, whole, cost } = this.#frameAlone(0, first.kind, first.body);
      this.#queue.pushFirst(this.#sealedAlone(session, header, whole));
      this.#enqueuedBytes += cost;
      memoryBudget.used += cost;
    }
    this.#schedule();
  }

  /** Whoever has something to send when nothing else waits: called for as long as it appends something. */
  pull: (() => boolean) | undefined;

  /** Whoever says something once for each write, however often it was asked: called before what waits is sealed. */
  collect: (() => void) | undefined;
  #owes = false;

  /** `collect` has something. */
  owe(): void {
    this.#owes = true;
    this.wake();
  }

  /** `pull` has something. */
  wake(): void {
    if (!this.#scheduled && !this.#held) this.#schedule();
  }

  /** Appends one message. The body is copied (or sealed) before this returns. The caller checks limits. */
  append(sequence: number, kind: number, body: Uint8Array): void {
    if (this.#closed || this.#failed) return;
    if (body.length > this.#longestSmallBody || !this.#appendSmall(sequence, kind, body)) {
      this.#appendLarge(sequence, kind, body);
    }
    if (!this.#scheduled && !this.#held) this.#schedule();
  }

  /** A promise that resolves when everything appended so far has gone to the kernel. Shared within a turn. */
  handedToKernel(): Promise<void> {
    const promise = this.#promises.add(this.#enqueuedBytes);
    if (!this.#scheduled && !this.#held) this.#schedule();
    return promise;
  }

  /** Between `hold` and `release` a read is being handled: what is appended leaves when it ends. */
  hold(): void {
    this.#held = true;
  }

  release(): void {
    this.#held = false;
    this.endOfTurn();
  }

  endOfTurn(): void {
    this.#scheduled = false;
    this.#promises.endTurn();
    this.flush();
  }

  endOfTurnFailed(error: unknown): void {
    this.#fail(error);
  }

  /** Seals and writes everything that waits, unless a write is in flight. */
  flush(): void {
    const session = this.#session;
    if (session === undefined || this.#closed || this.#failed) return;
    try {
      while (this.#writer.idle) {
        if (this.#owes) this.#collects();
        if (!this.#queue.isEmpty) {
          if (!this.#writeChunk(session)) break;
        } else if (this.#segment.slot !== 0) {
          this.#complete(this.#segment, session);
          this.#writeSegment(this.#segment);
        } else if (!this.#pulls()) break;
      }
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#settle();
  }

  /** Rejects what waits and forgets it. */
  close(error: SealwireError): void {
    if (this.#closed) return;
    this.#closed = true;
    slotHolders.delete(this);
    if (this.#segment.slot !== 0) releaseSegment(this.#segment);
    this.#queue.clear();
    memoryBudget.used -= this.pendingBytes;
    this.#settledBytes = this.#enqueuedBytes;
    this.#promises.rejectAll(error);
  }

  /** SlotHolder: moves everything that waits behind a write out of the pool. Returns how many slots that freed. */
  giveUpSlots(): number {
    const freed = this.#queue.slots;
    this.#queue.moveOut();
    const segment = this.#segment;
    if (segment.slot === 0 || this.#closed || this.#failed) return freed;
    try {
      this.#complete(segment, this.#session);
    } catch (error) {
      this.#fail(error);
      return freed;
    }
    this.#count(segment, CHUNK_OVERHEAD_BYTES);
    this.#queue.push(movedOut(segment));
    return freed + 1;
  }

  #schedule(): void {
    this.#scheduled = true;
    this.#flushes.add(this);
  }

  /** Sealing went wrong: nothing more leaves, and the connection is told when the turn ends. */
  #fail(error: unknown): void {
    if (this.#failed || this.#closed) return;
    this.#failed = true;
    this.#events.onFailure(error);
  }

  /** False, and nothing happened, when no slot is free. */
  #appendSmall(sequence: number, kind: number, body: Uint8Array): boolean {
    if (this.#segment.slot === 0 || !this.#segment.append(sequence, kind, body)) {
      if (this.#segment.slot !== 0) this.#queueSegment();
      const slot = this.#acquireSlot();
      if (slot === 0) return false;
      if (!this.#writer.idle || this.#session === undefined) slotHolders.add(this);
      this.#segment.use(slot);
      this.#segment.append(sequence, kind, body);
    }
    this.#count(this.#segment, LENGTH_BYTES + this.#headerBytes + body.length);
    return true;
  }

  #count(segment: Segment, bytes: number): void {
    segment.cost += bytes;
    this.#enqueuedBytes += bytes;
    memoryBudget.used += bytes;
  }

  #appendLarge(sequence: number, kind: number, body: Uint8Array): void {
    if (this.#segment.slot !== 0) this.#queueSegment();
    const sealsNow = this.#session !== undefined && this.#queue.plain === 0;
    const { header, whole, cost } = this.#frameAlone(sequence, kind, body);
    // A small one came here for want of a slot: what it costs beside its bytes would not be small.
    const overhead = body.length > this.#longestSmallBody ? 0 : CHUNK_OVERHEAD_BYTES;
    this.#enqueuedBytes += cost + overhead;
    memoryBudget.used += cost + overhead;
    if (sealsNow) this.#sealLarge(this.#session!, header, whole, overhead);
    else this.#queue.push(new PlainLarge(header, whole === body ? copyOf(whole) : whole, overhead));
  }

  /** Header and body, padded, of a record that gets a frame of its own, and what it costs. */
  #frameAlone(sequence: number, kind: number, body: Uint8Array) {
    const plaintextBytes = this.plaintextBytes(body.length);
    const header = new Uint8Array(this.#headerBytes);
    writeU32(header, 0, sequence);
    const padBytes = plaintextBytes - this.#headerBytes - body.length;
    if (this.#options.withKind) header[4] = padBytes === 0 ? kind : kind | PADDED_FLAG;
    let whole = body;
    if (padBytes > 0) {
      whole = new Uint8Array(body.length + padBytes);
      whole.set(body);
      writePadding(whole, whole.length, padBytes);
    }
    return { header, whole, cost: LENGTH_BYTES + plaintextBytes + TAG_BYTES };
  }

  #sealedAlone(session: Session, header: Uint8Array, whole: Uint8Array): SealedPieces {
    const frame = new SealedPieces();
    session.sealPieces(header, whole, (piece) => frame.pieces.push(piece));
    frame.complete = true;
    return frame;
  }

  #collects(): void {
    this.#owes = false;
    const scheduled = this.#scheduled;
    this.#scheduled = true;
    this.collect?.();
    this.#scheduled = scheduled;
  }

  /** Nothing waits: has `pull` something? What it appends is part of the flush under way. */
  #pulls(): boolean {
    const { pull } = this;
    if (pull === undefined) return false;
    const scheduled = this.#scheduled;
    this.#scheduled = true;
    const pulled = pull();
    this.#scheduled = scheduled;
    return pulled;
  }

  /** Written while it is warm: everything before it is sealed, so that a flush seals nothing meanwhile. */
  #sealLarge(session: Session, header: Uint8Array, whole: Uint8Array, overhead: number): void {
    const frame = new SealedPieces(undefined, overhead);
    this.#queue.push(frame);
    try {
      session.sealPieces(header, whole, (piece) => {
        frame.pieces.push(piece);
        this.flush();
      });
      frame.complete = true;
    } catch (error) {
      this.#fail(error);
    }
    this.flush();
  }

  /** A pool slot, or 0. Sending of others may be hurried for it, nothing else. */
  #acquireSlot(): number {
    let slot = acquireSlot();
    if (slot !== 0) return slot;
    this.#flushes.runNow();
    slot = acquireSlot();
    if (slot !== 0) return slot;
    reclaimSlot();
    return acquireSlot();
  }

  /** The segment's last frame is complete and, where a session allows, sealed; what it really holds is counted. */
  #complete(segment: Segment, session: Session | undefined): void {
    segment.finish();
    this.#count(segment, segment.end - segment.start - segment.cost);
    if (session !== undefined && this.#queue.plain === 0) sealSegment(session, segment);
  }

  /** The current segment is full: it waits behind what is being written. */
  #queueSegment(): void {
    const segment = this.#segment;
    try {
      this.#complete(segment, this.#session);
    } catch (error) {
      releaseSegment(segment);
      this.#fail(error);
      return;
    }
    const waits = this.#session === undefined || !this.#writer.idle;
    const limit = this.#session === undefined || slotsAreScarce() ? 0 : MAX_QUEUED_SLOTS;
    if (waits && this.#queue.slots >= limit) {
      this.#queue.push(movedOut(segment));
      return;
    }
    this.#queue.push(new QueuedSegment(segment));
    this.#segment = new Segment(this.#options);
    this.flush();
    if (this.#queue.slots > 0) slotHolders.add(this);
  }

  /** Writes a sealed segment, and leaves it without a slot. */
  #writeSegment(segment: Segment): void {
    const { slot, start, end, cost } = segment;
    segment.slot = 0;
    if (slotsAreScarce()) {
      // A write that takes its time would keep the slot from a connection that has something to seal.
      const piece = copyOf(memory, start, end);
      releaseSlot(slot);
      this.#writer.writePiece(piece, cost);
      return;
    }
    this.#writer.writeSlot(memory.subarray(start, end), slot, cost);
  }

  /** Writes what is next in the queue; false when that is not sealed yet. */
  #writeChunk(session: Session): boolean {
    const chunk = this.#queue.sealFirst(session);
    if (chunk instanceof QueuedSegment) {
      this.#queue.shift();
      this.#writeSegment(chunk.segment);
      return true;
    }
    const piece = chunk.pieces[chunk.next];
    if (piece !== undefined) chunk.pieces[chunk.next++] = EMPTY;
    if (chunk.complete && chunk.next === chunk.pieces.length) this.#queue.shift();
    if (piece === undefined) return chunk.complete;
    const overhead = chunk.next === 1 ? chunk.overhead : 0;
    this.#writer.writePiece(piece, (chunk.cost ?? piece.length) + overhead);
    return true;
  }

  #settle(): void {
    const { writtenBytes } = this.#writer;
    if (writtenBytes === this.#settledBytes) return this.#promises.settle(writtenBytes);
    memoryBudget.used -= writtenBytes - this.#settledBytes;
    this.#settledBytes = writtenBytes;
    this.#promises.settle(writtenBytes);
    if (!this.wantsRelief || !this.relieved) return;
    this.wantsRelief = false;
    this.#events.onRelief();
  }
}

const EMPTY = new Uint8Array(0);
