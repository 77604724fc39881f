// The codecs that a side was given, checked.

import { invalidArgument } from "../base/errors.ts";
import type { Codec } from "./codec/codec.ts";
import { jsonCodec } from "./codec/jsonCodec.ts";

/** @throws SealwireError ERR_INVALID_ARGUMENT */
export function checkCodec(codec: Codec): Codec {
  const { contentType, version, name, encode, decode } = codec ?? {};
  const isByte = (value: unknown): boolean =>
    Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 255;
  const isComplete =
    isByte(contentType) &&
    isByte(version) &&
    typeof name === "string" &&
    typeof encode === "function" &&
    typeof decode === "function";
  if (!isComplete) throw invalidArgument("codec", "a codec, e.g. jsonCodec()");
  return codec;
}

/** @throws SealwireError ERR_INVALID_ARGUMENT */
export function checkCodecs(given: Codec | readonly Codec[] | undefined): readonly Codec[] {
  const codecs = given === undefined ? [defaultCodec()] : Array.isArray(given) ? given : [given as Codec];
  if (codecs.length === 0) throw invalidArgument("codec", "a codec, or an array of at least one");
  const seen = new Set<string>();
  for (const codec of codecs as Codec[]) {
    const { contentType, version } = checkCodec(codec);
    const key = `${contentType}.${version}`;
    if (seen.has(key)) throw invalidArgument("codec", "codecs of different content types or versions");
    seen.add(key);
  }
  return codecs as Codec[];
}

let usual: Codec | undefined;

/** The codec of a side that names none. */
export function defaultCodec(): Codec {
  usual ??= jsonCodec();
  return usual;
}
