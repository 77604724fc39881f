// Checks a MessagePack body before anything is built from it (https://github.com/msgpack/msgpack/blob/master/spec.md):
// that it is exactly one value, its depth, its number of values and byte arrays, that its strings are UTF-8, and that
// its keys are strings. Values that the library would change are refused here.

import { readU32, viewOf } from "../../core/bytes.ts";
import { decodeStrictText } from "../../core/text.ts";
import type { ResolvedCodecLimits } from "./codec.ts";
import { notDecodable } from "./valuePath.ts";

/** The meaning of a first byte. `more`: bytes of the following number that gives the size; `size` if there is none. */
interface Form {
  readonly kind: "fixed" | "text" | "bytes" | "array" | "map" | "extension";
  readonly more: number;
  readonly size: number;
}

const form = (kind: Form["kind"], more: number, size = 0): Form => ({ kind, more, size });

/** The forms of the first bytes 0xc0 … 0xdf; 0xc1 is never used. */
const forms: readonly (Form | undefined)[] = [
  form("fixed", 0), // nil
  undefined,
  form("fixed", 0), // false
  form("fixed", 0), // true
  form("bytes", 1),
  form("bytes", 2),
  form("bytes", 4),
  form("extension", 1),
  form("extension", 2),
  form("extension", 4),
  form("fixed", 0, 4), // float 32
  form("fixed", 0, 8), // float 64
  form("fixed", 0, 1), // uint 8, 16, 32, 64
  form("fixed", 0, 2),
  form("fixed", 0, 4),
  form("fixed", 0, 8),
  form("fixed", 0, 1), // int 8, 16, 32, 64
  form("fixed", 0, 2),
  form("fixed", 0, 4),
  form("fixed", 0, 8),
  form("extension", 0, 1),
  form("extension", 0, 2),
  form("extension", 0, 4),
  form("extension", 0, 8),
  form("extension", 0, 16),
  form("text", 1),
  form("text", 2),
  form("text", 4),
  form("array", 2),
  form("array", 4),
  form("map", 2),
  form("map", 4),
];
const ZERO = form("fixed", 0);

function formOf(first: number): Form | undefined {
  if (first < 0x80 || first >= 0xe0) return ZERO; // small integers
  if (first < 0x90) return form("map", 0, first & 0x0f);
  if (first < 0xa0) return form("array", 0, first & 0x0f);
  if (first < 0xc0) return form("text", 0, first & 0x1f);
  return forms[first - 0xc0];
}

/** The type of the one extension in the specification: a timestamp of 4, 8 or 12 bytes. */
const TIMESTAMP = 0xff;
const LONGEST_TIME_SECONDS = 8.64e12;
const PROTO = "__proto__";

/** One body, read from its beginning to its end. */
class MsgpackScan {
  readonly #bytes: Uint8Array;
  readonly #limits: ResolvedCodecLimits;
  #at = 0;
  #values = 0;
  #segments = 0;
  /** For each enclosing container: the number of values that follow, keys included; for a map, whether one is a key. */
  readonly #left: number[] = [];
  readonly #isMap: boolean[] = [];

  constructor(bytes: Uint8Array, limits: ResolvedCodecLimits) {
    this.#bytes = bytes;
    this.#limits = limits;
  }

  /** Whether the body has byte arrays. */
  get hasBytes(): boolean {
    return this.#segments > 0;
  }

  run(): void {
    this.#value();
    while (this.#left.length > 0) {
      const last = this.#left.length - 1;
      if (this.#left[last] === 0) {
        this.#left.pop();
        this.#isMap.pop();
        continue;
      }
      const isKey = this.#isMap[last] === true && this.#left[last]! % 2 === 0;
      this.#left[last]!--;
      if (isKey) this.#key();
      else this.#value();
    }
    if (this.#at !== this.#bytes.length) throw notDecodable("it goes on behind its value");
  }

  #form(): Form {
    const found = this.#at < this.#bytes.length ? formOf(this.#bytes[this.#at++]!) : undefined;
    if (found === undefined) throw notDecodable("it is not MessagePack");
    return found;
  }

