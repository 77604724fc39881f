// Bodies that are lent. Whoever copies a body at once needs no memory of its own for it, and gives it back; then it is
// wiped. Only codecs of this package lend: what another one gives may be memory that it still needs.

import { wipe } from "../../core/wipe.ts";
import type { Codec } from "./codec.ts";

/** Reads bytes [start, end) of a body, which are lent. It runs no code of the application. */
export type BodyReader = (bytes: Uint8Array, start: number, end: number) => unknown;

const readers = new WeakMap<Codec, BodyReader>();

/** What reads the bodies of a codec where they lie; undefined for a codec whose code is somebody else's. */
export function bodyReaderOf(codec: Codec): BodyReader | undefined {
  return readers.get(codec);
}

export function readBodiesOf(codec: Codec, reader: BodyReader): void {
  readers.set(codec, reader);
}

/** What encodes for somebody who copies each body before long, and then gives it back. */
export interface BodyLender {
  /** As a codec's. */
  encode(value: unknown): Uint8Array;
  /** The same for an array that this package made. */
  encodeList(list: readonly unknown[]): Uint8Array;
  /** The body is needed no more. It is wiped. */
  giveBack(body: Uint8Array): void;
}

const lenders = new WeakMap<Codec, BodyLender>();

/** What lends the bodies of a codec. Another package's codec may give bodies that it still needs: those stay as they are. */
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

/** The same for whoever may keep a body. */
export function keepingEncoder(codec: Codec): BodyLender {
  const encode = (value: unknown): Uint8Array => codec.encode(value);
  return { encode, encodeList: encode, giveBack: () => {} };
}
