// Checks a JSON text before anything is built from it: its depth, and an upper bound of its number of values.

import type { ResolvedCodecLimits } from "./codec.ts";
import { BACKSLASH, COMMA, QUOTE } from "./jsonBytes.ts";
import { notDecodable } from "./valuePath.ts";

// "[" and "{", "]" and "}" differ in one bit.
const CASE = 0x20;
const OPENING = 0x7b;
const CLOSING = 0x7d;

/** The index of the end quote of the string that begins after a quote; the length of the text if there is none. */
function endOfText(text: Uint8Array, start: number): number {
  let at = start;
  while (at < text.length && text[at] !== QUOTE) at += text[at] === BACKSLASH ? 2 : 1;
  return at;
}

/**
 * Checks the depth and the number of values. The parser decides whether the text is JSON. The counts are never less
 * than what the parser would build before it finds a mistake.
 *
 * @throws SealwireError ERR_DECODE
 */
export function scanJson(text: Uint8Array, { maxDepth, maxValues }: ResolvedCodecLimits): void {
  // Each level takes two brackets, and each value at least a byte.
  if (text.length < 2 * maxDepth && text.length < maxValues) return;
  let depth = 0;
  let values = 1;
  for (let at = 0; at < text.length; at++) {
    const byte = text[at]!;
    if (byte === QUOTE) at = endOfText(text, at + 1);
    else if (byte === COMMA) values++;
    else if ((byte | CASE) === OPENING) {
      values++;
      if (++depth > maxDepth) throw notDecodable(`it is nested deeper than ${maxDepth} (maxDepth)`);
    } else if ((byte | CASE) === CLOSING) depth--;
  }
  if (values > maxValues) throw notDecodable(`it has more than ${maxValues} values (maxValues)`);
}
