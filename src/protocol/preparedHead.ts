// Heads that are the same from call to call: encoded once where they are sent, and decoded once where they arrive. The
// deadline, which differs, is the first field (tags ascend), so it can be told apart from the rest.

import { SealwireError } from "../base/errors.ts";
import { copyOf, viewOf } from "../core/bytes.ts";
import {
  type CallHead,
  checkHead,
  DEADLINE_FIELD_BYTES,
  decodeHead,
  encodeWithHead,
  LENGTH_BYTES,
  MAX_HEAD_BYTES,
  Tag,
} from "./head.ts";

const NO_BYTES = new Uint8Array(0);

/** A head for many calls. It is encoded when it is made, so it must not change. */
export class PreparedHead implements CallHead {
  readonly method: string | undefined;
  readonly traceParent: string | undefined;
  readonly contentType: number | undefined;
  readonly fields: ReadonlyMap<number, Uint8Array> | undefined;
  /** Its fields. Never changed. */
  readonly encoded: Uint8Array;

  /** @throws SealwireError ERR_INVALID_ARGUMENT naming the part */
  constructor(head: CallHead) {
    checkHead(head);
    this.method = head.method;
    this.traceParent = head.traceParent;
    this.contentType = head.contentType;
    this.fields = head.fields;
    this.encoded = encodeWithHead(head, NO_BYTES).subarray(LENGTH_BYTES);
    if (this.encoded.length + DEADLINE_FIELD_BYTES > MAX_HEAD_BYTES) {
      throw new SealwireError("ERR_INVALID_ARGUMENT", "head must be of at most 65,535 bytes in all");
    }
  }
}

/** Head and body of a short message are put together here. */
const LONGEST_LENT = 1_024;
const lentMemory = new Uint8Array(LONGEST_LENT);
/** Its first bytes, by their number: a view costs more than the copy. */
const lentViews: (Uint8Array | undefined)[] = new Array<Uint8Array | undefined>(LONGEST_LENT + 1).fill(
  undefined,
);

function lent(length: number): Uint8Array {
  const view = lentViews[length] ?? viewOf(lentMemory, 0, length);
  lentViews[length] = view;
  return view;
}

/**
 * Head ‖ body as `encodeWithHead` gives them, for the caller to wipe. `deadlineMs` 0: no deadline.
 *
 * @param mayLend the result may lie in memory that the next call of this function uses again
 */
export function encodePrepared(
  head: PreparedHead,
  deadlineMs: number,
  body: Uint8Array,
  mayLend: boolean,
): Uint8Array {
  const { encoded } = head;
  const deadlineBytes = deadlineMs > 0 ? DEADLINE_FIELD_BYTES : 0;
  const headBytes = deadlineBytes + encoded.length;
  const length = LENGTH_BYTES + headBytes + body.length;
  const bytes = mayLend && length <= LONGEST_LENT ? lent(length) : new Uint8Array(length);
  bytes[0] = headBytes >>> 8;
  bytes[1] = headBytes;
  if (deadlineBytes > 0) {
    const ms = Math.ceil(deadlineMs);
    bytes[2] = Tag.deadline;
    bytes[3] = 0;
    bytes[4] = 4;
    bytes[5] = ms >>> 24;
    bytes[6] = ms >>> 16;
    bytes[7] = ms >>> 8;
    bytes[8] = ms;
  }
  bytes.set(encoded, LENGTH_BYTES + deadlineBytes);
  bytes.set(body, LENGTH_BYTES + headBytes);
  return bytes;
}

/** What a received head says beside its deadline. Several calls share it: nobody changes it. */
export interface SharedHead {
  readonly own: CallHead;
  readonly streams: boolean;
  readonly streamCredit: number | undefined;
  /** Why what it belongs to can't be handled. */
  readonly fault: SealwireError | undefined;
  /** What a layer above has made of it, which then is made once for all that share it. */
  memo: unknown;
}

