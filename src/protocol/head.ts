// Heads: what a call or an answer carries beside its body. u16be n ‖ n bytes of fields ‖ body.

import { invalidArgument, SealwireError } from "../base/errors.ts";
import { checkOptionNames } from "../base/options.ts";
import { requireBytes, totalLength, viewOf } from "../core/bytes.ts";
import { decodeStrictText, encodeText } from "../core/text.ts";
import { secretBytes } from "../core/wipe.ts";
import {
  decodeFields,
  encodeFields,
  FIRST_APPLICATION_TAG,
  type Fields,
  isApplicationField,
  u32Field,
  u32Value,
  unknownCritical,
} from "./fields.ts";
import { MAX_CREDIT } from "./settings.ts";

/** The information that an application sends beside a body. */
export interface CallHead {
  /** The method's name, up to 1,024 bytes of UTF-8. */
  readonly method?: string | undefined;
  /** W3C Trace Context's `traceparent`, as text. */
  readonly traceParent?: string | undefined;
  /** The format of the body, as the applications agree: 0: raw bytes, 1: JSON, 2: MessagePack; 0 to 255. */
  readonly contentType?: number | undefined;
  /** Fields of the application's own, by tag from 128 to 255, up to 65,535 bytes each. */
  readonly fields?: ReadonlyMap<number, Uint8Array> | undefined;
}

/** The same with the fields of the library. */
export interface Head extends CallHead {
  /** Milliseconds that are left when it is written. */
  readonly deadlineMs?: number;
  /** The sender's chunks follow. */
  readonly streams?: boolean;
  /** The receiver may send chunks; this is its first credit in bytes. */
  readonly streamCredit?: number;
}

export const Tag = {
  deadline: 1,
  method: 2,
  traceParent: 3,
  contentType: 4,
  streams: 5,
  streamCredit: 6,
} as const;
const known: ReadonlySet<number> = new Set(Object.values(Tag));
export const LENGTH_BYTES = 2;
/** The deadline's field: tag, length and value. */
export const DEADLINE_FIELD_BYTES = 7;
const MAX_METHOD_BYTES = 1_024;
const MAX_TRACE_BYTES = 256;
export const MAX_HEAD_BYTES = 0xffff;

const partNames: readonly string[] = [
  "method",
  "traceParent",
  "contentType",
  "fields",
] satisfies (keyof CallHead)[];

/** @throws SealwireError ERR_INVALID_ARGUMENT naming a part that heads have not */
export function checkPartNames(head: CallHead): void {
  if (typeof head !== "object" || head === null) throw invalidArgument("head", "an object");
  checkOptionNames(head, partNames);
}

/** @throws SealwireError ERR_INVALID_ARGUMENT naming the part */
export function checkHead(head: CallHead): void {
  checkPartNames(head);
  const { method, traceParent, contentType, fields } = head;
  checkText("head.method", method, MAX_METHOD_BYTES);
  checkText("head.traceParent", traceParent, MAX_TRACE_BYTES);
  if (
    contentType !== undefined &&
    !(Number.isInteger(contentType) && contentType >= 0 && contentType <= 255)
  ) {
    throw invalidArgument("head.contentType", "an integer from 0 to 255");
  }
  if (fields === undefined) return;
  if (!(fields instanceof Map)) throw invalidArgument("head.fields", "a Map");
  for (const [tag, value] of fields) {
    requireBytes(`head.fields, tag ${String(tag)}`, value);
    if (!isApplicationField(tag, value)) {
      throw invalidArgument("head.fields", "a Map from 128 … 255 to at most 65,535 bytes");
    }
  }
}

/**
 * The parts of a head, read once and checked: whatever the given object is, no code of it runs afterwards. What else it
 * has is left out.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT naming the part
 */
export function readHead(given: CallHead): CallHead {
  if (typeof given !== "object" || given === null) throw invalidArgument("head", "an object");
  const { method, traceParent, contentType, fields } = given;
  const head = { method, traceParent, contentType, fields: fields instanceof Map ? new Map(fields) : fields };
  checkHead(head);
  return head;
}

function checkText(name: string, text: string | undefined, maxBytes: number): void {
  if (text === undefined) return;
  if (typeof text !== "string" || encodeText(text).length > maxBytes) {
    throw invalidArgument(name, `text of at most ${maxBytes} bytes`);
  }
}

/**
 * Head ‖ body, in memory of its own, which the caller wipes.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT if the head is longer than a head may be
 */
