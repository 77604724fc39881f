// Generates assembly/fieldDouble.ts: arithmetic modulo 2^255 - 19 on two elements at a time in plain doubles.
// Run by scripts/generate.js; a test compares its output with the checked-in file.

/** Limb i is a multiple of 2^weights[i]: radix 2^21.25. */
const LIMBS = 12;
const weights = Array.from({ length: LIMBS + 1 }, (_, i) => Math.ceil(21.25 * i));

/** The number of columns that are summed at a time. Their sums and as many limbs of g live in registers. */
const TILE = 4;

/**
 * Sums are stored after so many rows, though they are not final. A compiler that schedules sums as late as possible
 * (V8 11) otherwise loads all limbs first and spills them, which costs a quarter more time there. In squaring the
 * stores cost more than they gain.
 */
const BARRIER_ROWS = 2;

const constants = [];

/** A constant in memory, one double per lane; returns the expression that loads it. */
function constant(name, low, high = low) {
  let index = constants.findIndex((known) => known.name === name);
  if (index < 0) index = constants.push({ name, low, high }) - 1;
  return `v128.load(K${index === 0 ? "" : `, ${16 * index}`})`;
}

const WRAP = () => constant("WRAP", 19 * 2 ** -255);
const at = (i) => (i === 0 ? "" : `, ${16 * i}`);
const columns = Array.from({ length: LIMBS }, (_, k) => k);

/** Writes straight-line code: declares a name at its first assignment. */
class Code {
  lines = [];
  #declared = new Set();

  set(name, value) {
    this.lines.push(`${this.#declared.has(name) ? "" : "let "}${name} = ${value};`);
    this.#declared.add(name);
  }

  /** h_to += value, or = value the first time. */
  accumulate(started, k, value) {
    this.set(`h${k}`, started.has(k) ? `f64x2.add(h${k}, ${value})` : value);
    started.add(k);
  }

  /** Takes the multiple of the next weight out of limb k: adding 1.5 * 2^52 times that weight rounds to one. */
  takeCarry(name, k) {
    const round = constant(`ROUND_${weights[k + 1]}`, 1.5 * 2 ** (52 + weights[k + 1]));
    this.set(name, `f64x2.sub(f64x2.add(h${k}, ${round}), ${round})`);
    this.set(`h${k}`, `f64x2.sub(h${k}, ${name})`);
  }

  giveCarry(name, k) {
    const value = k < LIMBS - 1 ? name : `f64x2.mul(${name}, ${WRAP()})`;
    this.set(`h${(k + 1) % LIMBS}`, `f64x2.add(h${(k + 1) % LIMBS}, ${value})`);
  }

  /** Carries sums of products in four interleaved chains of four carries, so that their latencies overlap. */
  carry() {
    for (let step = 0; step < 4; step++) {
      for (const start of [0, 3, 6, 9]) {
        const k = (start + step) % LIMBS;
        this.takeCarry(`c${start}`, k);
        this.giveCarry(`c${start}`, k);
      }
    }
  }

  /** Carries limbs of up to 2^40 units, every limb once and all at the same time. */
  carryOnce() {
    for (const k of columns) this.takeCarry(`c${k}`, k);
    for (const k of columns) this.giveCarry(`c${k}`, k);
  }

  loadColumns() {
    for (const k of columns) this.set(`h${k}`, `v128.load(COLUMNS${at(k)})`);
  }

  store(p) {
    for (const k of columns) this.lines.push(`v128.store(${p}, h${k}${at(k)});`);
  }
}

/**
 * Writes the wrapped limbs of g, then g itself, in one row: at EXTENDED + 16 j stands limb j - 12, for j < 12 as limb j
 * times 19 * 2^-255. A column therefore never asks which of the two it needs.
 */
