// The messages that one connection has accepted and not given to the socket, as frames: the segment that is being
// filled, and the queue of full segments and of lone frames that leaves before it.

import { copyOf } from "../core/bytes.ts";
import { acquireSlot, releaseSlot, slotsAreScarce } from "../core/slotPool.ts";
import { type LoneFrame, loneFrame } from "../protocol/loneFrame.ts";
import { type Framing, headerBytes, longestBody, SEGMENT_FRAME_BYTES, Segment } from "../protocol/segment.ts";
import type { Session } from "../protocol/session.ts";
import { LENGTH_BYTES } from "../protocol/wire.ts";
import {
  movedOut,
  PlainLone,
  QUEUED_OVERHEAD_BYTES,
  QueuedSegment,
  releaseSegment,
  SendQueue,
  sealedWhole,
  sealSegment,
  writeSegment,
} from "./sendQueue.ts";
import { SentBytes } from "./sentBytes.ts";
import { reclaimSlot, type SlotHolder, slotHolders } from "./slotHolders.ts";
import type { Writer } from "./writer.ts";

export interface OutgoingOptions extends Framing {
  /** A paused reader continues when no more than this many bytes wait. */
  readonly lowWaterMarkBytes: number;
}

/** The object that decides when frames leave. */
export interface FramesOwner {
  /** Something may leave now. */
  flush(): void;
  /** Something may have left. */
  settle(): void;
  /** Sealing failed. */
  failed(error: unknown): void;
  /** Lets other connections send, so that a slot may become free. */
  hurryOthers(): void;
}

/**
 * The most full segments of one connection that wait in their slots behind a write; further ones are copied out of the
 * pool. This holds a mebibyte, which is what `sendNoWait` queues at once by default.
 */
const MAX_QUEUED_SLOTS = 16;

export class OutgoingFrames implements SlotHolder {
  readonly #options: OutgoingOptions;
  readonly #writer: Writer;
  readonly #owner: FramesOwner;
  readonly #headerBytes: number;
  /** The longest body that a segment takes. */
  readonly #longestSmallBody: number;
  readonly #queue = new SendQueue();
  readonly bytes: SentBytes;
  #session: Session | undefined;
  /** The current segment; it has no slot while it is empty. */
  #segment: Segment;
  /** Nothing is taken and nothing leaves any more: the connection is over, or sealing failed. */
  ended = false;

  constructor(options: OutgoingOptions, writer: Writer, owner: FramesOwner) {
    this.#options = options;
    this.#writer = writer;
    this.#owner = owner;
    this.#headerBytes = headerBytes(options);
    this.#longestSmallBody = longestBody(options, SEGMENT_FRAME_BYTES);
    this.#segment = new Segment(options);
    this.bytes = new SentBytes(options.lowWaterMarkBytes);
  }

