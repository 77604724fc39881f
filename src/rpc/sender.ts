// Every record that a connection sends passes through the sender. Only the sender decides when frames are sealed and
// written. The rules:
//
//  1. A body is copied once, framed in place, to the end of the current segment (a pool slot, 64 KiB). With
//     protocol v2, messages share frames (protocol/segment.ts).
//  2. A segment is sealed as one batch and leaves in one write:
//     - when the handling of a read ends (replies, and calls made meanwhile),
//     - otherwise when the turn ends,
//     - at once when it is full, or when the pool has no slot left for somebody else.
//  3. Group commit: one write is in flight at a time (writer.ts); meanwhile messages are only appended, and when it is
//     done all messages that wait leave. A full segment is sealed, and if many wait it is copied out of its slot.
//  4. Frames above SEGMENT_FRAME_BYTES are sealed at once, piece by piece, into JavaScript memory, and each piece leaves
//     as soon as it is full; the last one when a segment would leave. Order on the wire is always the order of the calls.
//  5. Sending never runs anything but sending: no user code runs inside a call of this class. Work per message is
//     constant, whatever waits.
//
//  append ──▶ [current segment] ──full──▶ [queue: segments, lone frames] ──▶ seal ──▶ socket
//
// In the steady state a call allocates nothing here; a flush allocates one view at most.

import type { SealwireError } from "../base/errors.ts";
import type { Session } from "../protocol/session.ts";
import { CallbackDeadline } from "./deadline.ts";
import { FlushPromises } from "./flushPromises.ts";
import { type FramesOwner, OutgoingFrames, type OutgoingOptions } from "./outgoingFrames.ts";
import type { SentBytes } from "./sentBytes.ts";
import { timers } from "./timers.ts";
import type { TurnQueue, TurnTask } from "./turnQueue.ts";
import type { Writer } from "./writer.ts";

/** So often a connection that is stopped looks whether others have freed memory. */
const LOOK_MS = 100;

export interface SenderEvents {
  /** Fewer bytes may wait than before. */
  onEased(): void;
  /** Few enough bytes wait, after `wantRelief` was called. */
  onRelief(): void;
  /** Sealing failed (counter exhausted). Not called from inside a call of this class. */
  onFailure(error: unknown): void;
}

export class Sender implements TurnTask, FramesOwner {
  readonly #events: SenderEvents;
  readonly #flushes: TurnQueue;
  readonly #writer: Writer;
  readonly #frames: OutgoingFrames;
  readonly #promises = new FlushPromises();
  /** The accepted bytes, and those of them that the kernel has taken. */
  readonly bytes: SentBytes;

  #scheduled = false;
  #reading = false;
  #wantsRelief = false;
  /** Made when it is first needed: few connections are ever stopped. */
  #look: CallbackDeadline | undefined;

  constructor(flushes: TurnQueue, writer: Writer, options: OutgoingOptions, events: SenderEvents) {
    this.#flushes = flushes;
    this.#writer = writer;
    this.#events = events;
    this.#frames = new OutgoingFrames(options, writer, this);
    this.bytes = this.#frames.bytes;
  }

  /** The socket has everything, or is given it now. */
  get isEmpty(): boolean {
    return this.#frames.isEmpty;
  }

  /** Bytes accepted that the kernel has not taken. */
  get pendingBytes(): number {
    return this.bytes.pending;
  }

  /**
   * From now on, frames can be sealed. `first`: the body of a record that leaves before all others, in a frame of its
   * own. Earlier messages leave after it.
   */
  start(session: Session, first?: { readonly kind: number; readonly body: Uint8Array }): void {
    this.#frames.start(session, first);
    this.#schedule();
  }

  /** Called when nothing waits, for as long as it appends something. */
  pull = (): boolean => false;

  /** Called before waiting messages are sealed, for records that are sent at most once per write. */
  collect = (): void => {};
  #owes = false;

  /** `collect` has something to send. */
  owe(): void {
    this.#owes = true;
    this.wake();
  }