/** Heads that one reader keeps. A power of two. */
const CACHED_HEADS = 64;
/** Longer heads are decoded each time. */
const MAX_CACHED_BYTES = 256;

interface CachedHead {
  readonly bytes: Uint8Array;
  readonly shared: SharedHead;
}

/**
 * Reads heads, and caches short ones: the next head with the same bytes costs a comparison. Not more than CACHED_HEADS of
 * MAX_CACHED_BYTES each, whatever a peer sends.
 */
export class HeadReader {
  #cached: (CachedHead | undefined)[] | undefined;
  /** Where the body begins behind the head that was read last. */
  bodyStart = 0;
  /** Its deadline. */
  deadlineMs: number | undefined = undefined;

  /** @throws SealwireError ERR_PROTOCOL when the length of the head is longer than what is there */
  read(bytes: Uint8Array, start: number, end: number): SharedHead {
    const length = end - start < LENGTH_BYTES ? -1 : (bytes[start]! << 8) | bytes[start + 1]!;
    let at = start + LENGTH_BYTES;
    const bodyStart = at + length;
    if (length < 0 || bodyStart > end) return this.#decode(bytes, start, end);
    let deadlineMs: number | undefined;
    if (length >= DEADLINE_FIELD_BYTES && bytes[at] === Tag.deadline) {
      if (bytes[at + 1] !== 0 || bytes[at + 2] !== 4) return this.#decode(bytes, start, end);
      deadlineMs =
        ((bytes[at + 3]! << 24) | (bytes[at + 4]! << 16) | (bytes[at + 5]! << 8) | bytes[at + 6]!) >>> 0;
      at += DEADLINE_FIELD_BYTES;
    }
    // What repeats the deadline's tag behind it is malformed, and not to be mistaken for a head without a deadline.
    const isLong = bodyStart - at > MAX_CACHED_BYTES;
    if (isLong || (at < bodyStart && bytes[at] === Tag.deadline)) return this.#decode(bytes, start, end);
    this.#cached ??= new Array<CachedHead | undefined>(CACHED_HEADS).fill(undefined);
    const index = hash(bytes, at, bodyStart) & (CACHED_HEADS - 1);
    const cached = this.#cached[index];
    if (cached !== undefined && isSame(cached.bytes, bytes, at, bodyStart)) {
      this.bodyStart = bodyStart;
      this.deadlineMs = deadlineMs;
      return cached.shared;
    }
    const shared = this.#decode(bytes, start, end);
    // A trace context is another one with each call, and would only drive out the others.
    if (shared.fault === undefined && shared.own.traceParent === undefined) {
      this.#cached[index] = { bytes: copyOf(bytes, at, bodyStart), shared };
    }
    return shared;
  }

  #decode(bytes: Uint8Array, start: number, end: number): SharedHead {
    const { head, bodyStart, fault } = decodeHead(bytes, start, end);
    const { deadlineMs, streams, streamCredit, ...own } = head;
    this.bodyStart = bodyStart;
    this.deadlineMs = deadlineMs;
    return { own, streams: streams ?? false, streamCredit, fault, memo: undefined };
  }
}

/** A shared head's part of the application, as a copy that is the application's to keep. */
export function copyHead(own: CallHead): CallHead {
  if (own.fields === undefined) return { ...own };
  const fields = new Map(
    [...own.fields].map(([tag, value]) => [tag, viewOf(value, 0, value.length).slice()]),
  );
  return { ...own, fields };
}

function hash(bytes: Uint8Array, start: number, end: number): number {
  let mixed = end - start;
  for (let at = start; at < end; at++) mixed = Math.imul(mixed, 31) + bytes[at]!;
  return mixed ^ (mixed >>> 15);
}

function isSame(cached: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  const { length } = cached;
  if (length !== end - start) return false;
  for (let i = 0; i < length; i++) if (cached[i] !== bytes[start + i]) return false;
  return true;
}
