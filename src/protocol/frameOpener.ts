// The incoming side of an established session: opens complete frames, strips padding, and hands on records. A record is
// one message with its sequence number and kind, alone in a frame or one of many in a bundle.
//
//   socket ──▶ FrameReader ──▶ FrameOpener ──▶ Backlog ──▶ record handler

import { SealwireError } from "../base/errors.ts";
import { readU32, totalLength } from "../core/bytes.ts";
import { COPY_HAZARD_BYTES, copyInto } from "../core/copy.ts";
import { wipeAndDetach } from "../core/detach.ts";
import { unfilledMemory } from "../core/unfilledMemory.ts";
import { memory } from "../core/wasmModule.ts";
import { wipe } from "../core/wipe.ts";
import { frameIsShared, frameWasTaken, offerFrame } from "./bodies.ts";
import type { FrameSink } from "./frameSink.ts";
import type { Role } from "./handshake.ts";
import { lendMemory, requireRest } from "./receiveMemory.ts";
import type { Session } from "./session.ts";
import { BASE_SETTINGS } from "./settings.ts";
import {
  KIND_HEADER_BYTES,
  Kind,
  LENGTH_BYTES,
  PAD_LENGTH_BYTES,
  PADDED_FLAG,
  SEQUENCE_HEADER_BYTES,
  TAG_BYTES,
} from "./wire.ts";

/** Takes the records of a session. Its methods run inside `FrameReader` calls. */
export interface RecordSink {
  /** The peer proved that it holds this session's key: its first frame opened. Once, before its first record. */
  proven(): void;
  /**
   * One record; its body is bytes [start, end). `lent`: their memory is reused after the call. Otherwise the body is in
   * memory of its own, at a multiple of 8. `more` bytes of the same read follow it, whose copies may share memory with
   * this one's; below 0: they should not.
   */
  record(
    sequence: number,
    kind: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    lent: boolean,
    more: number,
  ): void;
  /** The records of a bundle, bytes [start, end), always lent. */
  bundle(bytes: Uint8Array, start: number, end: number, more: number): void;
  /** The connection has ended, so no more records are taken. */
  readonly stopped: boolean;
}

export interface OpenerOptions {
  /** The first frame has one record and is no bundle: the settings are alone in it. */
  readonly firstAlone?: boolean;
  /** Protocol v2: headers with a kind, bundles, padding. */
  readonly withKind: boolean;
  readonly role: Role;
  /** Handlers may see bodies in place, so plaintext must not lie beside keys. */
  readonly bodyViews: boolean;
}

/** Bodies of a bundle in a large frame do not share memory. */
const NOT_SHARED = Number.NEGATIVE_INFINITY;

/**
 * The bytes left free before the text of a large frame. They put its first body byte at a multiple of 8, and keep
 * copies of the runtime's plaintext fast (copy.ts).
 */
function alignment(headerBytes: number): number {
  return COPY_HAZARD_BYTES + (-headerBytes & 7);
}

export class FrameOpener implements FrameSink {
  readonly #session: Session;
  readonly #sink: RecordSink;
  readonly #withKind: boolean;
  readonly #bodyViews: boolean;
  readonly #headerBytes: number;
  /** Parity of the numbers of this side's requests. */
  readonly #ownParity: number;
  /** The first frame has not come, so no bundle is accepted. */
  #awaitsFirst: boolean;
  #proven = false;

  constructor(session: Session, options: OpenerOptions, sink: RecordSink) {
    this.#session = session;
    this.#sink = sink;
    this.#withKind = options.withKind;
    this.#bodyViews = options.bodyViews;
    this.#headerBytes = options.withKind ? KIND_HEADER_BYTES : SEQUENCE_HEADER_BYTES;
    this.#awaitsFirst = options.firstAlone ?? false;
    this.#ownParity = options.role === "client" ? 1 : 0;
  }

  /** A peer that has proven nothing may have replayed its handshake: no more is kept for it than its settings take. */
  get mostBytes(): number {
    return this.#proven || !this.#withKind ? Number.POSITIVE_INFINITY : BASE_SETTINGS.maxFrameBytes;
  }

