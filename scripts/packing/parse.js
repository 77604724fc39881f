// Finds the steps that describe some bytes in the fewest bits: a shortest path over their positions.

import {
  IS_MATCH,
  IS_REPEAT,
  LITERAL_STEP,
  Prices,
  putDistance,
  putMatchLength,
  putRepeatLength,
  putStep,
  putTree,
  REPEAT,
  START,
  stateAfter,
} from "./decisions.js";

/** Longer copies are several steps. */
const LONGEST = 4096;
/** Ways to one position that the parse keeps, which differ in their last distance, and how many bits above the best. */
const WAYS = 6;
const SLACK_BITS = 20;
/** A long copy is cut short by a few bytes at most, a short one anywhere. */
const CUT_BYTES = 6;
const SHORT_BYTES = 24;
/** A copy of this many bytes is taken as it is. */
const LONG_BYTES = 80;

function commonBytes(bytes, a, b, most) {
  let length = 0;
  while (length < most && bytes[a + length] === bytes[b + length]) length++;
  return length;
}

/** At each position the matches, each longer than those nearer to it: pairs of length and distance. */
export function matchesOf(bytes) {
  const last = new Int32Array(65536).fill(-1);
  const previous = new Int32Array(bytes.length);
  return Array.from(bytes, (byte, at) => {
    const found = [];
    if (at + 1 === bytes.length) return found;
    const key = (byte << 8) | bytes[at + 1];
    previous[at] = last[key];
    last[key] = at;
    let longest = 1;
    const most = Math.min(bytes.length - at, LONGEST);
    for (let from = previous[at]; from >= 0 && longest < most; from = previous[from]) {
      if (bytes[from + longest] !== bytes[at + longest]) continue;
      const length = commonBytes(bytes, from, at, most);
      if (length <= longest) continue;
      longest = length;
      found.push([length, at - from]);
    }
    return found;
  });
}

/** Prices of lengths and distances, each computed once. */
class Tables {
  #prices;
  #repeats = [];
  #matches = [];
  #distances = [[], [], [], []];

  constructor(prices) {
    this.#prices = prices;
  }

  price(put) {
    this.#prices.bits = 0;
    put(this.#prices);
    return this.#prices.bits;
  }

  repeat(length) {
    this.#repeats[length] ??= this.price((out) => putRepeatLength(out, length));
    return this.#repeats[length];
  }

  match(length, distance) {
    const kind = Math.min(length - 2, 3);
    const distances = this.#distances[kind];
    distances[distance] ??= this.price((out) => putDistance(out, length, distance));
    this.#matches[length] ??= this.price((out) => putMatchLength(out, length));
    return distances[distance] + this.#matches[length];
  }
}

/** The lengths that a copy of up to `longest` bytes is worth trying with. */
function lengthsOf(shortest, longest) {
  const lengths = [];
  for (let length = longest; length >= shortest; length--) {
    if (length > SHORT_BYTES && length < longest - CUT_BYTES) length = SHORT_BYTES;
    if (length >= shortest) lengths.push(length);
  }
  return lengths;
}

/** Ways to the positions of `bytes`: the cheapest few of each position, which differ in their last distance. */
class Ways {
  #at;

  constructor(length) {
    this.#at = Array.from({ length: length + 1 }, () => []);
    this.#at[0].push({ bits: 0, last: 1, from: undefined, step: undefined, ...START });
  }

  /** Those that are worth going on with. */
  take(at) {
    const best = Math.min(...this.#at[at].map((way) => way.bits));
    const good = this.#at[at].filter((way) => way.bits <= best + SLACK_BITS);
    for (const way of good) if (way.from !== undefined) Object.assign(way, stateAfter(way.from, way.step));
    return good;
  }

  offer(at, bits, from, step, last) {
    const there = this.#at[at];
    const way = { bits, last, from, step, state: 0, distances: undefined };
    let worst = -1;
    for (let i = 0; i < there.length; i++) {
      if (there[i].last === last) {
        if (bits < there[i].bits) there[i] = way;
        return;
      }
      if (worst < 0 || there[i].bits > there[worst].bits) worst = i;
    }
    if (there.length < WAYS) there.push(way);
    else if (bits < there[worst].bits) there[worst] = way;
  }

  /** The steps of the cheapest way to the end. */
  steps() {
    const steps = [];
    let way = this.#at.at(-1).reduce((a, b) => (a.bits <= b.bits ? a : b));
    for (; way.from !== undefined; way = way.from) steps.push(way.step);
    return steps.reverse();
  }
}

/** Offers the copies from `at` on, and returns the length of the longest. */
function offerCopies(ways, tables, bytes, matches, at, way) {
  const { state, distances } = way;
  const operation = (bit) =>
    tables.price((out) => {
      out.put(1, IS_MATCH + state);
      out.put(bit, IS_REPEAT + state);
    });
  let longestOfAll = 0;
  const repeating = way.bits + operation(1);
  for (const [place, distance] of distances.entries()) {
    if (distance > at) continue;
    const most = commonBytes(bytes, at - distance, at, Math.min(bytes.length - at, LONGEST));
    const bits = repeating + tables.price((out) => putTree(out, REPEAT, 2, place));
    for (const length of lengthsOf(1, most))
      ways.offer(at + length, bits + tables.repeat(length), way, { operation: 2, length, place }, distance);
    longestOfAll = Math.max(longestOfAll, most);
  }
  const matching = way.bits + operation(0);
  let shortest = 2;
  for (const [longest, distance] of matches) {
    for (const length of lengthsOf(shortest, longest)) {
      const bits = matching + tables.match(length, distance);
      ways.offer(at + length, bits, way, { operation: 1, length, distance }, distance);
    }
    shortest = longest + 1;
    longestOfAll = Math.max(longestOfAll, longest);
  }
  return longestOfAll;
}

/** The cheapest steps that give `bytes`, by these prices: a shortest path with a few ways to each position. */
export function parse(bytes, matches, models) {
  const tables = new Tables(new Prices(models));
  const ways = new Ways(bytes.length);
  for (let at = 0; at < bytes.length; ) {
    let longest = 0;
    for (const way of ways.take(at)) {
      const literal = tables.price((out) => putStep(out, bytes, at, way, LITERAL_STEP));
      ways.offer(at + 1, way.bits + literal, way, LITERAL_STEP, way.distances[0]);
      longest = Math.max(longest, offerCopies(ways, tables, bytes, matches[at], at, way));
    }
    // Nothing between is better than such a copy.
    at += longest >= LONG_BYTES ? longest : 1;
  }
  return ways.steps();
}
