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
import { notDecodable, notEncodable } from "./valuePath.ts";

const CONTENT_TYPE = 1;
const VERSION = 1;

function checkLength(length: number, { maxBytes }: ResolvedCodecLimits): void {
  if (length > maxBytes) throw notEncodable([], `a body has at most ${maxBytes} bytes (maxBytes)`);
}

function encode(value: unknown, limits: ResolvedCodecLimits): Uint8Array {
  const plain = plainCopy(value, limits);
  if (plain !== NOT_PLAIN) {
    const body = encodeText(JSON.stringify(plain));
    checkLength(body.length, limits);
    return body;
  }
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

function parse(bytes: Uint8Array, limits: ResolvedCodecLimits): { text: string; tree: unknown } {
  scanJson(bytes, limits);
  const text = decodeStrictText(bytes);
  if (text === undefined) throw notDecodable("its text is not UTF-8");
  try {
    return { text, tree: JSON.parse(text) };
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
    return new JsonRevival(segments, limits).of(parse(text, limits).tree);
  }
  const { text, tree } = parse(bytes, limits);
  // An escape may hide it.
  if (text.includes("__proto__") || text.includes("\\u")) refuseProto(tree);
  return tree;
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
  return Object.freeze({
    contentType: CONTENT_TYPE,
    name: "json",
    version: VERSION,
    encode: (value: unknown) => encode(value, limits),
    decode: (bytes: Uint8Array) => decode(bytes, limits),
  });
}