  frames(start: number, end: number, count: number): void {
    if (this.#session.opensNatively(end - start, count)) this.#openOneByOne(start, end, count);
    else this.#openInPlace(start, end, count);
  }

  largeFrame(pieces: readonly Uint8Array[]): void {
    const [first] = pieces as readonly [Uint8Array];
    if (pieces.length === 1 && this.#session.opensNatively(LENGTH_BYTES + first.length, 1)) {
      this.#openAlone(first, 0, first.length, 0);
      return;
    }
    const total = totalLength(pieces) - TAG_BYTES;
    const front = alignment(this.#headerBytes);
    const memoryForIt = this.#bodyViews
      ? lendMemory(front + total)
      : new Uint8Array(unfilledMemory(front + total)).fill(0, 0, front);
    const into = memoryForIt.subarray(front, front + total);
    if (this.#session.openLarge(pieces, into) === null) throw notAuthentic();
    // No body of the frame stays in it, because it is a bundle or can't be handled.
    let isKept = false;
    try {
      this.#prove();
      isKept = !this.#frame(memoryForIt, front, front + total, this.#bodyViews, NOT_SHARED);
    } finally {
      if (!isKept && !this.#bodyViews) wipe(memoryForIt);
    }
  }

  #openOneByOne(start: number, end: number, count: number): void {
    let frame = start;
    for (let i = 0; i < count && !this.#sink.stopped; i++) {
      const next = frame + LENGTH_BYTES + readU32(memory, frame);
      this.#openAlone(memory, frame + LENGTH_BYTES, next, end - next);
      frame = next;
    }
  }

  /**
   * The runtime opens one frame, bytes [start, end), to memory of its own. Bodies that the application keeps may stay in
   * it; without any, it is freed when it was handled.
   */
  #openAlone(bytes: Uint8Array, start: number, end: number, more: number): void {
    const plaintext = this.#session.openAlone(bytes, start, end);
    if (plaintext === undefined) throw notAuthentic();
    this.#prove();
    if (!this.#bodyViews) offerFrame(plaintext);
    try {
      this.#frame(plaintext, 0, plaintext.length, true, more);
    } finally {
      if (!frameWasTaken()) wipeAndDetach(plaintext);
    }
  }

  #openInPlace(start: number, end: number, count: number): void {
    const opened = this.#session.open(start, end, count);
    if (opened > 0) this.#prove();
    let bytes: Uint8Array = memory;
    let frame = start;
    let last = end;
    if (this.#bodyViews) {
      // Bytes that handlers see must not be in the memory that holds every session's keys.
      last = end - start;
      frame = 0;
      bytes = lendMemory(last);
      copyInto(bytes, 0, memory.subarray(start, end));
    }
    for (let i = 0; i < opened && !this.#sink.stopped; i++) {
      requireRest(bytes);
      const next = frame + LENGTH_BYTES + readU32(bytes, frame);
      this.#frame(bytes, frame + LENGTH_BYTES, next - TAG_BYTES, true, last - next);
      frame = next;
    }
    if (opened < count && !this.#sink.stopped) throw notAuthentic();
  }

  #prove(): void {
    if (this.#proven) return;
    this.#proven = true;
    this.#sink.proven();
  }

  /**
   * One frame's plaintext: header ‖ body (‖ padding). Returns whether it is a bundle, none of whose bodies stays in it.
   */
  #frame(bytes: Uint8Array, start: number, end: number, lent: boolean, more: number): boolean {
    if (this.#sink.stopped) return false;
    const sequence = readU32(bytes, start);
    const bodyStart = start + this.#headerBytes;
    if (!this.#withKind) {
      this.#sink.record(sequence, this.#kindOf(sequence), bytes, bodyStart, end, lent, more);
      return false;
    }
    let kind = bytes[bodyStart - 1]!;
    if (kind >= PADDED_FLAG) {
      end -= padBytes(bytes, bodyStart, end);
      kind -= PADDED_FLAG;
    }
    if (kind !== Kind.bundle) {
      this.#awaitsFirst = false;
      this.#sink.record(sequence, kind, bytes, bodyStart, end, lent, more);
      return false;
    }
    if (this.#awaitsFirst) throw new SealwireError("ERR_PROTOCOL", "the first frame is a bundle");
    if (bodyStart === end) throw new SealwireError("ERR_PROTOCOL", "an empty bundle");
    frameIsShared();
    this.#sink.bundle(bytes, bodyStart, end, more);
    return true;
  }

  /** Protocol v1: the sequence number tells what a frame is. */
  #kindOf(sequence: number): number {
    return sequence !== 0 && (sequence & 1) === this.#ownParity ? Kind.reply : Kind.message;
  }
}

function padBytes(bytes: Uint8Array, start: number, end: number): number {
  const count = end - start >= PAD_LENGTH_BYTES ? (bytes[end - 2]! << 8) | bytes[end - 1]! : 0;
  if (count < PAD_LENGTH_BYTES || count > end - start) {
    throw new SealwireError("ERR_PROTOCOL", "impossible padding");
  }
  return count;
}

function notAuthentic(): SealwireError {
  return new SealwireError("ERR_DECRYPT", "a frame did not authenticate");
}
