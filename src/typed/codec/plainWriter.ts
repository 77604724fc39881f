// Writes small values that are plain JSON, which most are. It writes bytes while it checks the value, so the bytes are
// those of the checked value, and no string of them is made. The bytes are those of JSON.stringify. It gives up at the
// first part that is not plain or does not fit; plainCopy.ts and jsonTree.ts handle those values.
//
// Each function writes at `at` and returns the next index, or GAVE_UP.

import { hasOnlyElements } from "./arrayNames.ts";
import {
  BACKSLASH,
  CLOSE_ARRAY,
  CLOSE_OBJECT,
  COLON,
  COMMA,
  LONGEST_PLAIN,
  MINUS,
  OPEN_ARRAY,
  OPEN_OBJECT,
  QUOTE,
  ZERO,
} from "./jsonBytes.ts";

const { getPrototypeOf, getOwnPropertySymbols } = Object;
const plainPrototype = Object.prototype;
const arrayPrototype = Array.prototype;

/** One unit of UTF-16 takes at most six bytes, as an escape. */
const LONGEST_UNIT = 6;
/** Memory for one body. Checks look at where a text begins, so one more text of the longest kind may follow the limit. */
export const PLAIN_ROOM = LONGEST_PLAIN + LONGEST_UNIT * LONGEST_PLAIN + 64;
export const GAVE_UP = -1;

/** The letters after the backslash of the short escapes, by their characters: \b \t \n \f \r. */
const shortEscapes: Readonly<Record<number, number>> = { 8: 0x62, 9: 0x74, 10: 0x6e, 12: 0x66, 13: 0x72 };
const hexDigits = "0123456789abcdef";

/**
 * Writes a value to the beginning of `memory`, which has PLAIN_ROOM bytes. Returns the number of written bytes, at most
 * LONGEST_PLAIN, or GAVE_UP; then the content of `memory` is undefined. Runs getters and proxies of the value, and
 * throws their errors.
 */
export function writePlain(value: unknown, maxDepth: number, memory: Uint8Array): number {
  // A property on this prototype appears in every object.
  for (const _name in plainPrototype) return GAVE_UP;
  const end = writeAny(value, maxDepth, memory, 0);
  return end <= LONGEST_PLAIN ? end : GAVE_UP;
}

/** The same for an array that this package made: it has its elements and nothing else. */
export function writePlainList(list: readonly unknown[], maxDepth: number, memory: Uint8Array): number {
  for (const _name in plainPrototype) return GAVE_UP;
  const end = maxDepth > 0 ? writeItems(list, list.length, maxDepth - 1, memory, 0) : GAVE_UP;
  return end <= LONGEST_PLAIN ? end : GAVE_UP;
}

function writeAny(value: unknown, depth: number, memory: Uint8Array, at: number): number {
  if (at >= LONGEST_PLAIN) return GAVE_UP;
  switch (typeof value) {
    case "string":
      return writeText(value, memory, at);
    case "number":
      return writeNumber(value, memory, at);
    case "boolean":
      return writeWord(value ? "true" : "false", memory, at);
    case "object":
      if (value === null) return writeWord("null", memory, at);
      return depth > 0 ? writeObject(value, depth - 1, memory, at) : GAVE_UP;
    default:
      return GAVE_UP;
  }
}

function writeObject(value: object, depth: number, memory: Uint8Array, at: number): number {
  const prototype = getPrototypeOf(value);
  if (prototype === plainPrototype) return writeProperties(value, depth, memory, at);
  return prototype === arrayPrototype && Array.isArray(value)
    ? writeElements(value, depth, memory, at)
    : GAVE_UP;
}

function writeElements(value: readonly unknown[], depth: number, memory: Uint8Array, at: number): number {
  const { length } = value;
  // Each item takes at least two bytes. A proxy may report any length.
  if (!(Number.isInteger(length) && length >= 0 && length <= LONGEST_PLAIN)) return GAVE_UP;
  const end = writeItems(value, length, depth, memory, at);
  return end < 0 || hasOnlyElements(value, length) ? end : GAVE_UP;
}

