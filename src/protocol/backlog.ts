// Keeps records that wait for room among the handlers. While the record handler is not ready for the next record, records
// wait here in order, as copies: one copy of a lone record, one of the rest of a bundle. So a peer can't make this side
// keep more than the peer sent. A copy is wiped and freed when its records were handled, or will not be.

import { SealwireError } from "../base/errors.ts";
import { copyOf, readU32 } from "../core/bytes.ts";
import { wipeAndDetach } from "../core/detach.ts";
import type { RecordSink } from "./frameOpener.ts";
import { requireRest } from "./receiveMemory.ts";
import { Kind, LENGTH_BYTES, RECORD_FRONT_BYTES, SEQUENCE_HEADER_BYTES } from "./wire.ts";

/** Handles the records in the end. */
export interface RecordHandler {
  /** Whether it can handle another record now. */
  readonly ready: boolean;
  readonly stopped: boolean;
  proven(): void;
  /**
   * Handles records of one kind with which the records [start, end) of a bundle begin, as far as it can at once. Returns the
   * index of the first record that it did not handle, which `record` takes. Called only while it is ready.
   */
  run(bytes: Uint8Array, start: number, end: number, more: number): number;
  /** See `RecordSink.record`. Called only while it is ready. */
  record(
    sequence: number,
    kind: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    lent: boolean,
    more: number,
  ): void;
}

/** A record, or with kind `bundle` the records of one from `at` on. */
interface Waiting {
  readonly sequence: number;
  readonly kind: number;
  readonly bytes: Uint8Array;
  at: number;
}

export class Backlog implements RecordSink {
  readonly #handler: RecordHandler;
  #waiting: (Waiting | undefined)[] = [];
  #head = 0;
  /** A handler may be reading it. */
  #handling: Waiting | undefined;

  constructor(handler: RecordHandler) {
    this.#handler = handler;
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  get stopped(): boolean {
    return this.#handler.stopped;
  }

  proven(): void {
    this.#handler.proven();
  }

  record(
    sequence: number,
    kind: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    lent: boolean,
    more: number,
  ): void {
    if (this.#waiting.length === 0 && this.#handler.ready)
      this.#handler.record(sequence, kind, bytes, start, end, lent, more);
    else this.#waiting.push({ sequence, kind, bytes: copyOf(bytes, start, end), at: 0 });
  }

  bundle(bytes: Uint8Array, start: number, end: number, more: number): void {
    const rest = this.#waiting.length === 0 ? this.#handleRecords(bytes, start, end, more) : start;
    if (rest < end && !this.stopped) {
      this.#waiting.push({ sequence: 0, kind: Kind.bundle, bytes: copyOf(bytes, rest, end), at: 0 });
    }
  }

  /** Hands on waiting records, as far as the handler is ready for them. */
  drain(): void {
    while (this.#head < this.#waiting.length && this.#handler.ready && !this.stopped) {
      const next = this.#waiting[this.#head]!;
      this.#handling = next;
      try {
        if (!this.#handle(next)) return;
      } finally {
        this.#handling = undefined;
        // A handler may end the connection, and with it all waiting records, while it reads this one.
        if (this.#waiting[this.#head] !== next) wipeAndDetach(next.bytes);
      }
    }
  }

  /** False: records of it have to wait. */
  #handle(next: Waiting): boolean {
    const { sequence, kind, bytes } = next;
    if (kind === Kind.bundle) {
      next.at = this.#handleRecords(bytes, next.at, bytes.length, 0);
      if (next.at < bytes.length) return false;
      this.#shift();
    } else {
      this.#shift();
      this.#handler.record(sequence, kind, bytes, 0, bytes.length, true, 0);
    }
    return true;
  }

  /** Drops all waiting records. */
  clear(): void {
    for (let i = this.#head; i < this.#waiting.length; i++) {
      const waiting = this.#waiting[i]!;
      if (waiting !== this.#handling) wipeAndDetach(waiting.bytes);
    }
    this.#waiting = [];
    this.#head = 0;
  }

  #shift(): void {
    this.#waiting[this.#head++] = undefined;
    if (this.#head < this.#waiting.length) return;
    this.#waiting = [];
    this.#head = 0;
  }

  /**
   * Handles records ( u32be n ‖ n bytes: u32be sequence ‖ u8 kind ‖ body )… while the handler is ready. Returns the
   * index of the first one that has to wait; `end` if none has to.
   */
  #handleRecords(bytes: Uint8Array, start: number, end: number, more: number): number {
    const handler = this.#handler;
    let record = start;
    while (record < end && handler.ready && !handler.stopped) {
      const other = handler.run(bytes, record, end, more);
      record = other > record ? other : this.#handleRecord(bytes, record, end, more);
      // A handler that ends the turn may have transferred what then has to wait.
      if (record < end) requireRest(bytes);
    }
    return record;
  }

  /** Handles one record of a bundle that ends at `end`. Returns the index of the next one. */
  #handleRecord(bytes: Uint8Array, record: number, end: number, more: number): number {
    const bodyStart = record + RECORD_FRONT_BYTES;
    // The length of a record at the very end is read past the end; then `next` is not within the bundle.
    const next = bodyStart > end ? 0 : record + LENGTH_BYTES + readU32(bytes, record);
    if (next < bodyStart || next > end) {
      throw new SealwireError("ERR_PROTOCOL", "a bundle whose records do not fill it");
    }
    const sequence = readU32(bytes, record + LENGTH_BYTES);
    const kind = bytes[record + LENGTH_BYTES + SEQUENCE_HEADER_BYTES]!;
    this.#handler.record(sequence, kind, bytes, bodyStart, next, true, end - next + more);
    return next;
  }
}
