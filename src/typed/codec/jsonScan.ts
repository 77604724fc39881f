// Looks through a JSON text before anything is built of it: how deep it is nested, and how many values it has at most.

import type { ResolvedCodecLimits } from "./codec.ts";
import { BACKSLASH, COMMA, QUOTE } from "./jsonBytes.ts";
import { notDecodable } from "./valuePath.ts";

// "[" and "{", "]" and "}" differ in one bit.
const CASE = 0x20;
const OPENING = 0x7b;
const CLOSING = 0x7d;

/** Where the text that begins behind a quote has its end quote; the length of all where it has none. */
function endOfText(text: Uint8Array, start: number): number {
  let at = start;
  while (at < text.length && text[at] !== QUOTE) at += text[at] === BACKSLASH ? 2 : 1;
  return at;
}

/**
 * Checks the depth and the count of values. Whether the text is JSON is for the parser to say: what this counts is
 * never less than what the parser would build before it finds a mistake.
 *
 * @throws SealwireError ERR_DECODE
 */
export function scanJson(text: Uint8Array, { maxDepth, maxValues }: ResolvedCodecLimits): void {
  // Each level takes two brackets, each value a byte at least.
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