function extend(code, p, first) {
  for (const j of columns.slice(first)) {
    code.set("x", `v128.load(${p}${at(j)})`);
    code.lines.push(`v128.store(EXTENDED, f64x2.mul(x, ${WRAP()})${at(j)});`);
    if (first <= 1) code.lines.push(`v128.store(EXTENDED, x${at(j + LIMBS)});`);
  }
}

/** The body of a loop over the groups of TILE columns; `first` is the byte offset of the group. */
function multiplicationTile(code) {
  const g = (index) => `v128.load(e${at(index + LIMBS)})`;
  // window[n] holds g[first + n - i]: the window slides along g as i grows.
  let window = Array.from({ length: TILE }, (_, n) => `w${n}`);
  for (let n = 0; n < TILE; n++) code.set(window[n], g(n));
  const started = new Set();
  for (const i of columns) {
    if (i > 0) {
      window = [window[TILE - 1], ...window.slice(0, -1)];
      code.set(window[0], g(-i));
    }
    code.set("y", `v128.load(f${at(i)})`);
    for (let n = 0; n < TILE; n++) code.accumulate(started, n, `f64x2.mul(y, ${window[n]})`);
    if (i % BARRIER_ROWS === BARRIER_ROWS - 1 && i < LIMBS - 1) {
      for (let n = 0; n < TILE; n++) code.lines.push(`v128.store(COLUMNS + first, h${n}${at(n)});`);
    }
  }
  for (let n = 0; n < TILE; n++) code.lines.push(`v128.store(COLUMNS + first, h${n}${at(n)});`);
}

function multiplyColumns() {
  const prologue = new Code();
  prologue.set("x", "v128.load(g)");
  prologue.lines.push(`v128.store(EXTENDED, x${at(LIMBS)});`);
  extend(prologue, "g", 1);
  const tile = new Code();
  multiplicationTile(tile);
  return [
    ...prologue.lines,
    `for (let first: usize = 0; first < ${16 * LIMBS}; first += ${16 * TILE}) {`,
    "  const e = EXTENDED + first;",
    ...tile.lines.map((line) => `  ${line}`),
    "}",
  ];
}

/**
 * COLUMNS = b x in two halves, for the pair f = (a, b) and the table of x. The low lane sums the products of the
 * even-numbered limbs of b, the high lane those of the odd-numbered limbs.
 */
function multiplyColumnsByFactor() {
  const lines = [];
  for (let j = 0; j < LIMBS; j += 2) {
    const limbs = `v128.shuffle<i64>(v128.load(f${at(j)}), v128.load(f${at(j + 1)}), 1, 3)`;
    lines.push(`v128.store(EXTENDED, ${limbs}${at(j / 2)});`);
  }
  const tile = new Code();
  const started = new Set();
  for (let j = 0; j < LIMBS / 2; j++) {
    tile.set("y", `v128.load(EXTENDED${at(j)})`);
    for (let n = 0; n < TILE; n++) {
      tile.accumulate(started, n, `f64x2.mul(y, v128.load(e${at(n - 2 * j + LIMBS - 2)}))`);
    }
  }
  for (let n = 0; n < TILE; n++) tile.lines.push(`v128.store(COLUMNS + first, h${n}${at(n)});`);
  return [
    ...lines,
    `for (let first: usize = 0; first < ${16 * LIMBS}; first += ${16 * TILE}) {`,
    "  const e = table + first;",
    ...tile.lines.map((line) => `  ${line}`),
    "}",
  ];
}

/** COLUMNS = (a - z, a + z) for f = (a, b), where z is the sum of both lanes of COLUMNS. */
function differenceSum() {
  return [
    `for (let i: usize = 0; i < ${16 * LIMBS}; i += 16) {`,
    "  const z = v128.load(COLUMNS + i);",
    "  const a = v128.load(f + i);",
    `  const signed = v128.xor(f64x2.add(z, ${shuffle("z", 1, 0)}), ${constant("NEGATE_LOW", -0, 0)});`,
    `  v128.store(COLUMNS + i, f64x2.add(${shuffle("a", 0, 0)}, signed));`,
    "}",
  ];
}

