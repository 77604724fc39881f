// Unpacks the inlined builds of the core (scripts/modulePacker.js has the format and packs them). A module of its own,
// because it runs before the core is there. No input is secret, and all of it is the package's own: nothing is checked.
//
// Memory: MODELS, u16 probabilities of a 0 bit; INPUT, the packed text, one digit of base 92 per character; OUTPUT.

/** Where each kind of decision has its probabilities: indexes of u16 (modulePacker.js has the same ones). */
const IS_MATCH: u32 = 0;
const IS_REPEAT: u32 = 16;
const REPEAT: u32 = 32;
const MATCH_LENGTH: u32 = 4096;
const REPEAT_LENGTH: u32 = 8192;
const DISTANCE: u32 = 12288;
const LITERAL: u32 = 16384;
const EXPECTED: u32 = LITERAL + 8 * 256;
const LITERAL_AFTER: u32 = EXPECTED + 2 * 256;
const MODEL_BYTES: u32 = (LITERAL_AFTER + 256 * 256) * 2;

const INPUT: u32 = MODEL_BYTES;
/** The address that the packed text is written to. */
export const input: u32 = INPUT;
/** The address of the unpacked bytes: the text has at most 64 KiB. */
export const output: u32 = INPUT + 65536;

/** Below this the range takes another digit: 92 times as much still fits 32 bits. */
const SMALLEST_RANGE: u32 = 1 << 25;

let range: u32 = 0;
let code: u32 = 0;
let next: u32 = INPUT;

/** "\" would have to be escaped in a string; "!" stands for it. */
function takeDigit(): void {
  const character: u32 = load<u8>(next++);
  code = code * 92 + (character === 33 ? 57 : character - 35);
}

/** One bit by the mean of two probabilities, or by one that is given twice. */
function takeBit(first: u32, second: u32): u32 {
  first <<= 1;
  second <<= 1;
  const p: u32 = load<u16>(first);
  const q: u32 = load<u16>(second);
  const bound = (range >> 12) * ((p + q) >> 5);
  const bit: u32 = u32(code >= bound);
  if (bit) {
    code -= bound;
    range -= bound;
    store<u16>(first, p - (p >> 5));
    store<u16>(second, q - (q >> 5));
  } else {
    range = bound;
    store<u16>(first, p + ((65536 - p) >> 5));
    store<u16>(second, q + ((65536 - q) >> 5));
  }
  while (range < SMALLEST_RANGE) {
    range *= 92;
    takeDigit();
  }
  return bit;
}

/** A number of `bits` bits. */
function takeTree(at: u32, bits: u32): u32 {
  let node: u32 = 1;
  while (node >> bits === 0) node = (node << 1) | takeBit(at + node, at + node);
  return node - (1 << bits);
}

/** A number from 1 on: the place of its highest bit, then those below it, of which five know those above them. */
function takeNumber(at: u32, below: u32): u32 {
  const bits = takeTree(at, 5);
  let value: u32 = 1;
  for (let i: u32 = 0; i < bits; i++) {
    const model = below + 32 + (value < 32 ? bits * 64 + value : 2048 + bits * 32 + i);
    value = (value << 1) | takeBit(model, model);
  }
  return value;
}

/** The byte that `distance` expects matters while the bits agree with it. */
function takeLiteral(to: u32, afterMatch: bool, distance: u32): void {
  const before: u32 = load<u8>(to - 1);
  const expected: u32 = load<u8>(to - distance);
  let node: u32 = 1;
  while (node < 256) {
    let other = LITERAL + ((before >> 5) << 8) + node;
    // Whether the bits so far are the first ones of what was expected.
    if (afterMatch) {
      const shift = clz(node) - 24;
      if ((expected | 256) >> (shift + 1) === node)
        other = EXPECTED + (((expected >> shift) & 1) << 8) + node;
    }
    node = (node << 1) | takeBit(LITERAL_AFTER + (before << 8) + node, other);
  }
  store<u8>(to, node);
}

/** Writes this many more bytes to `output`, and what a copy gives beyond them. */
export function unpack(bytes: u32): void {
  end += bytes;
  if (range === 0) {
    memory.fill(0, 0x80, MODEL_BYTES);
    range = 92 * 92 * 92 * 92;
    for (let i = 0; i < 4; i++) takeDigit();
  }
  while (written < end) {
    let operation: u32 = 0;
    if (takeBit(IS_MATCH + state, IS_MATCH + state)) {
      let length: u32;
      let distance: u32;
      operation = 1 + takeBit(IS_REPEAT + state, IS_REPEAT + state);
      if (operation === 2) {
        const place = takeTree(REPEAT, 2);
        distance = d0;
        if (place > 0) {
          distance = d1;
          if (place > 1) {
            distance = d2;
            if (place > 2) {
              distance = d3;
              d3 = d2;
            }
            d2 = d1;
          }
          d1 = d0;
        }
        length = takeNumber(REPEAT_LENGTH, REPEAT_LENGTH);
      } else {
        length = takeNumber(MATCH_LENGTH, MATCH_LENGTH) + 1;
        distance = takeNumber(DISTANCE + min<u32>(length - 2, 3) * 32, DISTANCE + 96);
        d3 = d2;
        d2 = d1;
        d1 = d0;
      }
      d0 = distance;
      while (length-- > 0) {
        store<u8>(written, load<u8>(written - distance));
        written++;
      }
    } else {
      takeLiteral(written++, state % 3 !== 0, d0);
    }
    state = (state * 3 + operation) % 9;
  }
}

/** As far as was asked for. */
let end: u32 = output;
let written: u32 = output;
/** The last two operations: 0 for a literal, 1 for a match, 2 for one of the last four distances. */
let state: u32 = 0;
let d0: u32 = 1;
let d1: u32 = 1;
let d2: u32 = 1;
let d3: u32 = 1;
