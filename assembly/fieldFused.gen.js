// Generates assembly/fieldFused.ts: arithmetic modulo 2^255 - 19 on two elements at a time with fused
// multiply-add. Run by scripts/generate.js; a test compares its output with the checked-in file.

/** An element is LIMBS limbs of BITS bits. */
const LIMBS = 5;
const BITS = 51n;
const WORD = 1n << 64n;

/** The bit pattern of a double. */
function bitsOf(value) {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  return view.getBigUint64(0);
}

// h = fma(a, b, C1) is C1 plus a b rounded to a multiple of 2^51: C1 = 1.5 * 2^103 lies in the middle of a
// binade whose unit is 2^51, so the bit pattern of h is that of C1 plus the high part. l = fma(a, b, C2 - h)
// with C2 = C1 + 1.5 * 2^52 is 1.5 * 2^52 plus the exact rest, in a binade whose unit is 1.
const C1 = 1.5 * 2 ** 103;
const C2 = C1 + 1.5 * 2 ** 52;
const HIGH = bitsOf(C1);
const LOW = bitsOf(1.5 * 2 ** 52);

/** The bias, added before a carry. It makes the sums positive (they stay below 2^61) and the remainders balanced. */
const BIAS = (1n << 61n) + (1n << (BITS - 1n));
/** The amount that the bias adds to a carry. */
const CARRY_BIAS = 1n << (61n - BITS);
const TO_DOUBLE = bitsOf(2 ** 52);
const FROM_ZERO = 2 ** 52 + 2 ** 50 + Number(CARRY_BIAS);
const FROM_ZERO_0 = 2 ** 52 + 2 ** 50 + 19 * Number(CARRY_BIAS);

const hex = (value) =>
  `0x${((value % WORD) + WORD) % WORD === 0n ? "0" : (((value % WORD) + WORD) % WORD).toString(16)}`;
const constants = [];

/** A constant in memory, one 64-bit value per lane; returns the expression that loads it. */
function constant(name, low, high = low) {
  let index = constants.findIndex((known) => known.name === name);
  if (index < 0) index = constants.push({ name, low: hex(low), high: hex(high) }) - 1;
  return `v128.load(K${index === 0 ? "" : `, ${16 * index}`})`;
}

const at = (i) => (i === 0 ? "" : `, ${16 * i}`);
const limbs = Array.from({ length: LIMBS }, (_, k) => k);

/** Writes straight-line code: declares a name at its first assignment. */
class Code {
  lines = [];
  #declared = new Set();

  set(name, value) {
    this.lines.push(`${this.#declared.has(name) ? "" : "let "}${name} = ${value};`);
    this.#declared.add(name);
  }

  /** Adds to a column, and counts the bit patterns of C1 and C2 in its sum. */
  accumulate(columns, k, part, offset) {
    const name = `c${k}`;
    this.set(name, columns[k] === undefined ? part : `i64x2.add(${name}, ${part})`);
    columns[k] = (columns[k] ?? 0n) + offset;
  }

  product(columns, k, x, y) {
    this.set("h", `f64x2.relaxed_madd(${x}, ${y}, ${constant("C1", HIGH)})`);
    this.set("l", `f64x2.relaxed_madd(${x}, ${y}, f64x2.sub(${constant("C2", bitsOf(C2))}, h))`);
    this.accumulate(columns, k, "l", LOW);
    this.accumulate(columns, k + 1, "h", HIGH);
  }

  /** r0..r4 = the columns modulo p. They still contain the bit patterns, whose sums are returned as `offsets`. */
  fold(columns) {
    const offsets = [];
    for (const k of limbs) {
      const c = `c${k + LIMBS}`;
      this.set(
        `r${k}`,
        `i64x2.add(i64x2.add(c${k}, ${c}), i64x2.add(i64x2.shl(${c}, 1), i64x2.shl(${c}, 4)))`,
      );
      offsets.push(columns[k] + 19n * columns[k + LIMBS]);
    }
    return offsets;
  }

  /** Carries r0..r4 (plus the constants `add(k)`) once, in parallel, and stores them as doubles. */
  carry(target, add) {
    for (const k of limbs) this.set(`r${k}`, `i64x2.add(r${k}, ${add(k)})`);
    for (const k of limbs) {
      this.set(`q${k}`, `i64x2.shr_u(r${k}, ${BITS})`);
      this.set(`r${k}`, `v128.and(r${k}, ${constant("MASK", (1n << BITS) - 1n)})`);
    }
    for (const k of limbs) {
      const q = k > 0 ? `q${k - 1}` : "i64x2.add(i64x2.add(q4, i64x2.shl(q4, 1)), i64x2.shl(q4, 4))";
      const bits = `i64x2.add(r${k}, i64x2.add(${q}, ${constant("TO_DOUBLE", TO_DOUBLE)}))`;
      const zero =
        k > 0 ? constant("FROM_ZERO", bitsOf(FROM_ZERO)) : constant("FROM_ZERO_0", bitsOf(FROM_ZERO_0));
      this.lines.push(`v128.store(${target}, f64x2.sub(${bits}, ${zero})${at(k)});`);
    }
  }
}

function multiplication(code) {
  const columns = [];
  for (const i of limbs) {
    code.set("x", `v128.load(f${at(i)})`);
    for (const j of limbs) {
      code.set("y", `v128.load(g${at(j)})`);
      code.product(columns, i + j, "x", "y");
    }
  }
  return columns;
}

