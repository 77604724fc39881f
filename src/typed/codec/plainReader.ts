// Reads the bodies that most calls have: short JSON texts in ASCII, without spaces and escapes. Its results are those
// of JSON.parse. It gives up at the first other byte, and the parser decides.
//
// The functions read at `at` of `text` and return NOT_READ for text that they do not read. They run no other code.

import { builtinModule } from "../../core/builtin.ts";
import { copyOf } from "../../core/bytes.ts";
import {
  BACKSLASH,
  CLOSE_ARRAY,
  CLOSE_OBJECT,
  COLON,
  COMMA,
  FALSE,
  LONGEST_PLAIN,
  MINUS,
  NULL,
  OPEN_ARRAY,
  OPEN_OBJECT,
  QUOTE,
  TRUE,
  ZERO,
} from "./jsonBytes.ts";
import { LONGEST_SHORT_TEXT, shortText } from "./shortText.ts";

interface BufferModule {
  readonly Buffer: { readonly prototype: { latin1Slice?(start: number, end: number): string } };
}
type Latin1Slice = (this: Uint8Array, start: number, end: number) => string;

const found = builtinModule("node:buffer") as BufferModule | undefined;
const latin1Slice = found?.Buffer.prototype.latin1Slice as Latin1Slice | undefined;

/** The result for text that is not read here; JSON has no undefined. */
export const NOT_READ = undefined;
const { hasOwn } = Object;
/** The prototype of every object may have setters that somebody added. Setting such a property may run code. */
const plainPrototype = Object.prototype;
const arrayPrototype = Array.prototype;
/** The most digits of a number, so that the integer that they make is exact. */
const MOST_DIGITS = 15;

const POINT = 0x2e;
const FIRST_OF_TRUE = 0x74;
const FIRST_OF_FALSE = 0x66;
const FIRST_OF_NULL = 0x6e;

/** Powers of ten that a number of 64 bits holds exactly. */
const powers = Array.from({ length: MOST_DIGITS + 1 }, (_, exponent) => 10 ** exponent);

/** The name of a property that was read before. */
class KnownName {
  readonly name: string;
  /** Its bytes after the first quote: `name":`. */
  readonly bytes: Uint8Array;
  readonly index: number;
  /**
   * The index of the name that followed it last time: objects of one kind have one order. Not the name itself, or a peer
   * could send names that retain each other without end.
   */
  indexOfNext = 0;

  constructor(name: string, bytes: Uint8Array, index: number) {
    this.name = name;
    this.bytes = bytes;
    this.index = index;
  }
}

/** Each at the index of its hash. The memory that a name retains is short. */
const names: (KnownName | undefined)[] = new Array<KnownName | undefined>(256).fill(undefined);
const LONGEST_NAME = 32;
/** The quote and the colon after a name. */
const BEHIND_NAME = 2;

const NO_TEXT: Uint8Array = new Uint8Array(0);
let text = NO_TEXT;
let at = 0;
/** The end of the text; other bytes may follow it. */
let textEnd = 0;

/** The value of the JSON text in bytes [start, end), nested at most this deep, or NOT_READ. */
export function readPlain(bytes: Uint8Array, start: number, end: number, maxDepth: number): unknown {
  // An element that somebody added to every array's prototype makes it longer.
  if (latin1Slice === undefined || end - start > LONGEST_PLAIN || arrayPrototype.length > 0) return NOT_READ;
  text = bytes;
  at = start;
  textEnd = end;
  const value = readAny(maxDepth);
  const isWhole = at === end;
  text = NO_TEXT;
  return isWhole ? value : NOT_READ;
}

function readAny(depth: number): unknown {
  const first = text[at];
  switch (first) {
    case QUOTE:
      at++;
      return readText();
    case OPEN_OBJECT:
      return depth > 0 ? readObject(depth - 1) : NOT_READ;
    case OPEN_ARRAY:
      return depth > 0 ? readArray(depth - 1) : NOT_READ;
    case FIRST_OF_TRUE:
      return isNext(TRUE) ? true : NOT_READ;
    case FIRST_OF_FALSE:
      return isNext(FALSE) ? false : NOT_READ;
    case FIRST_OF_NULL:
      return isNext(NULL) ? null : NOT_READ;
    default:
      return readNumber();
  }
}

/** A literal makes its elements without setters of a prototype, and faster than one assignment for each. */
function readArray(depth: number): unknown {
  if (text[++at] === CLOSE_ARRAY) {
    at++;
    return [];
  }
  const first = readAny(depth);
  if (first === NOT_READ) return NOT_READ;
  if (text[at] === CLOSE_ARRAY) {
    at++;
    return [first];
  }
  if (text[at++] !== COMMA) return NOT_READ;
  const second = readAny(depth);
  return second === NOT_READ ? NOT_READ : readItems([first, second], depth);
}

