// Welch's t-test over times of two classes of inputs, in the manner of dudect (Reparaz, Balasch, Verbauwhede, 2016).
// The operating system causes the slowest measurements, so they are cut off at several heights. The largest t of all
// cuts counts.

/** Beyond this, times differ for certain; dudect's threshold for a definite leak is 500 and 10. */
export const CERTAIN_T = 10;
/** From here on, measure longer. */
export const SUSPICIOUS_T = 4.5;

interface Moments {
  n: number;
  mean: number;
  variance: number;
}

function momentsOf(times: number[]): Moments {
  const n = times.length;
  const mean = times.reduce((sum, time) => sum + time, 0) / n;
  const variance = times.reduce((sum, time) => sum + (time - mean) ** 2, 0) / Math.max(n - 1, 1);
  return { n, mean, variance };
}

/** Welch's t of two samples. */
export function welchT(first: number[], second: number[]): number {
  const [a, b] = [momentsOf(first), momentsOf(second)];
  const error = Math.sqrt(a.variance / a.n + b.variance / b.n);
  return error === 0 ? (a.mean === b.mean ? 0 : Number.POSITIVE_INFINITY) : (a.mean - b.mean) / error;
}

/** The largest |t| over the cuts. */
export function largestT(times: readonly [number[], number[]]): number {
  const sorted = [...times[0], ...times[1]].sort((a, b) => a - b);
  let largest = 0;
  for (const share of [0.5, 0.7, 0.8, 0.9, 0.95, 1]) {
    const most = sorted[Math.ceil(sorted.length * share) - 1]!;
    const [a, b] = times.map((sample) => sample.filter((time) => time <= most)) as [number[], number[]];
    if (a.length > 100 && b.length > 100) largest = Math.max(largest, Math.abs(welchT(a, b)));
  }
  return largest;
}
