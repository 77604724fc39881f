// How taint passes through each instruction. The taint of a value is a value of the same size with a 1 for every bit
// that may depend on a secret, as in Valgrind's memcheck. It is exact for moves, masks, shifts and shuffles, is carried
// upwards for sums and products, and is everything or nothing for instructions that are not named here.
//
// Floating-point numbers have the taint of their bits, as an i64 or as lanes of a v128.

/** Where the taint of address a lies: as far behind it as memory is long. */
export const SHADOW = 0x4000000;

/** The type in which the taint of a value of `type` is kept. */
export const taintType = (type) => ({ f64: "i64", f32: "i32" })[type] ?? type;

/** A taint of nothing. */
export function clean(type) {
  if (type === "v128") return ["v128.const", "i32x4", "0", "0", "0", "0"];
  return [`${taintType(type)}.const`, "0"];
}

/** A condition (i32): whether anything of the taint `t` is set. */
export function isTainted(type, t) {
  if (type === "v128") return ["v128.any_true", t];
  if (taintType(type) === "i64") return ["i64.ne", t, ["i64.const", "0"]];
  return ["i32.ne", t, ["i32.const", "0"]];
}

/** Everything of a value of `type` where the condition holds, else nothing. */
export function everything(type, condition) {
  const mask = ["i32.sub", ["i32.const", "0"], condition];
  if (type === "v128") return ["i32x4.splat", mask];
  return taintType(type) === "i64" ? ["i64.extend_i32_s", mask] : mask;
}

const or = (type, a, b) => [type === "v128" ? "v128.or" : `${taintType(type)}.or`, a, b];

/** The type of an operand or result of which the instruction says nothing else. */
function ownType(prefix) {
  return /x\d+$/.test(prefix) ? "v128" : prefix;
}

/** Integer lanes as wide as those of `shape`. */
const integerShape = (shape) => ({ f64x2: "i64x2", f32x4: "i32x4" })[shape] ?? shape;

const asInteger = (op) => op.replace(/^f64\./, "i64.").replace(/^f32\./, "i32.");

/** Bits that a carry can reach. */
const carried = (type, t) => or(type, t, [`${type}.sub`, [`${type}.const`, "0"], t]);

/** Lanes of which anything is tainted, whole. */
const wholeLanes = (shape, t) => [`${integerShape(shape)}.ne`, t, clean("v128")];

const SCALAR_COMPARE = /^(eqz|eq|ne|[lg][te](_[su])?)$/;
const LANE_WISE =
  /^(add|sub|mul|neg|abs|eq|ne|[lg][te](_[su])?|min(_[su])?|max(_[su])?|relaxed_n?madd|div|sqrt|avgr_u|q15mulr_sat_s|relaxed_q15mulr_s|add_sat_[su]|sub_sat_[su]|popcnt|pmin|pmax|relaxed_min|relaxed_max)$/;

/**
 * The result's type of an instruction that has one.
 *
 * @param {string} op
 */
export function resultType(op) {
  const [prefix, name] = op.split(".");
  if (/^(any_true|all_true|bitmask)$/.test(name)) return "i32";
  if (name?.startsWith("extract_lane")) {
    return { i8x16: "i32", i16x8: "i32", i32x4: "i32", i64x2: "i64", f32x4: "f32", f64x2: "f64" }[prefix];
  }
  if (SCALAR_COMPARE.test(name) && ownType(prefix) !== "v128") return "i32";
  return ownType(prefix);
}

/**
 * The taint of an instruction's result. Loads, calls, locals and globals are not for this function.
 *
 * @param {string} op
 * @param {string[]} immediates lane numbers
 * @param {{ value: unknown, taint: unknown, type: string }[]} operands which are free to be written again
 */
export function taintOf(op, immediates, operands) {
  const [prefix, name] = op.split(".");
  const type = ownType(prefix);
  const [a, b, c] = operands;
  const any = operands
    .map(({ type, taint }) => isTainted(type, taint))
    .reduce((sum, condition) => ["i32.or", sum, condition]);
  const whole = everything(resultType(op), any);
  if (op === "v128.bitselect") {
    const chosen = or("v128", ["v128.and", a.taint, c.value], ["v128.andnot", b.taint, c.value]);
    return or("v128", chosen, c.taint);
  }
  if (name === "and") {
    const both = [op, a.taint, b.taint];
    return or(type, both, or(type, [op, a.taint, b.value], [op, a.value, b.taint]));
  }
  if (name === "or" || name === "xor" || name === "andnot") return or(type, a.taint, b.taint);
  if (name === "not") return a.taint;
  if (/^(shl|shr_[su]|rot[lr])$/.test(name)) {
    return or(type, [op, a.taint, b.value], everything(type, isTainted(b.type, b.taint)));
  }
  if (name === "shuffle") return [op, ...immediates, a.taint, b.taint];
  if (name === "swizzle" || name === "relaxed_swizzle") {
    return or("v128", [op, a.taint, b.value], everything("v128", isTainted("v128", b.taint)));
  }
  if (name === "splat") return [`${integerShape(prefix)}.splat`, a.taint];
  if (name.startsWith("extract_lane")) return [`${integerShape(prefix)}.${name}`, ...immediates, a.taint];
  if (name === "replace_lane") return [`${integerShape(prefix)}.${name}`, ...immediates, a.taint, b.taint];
  if (op === "i32.wrap_i64" || /^extend(_i32|8|16|32)_[su]$/.test(name)) return [op, a.taint];
  if (/^extend_(low|high)/.test(name)) return [op, a.taint];
  if (name.startsWith("reinterpret_")) return a.taint;
  if (type === "i32" || type === "i64") {
    if (/^(add|sub|mul)$/.test(name)) return carried(type, or(type, a.taint, b.taint));
    if (SCALAR_COMPARE.test(name)) return any;
  } else if (type === "v128" && LANE_WISE.test(name)) {
    return wholeLanes(
      prefix,
      operands.map(({ taint }) => taint).reduce((sum, taint) => or("v128", sum, taint)),
    );
  }
  return whole;
}

/** The load or store of the taint that belongs to a load or store. */
export function shadowAccess(op, immediates) {
  let offset = SHADOW;
  const others = [];
  for (const immediate of immediates) {
    if (immediate.startsWith("offset=")) offset += Number(immediate.slice("offset=".length));
    else others.push(immediate);
  }
  const at = others.findIndex((immediate) => immediate.startsWith("align="));
  others.splice(Math.max(at, 0), 0, `offset=${offset}`);
  return [asInteger(op), ...others];
}

/** Instructions whose time depends on their operands on common processors. */
export function variableTime(op) {
  const [, name] = op.split(".");
  return /^(div|rem)(_[su])?$|^sqrt$/.test(name ?? "");
}