  /** The size that a form gives, or that follows its first byte. */
  #size({ more, size }: Form): number {
    const at = this.#at;
    this.#skip(more);
    if (more === 0) return size;
    if (more === 4) return readU32(this.#bytes, at);
    return more === 1 ? this.#bytes[at]! : (this.#bytes[at]! << 8) | this.#bytes[at + 1]!;
  }

  #skip(length: number): void {
    this.#at += length;
    if (this.#at > this.#bytes.length) throw notDecodable("it ends within a value");
  }

  #value(): void {
    if (++this.#values > this.#limits.maxValues)
      throw notDecodable(`it has more than ${this.#limits.maxValues} values (maxValues)`);
    const found = this.#form();
    const size = this.#size(found);
    switch (found.kind) {
      case "text":
        this.#text(size);
        return;
      case "bytes":
        if (++this.#segments > this.#limits.maxSegments)
          throw notDecodable(`it has more than ${this.#limits.maxSegments} byte arrays (maxSegments)`);
        return this.#skip(size);
      case "array":
        return this.#container(size, false);
      case "map":
        return this.#container(2 * size, true);
      case "extension":
        return this.#extension(size);
      default:
        return this.#skip(size);
    }
  }

  #key(): void {
    const found = this.#form();
    if (found.kind !== "text") throw notDecodable("it has a map with a key that is no text");
    if (this.#text(this.#size(found)) === PROTO) throw notDecodable(`it has a map with the key ${PROTO}`);
  }

  /** Checks a string. Returns only short ones, which may be a refused key. */
  #text(length: number): string | undefined {
    const start = this.#at;
    this.#skip(length);
    let ascii = true;
    for (let i = start; ascii && i < this.#at; i++) ascii = this.#bytes[i]! < 0x80;
    if (ascii && length !== PROTO.length) return undefined;
    const text = decodeStrictText(viewOf(this.#bytes, start, this.#at));
    if (text === undefined) throw notDecodable("it has a text that is not UTF-8");
    return text;
  }

  #container(values: number, isMap: boolean): void {
    if (this.#left.length >= this.#limits.maxDepth)
      throw notDecodable(`it is nested deeper than ${this.#limits.maxDepth} (maxDepth)`);
    // Each value takes at least a byte. So an array is not allocated at its announced length and then found to be
    // short.
    if (values > this.#bytes.length - this.#at) throw notDecodable("it ends within a value");
    this.#left.push(values);
    this.#isMap.push(isMap);
  }

  #extension(length: number): void {
    const start = this.#at + 1;
    this.#skip(1 + length);
    if (this.#bytes[start - 1] !== TIMESTAMP) throw notDecodable("it has an extension that is no timestamp");
    const seconds = this.#seconds(start, length);
    if (!(Math.abs(seconds) <= LONGEST_TIME_SECONDS))
      throw notDecodable("it has a timestamp that no Date has");
  }

  /** The seconds of a timestamp; NaN if it is malformed. */
  #seconds(start: number, length: number): number {
    const bytes = this.#bytes;
    if (length === 4) return readU32(bytes, start);
    if (length === 8) {
      const high = readU32(bytes, start);
      return high >>> 2 > 999_999_999 ? Number.NaN : (high & 3) * 2 ** 32 + readU32(bytes, start + 4);
    }
    if (length !== 12 || readU32(bytes, start) > 999_999_999) return Number.NaN;
    return (readU32(bytes, start + 4) | 0) * 2 ** 32 + readU32(bytes, start + 8);
  }
}

/**
 * Checks a body. Returns whether it has byte arrays, which the library gives as views of it.
 *
 * @throws SealwireError ERR_DECODE
 */
export function scanMsgpack(bytes: Uint8Array, limits: ResolvedCodecLimits): boolean {
  const scan = new MsgpackScan(bytes, limits);
  scan.run();
  return scan.hasBytes;
}
