// Lends bodies. A caller that copies a body at once needs no memory of its own for it, and gives the body back; then it
// is wiped. Only codecs of this package lend, because another codec may still need the memory of its bodies.

import { wipe } from "../../core/wipe.ts";
import type { Codec } from "./codec.ts";

/** Reads bytes [start, end) of a body, whose memory is reused afterwards. It runs no code of the application. */
export type BodyReader = (bytes: Uint8Array, start: number, end: number) => unknown;

const readers = new WeakMap<Codec, BodyReader>();

/** Reads the bodies of a codec in place; undefined for a codec of another package. */
export function bodyReaderOf(codec: Codec): BodyReader | undefined {
  return readers.get(codec);
}

export function readBodiesOf(codec: Codec, reader: BodyReader): void {
  readers.set(codec, reader);
}

/** Encodes for a caller that copies each body soon and then gives it back. */
export interface BodyLender {
  /** The same as `encode` of a codec. */
  encode(value: unknown): Uint8Array;
  /** The same for an array that this package made. */
  encodeList(list: readonly unknown[]): Uint8Array;
  /** The body is no longer needed, and is wiped. */
  giveBack(body: Uint8Array): void;
}

const lenders = new WeakMap<Codec, BodyLender>();

/** A lender of a codec's bodies. Bodies of another package's codec are never wiped, because it may still need them. */
export function bodyLenderOf(codec: Codec): BodyLender {
  return lenders.get(codec) ?? keepingEncoder(codec);
}

export function lendBodiesOf(codec: Codec, lender: BodyLender): void {
  lenders.set(codec, lender);
}

/** A lender of a codec of this package that gives each body memory of its own. */
export function ownBodies(codec: Codec): BodyLender {
  return { ...keepingEncoder(codec), giveBack: wipe };
}

/** The same for a caller that may keep a body. */
export function keepingEncoder(codec: Codec): BodyLender {
  const encode = (value: unknown): Uint8Array => codec.encode(value);
  return { encode, encodeList: encode, giveBack: () => {} };
}
