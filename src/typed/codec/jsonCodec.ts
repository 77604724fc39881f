// The default codec: JSON, with bytes beside it and marks for what JSON does not have. A value that JSON has is JSON and
// no more.

import { requireBytes } from "../../core/bytes.ts";
import { decodeStrictText, encodeText } from "../../core/text.ts";
import { type Codec, type CodecLimits, type ResolvedCodecLimits, resolveCodecLimits } from "./codec.ts";
import { JsonRevival, refuseProto } from "./jsonRevival.ts";
import { scanJson } from "./jsonScan.ts";
import { JsonTree } from "./jsonTree.ts";
import { NOT_PLAIN, plainCopy } from "./plainCopy.ts";
import { FRAMED, frame, framedLength, unframe } from "./segmentFrame.ts";
import { bytesOfText, shortLivedBytesOfText } from "./shortBodies.ts";
import { notDecodable, notEncodable } from "./valuePath.ts";

const CONTENT_TYPE = 1;
const VERSION = 1;

function checkLength(length: number, { maxBytes }: ResolvedCodecLimits): void {
  if (length > maxBytes) throw notEncodable([], `a body has at most ${maxBytes} bytes (maxBytes)`);
}

function encode(
  value: unknown,
  limits: ResolvedCodecLimits,
  bytesOf: (text: string) => Uint8Array,
): Uint8Array {
  const plain = plainCopy(value, limits);
  if (plain === NOT_PLAIN) return encodeMarked(value, limits);
  const body = bytesOf(JSON.stringify(plain));
  checkLength(body.length, limits);
  return body;
}

function encodeMarked(value: unknown, limits: ResolvedCodecLimits): Uint8Array {
  const tree = new JsonTree(limits);
  const text = encodeText(JSON.stringify(tree.of(value)));
  if (!tree.marked) {
    checkLength(text.length, limits);
    return text;
  }
  const length = framedLength(tree.segments, text.length);
  checkLength(length, limits);
  return frame(tree.segments, text, length);
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
    // The parser's words quote what the peer sent.
    throw notDecodable("its text is not JSON");
  }
}

function decode(bytes: Uint8Array, limits: ResolvedCodecLimits): unknown {
  requireBytes("bytes", bytes);
  if (bytes.length > limits.maxBytes)
    throw notDecodable(`it has ${bytes.length} bytes, and at most ${limits.maxBytes} may be (maxBytes)`);
  if (bytes[0] === FRAMED) {
    const { segments, text } = unframe(bytes, limits);
    return new JsonRevival(segments, limits).of(parse(textOf(text, limits)));
  }
  const text = textOf(bytes, limits);
  const tree = parse(text);
  // An escape may hide it.
  if (text.includes("__proto__") || text.includes("\\u")) refuseProto(tree);
  return tree;
}

/** How codecs of this file encode what is copied before long. */
const shortLived = new WeakMap<Codec, Codec["encode"]>();

/** `codec.encode` for bodies that are copied before long: they may lie in an ArrayBuffer with others. */
export function shortLivedEncoder(codec: Codec): Codec["encode"] {
  return shortLived.get(codec) ?? ((value) => codec.encode(value));
}

/**
 * JSON with byte segments: what JSON has is carried as JSON; bytes beside it; Dates, bigints, Maps, Sets, typed arrays,
 * errors, undefined, NaN, ±Infinity and -0 by marks. Whatever it can't carry unchanged is refused. docs/CODECS.md has
 * the table of values and the format.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT naming the option
 */
export function jsonCodec(options: CodecLimits = {}): Codec {
  const limits = resolveCodecLimits(options);
  const codec: Codec = Object.freeze({
    contentType: CONTENT_TYPE,
    name: "json",
    version: VERSION,
    encode: (value: unknown) => encode(value, limits, bytesOfText),
    decode: (bytes: Uint8Array) => decode(bytes, limits),
  });
  shortLived.set(codec, (value) => encode(value, limits, shortLivedBytesOfText));
  return codec;
}