  /** From now on, frames can be sealed. `first`: see `Sender.start`. */
  start(session: Session, first?: { readonly kind: number; readonly body: Uint8Array }): void {
    this.#session = session;
    if (first === undefined) return;
    const frame = loneFrame(this.#options, 0, first.kind, first.body);
    this.#queue.pushFirst(sealedWhole(session, frame.header, frame.text));
    this.bytes.add(frame.bytes);
    this.bytes.opening = frame.bytes;
  }

  /** Frames can be sealed. */
  get started(): boolean {
    return this.#session !== undefined;
  }

  append(sequence: number, kind: number, body: Uint8Array): void {
    const { length } = body;
    const segment = this.#segment;
    const isTaken =
      length <= this.#longestSmallBody &&
      ((segment.slot !== 0 && segment.append(sequence, kind, body)) ||
        this.#appendToNext(sequence, kind, body));
    if (isTaken) this.#count(this.#segment, LENGTH_BYTES + this.#headerBytes + length);
    else this.#appendLone(sequence, kind, body);
  }

  /** Seals and writes the next frames. False if none wait. Only while `started`. */
  writeNext(): boolean {
    const session = this.#session!;
    const segment = this.#segment;
    if (!this.#queue.isEmpty) {
      this.#queue.closeFirst();
      return this.#queue.writeFirst(session, this.#writer);
    }
    if (segment.slot === 0) return false;
    this.#complete(segment, session);
    writeSegment(this.#writer, segment);
    return true;
  }

  /** Everything was given to the socket. */
  get isEmpty(): boolean {
    return this.#queue.isEmpty && this.#segment.slot === 0;
  }

  /** A flush is over: what waits behind a write keeps no more memory than it needs. */
  endPieces(): void {
    this.#queue.endGrowing();
  }

  /** Drops all waiting frames. */
  close(): void {
    this.ended = true;
    slotHolders.delete(this);
    if (this.#segment.slot !== 0) releaseSegment(this.#segment);
    this.#queue.clear();
    this.bytes.drop();
  }

  /** SlotHolder: moves everything that waits behind a write out of the pool. Returns the number of freed slots. */
  giveUpSlots(): number {
    const freed = this.#queue.slots;
    this.#queue.moveOut();
    const segment = this.#segment;
    if (segment.slot === 0 || this.ended) return freed;
    try {
      this.#complete(segment, this.#session);
    } catch (error) {
      this.#owner.failed(error);
      return freed;
    }
    this.#count(segment, QUEUED_OVERHEAD_BYTES);
    this.#queue.push(movedOut(segment));
    return freed + 1;
  }

  /** The current segment has no room. False if no other takes the message; then it needs a frame of its own. */
  #appendToNext(sequence: number, kind: number, body: Uint8Array): boolean {
    if (this.#segment.slot !== 0) this.#queueSegment();
    this.#beginSegment();
    return this.#segment.slot !== 0 && this.#segment.append(sequence, kind, body);
  }

  /**
   * Takes a slot for the current segment, if one is free. A flush, of a full segment or for the slot, may have appended
   * records from `collect`. Then the segment has a slot already, and its records stay there.
   */
  #beginSegment(): void {
    if (this.#segment.slot !== 0) return;
    const slot = this.#acquireSlot();
    if (slot === 0) return;
    if (this.#segment.slot !== 0) {
      releaseSlot(slot);
      return;
    }
    if (!this.#writer.idle || this.#session === undefined) slotHolders.add(this);
    this.#segment.use(slot);
  }

  #count(segment: Segment, bytes: number): void {
    segment.cost += bytes;
    this.bytes.add(bytes);
  }

  #appendLone(sequence: number, kind: number, body: Uint8Array): void {
    if (this.#segment.slot !== 0) this.#queueSegment();
    const sealsNow = this.#session !== undefined && this.#queue.plain === 0;
    const frame = loneFrame(this.#options, sequence, kind, body);
    // A small message came here for want of a slot, so its overhead counts.
    const overhead = body.length > this.#longestSmallBody ? 0 : QUEUED_OVERHEAD_BYTES;
    this.bytes.add(frame.bytes + overhead);
    if (sealsNow) this.#sealLone(this.#session!, frame, overhead);
    else {
      const text = frame.text === body ? copyOf(body) : frame.text;
      this.#queue.push(new PlainLone(frame.header, text, overhead));
    }
  }

  /**
   * Sealed at once, and written as its pieces become full, while the body is in the processor's cache; the last piece
   * leaves with the next flush. Everything before it is sealed, so no other frame is sealed meanwhile. There is no flush
   * here, because it would let other code append messages, and between its pieces the frame needs the cipher's state.
   */
  #sealLone(session: Session, { header, text }: LoneFrame, overhead: number): void {
    try {
      const { writer } = this.#queue.growingPieces(overhead, this.#writePieces);
      session.sealPieces(header, text, writer);
    } catch (error) {
      this.#owner.failed(error);
    }
    // A write may end the connection, which then counts nothing any more.
    if (!this.ended) this.#owner.settle();
  }

  readonly #writePieces = (): void => {
    while (this.#writer.idle && !this.#queue.isEmpty) {
      // The writer takes one at a time.
      if (!this.#queue.writeFirst(this.#session!, this.#writer)) return;
    }
  };

  /** A pool slot, or 0. The only other code that may run is the sending of other connections. */
  #acquireSlot(): number {
    let slot = acquireSlot();
    if (slot !== 0) return slot;
    this.#owner.hurryOthers();
    slot = acquireSlot();
    if (slot !== 0) return slot;
    reclaimSlot();
    return acquireSlot();
  }

  /** Completes the segment's last frame, and seals the segment if there is a session. Counts its real bytes. */
  #complete(segment: Segment, session: Session | undefined): void {
    segment.finish();
    this.#count(segment, segment.end - segment.start - segment.cost);
    if (session !== undefined && this.#queue.plain === 0) sealSegment(session, segment);
  }

  /** The current segment is full: it waits behind the write in flight. */
  #queueSegment(): void {
    const segment = this.#segment;
    try {
      this.#complete(segment, this.#session);
    } catch (error) {
      releaseSegment(segment);
      this.#owner.failed(error);
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
    this.#owner.flush();
    if (this.#queue.slots > 0) slotHolders.add(this);
  }
}
