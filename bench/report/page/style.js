// The style of all charts: one colour per contender, the same scales and number formats.
import * as Plot from "@observablehq/plot";

const colourOf = (contenderId) => `var(--${contenderId})`;

/** A colour scale that gives each contender its own colour, in light and dark. */
export function contenderColours(contenders) {
  const ids = contenders.map(({ id }) => id);
  return { type: "ordinal", domain: ids, range: ids.map(colourOf) };
}

export const base = { style: { background: "none", color: "var(--ink)", fontSize: "12px" } };

const plain = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 3 });
const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

export const number = (value) => (Math.abs(value) >= 100 ? grouped : plain).format(value);

const units = [
  [1_048_576, " Mi"],
  [1_024, " Ki"],
];

/** 65536 → "64 Ki"; bytes that are no power of two stay as they are. */
export function byteTick(bytes) {
  for (const [unit, suffix] of units) if (bytes % unit === 0) return `${bytes / unit}${suffix}`;
  return grouped.format(bytes);
}

/** 10000 → "10k". */
export function shortCount(value) {
  if (value % 1e6 === 0) return `${value / 1e6}M`;
  return value % 1e3 === 0 ? `${value / 1e3}k` : grouped.format(value);
}

/** Ticks of a logarithmic axis: 1, 2 and 5 times the powers of ten, or as many of the powers alone as fit. */
export function logTicks([low, high], most) {
  const ticks = [];
  for (let power = 10 ** Math.floor(Math.log10(low)); power <= high; power *= 10) {
    for (const step of [1, 2, 5]) if (step * power >= low && step * power <= high) ticks.push(step * power);
  }
  if (ticks.length <= most) return ticks;
  const powers = ticks.filter((tick) => Number.isInteger(Math.round(Math.log10(tick) * 1e6) / 1e6));
  const every = Math.ceil(powers.length / most);
  return powers.filter((_, i) => i % every === 0);
}

/**
 * Moves labels apart that would cover each other. Takes and returns pixel positions, smallest first.
 *
 * @param {number[]} wanted ascending
 */
export function spread(wanted, gap, lowest, highest) {
  const placed = [...wanted];
  for (let i = 1; i < placed.length; i++) placed[i] = Math.max(placed[i], placed[i - 1] + gap);
  const excess = placed.length > 0 ? placed[placed.length - 1] - highest : 0;
  if (excess > 0) {
    placed[placed.length - 1] -= excess;
    for (let i = placed.length - 2; i >= 0; i--) placed[i] = Math.min(placed[i], placed[i + 1] - gap);
  }
  return placed.map((position) => Math.max(lowest, position));
}

export { Plot };