function squareColumns() {
  const code = new Code();
  extend(code, "f", 6);
  const right = (i, j) => (i + j >= LIMBS ? `v128.load(EXTENDED${at(j)})` : `v128.load(f${at(j)})`);
  for (let first = 0; first < LIMBS; first += TILE) {
    const group = columns.slice(first, first + TILE);
    const started = new Set();
    for (const doubled of [true, false]) {
      for (const i of columns) {
        const products = group
          .map((k) => ({ k, j: (k - i + LIMBS) % LIMBS }))
          .filter(({ j }) => (doubled ? j > i : j === i));
        if (products.length === 0) continue;
        code.set("x", `v128.load(f${at(i)})`);
        for (const { k, j } of products) code.accumulate(started, k, `f64x2.mul(x, ${right(i, j)})`);
      }
      if (doubled) for (const k of group) code.set(`h${k}`, `f64x2.add(h${k}, h${k})`);
    }
    for (const k of group) code.lines.push(`v128.store(COLUMNS, h${k}${at(k)});`);
  }
  return code.lines;
}

const shuffle = (v, a, b) => `v128.shuffle<i64>(${v}, ${v}, ${a}, ${b})`;

function carrySumDifference() {
  const code = new Code();
  code.loadColumns();
  const negate = constant("NEGATE_HIGH", 0, -0);
  for (const k of columns)
    code.set(`h${k}`, `f64x2.add(${shuffle(`h${k}`, 1, 0)}, v128.xor(h${k}, ${negate}))`);
  code.carry();
  code.store("h_");
  return code.lines;
}

function carryProduct() {
  const code = new Code();
  code.loadColumns();
  code.carry();
  code.store("h_");
  return code.lines;
}

/** From h = (AA, E): g = (AA - E, AA + 121665 E). */
function doublingFactor() {
  const code = new Code();
  const factors = constant("A24", -1, 121665);
  for (const k of columns) {
    code.set("x", `v128.load(h_${at(k)})`);
    code.set(`h${k}`, `f64x2.add(${shuffle("x", 0, 0)}, f64x2.mul(${shuffle("x", 1, 1)}, ${factors}))`);
  }
  code.carryOnce();
  code.store("g_");
  return code.lines;
}

/** COLUMNS = (AA, AA - BB) of the columns (AA, BB). */
function differenceOfSquares() {
  const keep = constant("KEEP_HIGH", 0, Number.NaN);
  return [
    `for (let p = COLUMNS; p < COLUMNS + ${16 * LIMBS}; p += 16) {`,
    "  const x = v128.load(p);",
    `  v128.store(p, f64x2.sub(${shuffle("x", 0, 0)}, v128.and(x, ${keep})));`,
    "}",
  ];
}

/** The bit pattern of a double as a literal; NaN stands for all ones (a mask). */
function literal(value) {
  if (Number.isNaN(value)) return "0xffffffffffffffff";
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  return `0x${view.getBigUint64(0).toString(16).padStart(16, "0")}`;
}

const indent = (lines) => lines.map((line) => `  ${line}`).join("\n");

export const target = "fieldDouble.ts";

