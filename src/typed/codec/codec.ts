// A codec turns values into bytes and back. This file has the interface, and the limits that the codecs of this package
// share.

import { checkOptionNames, integerOption } from "../../base/options.ts";

/** Turns values into bodies and back. It stores nothing between calls and may be shared. */
export interface Codec {
  /**
   * The format of the body, as a byte. It goes into the call's head (PROTOCOL.md, "Heads"), so that a side without this
   * codec reports an error. 0: raw bytes, 1: JSON with byte segments, 2: MessagePack.
   */
  readonly contentType: number;
  /** For people and errors, e.g. "json". */
  readonly name: string;
  /** The version of the format; both sides need the same. */
  readonly version: number;
  /**
   * A value's bytes, in memory of their own. The value is read once, during the call.
   *
   * @throws SealwireError ERR_ENCODE for a value that it can't carry unchanged or that breaks a limit; `path` says
   * where
   */
  encode(value: unknown): Uint8Array;
  /**
   * The value of bytes, whose memory may be reused afterwards, so the result must not refer to it.
   *
   * @throws SealwireError ERR_DECODE for bytes that break the format or a limit
   */
  decode(bytes: Uint8Array): unknown;
}

/** Limits of one body, in both directions: a body that breaks one is not sent either. */
export interface CodecLimits {
  /** Bytes of a body. Default 33,554,432, the longest frame of protocol v2. */
  maxBytes?: number;
  /** The greatest depth of nested values: arrays, objects, and the marks of values that JSON lacks. Default 128. */
  maxDepth?: number;
  /** Values of a body: containers, their items and properties. Default 262,144. */
  maxValues?: number;
  /** Byte arrays, typed arrays, DataViews and ArrayBuffers of a body. Default 16,384. */
  maxSegments?: number;
  /** Entries of all Maps and Sets of a body. Default 16,384. */
  maxEntries?: number;
  /**
   * Numbers and bigints among the keys of all Maps and the members of all Sets of a body. Anybody can compute their
   * hashes, so a peer can choose some that all collide; the cost is the square of this limit. Default 2,048.
   */
  maxNumberKeys?: number;
  /** Bytes of a bigint's magnitude. Default 1,024. */
  maxBigIntBytes?: number;
}

export type ResolvedCodecLimits = Readonly<Required<CodecLimits>>;

export const defaultCodecLimits: ResolvedCodecLimits = {
  maxBytes: 33_554_432,
  maxDepth: 128,
  maxValues: 262_144,
  maxSegments: 16_384,
  maxEntries: 16_384,
  maxNumberKeys: 2_048,
  maxBigIntBytes: 1_024,
};

/** The smallest and largest value of each limit. Recursion of 1,000 levels fits any stack. */
const ranges: Record<keyof CodecLimits, readonly [min: number, max: number]> = {
  maxBytes: [1, 0x40000000],
  maxDepth: [1, 1_000],
  maxValues: [1, 0x7fffffff],
  maxSegments: [0, 0x7fffffff],
  maxEntries: [0, 0x7fffffff],
  maxNumberKeys: [0, 0x7fffffff],
  maxBigIntBytes: [1, 65_536],
};

const names = Object.keys(defaultCodecLimits) as (keyof CodecLimits)[];

/**
 * Fills in defaults and checks every value.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT naming the option.
 */
export function resolveCodecLimits(options: CodecLimits): ResolvedCodecLimits {
  checkOptionNames(options, names);
  const limits: Required<CodecLimits> = { ...defaultCodecLimits };
  for (const name of names) {
    const value = options[name];
    if (value !== undefined) limits[name] = integerOption(name, value, ...ranges[name]);
  }
  return limits;
}
