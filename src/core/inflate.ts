// Inflates DEFLATE data (RFC 1951) synchronously in every realm: DecompressionStream is asynchronous, and not every realm
// has node:zlib. Its only input is the package's own inlined modules, so malformed input throws without a diagnosis. No
// input is secret.

import type { OwnBytes } from "./bytes.ts";

/** Base lengths and extra bits of the length codes 257–285 (section 3.2.5). */
const LENGTH_EXTRA = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
/** The order of the lengths of the code length codes (section 3.2.7). */
const CODE_LENGTH_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
const LONGEST_CODE_BITS = 15;
const END_OF_BLOCK = 256;

const distanceExtra = (code: number): number => (code < 4 ? 0 : (code >> 1) - 1);

function basesOf(first: number, codes: number, extraOf: (code: number) => number): number[] {
  const bases: number[] = [];
  let base = first;
  for (let code = 0; code < codes; code++) {
    bases.push(base);
    base += 1 << extraOf(code);
  }
  return bases;
}

const lengthBases = basesOf(3, 28, (code) => LENGTH_EXTRA[code]!).concat(258);
const distanceBases = basesOf(1, 30, distanceExtra);

/** A Huffman code (section 3.2.2): the number of codes of each length, and the symbols in the order of their codes. */
type Huffman = readonly [counts: Uint16Array, symbols: Uint16Array];
/** Those of literals and lengths, and of distances. */
type Codes = readonly [Huffman, Huffman];

function huffman(lengths: ArrayLike<number>): Huffman {
  const total = lengths.length;
  const counts = new Uint16Array(LONGEST_CODE_BITS + 1);
  const symbols = new Uint16Array(total);
  for (let symbol = 0; symbol < total; symbol++) counts[lengths[symbol]!]!++;
  const next = new Uint16Array(LONGEST_CODE_BITS + 2);
  counts[0] = 0;
  for (let bits = 1; bits <= LONGEST_CODE_BITS; bits++) next[bits + 1] = next[bits]! + counts[bits]!;
  for (let symbol = 0; symbol < total; symbol++) {
    const bits = lengths[symbol]!;
    if (bits > 0) symbols[next[bits]!++] = symbol;
  }
  return [counts, symbols];
}

/** The codes of section 3.2.6. */
function fixedCodes(): Codes {
  const length = (symbol: number): number => (symbol < 144 ? 8 : symbol < 256 ? 9 : symbol < 280 ? 7 : 8);
  return [
    huffman(Array.from({ length: 288 }, (_, symbol) => length(symbol))),
    huffman(new Uint8Array(30).fill(5)),
  ];
}

function requireThat(holds: boolean): asserts holds {
  if (!holds) throw new RangeError("malformed DEFLATE data, or another length than said");
}

/** Takes so many bits of the input, the first of them lowest. */
type Bits = (count: number) => number;

function symbolOf([counts, symbols]: Huffman, bits: Bits): number {
  let code = 0;
  let first = 0;
  let index = 0;
  for (let i = 1; i <= LONGEST_CODE_BITS; i++) {
    code |= bits(1);
    const count = counts[i]!;
    if (code - first < count) return symbols[index + code - first]!;
    index += count;
    first = (first + count) << 1;
    code <<= 1;
  }
  requireThat(false);
}

/** The codes that a block begins with (section 3.2.7). */
function dynamicCodes(bits: Bits): Codes {
  const literals = bits(5) + 257;
  const all = literals + bits(5) + 1;
  const codeLengths = new Uint8Array(CODE_LENGTH_ORDER.length);
  const given = bits(4) + 4;
  for (let i = 0; i < given; i++) codeLengths[CODE_LENGTH_ORDER[i]!] = bits(3);
  const code = huffman(codeLengths);
  const lengths: number[] = [];
  while (lengths.length < all) {
    const symbol = symbolOf(code, bits);
    if (symbol < 16) {
      lengths.push(symbol);
      continue;
    }
    const repeated = symbol === 16 ? lengths.at(-1) : 0;
    requireThat(repeated !== undefined);
    let times = symbol === 18 ? 11 + bits(7) : 3 + bits(symbol === 16 ? 2 : 3);
    for (; times > 0; times--) lengths.push(repeated);
  }
  requireThat(lengths.length === all);
  return [huffman(lengths.slice(0, literals)), huffman(lengths.slice(literals))];
}

/** How far back and how much is copied, after the symbol of a length. */
function copyOf(symbol: number, distances: Huffman, bits: Bits): [distance: number, count: number] {
  const lengthCode = symbol - 257;
  requireThat(lengthCode < lengthBases.length);
  const count = lengthBases[lengthCode]! + bits(LENGTH_EXTRA[lengthCode]!);
  const distanceCode = symbolOf(distances, bits);
  requireThat(distanceCode < distanceBases.length);
  return [distanceBases[distanceCode]! + bits(distanceExtra(distanceCode)), count];
}

/**
 * The content of a raw DEFLATE stream.
 *
 * @param outputBytes the length of the content, which is allocated at once
 * @throws RangeError if the stream is malformed, or has content of another length
 */
export function inflateRaw(input: Uint8Array, outputBytes: number): OwnBytes {
  const output: OwnBytes = new Uint8Array(outputBytes);
  let length = 0;
  let at = 0;
  let held = 0;
  let heldBits = 0;
  const bits: Bits = (count) => {
    for (; heldBits < count; heldBits += 8) {
      requireThat(at < input.length);
      held |= input[at++]! << heldBits;
    }
    const value = held & ((1 << count) - 1);
    held >>>= count;
    heldBits -= count;
    return value;
  };
  const put = (byte: number): void => {
    requireThat(length < outputBytes);
    output[length++] = byte;
  };
  const stored = (): void => {
    held = heldBits = 0;
    const count = bits(16);
    requireThat(bits(16) === (count ^ 0xffff));
    for (let i = 0; i < count; i++) put(bits(8));
  };
  const compressed = ([literals, distances]: Codes): void => {
    for (let symbol = symbolOf(literals, bits); symbol !== END_OF_BLOCK; symbol = symbolOf(literals, bits)) {
      if (symbol < END_OF_BLOCK) {
        put(symbol);
        continue;
      }
      const [distance, count] = copyOf(symbol, distances, bits);
      requireThat(distance <= length);
      for (let i = 0; i < count; i++) put(output[length - distance]!);
    }
  };
  for (let last = 0; last === 0; ) {
    last = bits(1);
    const type = bits(2);
    requireThat(type < 3);
    if (type === 0) stored();
    else compressed(type === 1 ? fixedCodes() : dynamicCodes(bits));
  }
  requireThat(length === outputBytes);
  return output;
}
