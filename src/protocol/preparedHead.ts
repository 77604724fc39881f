// Heads that are equal from call to call: each is encoded once by its sender and decoded once by its receiver. The
// deadline, which differs, is the first field (tags ascend), so it can be separated from the rest.

import { SealwireError } from "../base/errors.ts";
import { copyOf, viewOf } from "../core/bytes.ts";
import { decodeFields, encodeFields } from "./fields.ts";
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

/** A head for many calls. It is encoded when it is made, and has copies of the fields, which their owner may change. */
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
    const { method, traceParent, contentType, fields } = head;
    this.method = method;
    this.traceParent = traceParent;
    this.contentType = contentType;
    this.fields = fields === undefined ? undefined : copyFields(fields);
    this.encoded = encodeWithHead(this, NO_BYTES).subarray(LENGTH_BYTES);
    if (this.encoded.length + DEADLINE_FIELD_BYTES > MAX_HEAD_BYTES) {
      throw new SealwireError("ERR_INVALID_ARGUMENT", "head must be of at most 65,535 bytes in all");
    }
  }
}

/** Head and body of a short message are joined here. */
const LONGEST_LENT = 1_024;
const lentMemory = new Uint8Array(LONGEST_LENT);
/** Views of its first bytes, by their number: a new view costs more than the copy. */
const lentViews: (Uint8Array | undefined)[] = new Array<Uint8Array | undefined>(LONGEST_LENT + 1).fill(
  undefined,
);

function lent(length: number): Uint8Array {
  const view = lentViews[length] ?? viewOf(lentMemory, 0, length);
  lentViews[length] = view;
  return view;
}

/**
 * Head ‖ body in the form of `encodeWithHead`, for the caller to wipe. `deadlineMs` 0: no deadline.
 *
 * @param mayLend the result may be in memory that the next call of this function reuses
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

/** A received head without its deadline. Several calls share it, so no code may change it. */
export interface SharedHead {
  readonly own: CallHead;
  readonly streams: boolean;
  readonly streamCredit: number | undefined;
  /** Why its call can't be handled. */
  readonly fault: SealwireError | undefined;
  /** A value that a higher layer derives from the head, once for all that share it. */
  memo: unknown;
}

/** The most heads that one reader caches. A power of two. */
const CACHED_HEADS = 64;
/** Longer heads are decoded each time. */
const MAX_CACHED_BYTES = 256;
/** An array for a field takes about 240 bytes, whatever is in it: more fields stay bytes until somebody asks for them. */
const MOST_CACHED_FIELDS = 4;

interface CachedHead {
  readonly bytes: Uint8Array;
  readonly shared: SharedHead;
}

/**
 * Reads heads, and caches short ones, so that the next head with the same bytes costs a comparison. The cache has at
 * most CACHED_HEADS heads of MAX_CACHED_BYTES each, whatever a peer sends.
 */
export class HeadReader {
  #cached: (CachedHead | undefined)[] | undefined;
  /** The index of the body after the last head that was read. */
  bodyStart = 0;
  /** The deadline of the last head that was read. */
  deadlineMs: number | undefined = undefined;

  /** @throws SealwireError ERR_PROTOCOL if the head is longer than the record */
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
    // A head that repeats the deadline's tag is malformed, and must not be taken for a head without a deadline.
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
    // A trace context differs with each call, and would only replace the other heads.
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
    return { own: withoutArrays(own), streams: streams ?? false, streamCredit, fault, memo: undefined };
  }
}

/** The same head, which makes the arrays of its fields when it is asked if they are many. */
function withoutArrays(own: CallHead): CallHead {
  const { fields } = own;
  if (fields === undefined || fields.size <= MOST_CACHED_FIELDS) return own;
  const bytes = encodeFields(new Map(fields));
  return {
    ...own,
    get fields() {
      return decodeFields(bytes, 0, bytes.length);
    },
  };
}

/** The application's part of a shared head, as a copy that the application may keep. */
export function copyHead(own: CallHead): CallHead {
  // Many fields are decoded at each reading. (A copy of the rest alone would cost Node 20 more than all of this.)
  const { fields } = own;
  return fields === undefined ? { ...own } : { ...own, fields: copyFields(fields) };
}

function copyFields(fields: ReadonlyMap<number, Uint8Array>): Map<number, Uint8Array> {
  return new Map([...fields].map(([tag, value]) => [tag, viewOf(value, 0, value.length).slice()]));
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