export function encodeWithHead(head: Head, body: Uint8Array): Uint8Array {
  const fields: Fields = new Map();
  const { deadlineMs, method, traceParent, contentType, streams, streamCredit } = head;
  if (deadlineMs !== undefined) fields.set(Tag.deadline, u32Value(Math.max(Math.ceil(deadlineMs), 0)));
  if (method !== undefined) fields.set(Tag.method, encodeText(method));
  if (traceParent !== undefined) fields.set(Tag.traceParent, encodeText(traceParent));
  if (contentType !== undefined) fields.set(Tag.contentType, Uint8Array.of(contentType));
  if (streams) fields.set(Tag.streams, new Uint8Array(0));
  if (streamCredit !== undefined) fields.set(Tag.streamCredit, u32Value(streamCredit));
  for (const [tag, value] of head.fields ?? []) fields.set(tag, value);
  const encoded = encodeFields(fields);
  if (encoded.length > MAX_HEAD_BYTES) throw invalidArgument("head", "of at most 65,535 bytes in all");
  const bytes = secretBytes(totalLength([encoded, body]) + LENGTH_BYTES);
  bytes[0] = encoded.length >>> 8;
  bytes[1] = encoded.length;
  bytes.set(encoded, LENGTH_BYTES);
  bytes.set(body, LENGTH_BYTES + encoded.length);
  return bytes;
}

/** Writes the rest of the deadline into a record that has one, before it is sent. */
export function patchDeadline(record: Uint8Array, leftMs: number): void {
  // Tags ascend, so the deadline is the first field.
  if (record[LENGTH_BYTES] !== Tag.deadline) return;
  record.set(u32Value(Math.max(Math.ceil(leftMs), 0)), LENGTH_BYTES + 3);
}

/** A received head, and the index where its body begins. `fault`: why its call can't be handled. */
export interface ReadHead {
  readonly head: Head;
  readonly bodyStart: number;
  readonly fault: SealwireError | undefined;
}

/**
 * Reads the head in front of a body. A malformed value fails that call only; a head that does not fit fails the
 * connection.
 *
 * @throws SealwireError ERR_PROTOCOL if the head is longer than the record
 */
export function decodeHead(bytes: Uint8Array, start: number, end: number): ReadHead {
  const length = end - start < LENGTH_BYTES ? -1 : (bytes[start]! << 8) | bytes[start + 1]!;
  const bodyStart = start + LENGTH_BYTES + length;
  if (length < 0 || bodyStart > end) throw new SealwireError("ERR_PROTOCOL", "a head longer than its record");
  try {
    const fields = decodeFields(bytes, start + LENGTH_BYTES, bodyStart);
    const critical = unknownCritical(fields, known);
    const fault =
      critical === undefined
        ? undefined
        : new SealwireError("ERR_UNSUPPORTED", `a head with the critical field ${critical}`);
    return { head: readFields(fields), bodyStart, fault };
  } catch (error) {
    return { head: {}, bodyStart, fault: error as SealwireError };
  }
}

function readFields(fields: Fields): Head {
  const text = (tag: number, most: number): string | undefined => {
    const value = fields.get(tag);
    if (value === undefined) return undefined;
    if (value.length > most) throw new SealwireError("ERR_PROTOCOL", `field ${tag} of ${value.length} bytes`);
    const decoded = decodeStrictText(value);
    if (decoded === undefined) throw new SealwireError("ERR_PROTOCOL", `field ${tag} is not UTF-8`);
    return decoded;
  };
  const contentType = fields.get(Tag.contentType);
  if (contentType !== undefined && contentType.length !== 1) {
    throw new SealwireError("ERR_PROTOCOL", "a content type that is no byte");
  }
  const own = [...fields].filter(([tag]) => tag >= FIRST_APPLICATION_TAG);
  const streams = fields.get(Tag.streams);
  if (streams !== undefined && streams.length > 0) {
    throw new SealwireError("ERR_PROTOCOL", `field ${Tag.streams} of ${streams.length} bytes`);
  }
  return {
    ...defined("deadlineMs", u32Field(fields, Tag.deadline)),
    ...defined("method", text(Tag.method, MAX_METHOD_BYTES)),
    ...defined("traceParent", text(Tag.traceParent, MAX_TRACE_BYTES)),
    ...defined("contentType", contentType?.[0]),
    ...defined("streams", streams === undefined ? undefined : true),
    ...defined("streamCredit", creditField(fields)),
    // Copies, because the fields live longer than the read that brought them.
    fields: new Map(own.map(([tag, value]) => [tag, viewOf(value, 0, value.length).slice()])),
  };
}

function creditField(fields: Fields): number | undefined {
  const credit = u32Field(fields, Tag.streamCredit);
  if (credit !== undefined && credit > MAX_CREDIT) {
    throw new SealwireError("ERR_PROTOCOL", `${credit} bytes of credit for a stream`);
  }
  return credit;
}

function defined<Name extends string, Value>(name: Name, value: Value | undefined) {
  return value === undefined ? {} : ({ [name]: value } as Record<Name, Value>);
}
