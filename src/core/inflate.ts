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
class Huffman {
  readonly counts = new Uint16Array(LONGEST_CODE_BITS + 1);
  readonly symbols: Uint16Array;

  constructor(lengths: ArrayLike<number>) {
    const total = lengths.length;
    this.symbols = new Uint16Array(total);
    for (let symbol = 0; symbol < total; symbol++) this.counts[lengths[symbol]!]!++;
    const next = new Uint16Array(LONGEST_CODE_BITS + 2);
    this.counts[0] = 0;
    for (let bits = 1; bits <= LONGEST_CODE_BITS; bits++) next[bits + 1] = next[bits]! + this.counts[bits]!;
    for (let symbol = 0; symbol < total; symbol++) {
      const bits = lengths[symbol]!;
      if (bits > 0) this.symbols[next[bits]!++] = symbol;
    }
  }
}

class Inflater {
  readonly #input: Uint8Array;
  #at = 0;
  #held = 0;
  #heldBits = 0;
  readonly #output: OwnBytes;
  #length = 0;

  constructor(input: Uint8Array, outputBytes: number) {
    this.#input = input;
    this.#output = new Uint8Array(outputBytes);
  }

  run(): OwnBytes {
    let last: number;
    do {
      last = this.#bits(1);
      const type = this.#bits(2);
      if (type === 0) this.#stored();
      else if (type === 1) this.#compressed(...fixedCodes());
      else if (type === 2) this.#compressed(...this.#dynamicCodes());
      else throw new RangeError("no such type of block");
    } while (last === 0);
    if (this.#length !== this.#output.length) throw new RangeError("another length than said");
    return this.#output;
  }

  #bits(count: number): number {
    while (this.#heldBits < count) {
      if (this.#at >= this.#input.length) throw new RangeError("ends early");
      this.#held |= this.#input[this.#at++]! << this.#heldBits;
      this.#heldBits += 8;
    }
    const value = this.#held & ((1 << count) - 1);
    this.#held >>>= count;
    this.#heldBits -= count;
    return value;
  }

  #symbol({ counts, symbols }: Huffman): number {
    let code = 0;
    let first = 0;
    let index = 0;
    for (let bits = 1; bits <= LONGEST_CODE_BITS; bits++) {
      code |= this.#bits(1);
      const count = counts[bits]!;
      if (code - first < count) return symbols[index + code - first]!;
      index += count;
      first = (first + count) << 1;
      code <<= 1;
    }
    throw new RangeError("no such code");
  }

  #put(byte: number): void {
    if (this.#length >= this.#output.length) throw new RangeError("longer than said");
    this.#output[this.#length++] = byte;
  }

  #stored(): void {
    this.#held = 0;
    this.#heldBits = 0;
    const length = this.#bits(16);
    if (this.#bits(16) !== (length ^ 0xffff)) throw new RangeError("a length that contradicts itself");
    for (let i = 0; i < length; i++) this.#put(this.#bits(8));
  }

  #compressed(literals: Huffman, distances: Huffman): void {
    for (;;) {
      const symbol = this.#symbol(literals);
      if (symbol === END_OF_BLOCK) return;
      if (symbol < END_OF_BLOCK) {
        this.#put(symbol);
        continue;
      }
      const lengthCode = symbol - 257;
      if (lengthCode >= lengthBases.length) throw new RangeError("no such length");
      const length = lengthBases[lengthCode]! + this.#bits(LENGTH_EXTRA[lengthCode]!);
      const distanceCode = this.#symbol(distances);
      if (distanceCode >= distanceBases.length) throw new RangeError("no such distance");
      const distance = distanceBases[distanceCode]! + this.#bits(distanceExtra(distanceCode));
      if (distance > this.#length) throw new RangeError("a distance beyond the beginning");
      for (let i = 0; i < length; i++) this.#put(this.#output[this.#length - distance]!);
    }
  }

  #dynamicCodes(): [Huffman, Huffman] {
    const literals = this.#bits(5) + 257;
    const distances = this.#bits(5) + 1;
    const codeLengths = new Uint8Array(CODE_LENGTH_ORDER.length);
    const given = this.#bits(4) + 4;
    for (let i = 0; i < given; i++) codeLengths[CODE_LENGTH_ORDER[i]!] = this.#bits(3);
    const code = new Huffman(codeLengths);
    const lengths: number[] = [];
    while (lengths.length < literals + distances) {
      const symbol = this.#symbol(code);
      if (symbol < 16) {
        lengths.push(symbol);
        continue;
      }
      const repeated = symbol === 16 ? lengths.at(-1) : 0;
      if (repeated === undefined) throw new RangeError("nothing to repeat");
      let times = symbol === 18 ? 11 + this.#bits(7) : 3 + this.#bits(symbol === 16 ? 2 : 3);
      for (; times > 0; times--) lengths.push(repeated);
    }
    if (lengths.length > literals + distances) throw new RangeError("more code lengths than said");
    return [new Huffman(lengths.slice(0, literals)), new Huffman(lengths.slice(literals))];
  }
}

/** The codes of section 3.2.6. */
function fixedCodes(): [Huffman, Huffman] {
  const length = (symbol: number): number => (symbol < 144 ? 8 : symbol < 256 ? 9 : symbol < 280 ? 7 : 8);
  return [
    new Huffman(Array.from({ length: 288 }, (_, symbol) => length(symbol))),
    new Huffman(new Uint8Array(30).fill(5)),
  ];
}

/**
 * The content of a raw DEFLATE stream.
 *
 * @param outputBytes the length of the content, which is allocated at once
 * @throws RangeError if the stream is malformed, or has content of another length
 */
export function inflateRaw(input: Uint8Array, outputBytes: number): OwnBytes {
  return new Inflater(input, outputBytes).run();
}
