// The format of the packed builds: the steps of an LZ77 parse as binary decisions, which adaptive probabilities predict
// and a range coder writes, as in LZMA, with two differences. The coder counts in base 92, so that a digit is a character
// of a string that nobody has to escape. And a literal is predicted by two contexts at once. assembly/unpack.ts is the
// other half; both must agree on everything here, and buildWasm.js unpacks what it packed.

/** Where each kind of decision has its probabilities (assembly/unpack.ts has the same ones). */
export const IS_MATCH = 0;
export const IS_REPEAT = 16;
export const REPEAT = 32;
const MATCH_LENGTH = 4096;
const REPEAT_LENGTH = 8192;
const DISTANCE = 12288;
const LITERAL = 16384;
const EXPECTED = LITERAL + 8 * 256;
const LITERAL_AFTER = EXPECTED + 2 * 256;
const MODELS = LITERAL_AFTER + 256 * 256;

const BASE = 92;
const SMALLEST_RANGE = 2 ** 25;
/** A byte of 0x80 twice: about a half. */
const FIRST_PROBABILITY = 0x8080;
export const LITERAL_STEP = { operation: 0, length: 1 };

export const newModels = () => new Uint16Array(MODELS).fill(FIRST_PROBABILITY);
/** Bits that a decision costs whose probability is `p` of 4,096. */
const COSTS = Float64Array.from({ length: 4097 }, (_, p) => -Math.log2(p / 4096));

/** Estimates what decisions cost, by probabilities that stay as they are. */
export class Prices {
  #models;
  bits = 0;

  constructor(models) {
    this.#models = models;
  }

  put(bit, first, second = first) {
    const p = (this.#models[first] + this.#models[second]) >> 5;
    this.bits += COSTS[bit ? 4096 - p : p];
  }
}

/** Writes decisions as digits, and learns from them. */
export class Writer {
  models = newModels();
  /** Sums that may be larger than a digit: text() carries. */
  #digits = [0, 0, 0, 0];
  #range = BASE ** 4;

  put(bit, first, second = first) {
    const { models } = this;
    const p = (models[first] + models[second]) >> 5;
    const bound = (this.#range >>> 12) * p;
    if (bit) {
      this.#digits[this.#digits.length - 1] += bound;
      this.#range -= bound;
    } else {
      this.#range = bound;
    }
    for (const at of first === second ? [first] : [first, second])
      models[at] += bit ? -(models[at] >> 5) : (65536 - models[at]) >> 5;
    while (this.#range < SMALLEST_RANGE) {
      this.#range *= BASE;
      this.#digits.push(0);
    }
  }

  text() {
    const digits = [...this.#digits];
    for (let i = digits.length - 1; i > 0; i--) {
      digits[i - 1] += Math.floor(digits[i] / BASE);
      digits[i] %= BASE;
    }
    return digits.map((digit) => String.fromCharCode(digit === 57 ? 33 : digit + 35)).join("");
  }
}

export function putTree(out, at, bits, value) {
  for (let node = 1, i = bits - 1; i >= 0; i--) {
    const bit = (value >> i) & 1;
    out.put(bit, at + node);
    node = node * 2 + bit;
  }
}

function putNumber(out, at, below, value) {
  const bits = 31 - Math.clz32(value);
  putTree(out, at, 5, bits);
  for (let i = 0; i < bits; i++) {
    const known = value >> (bits - i);
    out.put(
      (value >> (bits - 1 - i)) & 1,
      below + 32 + (known < 32 ? bits * 64 + known : 2048 + bits * 32 + i),
    );
  }
}

function putLiteral(out, bytes, at, { state, distances }) {
  const before = bytes[at - 1] ?? 0;
  const expected = bytes[at - distances[0]] ?? 0;
  const value = bytes[at] | 256;
  for (let shift = 7; shift >= 0; shift--) {
    const node = value >> (shift + 1);
    const agrees = state % 3 !== 0 && (expected | 256) >> (shift + 1) === node;
    const other = agrees ? EXPECTED + (((expected >> shift) & 1) << 8) : LITERAL + ((before >> 5) << 8);
    out.put((value >> shift) & 1, LITERAL_AFTER + (before << 8) + node, other + node);
  }
}

export const putMatchLength = (out, length) => putNumber(out, MATCH_LENGTH, MATCH_LENGTH, length - 1);
export const putRepeatLength = (out, length) => putNumber(out, REPEAT_LENGTH, REPEAT_LENGTH, length);
export const putDistance = (out, length, distance) =>
  putNumber(out, DISTANCE + Math.min(length - 2, 3) * 32, DISTANCE + 96, distance);

export function putStep(out, bytes, at, before, step) {
  const { state } = before;
  out.put(step.operation === 0 ? 0 : 1, IS_MATCH + state);
  if (step.operation === 0) return putLiteral(out, bytes, at, before);
  out.put(step.operation - 1, IS_REPEAT + state);
  if (step.operation === 2) {
    putTree(out, REPEAT, 2, step.place);
    putRepeatLength(out, step.length);
  } else {
    putMatchLength(out, step.length);
    putDistance(out, step.length, step.distance);
  }
}

/** The last operations and distances after a step. */
export function stateAfter({ state, distances }, step) {
  const next = (state * 3 + step.operation) % 9;
  if (step.operation === 0) return { state: next, distances };
  const others = distances.filter((_, place) => place !== (step.operation === 2 ? step.place : 3));
  const first = step.operation === 2 ? distances[step.place] : step.distance;
  return { state: next, distances: [first, ...others] };
}

export const START = { state: 0, distances: [1, 1, 1, 1] };