function squaring(code) {
  const columns = [];
  for (const i of limbs) {
    code.set("x", `v128.load(f${at(i)})`);
    code.product(columns, 2 * i, "x", "x");
    if (i + 1 < LIMBS) code.set("x", "f64x2.add(x, x)");
    for (const j of limbs.slice(i + 1)) {
      code.set("y", `v128.load(f${at(j)})`);
      code.product(columns, i + j, "x", "y");
    }
  }
  return columns;
}

const swapped = (r) => `v128.shuffle<i64>(${r}, ${r}, 1, 0)`;

/** (r0 + r1, r0 - r1) of the two lanes. -r1 = ~r1 + 1; the constant contains the 1. */
function sumAndDifference(code, offsets, tag) {
  for (const k of limbs) {
    code.set(
      `r${k}`,
      `i64x2.add(${swapped(`r${k}`)}, v128.xor(r${k}, ${constant("HIGH_LANE", 0n, WORD - 1n)}))`,
    );
  }
  return (k) => constant(`${tag}${k}`, BIAS - 2n * offsets[k], BIAS + 1n);
}

function mulSumDifference() {
  const code = new Code();
  const offsets = code.fold(multiplication(code));
  code.carry("h_", sumAndDifference(code, offsets, "MUL_SUM"));
  return code.lines;
}

function square() {
  const code = new Code();
  const offsets = code.fold(squaring(code));
  code.carry("h_", (k) => constant(`SQUARE${k}`, BIAS - offsets[k]));
  return code.lines;
}

/** (AA, BB) = f^2, then h = (AA, E) and g = (BB, BB + 121666 E) with E = AA - BB. */
function squareForDoubling() {
  const code = new Code();
  const offsets = code.fold(squaring(code));
  for (const k of limbs) {
    code.set(`b${k}`, `v128.shuffle<i64>(r${k}, r${k}, 1, 1)`);
    // (AA, AA) - (0, BB)
    code.set(
      `r${k}`,
      `i64x2.sub(v128.shuffle<i64>(r${k}, r${k}, 0, 0), v128.and(r${k}, ${constant("HIGH_LANE", 0n, WORD - 1n)}))`,
    );
  }
  code.carry("h_", (k) => constant(`E${k}`, BIAS - offsets[k], BIAS));
  const columns = [];
  for (const k of limbs) {
    code.set("x", `v128.load(h_${at(k)})`);
    code.product(columns, k, constant("A24", bitsOf(0), bitsOf(121666)), "x");
  }
  // Column 5 is only the high part of limb 4, and it wraps to column 0.
  code.set("c0", "i64x2.add(i64x2.add(c0, c5), i64x2.add(i64x2.shl(c5, 1), i64x2.shl(c5, 4)))");
  columns[0] += 19n * columns[LIMBS];
  for (const k of limbs) code.set(`r${k}`, `i64x2.add(c${k}, b${k})`);
  code.carry("g_", (k) => constant(`G${k}`, BIAS - offsets[k] - columns[k]));
  return code.lines;
}

const indent = (lines) => lines.map((line) => `  ${line}`).join("\n");

export const target = "fieldFused.ts";

export function generate() {
  constants.length = 0;
  const functions = {
    mulSumDifference: mulSumDifference(),
    square: square(),
    squareForDoubling: squareForDoubling(),
  };
  const table = constants.map(({ name, low, high }) => `  ${low}, ${high}, // ${name}`).join("\n");
  return `// Generated by fieldFused.gen.js; do not edit.
//
// Arithmetic modulo p = 2^255 - 19 (RFC 7748 section 4.1) on pairs of elements, one in each lane of f64x2,
// with fused multiply-add. Results are right only where f64x2.relaxed_madd rounds once; pairs25519.ts tests that.
//
// An element is five signed limbs of 51 bits as doubles (value = sum of limb k * 2^(51 k)); a pair is
// FUSED_BYTES = 80. "Carried": |limb| <= 2^50 + 2^15. All functions take and give carried pairs, so that
// products of limbs, one of them doubled, stay below 2^102 in size. The splitting of a product needs this bound:
// h = fma(a, b, C1) holds the high part and l = fma(a, b, C2 - h) the low part, both as integers in the bit
// patterns. The bit patterns are added as integers, and the constants below take out the bits of C1 and C2.
// Every element may be secret: no branch and no address depends on a limb, and no operand is ever subnormal.
//
// Constants are read from memory, because some compilers rebuild a v128.const at every use.

export const FUSED_BYTES: usize = ${16 * LIMBS};

// biome-ignore format: one constant per row, a value per lane
const K = memory.data<u64>([
${table}
], 16);

/** h = (s + d, s - d) for (s, d) = f * g. h may overlap f and g. */
export function mulSumDifference(h_: usize, f: usize, g: usize): void {
${indent(functions.mulSumDifference)}
}

/** h = f^2. h may overlap f. */
export function square(h_: usize, f: usize): void {
${indent(functions.square)}
}

/**
 * h = (AA, E) and g = (BB, AA + a24 E) for (AA, BB) = f^2 and E = AA - BB (RFC 7748 section 5; the second is
 * computed as BB + 121666 E). h may overlap f.
 */
export function squareForDoubling(h_: usize, g_: usize, f: usize): void {
${indent(functions.squareForDoubling)}
}
`;
}
