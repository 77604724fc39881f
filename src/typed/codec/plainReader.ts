// Reads the bodies that most calls have: short texts of JSON in ASCII, without spaces and escapes. Its results are those
// of JSON.parse. It gives up at the first byte of something else, and the parser decides.
//
// The functions read at `at` of `text` and return NOT_READ for text that they do not read. They run no code of others.

import { builtinModule } from "../../core/builtin.ts";
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

interface BufferModule {
  readonly Buffer: { readonly prototype: { latin1Slice?(start: number, end: number): string } };
}
type Latin1Slice = (this: Uint8Array, start: number, end: number) => string;

const found = builtinModule("node:buffer") as BufferModule | undefined;
const latin1Slice = found?.Buffer.prototype.latin1Slice as Latin1Slice | undefined;

/** What is not read here: JSON has no undefined. */
export const NOT_READ = undefined;
/** Up to so many characters are put together faster than a call to the runtime takes. */
const LONGEST_JOINED = 8;
/** Digits that a number may have: the integer that they make is exact. */
const MOST_DIGITS = 15;

const POINT = 0x2e;
const FIRST_OF_TRUE = 0x74;
const FIRST_OF_FALSE = 0x66;
const FIRST_OF_NULL = 0x6e;

const characters = Array.from({ length: 0x80 }, (_, code) => String.fromCharCode(code));
/** Powers of ten that a number of 64 bits holds exactly. */
const powers = Array.from({ length: MOST_DIGITS + 1 }, (_, exponent) => 10 ** exponent);

/** Names of properties that were read before, each at the index of its hash. What it holds alive is short. */
const names: (string | undefined)[] = new Array<string | undefined>(256).fill(undefined);
const LONGEST_NAME = 32;

const NO_TEXT: Uint8Array = new Uint8Array(0);
let text = NO_TEXT;
let at = 0;

/** The value of a JSON text nested at most so deep, or NOT_READ. */
export function readPlain(bytes: Uint8Array, maxDepth: number): unknown {
  if (latin1Slice === undefined || bytes.length > LONGEST_PLAIN) return NOT_READ;
  text = bytes;
  at = 0;
  const value = readAny(maxDepth);
  const isWhole = at === bytes.length;
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
      return isNext("true") ? true : NOT_READ;
    case FIRST_OF_FALSE:
      return isNext("false") ? false : NOT_READ;
    case FIRST_OF_NULL:
      return isNext("null") ? null : NOT_READ;
    default:
      return readNumber();
  }
}

function isNext(word: string): boolean {
  for (let i = 0; i < word.length; i++) if (text[at++] !== word.charCodeAt(i)) return false;
  return true;
}

function readArray(depth: number): unknown {
  const items: unknown[] = [];
  if (text[++at] === CLOSE_ARRAY) {
    at++;
    return items;
  }
  for (let i = 0; ; i++) {
    const item = readAny(depth);
    if (item === NOT_READ) return NOT_READ;
    items[i] = item;
    const next = text[at++];
    if (next === CLOSE_ARRAY) return items;
    if (next !== COMMA) return NOT_READ;
  }
}

function readObject(depth: number): unknown {
  const object: Record<string, unknown> = {};
  if (text[++at] === CLOSE_OBJECT) {
    at++;
    return object;
  }
  for (;;) {
    const name = text[at++] === QUOTE ? readName() : undefined;
    if (name === undefined || text[at++] !== COLON) return NOT_READ;
    const value = readAny(depth);
    if (value === NOT_READ) return NOT_READ;
    object[name] = value;
    const next = text[at++];
    if (next === CLOSE_OBJECT) return object;
    if (next !== COMMA) return NOT_READ;
  }
}

/** Whether a text may have this byte: what it stands for is itself. */
function isPlainByte(byte: number): boolean {
  return byte >= 0x20 && byte < 0x80 && byte !== BACKSLASH;
}

/** The text behind its first quote. */
function readText(): string | undefined {
  const start = at;
  let end = start;
  for (; end < text.length; end++) {
    const byte = text[end]!;
    if (byte === QUOTE) break;
    if (!isPlainByte(byte)) return NOT_READ;
  }
  if (end === text.length) return NOT_READ;
  at = end + 1;
  if (end - start > LONGEST_JOINED) return latin1Slice!.call(text, start, end);
  let joined = "";
  for (let i = start; i < end; i++) joined += characters[text[i]!]!;
  return joined;
}

/** The name of a property behind its first quote. */
function readName(): string | undefined {
  const start = at;
  let end = start;
  let hash = 0;
  for (; end < text.length; end++) {
    const byte = text[end]!;
    if (byte === QUOTE) break;
    if (!isPlainByte(byte)) return undefined;
    hash = (Math.imul(hash, 31) + byte) & 0xff;
  }
  const length = end - start;
  if (end === text.length || length > LONGEST_NAME) return undefined;
  at = end + 1;
  const known = names[hash];
  if (known !== undefined && known.length === length && isNamed(known, start)) return known;
  return newName(hash, latin1Slice!.call(text, start, end));
}

function isNamed(name: string, start: number): boolean {
  for (let i = 0; i < name.length; i++) if (name.charCodeAt(i) !== text[start + i]) return false;
  return true;
}

/** Not what every object has: to set `__proto__` makes no property, and a name of a frozen prototype can't be set. */
function newName(hash: number, name: string): string | undefined {
  if (name in Object.prototype) return undefined;
  // Engines find a property fastest by the text that they keep of its name.
  for (const kept in { [name]: 0 }) names[hash] = kept;
  return names[hash];
}

/** Digits, with a point among them. They make an integer below 2^53, and one exact division rounds once. */
function readNumber(): number | undefined {
  const isNegative = text[at] === MINUS;
  const start = isNegative ? at + 1 : at;
  let end = start;
  let digits = 0;
  let point = -1;
  for (; end < text.length; end++) {
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
