// Everything a connection sends passes here, and this is the one place that decides when frames are sealed
// and written. The rules:
//
//  1. A body is copied once, framed in place, to the end of the current send segment (a pool slot, 64 KiB). With
//     protocol v2, messages share frames (protocol/segment.ts).
//  2. A segment is sealed as one batch and leaves in one write:
//     - when the handling of a read ends (replies, and calls made meanwhile),
//     - otherwise when the turn ends,
//     - at once when it is full, or when the pool has no slot left for somebody else.
//  3. Group commit: one write is in flight at a time; meanwhile messages are only appended, and when it is done
//     everything that waits leaves.
//     When few slots are left, neither that write nor what waits for it keeps one: both are copied out of the pool.
//  4. Frames above LARGE_FRAME_BYTES are sealed at once, piece by piece, into JavaScript memory of their own, and each
//     piece leaves as soon as it is sealed; so is every message while no slot is free even then. Order on the wire is
//     always the order of the calls.
//
//  append ──▶ [current segment] ──full──▶ [queue: segments, large frames] ──▶ seal ──▶ socket
//
// In the steady state a call allocates nothing here; a flush allocates one view.

import { LARGE_FRAME_BYTES, LENGTH_BYTES, PADDED_FLAG, TAG_BYTES } from "../constants.ts";
import { writeU32 } from "../core/bytes.ts";
import { memory } from "../core/crypto.ts";
import { acquireSlot, releaseSlot, slotsAreScarce } from "../core/pool.ts";
import { release } from "../core/release.ts";
import type { SealwireError } from "../errors.ts";
import {
  type Framing,
  headerBytes,
  longestBody,
  paddedBytes,
  Segment,
  writePadding,
} from "../protocol/segment.ts";
import type { Session } from "../protocol/session.ts";
import { Deadline, timers } from "./timers.ts";
import type { Transport } from "./transport.ts";
import type { TurnQueue, TurnTask } from "./turn.ts";

export interface SenderOptions extends Framing {
  readonly writeTimeoutMs: number;
  readonly lowWaterMarkBytes: number;
}

export interface SenderEvents {
  /** Bytes that wait have fallen to the low-water mark. */
  onLowWater(): void;
  /** Nothing was taken by the peer for `writeTimeoutMs`. */
  onStall(): void;
  /** Sealing failed (counter exhausted). */
  onFailure(error: unknown): void;
}

/** Sends of one turn share one of these. */
class Turn {
  readonly promise: Promise<void>;
  resolve!: () => void;
  reject!: (error: SealwireError) => void;
  /** Resolved when this many bytes in all have gone to the kernel. */
  target = 0;