  /** A message waits: it leaves at the end of the turn, or of the read. */
  wake(): void {
    if (!this.#scheduled && !this.#reading) this.#schedule();
  }

  /** Appends one message. The body is copied (or sealed) before this returns. The caller checks limits. */
  append(sequence: number, kind: number, body: Uint8Array): void {
    if (this.#frames.ended) return;
    this.#frames.append(sequence, kind, body);
    this.wake();
  }

  /** Counts something that waits for credit; below 0: it was sent, or won't be. `isUnpaid`: a message or request. */
  hold(bytes: number, isUnpaid = false): void {
    this.bytes.hold(bytes, isUnpaid);
    if (bytes < 0 && this.#wantsRelief) this.wake();
  }

  /** Calls `onRelief` once when fewer bytes wait, here or in the process. */
  wantRelief(): void {
    if (this.#frames.ended) return;
    this.#wantsRelief = true;
    if (this.bytes.areFew && !this.#look?.armed) this.#lookLater();
  }

  /** Other connections may free memory of the process, which nobody tells. */
  #lookLater(): void {
    this.#look ??= new CallbackDeadline(() => {
      if (!this.#wantsRelief) return;
      if (this.bytes.areFew && !this.bytes.stopsHandlers) this.#relieve();
      else this.wantRelief();
    });
    this.#look.quiet = true;
    timers.arm(this.#look, LOOK_MS);
  }

  /** A promise that resolves when all bytes appended so far have gone to the kernel. Shared within a turn. */
  handedToKernel(): Promise<void> {
    const promise = this.#promises.add(this.bytes.accepted);
    this.wake();
    return promise;
  }

  /** The handling of a read begins: messages that are appended until its end leave then. */
  readBegins(): void {
    this.#reading = true;
  }

  /** Returns the time now, if it was needed. */
  readEnds(): number | undefined {
    this.#reading = false;
    return this.endOfTurn();
  }

  /** Returns the time now, if it was needed. */
  endOfTurn(): number | undefined {
    this.#scheduled = false;
    this.#promises.endTurn();
    this.flush();
    return timers.turnEnds();
  }

  endOfTurnFailed(error: unknown): void {
    this.failed(error);
  }

  /** A write that took its time is done. */
  written(): void {
    this.flush();
    timers.turnEnds();
  }

  /**
   * Seals and writes everything that waits, unless a write is in flight. `TimerWheel.turnEnds` has to follow, or the end of
   * the writer.
   */
  flush(): void {
    if (!this.#frames.started || this.#frames.ended) return;
    try {
      while (this.#writer.idle) {
        if (this.#owes) {
          this.#owes = false;
          this.#duringFlush(this.collect);
          // Its records may have filled a segment, which left at once.
          continue;
        }
        if (this.#frames.writeNext()) continue;
        if (!this.#duringFlush(this.pull)) break;
      }
      this.#frames.endPieces();
    } catch (error) {
      this.failed(error);
      return;
    }
    this.settle();
  }

  /** Rejects and drops everything that waits. Idempotent. */
  close(error: SealwireError): void {
    this.#frames.close();
    this.#wantsRelief = false;
    if (this.#look !== undefined) timers.cancel(this.#look);
    this.#promises.rejectAll(error);
  }

  /** FramesOwner: no more frames leave, and the connection learns it at the end of the turn. */
  failed(error: unknown): void {
    if (this.#frames.ended) return;
    this.#frames.ended = true;
    this.#events.onFailure(error);
  }

  /** FramesOwner: the only other code that may run is the sending of other connections. */
  hurryOthers(): void {
    this.#flushes.runNow();
  }

  #schedule(): void {
    this.#scheduled = true;
    this.#flushes.add(this);
  }

  /** Messages that `ask` appends are part of the running flush. */
  #duringFlush<Result>(ask: () => Result): Result {
    const scheduled = this.#scheduled;
    this.#scheduled = true;
    const result = ask();
    this.#scheduled = scheduled;
    return result;
  }

  /** FramesOwner: counts what the kernel has taken, and tells those who wait for that. */
  settle(): void {
    const { bytes } = this;
    const { writtenBytes } = this.#writer;
    bytes.take(writtenBytes);
    this.#promises.settle(writtenBytes);
    const { eased } = bytes;
    bytes.eased = false;
    if (!eased) return;
    this.#events.onEased();
    if (!this.#wantsRelief) return;
    if (bytes.isLow) this.#relieve();
    else this.wantRelief();
  }

  #relieve(): void {
    this.#wantsRelief = false;
    this.#events.onRelief();
  }
}
