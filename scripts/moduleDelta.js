// Writes the relaxed build of the crypto core as the difference from the plain one. The two builds are nearly the same,
// and every program that bundles the package contains both. src/core/wasmBytes.ts restores the relaxed build.
//
// Format: a sequence of steps. A step is three unsigned LEB128 numbers, then new bytes. The numbers are the count of
// new bytes, the distance of the copied bytes from the end of the last copy (zigzag: 0, −1, 1, −2 …), and the count of
// copied bytes. A step gives the new bytes first, then the copy.

/** A copy shorter than this costs more than its bytes. */
const SHORTEST_COPY = 8;
/** How much longer a copy must be to be worth a jump away from where the last one ended. */
const JUMP_BYTES = 6;
const NEAR_BYTES = 64;

/** Where in `bytes` each run of SHORTEST_COPY bytes begins. */
function positionsOf(bytes) {
  const positions = new Map();
  for (let i = 0; i + SHORTEST_COPY <= bytes.length; i++) {
    const run = bytes.toString("latin1", i, i + SHORTEST_COPY);
    const known = positions.get(run);
    if (known === undefined) positions.set(run, [i]);
    else known.push(i);
  }
  return positions;
}

function commonBytes(a, i, b, j) {
  let length = 0;
  while (i + length < a.length && j + length < b.length && a[i + length] === b[j + length]) length++;
  return length;
}

function leb128(value) {
  const bytes = [];
  for (; value > 127; value >>>= 7) bytes.push((value & 127) | 128);
  return [...bytes, value];
}

/** The best copy for `target` from `at` on; undefined where none is worth it. */
function bestCopy(source, positions, target, at, expected) {
  let best;
  for (const from of positions.get(target.toString("latin1", at, at + SHORTEST_COPY)) ?? []) {
    const length = commonBytes(source, from, target, at);
    const worth = length + (Math.abs(from - expected) < NEAR_BYTES ? JUMP_BYTES : 0);
    if (best === undefined || worth > best.worth) best = { from, length, worth };
  }
  return best;
}

/**
 * The difference that makes `target` of `source`.
 *
 * @param {Buffer} source
 * @param {Buffer} target
 * @returns {Buffer}
 */
export function deltaOf(source, target) {
  const positions = positionsOf(source);
  const out = [];
  let sourceAt = 0;
  let newFrom = 0;
  const step = (at, from, length) => {
    const distance = from - sourceAt;
    const zigzag = distance < 0 ? -2 * distance - 1 : 2 * distance;
    out.push(...leb128(at - newFrom), ...leb128(zigzag), ...leb128(length), ...target.subarray(newFrom, at));
    sourceAt = from + length;
    newFrom = at + length;
  };
  for (let at = 0; at < target.length; ) {
    const copy = bestCopy(source, positions, target, at, sourceAt + at - newFrom);
    if (copy === undefined) {
      at++;
    } else {
      step(at, copy.from, copy.length);
      at = newFrom;
    }
  }
  if (newFrom < target.length) step(target.length, sourceAt, 0);
  return Buffer.from(out);
}