  constructor() {
    this.promise = new Promise<void>((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }
}

/** Sealed frames in JavaScript memory, in pieces, a write each. Until they are `complete`, more are being sealed. */
interface Sealed {
  readonly kind: "sealed";
  readonly pieces: Uint8Array[];
  next: number;
  complete: boolean;
  /** What was counted for its only piece; undefined: the length of each. */
  cost: number | undefined;
}

/** Something that waits in the queue. */
type Chunk =
  | { readonly kind: "segment"; readonly segment: Segment }
  | Sealed
  /** Appended before the session existed. */
  | { readonly kind: "plain"; readonly header: Uint8Array; readonly body: Uint8Array };

function newSealed(): Sealed {
  return { kind: "sealed", pieces: [], next: 0, complete: false, cost: undefined };
}

/** Seals what was appended before the session existed. */
function sealPlain(session: Session, { header, body }: { header: Uint8Array; body: Uint8Array }): Sealed {
  const frame = newSealed();
  session.sealPieces(header, body, (piece) => frame.pieces.push(piece));
  frame.complete = true;
  body.fill(0);
  return frame;
}

class StallDeadline extends Deadline {
  readonly #events: SenderEvents;
  constructor(events: SenderEvents) {
    super();
    this.#events = events;
  }
  override expire(): void {
    this.#events.onStall();
  }
}

export class Sender implements TurnTask {
  readonly #options: SenderOptions;
  readonly #events: SenderEvents;
  readonly #turns: TurnQueue;
  readonly #headerBytes: number;
  readonly #lowWaterMarkBytes: number;
  /** The longest body that a segment takes. */
  readonly #longestSmallBody: number;
  readonly #stall: StallDeadline;

  #transport: Transport | undefined;
  #session: Session | undefined;
  #closed = false;

  /** The current segment; without a slot when nothing waits in it. */
  #segment: Segment;

  #queue: Chunk[] = [];
  #queueHead = 0;

  /** The write in flight: its slot, or its piece of a large frame, and what was counted for it. */
  #writing = false;
  #writingSlot = 0;
  #writingPiece: Uint8Array | undefined;
  #writingCost = 0;

  #enqueuedBytes = 0;
  #writtenBytes = 0;

  #turn: Turn | undefined;
  #waiting: Turn[] = [];
  #scheduled = false;
  #held = false;
  #aboveLowWater = false;

  constructor(turns: TurnQueue, options: SenderOptions, events: SenderEvents) {
    this.#turns = turns;
    this.#options = options;
    this.#events = events;
    this.#headerBytes = headerBytes(options);
    this.#lowWaterMarkBytes = options.lowWaterMarkBytes;
    this.#longestSmallBody = longestBody(options, LARGE_FRAME_BYTES);
    this.#segment = new Segment(options);
    this.#stall = new StallDeadline(events);
  }

  /** Bytes accepted that the kernel has not taken: bodies, headers, lengths. */
  get pendingBytes(): number {
    return this.#enqueuedBytes - this.#writtenBytes;
  }

  /** Plaintext length of a body: header, body, padding. */
  plaintextBytes(bodyBytes: number): number {
    return paddedBytes(this.#options, this.#headerBytes + bodyBytes);
  }

  /** The handshake is complete: from now on, frames can be sealed. What was appended before leaves. */
  start(transport: Transport, session: Session): void {
    this.#transport = transport;
    this.#session = session;
    this.#schedule();
  }

  /** Appends one message. The body is copied (or sealed) before this returns. The caller checks limits. */
  append(sequence: number, kind: number, body: Uint8Array): void {
    if (body.length > this.#longestSmallBody || !this.#appendSmall(sequence, kind, body)) {
      this.#appendLarge(sequence, kind, body);
    }
    if (this.#enqueuedBytes - this.#writtenBytes > this.#lowWaterMarkBytes) this.#aboveLowWater = true;
    if (!this.#scheduled && !this.#held) this.#schedule();
  }

  /** A promise that resolves when everything appended so far has gone to the kernel. Shared within a turn. */
  handedToKernel(): Promise<void> {
    if (this.#turn === undefined) {
      this.#turn = new Turn();
      this.#waiting.push(this.#turn);
      if (!this.#scheduled && !this.#held) this.#schedule();
    }
    this.#turn.target = this.#enqueuedBytes;
    return this.#turn.promise;
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
    this.#turn = undefined;
    if (this.#writing && slotsAreScarce()) this.#freeSlot();
    else this.flush();
  }

  /** The transport's pending write is complete. */
  onWritten(): void {
    if (!this.#writing) return;
    this.#finishWrite();
    this.flush();
  }

  /** Seals and writes everything that waits, unless a write is in flight. */
  flush(): void {
    const transport = this.#transport;
    const session = this.#session;
    if (this.#writing || this.#closed || transport === undefined || session === undefined) return;
    try {
      while (!this.#writing && !this.#closed) {
        if (this.#queueHead < this.#queue.length) {
          if (!this.#writeChunk(transport, session)) break;
        } else if (this.#segment.slot !== 0) this.#writeSegment(transport, session, this.#segment);
        else break;
      }
    } catch (error) {
      this.#events.onFailure(error);
      return;
    }
    this.#settle();
  }

  /** Rejects what waits and forgets it. The write in flight keeps its memory until `releaseMemory`. */
  close(error: SealwireError): void {
    if (this.#closed) return;
    this.#closed = true;
    timers.cancel(this.#stall);
    if (this.#segment.slot !== 0) releaseSlot(this.#segment.slot, this.#segment.end - this.#segment.slot);
    this.#segment.slot = 0;
    for (let i = this.#queueHead; i < this.#queue.length; i++) {
      const chunk = this.#queue[i]!;
      if (chunk.kind === "segment") releaseSlot(chunk.segment.slot, chunk.segment.end - chunk.segment.slot);
      else if (chunk.kind === "plain") chunk.body.fill(0);
    }
    this.#queue = [];
    this.#queueHead = 0;
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#turn = undefined;
    for (const turn of waiting) turn.reject(error);
  }

  /** The socket is gone: the memory of the write in flight is free. */
  releaseMemory(): void {
    if (this.#writingSlot !== 0) releaseSlot(this.#writingSlot);
    this.#writingSlot = 0;
    this.#writingPiece = undefined;
    this.#writing = false;
  }

  #schedule(): void {
    this.#scheduled = true;
    this.#turns.add(this);
  }

  /** False, and nothing happened, when no slot is free. */
  #appendSmall(sequence: number, kind: number, body: Uint8Array): boolean {
    if (this.#segment.slot === 0 || !this.#segment.append(sequence, kind, body)) {
      if (this.#segment.slot !== 0) {
        this.#closeSegment();
        this.flush();
      }
      const slot = this.#acquireSlot();
      if (slot === 0) return false;
      this.#segment.use(slot);
      this.#segment.append(sequence, kind, body);
    }
    const cost = LENGTH_BYTES + this.#headerBytes + body.length;
    this.#segment.cost += cost;
    this.#enqueuedBytes += cost;
    return true;
  }

  #appendLarge(sequence: number, kind: number, body: Uint8Array): void {
    const plaintextBytes = this.plaintextBytes(body.length);
    this.#enqueuedBytes += LENGTH_BYTES + plaintextBytes + TAG_BYTES;
    const header = new Uint8Array(this.#headerBytes);
    writeU32(header, 0, sequence);
    const padBytes = plaintextBytes - this.#headerBytes - body.length;
    if (this.#options.withKind) header[4] = padBytes === 0 ? kind : kind | PADDED_FLAG;
    let whole = body;
    if (padBytes > 0 || this.#session === undefined) {
      whole = new Uint8Array(body.length + padBytes);
      whole.set(body);
      if (padBytes > 0) writePadding(whole, whole.length, padBytes);
    }
    this.#closeSegment();
    if (this.#session === undefined) {
      this.#queue.push({ kind: "plain", header, body: whole });
      return;
    }
    try {
      this.#sealQueue(this.#session);
      const frame = newSealed();
      this.#queue.push(frame);
      // Written while it is warm: everything before it is sealed, so that a flush seals nothing meanwhile.
      this.#session.sealPieces(header, whole, (piece) => {
        frame.pieces.push(piece);
        this.flush();
      });
      frame.complete = true;
      this.flush();
    } catch (error) {
      this.#events.onFailure(error);
    }
  }

  /** Seals what waits in the queue, so that a large frame sealed next gets the counter of its place. */
  #sealQueue(session: Session): void {
    for (let i = this.#queueHead; i < this.#queue.length; i++) {
      const chunk = this.#queue[i]!;
      if (chunk.kind === "segment") {
        this.#seal(session, chunk.segment);
      } else if (chunk.kind === "plain") {
        this.#queue[i] = sealPlain(session, chunk);
      }
    }
  }

  /** With many busy connections the pool runs out within a turn: then all of them write what they have. */
  #acquireSlot(): number {
    const slot = acquireSlot();
    if (slot !== 0) return slot;
    this.#turns.runNow();
    return acquireSlot();
  }

  #seal(session: Session, segment: Segment): void {
    if (segment.sealed) return;
    segment.finish();
    session.seal(segment.start, segment.end, segment.frames);
    segment.sealed = true;
  }

  /** Seals what waits for the write in flight, and moves it out of its slot, which others need. */
  #freeSlot(): void {
    const segment = this.#segment;
    if (segment.slot === 0 || this.#session === undefined || this.#closed) return;
    try {
      this.#sealQueue(this.#session);
      this.#seal(this.#session, segment);
    } catch (error) {
      this.#events.onFailure(error);
      return;
    }
    const pieces = [memory.slice(segment.start, segment.end)];
    this.#queue.push({ kind: "sealed", pieces, next: 0, complete: true, cost: segment.cost });
    releaseSlot(segment.slot);
    segment.slot = 0;
  }

  #closeSegment(): void {
    if (this.#segment.slot === 0) return;
    this.#queue.push({ kind: "segment", segment: this.#segment });
    this.#segment = new Segment(this.#options);
  }

  /** Seals and writes a segment, and leaves it without a slot. */
  #writeSegment(transport: Transport, session: Session, segment: Segment): void {
    this.#seal(session, segment);
    const { slot, start, end, cost } = segment;
    segment.slot = 0;
    if (slotsAreScarce()) {
      // A write that takes its time would keep the slot from a connection that has something to seal.
      this.#writingPiece = memory.slice(start, end);
      releaseSlot(slot);
      this.#write(transport, this.#writingPiece, 0, cost);
      return;
    }
    this.#write(transport, memory.subarray(start, end), slot, cost);
  }

  /** Writes what is next in the queue; false when that is not sealed yet. */
  #writeChunk(transport: Transport, session: Session): boolean {
    let chunk = this.#queue[this.#queueHead]!;
    if (chunk.kind === "plain") {
      chunk = sealPlain(session, chunk);
      this.#queue[this.#queueHead] = chunk;
    }
    if (chunk.kind === "segment") {
      this.#writeSegment(transport, session, chunk.segment);
      this.#shift();
      return true;
    }
    const piece = chunk.pieces[chunk.next];
    if (piece !== undefined) chunk.next++;
    if (chunk.complete && chunk.next === chunk.pieces.length) this.#shift();
    if (piece === undefined) return chunk.complete;
    this.#writingPiece = piece;
    this.#write(transport, piece, 0, chunk.cost ?? piece.length);
    return true;
  }

  #shift(): void {
    this.#queueHead++;
    if (this.#queueHead === this.#queue.length) {
      this.#queue.length = 0;
      this.#queueHead = 0;
    } else if (this.#queueHead >= 64) {
      this.#queue.splice(0, this.#queueHead);
      this.#queueHead = 0;
    }
  }

  #write(transport: Transport, bytes: Uint8Array, slot: number, cost: number): void {
    this.#writing = true;
    this.#writingSlot = slot;
    this.#writingCost = cost;
    if (transport.write(bytes)) this.#finishWrite();
    else if (this.#options.writeTimeoutMs > 0) timers.arm(this.#stall, this.#options.writeTimeoutMs);
  }

  #finishWrite(): void {
    this.#writing = false;
    this.#writtenBytes += this.#writingCost;
    if (this.#writingSlot !== 0) releaseSlot(this.#writingSlot);
    this.#writingSlot = 0;
    if (this.#writingPiece !== undefined) release(this.#writingPiece);
    this.#writingPiece = undefined;
    timers.cancel(this.#stall);
  }

  #settle(): void {
    let settled = 0;
    while (settled < this.#waiting.length && this.#waiting[settled]!.target <= this.#writtenBytes) {
      const turn = this.#waiting[settled++]!;
      if (turn === this.#turn) this.#turn = undefined;
      turn.resolve();
    }
    if (settled > 0) this.#waiting.splice(0, settled);
    if (this.#aboveLowWater && this.pendingBytes <= this.#lowWaterMarkBytes) {
      this.#aboveLowWater = false;
      this.#events.onLowWater();
    }
  }
}
