// What samples of two builds say about their difference.
import { median, medianInterval, quantile } from "../matrix/statistics.js";

// Of the dozens of rows of a run, one in twenty would be called different by chance with 95 %.
const ALARM_CONFIDENCE = 0.99;
const AGREEING_STARTS = 5 / 6;

const round = (value) => Number(value.toPrecision(4));

/** @returns {{ median: number, q1: number, q3: number, samples: number[] }} rounded to 4 significant digits */
export function spread(samples) {
  return {
    median: round(median(samples)),
    q1: round(quantile(samples, 0.25)),
    q3: round(quantile(samples, 0.75)),
    samples: samples.map(round),
  };
}

/**
 * Compares samples that were taken in pairs, one of A and one of B right after each other, so that whatever else the
 * machine did hit both. The ratio is that of a pair, B to A: above 1, B costs more.
 *
 * @param {{ a: number, b: number, start: number }[]} pairs `start`: which processes they are from
 * @param {number} tolerance share that counts as no difference
 * @returns {{ a: object, b: object, ratio: number, low: number, high: number, meanRatio: number, verdict: string }}
 *   the median ratio, the interval that holds the true one with 95 % confidence, and the ratio of all that B cost to
 *   all that A cost: what comes rarely and costs much, such as a full garbage collection, is in the second alone
 */
export function compare(pairs, tolerance) {
  const ratios = pairs.map(({ a, b }) => b / a);
  const [low, high] = medianInterval(ratios);
  const ratio = median(ratios);
  const total = (build) => pairs.reduce((sum, pair) => sum + pair[build], 0);
  return {
    a: spread(pairs.map(({ a }) => a)),
    b: spread(pairs.map(({ b }) => b)),
    ratio: round(ratio),
    low: round(low),
    high: round(high),
    meanRatio: round(total("b") / total("a")),
    verdict: verdictOf({ ratio, low, high, ratios, starts: startRatios(pairs) }, tolerance),
  };
}

/**
 * The median ratio of each start. Two processes of one build differ, too, for as long as they live (what the compilers
 * chose, where memory came to lie), so that pairs of one start are no independent witnesses.
 */
function startRatios(pairs) {
  const starts = [...new Set(pairs.map(({ start }) => start))];
  return starts.map((start) => median(pairs.filter((pair) => pair.start === start).map(({ a, b }) => b / a)));
}

/**
 * - "slower" or "faster": B differs by more than the tolerance, the 99 % interval over all pairs has no 1 in it, and
 *   five starts of six agree (one may have met a busy machine from its beginning to its end);
 * - "same": the whole interval lies within the tolerance;
 * - "unclear": neither can be said; more rounds or a quieter machine would tell.
 */
function verdictOf({ ratio, low, high, ratios, starts }, tolerance) {
  const [surelyLow, surelyHigh] = medianInterval(ratios, ALARM_CONFIDENCE);
  const agree = (test) => starts.filter(test).length >= starts.length * AGREEING_STARTS;
  if (ratio > 1 + tolerance && surelyLow > 1 && agree((each) => each > 1)) return "slower";
  if (ratio < 1 - tolerance && surelyHigh < 1 && agree((each) => each < 1)) return "faster";
  return low >= 1 - tolerance && high <= 1 + tolerance ? "same" : "unclear";
}

/**
 * Which build goes first: A B, B A, A B … over the rounds, so that what drifts steadily adds as much to one as to the
 * other. Rows start at alternating places, so that a round as a whole has both orders.
 */
export function orderOf(round, rowIndex) {
  return (round + rowIndex) % 2 === 0 ? ["a", "b"] : ["b", "a"];
}

/** How many rounds each start runs: as even as whole numbers allow, the first ones longer. */
export function roundsPerStart(rounds, starts) {
  return Array.from(
    { length: starts },
    (_, i) => Math.floor(rounds / starts) + (i < rounds % starts ? 1 : 0),
  );
}
