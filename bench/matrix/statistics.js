// Computes the numbers of a table from samples.

const ascending = (samples) => [...samples].sort((a, b) => a - b);

export function median(samples) {
  const sorted = ascending(samples);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** @returns {{ median: number, min: number, max: number, samples: number[] }} rounded to 4 significant digits */
export function summary(samples) {
  const round = (value) => Number(value.toPrecision(4));
  return {
    median: round(median(samples)),
    min: round(Math.min(...samples)),
    max: round(Math.max(...samples)),
    samples: samples.map(round),
  };
}

/** The quantile between 0 and 1, interpolated between the two samples around it. */
export function quantile(samples, share) {
  const sorted = ascending(samples);
  const at = (sorted.length - 1) * share;
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (at - below);
}

/**
 * The narrowest interval between two samples, as many from the bottom as from the top, that holds the true median
 * with at least this confidence, whatever the distribution: the number of samples below the median is binomial.
 * Below 6 samples not even the least and the largest reach 95 %; they are returned all the same.
 *
 * @returns {[low: number, high: number]}
 */
export function medianInterval(samples, confidence = 0.95) {
  const sorted = ascending(samples);
  const { length } = sorted;
  let outside = 0;
  let ways = 1; // length over `skipped`
  let skipped = 0;
  for (;;) {
    outside += (2 * ways) / 2 ** length;
    if (1 - outside < confidence || 2 * (skipped + 1) >= length + 1) break;
    ways = (ways * (length - skipped)) / (skipped + 1);
    skipped += 1;
  }
  const low = Math.max(0, skipped - 1);
  return [sorted[low], sorted[length - 1 - low]];
}

/** 1 234 567 → "1,234,567"; small numbers keep three significant digits. */
export function readable(value) {
  if (value === undefined || Number.isNaN(value)) return "–";
  if (value >= 100) return Math.round(value).toLocaleString("en-US");
  return String(Number(value.toPrecision(3)));
}