/** The rest of an array behind its first elements. */
function readItems(items: unknown[], depth: number): unknown {
  for (let i = items.length; ; i++) {
    const next = text[at++];
    if (next === CLOSE_ARRAY) return items;
    if (next !== COMMA) return NOT_READ;
    const item = readAny(depth);
    if (item === NOT_READ || i in plainPrototype) return NOT_READ;
    items[i] = item;
  }
}

function readObject(depth: number): unknown {
  const object: Record<string, unknown> = {};
  if (text[++at] === CLOSE_OBJECT) {
    at++;
    return object;
  }
  let last: KnownName | undefined;
  for (;;) {
    if (text[at++] !== QUOTE) return NOT_READ;
    const known = readName(last);
    if (known === undefined) return NOT_READ;
    last = known;
    const value = readAny(depth);
    // Checked each time, because a setter may have been added since the name was read first.
    if (value === NOT_READ || hasOwn(plainPrototype, known.name)) return NOT_READ;
    object[known.name] = value;
    const next = text[at++];
    if (next === CLOSE_OBJECT) return object;
    if (next !== COMMA) return NOT_READ;
  }
}

/** Whether this byte may occur in a text unchanged. */
function isPlainByte(byte: number): boolean {
  return byte >= 0x20 && byte < 0x80 && byte !== BACKSLASH;
}

/** The text after its first quote. */
function readText(): string | undefined {
  const start = at;
  let end = start;
  for (; end < textEnd; end++) {
    const byte = text[end]!;
    if (byte === QUOTE) break;
    if (!isPlainByte(byte)) return NOT_READ;
  }
  if (end === textEnd) return NOT_READ;
  at = end + 1;
  if (end - start > LONGEST_SHORT_TEXT) return latin1Slice!.call(text, start, end);
  return shortText(text, start, end - start);
}

/** The name of a property after its first quote, and the colon. `last`: the name before it in the object. */
function readName(last: KnownName | undefined): KnownName | undefined {
  const expected = last === undefined ? undefined : names[last.indexOfNext];
  if (expected !== undefined && isNext(expected.bytes)) return expected;
  const known = findName();
  if (last !== undefined && known !== undefined) last.indexOfNext = known.index;
  return known;
}

function findName(): KnownName | undefined {
  const start = at;
  let end = start;
  let hash = 0;
  for (; end < textEnd; end++) {
    const byte = text[end]!;
    if (byte === QUOTE) break;
    if (!isPlainByte(byte)) return undefined;
    hash = (Math.imul(hash, 31) + byte) & 0xff;
  }
  const isName = end + BEHIND_NAME <= textEnd && end - start <= LONGEST_NAME && text[end + 1] === COLON;
  if (!isName) return undefined;
  const known = names[hash];
  if (known !== undefined && isNext(known.bytes)) return known;
  at = end + BEHIND_NAME;
  names[hash] = newName(latin1Slice!.call(text, start, end), copyOf(text, start, at), hash);
  return names[hash];
}

/** Engines find a property fastest by the string that they store for its name. */
function newName(name: string, bytes: Uint8Array, index: number): KnownName {
  const [kept] = Object.keys({ [name]: 0 });
  return new KnownName(kept!, bytes, index);
}

/** Reads these bytes, if they are next. */
function isNext(bytes: Uint8Array): boolean {
  const { length } = bytes;
  for (let i = 0; i < length; i++) if (text[at + i] !== bytes[i]) return false;
  at += length;
  return true;
}

/** Digits, with at most one point. They make an integer below 2^53, and one exact division rounds once. */
function readNumber(): number | undefined {
  const isNegative = text[at] === MINUS;
  const start = isNegative ? at + 1 : at;
  let end = start;
  let digits = 0;
  let point = -1;
  for (; end < textEnd; end++) {
    const byte = text[end]!;
    const digit = byte - ZERO;
    if (digit >= 0 && digit <= 9) digits = digits * 10 + digit;
    else if (byte === POINT && point < 0) point = end;
    else break;
  }
  const whole = (point < 0 ? end : point) - start;
  const fraction = point < 0 ? 0 : end - point - 1;
  const isPlain =
    whole > 0 &&
    whole + fraction <= MOST_DIGITS &&
    (whole === 1 || text[start] !== ZERO) &&
    point !== end - 1;
  const next = text[end];
  // An exponent follows.
  if (!isPlain || next === 0x65 || next === 0x45) return NOT_READ;
  at = end;
  const value = fraction === 0 ? digits : digits / powers[fraction]!;
  return isNegative ? -value : value;
}
