// The default codec: JSON, with byte segments beside it, and marks for values that JSON lacks. A value that JSON can
// represent is plain JSON.

import { copyOf, requireBytes, viewOf } from "../../core/bytes.ts";
import { decodeStrictText, encodeText } from "../../core/text.ts";
import { wipe } from "../../core/wipe.ts";
import { type BodyLender, lendBodiesOf, readBodiesOf } from "./bodyLender.ts";
import { type Codec, type CodecLimits, type ResolvedCodecLimits, resolveCodecLimits } from "./codec.ts";
import { LONGEST_PLAIN } from "./jsonBytes.ts";
import { JsonRevival, refuseProto } from "./jsonRevival.ts";
import { scanJson } from "./jsonScan.ts";
import { JsonTree } from "./jsonTree.ts";
import { NOT_PLAIN, plainCopy } from "./plainCopy.ts";
import { NOT_READ, readPlain } from "./plainReader.ts";
import { FRAMED, frame, framedLength, unframe } from "./segmentFrame.ts";
import { giveBackBody, lendShortBody, lendShortList } from "./shortBodies.ts";
import { notDecodable, notEncodable } from "./valuePath.ts";

const CONTENT_TYPE = 1;
const VERSION = 1;

function checkLength(length: number, { maxBytes }: ResolvedCodecLimits): void {
  if (length > maxBytes) throw notEncodable([], `a body has at most ${maxBytes} bytes (maxBytes)`);
}

/** A body that is not passed on is wiped. */
function withinLimits(body: Uint8Array, limits: ResolvedCodecLimits): Uint8Array {
  if (body.length > limits.maxBytes) wipe(body);
  checkLength(body.length, limits);
  return body;
}

function encode(value: unknown, limits: ResolvedCodecLimits): Uint8Array {
  const short = lendBody(value, limits);
  if (short === undefined) return encodeAny(value, limits);
  const body = copyOf(short);
  giveBackBody(short);
  return body;
}

/** A small plain value's body, in memory that is reused; undefined if the value is not plain, or breaks a limit. */
function lendBody(value: unknown, limits: ResolvedCodecLimits): Uint8Array | undefined {
  return mayBeShort(limits) ? lendShortBody(value, limits.maxDepth) : undefined;
}

function lendList(list: readonly unknown[], limits: ResolvedCodecLimits): Uint8Array | undefined {
  return mayBeShort(limits) ? lendShortList(list, limits.maxDepth) : undefined;
}

/** Whether no short text can break the limits: each value takes at least a byte. */
function mayBeShort({ maxValues, maxBytes }: ResolvedCodecLimits): boolean {
  return maxValues > LONGEST_PLAIN && maxBytes >= LONGEST_PLAIN;
}

function encodeAny(value: unknown, limits: ResolvedCodecLimits): Uint8Array {
  const plain = plainCopy(value, limits);
  if (plain === NOT_PLAIN) return encodeMarked(value, limits);
  return withinLimits(encodeText(JSON.stringify(plain)), limits);
}

function encodeMarked(value: unknown, limits: ResolvedCodecLimits): Uint8Array {
  const tree = new JsonTree(limits);
  const text = encodeText(JSON.stringify(tree.of(value)));
  if (!tree.marked) return withinLimits(text, limits);
  try {
    const length = framedLength(tree.segments, text.length);
    checkLength(length, limits);
    return frame(tree.segments, text, length);
  } finally {
    wipe(text);
  }
}

function textOf(bytes: Uint8Array, limits: ResolvedCodecLimits): string {
  scanJson(bytes, limits);
  const text = decodeStrictText(bytes);
  if (text === undefined) throw notDecodable("its text is not UTF-8");
  return text;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's message quotes text of the peer.
    throw notDecodable("its text is not JSON");
  }
}

function decode(bytes: Uint8Array, limits: ResolvedCodecLimits): unknown {
  requireBytes("bytes", bytes);
  return decodePart(bytes, 0, bytes.length, limits);
}

function decodePart(bytes: Uint8Array, start: number, end: number, limits: ResolvedCodecLimits): unknown {
  const length = end - start;
  if (length > limits.maxBytes)
    throw notDecodable(`it has ${length} bytes, and at most ${limits.maxBytes} may be (maxBytes)`);
  const plain = length < limits.maxValues ? readPlain(bytes, start, end, limits.maxDepth) : NOT_READ;
  return plain === NOT_READ ? decodeAny(viewOf(bytes, start, end), limits) : plain;
}

function decodeAny(bytes: Uint8Array, limits: ResolvedCodecLimits): unknown {
  if (bytes[0] === FRAMED) {
    const { segments, text } = unframe(bytes, limits);
    return new JsonRevival(segments, limits).of(parse(textOf(text, limits)));
  }
  const text = textOf(bytes, limits);
  const tree = parse(text);
  // An escape may hide the name.
  if (text.includes("__proto__") || text.includes("\\u")) refuseProto(tree);
  return tree;
}

function jsonLender(limits: ResolvedCodecLimits): BodyLender {
  return {
    encode: (value) => lendBody(value, limits) ?? encodeAny(value, limits),
    encodeList: (list) => lendList(list, limits) ?? encodeAny(list, limits),
    giveBack: giveBackBody,
  };
}

/**
 * JSON with byte segments. Values that JSON has are carried as JSON, bytes beside it, and Dates, bigints, Maps, Sets,
 * typed arrays, errors, undefined, NaN, ±Infinity and -0 by marks. It refuses every value that it can't carry
 * unchanged. docs/CODECS.md has the table of values and the format.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT naming the option
 */
export function jsonCodec(options: CodecLimits = {}): Codec {
  const limits = resolveCodecLimits(options);
  const codec: Codec = Object.freeze({
    contentType: CONTENT_TYPE,
    name: "json",
    version: VERSION,
    encode: (value: unknown) => encode(value, limits),
    decode: (bytes: Uint8Array) => decode(bytes, limits),
  });
  lendBodiesOf(codec, jsonLender(limits));
  readBodiesOf(codec, (bytes, start, end) => decodePart(bytes, start, end, limits));
  return codec;
}
