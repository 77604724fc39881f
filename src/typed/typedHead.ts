// Fields 255 and 254 in the head of a typed call or answer, both of the application's range (PROTOCOL.md, "Typed calls").
//
//   field 255 = u8 version ‖ u8 what ‖ u8 codec version ‖ u32be number (only where `what` is about a stream)
//   field 254 = entry ‖ entry ‖ …        the streams of a value
//   entry     = u32be number ‖ u8 n ‖ n × (u16be length ‖ UTF-8)      where in the value it stands, key by key

import { readU32, viewOf } from "../core/bytes.ts";
import { decodeText, encodeText } from "../core/text.ts";
import type { CallHead } from "../protocol/head.ts";
import { PreparedHead, type SharedHead } from "../protocol/preparedHead.ts";
import { PendingCall } from "../rpc/call.ts";
import { IncomingMessage } from "../rpc/message.ts";
import type { Call, Message } from "../rpc/peer.ts";
import type { Codec } from "./codec/codec.ts";
import { notEncodable } from "./codec/valuePath.ts";

const TYPED_TAG = 255;
const STREAMS_TAG = 254;
const TYPED_VERSION = 1;
const HEADER_BYTES = 3;
/** Streams of one call's arguments or of one answer. */
export const MAX_VALUE_STREAMS = 16;
/** A head has at most 65,535 bytes, of which the method's name has the others. */
const MAX_STREAMS_BYTES = 61_440;
/** The greatest depth of a stream in a value. */
export const MAX_STREAM_DEPTH = 16;

/** The subject of a typed head. */
export const What = {
  /** A call of a method; the body is the array of its arguments, empty for none. */
  call: 1,
  /**
   * The same, and its last argument may be options of the call: only the server knows whether the method has one input.
   */
  callWithOptions: 2,
  /** The caller opens a stream of an answer: its items follow. */
  openStream: 3,
  /** The caller streams an argument of a call that it makes next. */
  sendStream: 4,
  /** An answer; the body is the value, empty for undefined. */
  value: 16,
  /** The same, of an idempotent method: it may run again even if nobody knows whether it ran. */
  idempotentValue: 17,
  /** An answer that is an error. */
  error: 18,
} as const;

/** A typed head that was read. */
export interface TypedHead {
  readonly version: number;
  readonly what: number;
  readonly codecVersion: number;
  readonly contentType: number;
  readonly method: string;
  /** The stream's number, if the head is about a stream. */
  readonly number: number;
  /** The bytes of field 254. */
  readonly streams: Uint8Array | undefined;
  /** The handler's result of looking this head up. */
  resolved: unknown;
}

/** The head is of this version. */
export function speaksTyped(head: TypedHead): boolean {
  return head.version === TYPED_VERSION;
}

/** A head that is the same for many calls or answers. */
export function prepareTypedHead(codec: Codec, what: number, method?: string): PreparedHead {
  return new PreparedHead(typedHead(codec, what, { method }));
}

/** A head of its own. */
export function typedHead(
  codec: Codec,
  what: number,
  { method, traceParent, number, streams }: HeadParts = {},
): CallHead {
  const value = new Uint8Array(number === undefined ? HEADER_BYTES : HEADER_BYTES + 4);
  value.set([TYPED_VERSION, what, codec.version]);
  if (number !== undefined) new DataView(value.buffer).setUint32(HEADER_BYTES, number);
  const fields = new Map<number, Uint8Array>([[TYPED_TAG, value]]);
  if (streams !== undefined) fields.set(STREAMS_TAG, streams);
  return { method, traceParent, contentType: codec.contentType, fields };
}

export interface HeadParts {
  readonly method?: string | undefined;
  readonly traceParent?: string | undefined;
  /** The number of the stream that the head is about. */
  readonly number?: number | undefined;
  /** Field 254. */
  readonly streams?: Uint8Array | undefined;
}

function readTypedHead(head: CallHead | undefined): TypedHead | null {
  const fields = head?.fields;
  const value = fields?.get(TYPED_TAG);
  if (head === undefined || value === undefined || value.length < HEADER_BYTES) return null;
  const [version = 0, what = 0, codecVersion = 0] = value;
  return {
    version,
    what,
    codecVersion,
    contentType: head.contentType ?? 0,
    method: head.method ?? "",
    number: value.length >= HEADER_BYTES + 4 ? readU32(value, HEADER_BYTES) : 0,
    streams: fields?.get(STREAMS_TAG),
    resolved: undefined,
  };
}

/** Read once for all messages that share the head. */
function readShared(shared: SharedHead): TypedHead | null {
  if (shared.memo === undefined) shared.memo = readTypedHead(shared.own);
  return shared.memo as TypedHead | null;
}

/** The typed head of a message, or null if it has none. */
export function headOfMessage(message: Message): TypedHead | null {
  if (!(message instanceof IncomingMessage)) return readTypedHead(message.head);
  const parts = message.callParts;
  return parts === undefined ? null : readShared(parts.head);
}

/** The typed head of an answer, or null if it has none. */
export function headOfAnswer(call: Call): TypedHead | null {
  if (!(call instanceof PendingCall)) return readTypedHead(call.answerHead);
  return call.sharedAnswerHead === undefined ? null : readShared(call.sharedAnswerHead);
}

/** The number of a stream, and the path of the property that holds it in a value. */
export interface StreamPath {
  readonly number: number;
  readonly path: readonly string[];
}

/** @throws SealwireError ERR_ENCODE */
export function encodeStreamPaths(streamPaths: readonly StreamPath[]): Uint8Array {
  const bytes: number[] = [];
  for (const { number, path } of streamPaths) {
    bytes.push(number >>> 24, (number >>> 16) & 255, (number >>> 8) & 255, number & 255, path.length);
    for (const key of path) {
      const text = encodeText(key);
      if (bytes.length + text.length > MAX_STREAMS_BYTES)
        throw notEncodable(path, "the way to a stream is too long");
      bytes.push(text.length >>> 8, text.length & 255);
      for (const byte of text) bytes.push(byte);
    }
  }
  return Uint8Array.from(bytes);
}

/** Undefined if the bytes are malformed or above the limits. */
export function decodeStreamPaths(bytes: Uint8Array): StreamPath[] | undefined {
  const streamPaths: StreamPath[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (streamPaths.length === MAX_VALUE_STREAMS || at + 5 > bytes.length) return undefined;
    const number = readU32(bytes, at);
    const steps = bytes[at + 4]!;
    at += 5;
    if (steps > MAX_STREAM_DEPTH) return undefined;
    const path: string[] = [];
    for (let step = 0; step < steps; step++) {
      const end = at + 2 > bytes.length ? Number.NaN : at + 2 + ((bytes[at]! << 8) | bytes[at + 1]!);
      if (!(end <= bytes.length)) return undefined;
      path.push(decodeText(viewOf(bytes, at + 2, end)));
      at = end;
    }
    streamPaths.push({ number, path });
  }
  return streamPaths;
}