function writeItems(
  value: readonly unknown[],
  length: number,
  depth: number,
  memory: Uint8Array,
  at: number,
): number {
  let end = at;
  memory[end++] = OPEN_ARRAY;
  for (let i = 0; i < length; i++) {
    if (i > 0) memory[end++] = COMMA;
    end = writeAny(value[i], depth, memory, end);
    if (end < 0) return GAVE_UP;
  }
  memory[end++] = CLOSE_ARRAY;
  return end;
}

function writeProperties(value: object, depth: number, memory: Uint8Array, at: number): number {
  let end = at;
  memory[end++] = OPEN_OBJECT;
  for (const name in value) {
    // The walk handles these names as data.
    if (name === "$" || name === "__proto__" || end >= LONGEST_PLAIN) return GAVE_UP;
    if (end > at + 1) memory[end++] = COMMA;
    end = writeText(name, memory, end);
    if (end < 0) return GAVE_UP;
    memory[end++] = COLON;
    end = writeAny((value as Record<string, unknown>)[name], depth, memory, end);
    if (end < 0) return GAVE_UP;
  }
  memory[end++] = CLOSE_OBJECT;
  return Array.isArray(value) || getOwnPropertySymbols(value).length > 0 ? GAVE_UP : end;
}

/** A text of ASCII without quotes. */
function writeWord(word: string, memory: Uint8Array, at: number): number {
  const { length } = word;
  for (let i = 0; i < length; i++) memory[at + i] = word.charCodeAt(i);
  return at + length;
}

function writeNumber(value: number, memory: Uint8Array, at: number): number {
  // Neither NaN, nor infinite, nor -0.
  if (value - value !== 0 || (value === 0 && 1 / value < 0)) return GAVE_UP;
  if ((value | 0) !== value) return writeWord(String(value), memory, at);
  let left = value < 0 ? -value : value;
  let end = at;
  if (value < 0) memory[end++] = MINUS;
  for (let power = left; power >= 10; power = (power / 10) >>> 0) end++;
  const last = end;
  do {
    const next = (left / 10) >>> 0;
    memory[end--] = ZERO + left - next * 10;
    left = next;
  } while (left > 0);
  return last + 1;
}

function writeText(text: string, memory: Uint8Array, at: number): number {
  const { length } = text;
  if (length > LONGEST_PLAIN) return GAVE_UP;
  let end = at;
  memory[end++] = QUOTE;
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x20 || unit === QUOTE || unit === BACKSLASH) end = writeEscape(unit, memory, end);
    else if (unit < 0x80) memory[end++] = unit;
    else {
      const point = text.codePointAt(i)!;
      // Half a pair: JSON.stringify knows what to write.
      if (point >= 0xd800 && point <= 0xdfff) return GAVE_UP;
      if (point > 0xffff) i++;
      end = writePoint(point, memory, end);
    }
  }
  memory[end++] = QUOTE;
  return end;
}

function writeEscape(unit: number, memory: Uint8Array, at: number): number {
  memory[at] = BACKSLASH;
  if (unit >= 0x20) {
    memory[at + 1] = unit;
    return at + 2;
  }
  const short = shortEscapes[unit];
  if (short !== undefined) {
    memory[at + 1] = short;
    return at + 2;
  }
  writeWord("u00", memory, at + 1);
  memory[at + 4] = hexDigits.charCodeAt(unit >> 4);
  memory[at + 5] = hexDigits.charCodeAt(unit & 15);
  return at + 6;
}

/** Writes the UTF-8 of a character that is not ASCII. */
function writePoint(point: number, memory: Uint8Array, at: number): number {
  let end = at;
  if (point < 0x800) memory[end++] = 0xc0 | (point >> 6);
  else {
    if (point < 0x10000) memory[end++] = 0xe0 | (point >> 12);
    else {
      memory[end++] = 0xf0 | (point >> 18);
      memory[end++] = 0x80 | ((point >> 12) & 0x3f);
    }
    memory[end++] = 0x80 | ((point >> 6) & 0x3f);
  }
  memory[end++] = 0x80 | (point & 0x3f);
  return end;
}
