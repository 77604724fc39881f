// MessagePack through @msgpack/msgpack, which the program installs. Values that the library would change are refused,
// and bodies of a peer are measured before the library gets them.

import { invalidArgument } from "../../base/errors.ts";
import { requireBytes } from "../../core/bytes.ts";
import { wipe } from "../../core/wipe.ts";
import { lendBodiesOf, ownBodies } from "./bodyLender.ts";
import { type Codec, type CodecLimits, type ResolvedCodecLimits, resolveCodecLimits } from "./codec.ts";
import { scanMsgpack } from "./msgpackScan.ts";
import { MsgpackTree } from "./msgpackTree.ts";
import { notDecodable, notEncodable } from "./valuePath.ts";

const MSGPACK_CONTENT_TYPE = 2;
const MSGPACK_VERSION = 1;

/**
 * The functions of `@msgpack/msgpack`, 3.1 or later, that this package uses: `import * as msgpack from
 * "@msgpack/msgpack"`.
 */
export interface MsgpackLibrary {
  /** A value's bytes, in memory of their own. */
  encode(value: unknown, options: { maxDepth: number; useBigInt64: true }): Uint8Array;
  /** The value of bytes. */
  decode(bytes: Uint8Array, options: { useBigInt64: true }): unknown;
}

function encode(library: MsgpackLibrary, value: unknown, limits: ResolvedCodecLimits): Uint8Array {
  const walk = new MsgpackTree(limits);
  const tree = walk.of(value);
  let body: Uint8Array;
  try {
    body = library.encode(tree, { maxDepth: limits.maxDepth + 1, useBigInt64: true });
  } catch (error) {
    throw notEncodable([], "the library failed", error);
  }
  // A getter of the value may have transferred the memory of another part.
  const isCut = walk.segments.some(({ bytes, length }) => bytes.length !== length);
  if (!isCut && body.length <= limits.maxBytes) return body;
  wipe(body);
  throw notEncodable(
    [],
    isCut
      ? "its bytes were transferred away meanwhile"
      : `a body has at most ${limits.maxBytes} bytes (maxBytes)`,
  );
}

/** Byte arrays in a value are views of the body, so each is copied. */
function copyBytes(value: unknown): unknown {
  if (typeof value !== "object" || value === null || value instanceof Date) return value;
  if (value instanceof Uint8Array) return value.slice();
  const items = value as Record<string, unknown>;
  for (const name of Object.keys(items)) {
    const item = items[name];
    if (typeof item === "object" && item !== null) items[name] = copyBytes(item);
  }
  return value;
}

function decode(library: MsgpackLibrary, bytes: Uint8Array, limits: ResolvedCodecLimits): unknown {
  requireBytes("bytes", bytes);
  if (bytes.length > limits.maxBytes)
    throw notDecodable(`it has ${bytes.length} bytes, and at most ${limits.maxBytes} may be (maxBytes)`);
  const hasBytes = scanMsgpack(bytes, limits);
  try {
    const value = library.decode(bytes, { useBigInt64: true });
    return hasBytes ? copyBytes(value) : value;
  } catch {
    // The library's message may quote bytes of the peer.
    throw notDecodable("it is not MessagePack");
  }
}

/**
 * MessagePack, for peers in other languages: null, booleans, numbers, strings, bigints of 64 bits, Dates, Uint8Arrays,
 * arrays and plain objects. It refuses every value that it can't carry unchanged (docs/CODECS.md has the table).
 * Integers of 64 bits arrive as bigints.
 *
 * @param library the module `@msgpack/msgpack`, an optional peer dependency of this package. The program imports it, so
 *   no bundler looks for it in programs without it
 * @throws SealwireError ERR_INVALID_ARGUMENT naming the option
 */
export function msgpackCodec(library: MsgpackLibrary, options: CodecLimits = {}): Codec {
  if (typeof library?.encode !== "function" || typeof library.decode !== "function")
    throw invalidArgument("library", "the module @msgpack/msgpack");
  const limits = resolveCodecLimits(options);
  const codec: Codec = Object.freeze({
    contentType: MSGPACK_CONTENT_TYPE,
    name: "msgpack",
    version: MSGPACK_VERSION,
    encode: (value: unknown) => encode(library, value, limits),
    decode: (bytes: Uint8Array) => decode(library, bytes, limits),
  });
  lendBodiesOf(codec, ownBodies(codec));
  return codec;
}