export function generate() {
  constants.length = 0;
  WRAP(); // the first, see factorLimb
  const functions = {
    multiplyColumns: multiplyColumns(),
    squareColumns: squareColumns(),
    carrySumDifference: carrySumDifference(),
    carryProduct: carryProduct(),
    differenceOfSquares: differenceOfSquares(),
    doublingFactor: doublingFactor(),
    multiplyColumnsByFactor: multiplyColumnsByFactor(),
    differenceSum: differenceSum(),
  };
  const table = constants
    .map(({ name, low, high }) => `  ${literal(low)}, ${literal(high)}, // ${name}`)
    .join("\n");
  return `// Generated by fieldDouble.gen.js; do not edit.
//
// Arithmetic modulo p = 2^255 - 19 (RFC 7748 section 4.1) on pairs of elements, one in each lane of f64x2, in
// doubles without rounding errors (Bernstein, "Curve25519: new Diffie-Hellman speed records", section 4).
//
// An element is the sum of twelve doubles; limb i is a multiple of 2^w(i), w(i) = ceil(21.25 i). Columns therefore
// add up without factors, and 2^255 = 19 is a multiplication by 19 * 2^-255. A pair is DOUBLE_BYTES = 192.
// "Carried": |limb i| <= 2^(w(i+1) - 1) + 2^(w(i) + 14). All functions take and give carried pairs. A column
// then stays below 2^51 times its unit, and a sum of two below 2^52; doubles are exact up to 2^53.
// Every element may be secret: no branch and no address depends on a limb, and no operand is ever subnormal.
//
// Constants are read from memory, because some compilers rebuild a v128.const at every use. Columns are stored to
// memory, because the register allocators spill more without that. Operations share code to keep the module small.

import { FIELD_SCRATCH } from "./memory";

export const DOUBLE_BYTES: usize = ${16 * LIMBS};

const EXTENDED: usize = FIELD_SCRATCH; // limbs times 19 * 2^-255, then limbs
const COLUMNS: usize = FIELD_SCRATCH + 2 * DOUBLE_BYTES; // sums of products, not carried

// biome-ignore format: one constant per row, a value per lane
const K = memory.data<u64>([
${table}
], 16);

/** COLUMNS = f * g. */
function multiplyColumns(f: usize, g: usize): void {
${indent(functions.multiplyColumns)}
}

/** COLUMNS = f^2. */
function squareColumns(f: usize): void {
${indent(functions.squareColumns)}
}

/** h = (s + d, s - d) for (s, d) = COLUMNS. */
function carrySumDifference(h_: usize): void {
${indent(functions.carrySumDifference)}
}

/** h = COLUMNS. */
function carryProduct(h_: usize): void {
${indent(functions.carryProduct)}
}

/** h = (s + d, s - d) for (s, d) = f * g. h may overlap f and g. */
export function mulSumDifference(h_: usize, f: usize, g: usize): void {
  multiplyColumns(f, g);
  carrySumDifference(h_);
}

/** Bytes of a table that writeFactor writes. */
export const FACTOR_BYTES: usize = ${16 * (2 * LIMBS - 2)};

/** table = the element in the low lane of the pair f, in the form that mulDifferenceSum reads. */
export function writeFactor(table: usize, f: usize): void {
  for (let m = ${2 - LIMBS}; m < ${LIMBS}; m++) {
    store<f64>(table, factorLimb(f, m));
    store<f64>(table, factorLimb(f, m - 1), 8);
    table += 16;
  }
}

/** Limb m of f; for m < 0, limb m + 12 times 19 * 2^-255. */
function factorLimb(f: usize, m: i32): f64 {
  return m >= 0 ? load<f64>(f + 16 * m) : load<f64>(f + 16 * (m + ${LIMBS})) * load<f64>(K);
}

/** h = (a - b x, a + b x) for the pair f = (a, b) and the table of x. h may overlap f. */
export function mulDifferenceSum(h_: usize, f: usize, table: usize): void {
${indent(functions.multiplyColumnsByFactor)}
${indent(functions.differenceSum)}
  carryProduct(h_);
}

/** h = f^2. h may overlap f. */
export function square(h_: usize, f: usize): void {
  squareColumns(f);
  carryProduct(h_);
}

/**
 * h = (AA, E) and g = (BB, AA + a24 E) for (AA, BB) = f^2 and E = AA - BB (RFC 7748 section 5). h may overlap
 * f.
 */
export function squareForDoubling(h_: usize, g_: usize, f: usize): void {
  squareColumns(f);
${indent(functions.differenceOfSquares)}
  carryProduct(h_);
${indent(functions.doublingFactor)}
}
`;
}
