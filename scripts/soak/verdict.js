// Decides whether a measured value stays level over time. Memory under a collector goes up and down, so its low points
// count: the lower quarter of the values in the last third of a run is compared with that in the third before. For
// counted things the lowest point counts, because each third has moments with as little to do as any other. A single
// thing that is never given back therefore raises it.

const LEAST_SAMPLES = 12;
/**
 * What is shown: its name, its unit, and by how much the later may exceed the earlier: a part of it, and so much besides.
 * `kept`: by how much the lowest point of the last third may lie above that of the first.
 */
export const measures = {
  rssMiB: { title: "resident memory", unit: "MiB", part: 0.1, besides: 8 },
  heapMiB: { title: "heap", unit: "MiB", part: 0.1, besides: 4 },
  files: { title: "open files", unit: "", part: 0.2, besides: 6, kept: 2 },
  slots: { title: "pool slots", unit: "", part: 0.2, besides: 6, kept: 0 },
  deadlines: { title: "deadlines", unit: "", part: 0.2, besides: 30, kept: 6 },
  lateMs: { title: "event loop late, p99", unit: "ms", part: 1, besides: 10 },
  p99Ms: { title: "requests, p99", unit: "ms", part: 1, besides: 50 },
};

function lowerQuarter(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 4)];
}

/**
 * @param {object[]} samples of one end, in order
 * @returns {{ measure: string, first: number, last: number, most: number, flat: boolean | undefined }[]} undefined: too few
 */
export function verdicts(samples) {
  const third = Math.floor(samples.length / 3);
  return Object.entries(measures).map(([measure, { part, besides, kept = Number.POSITIVE_INFINITY }]) => {
    const values = samples.map((sample) => sample[measure]);
    const first = lowerQuarter(values.slice(third, 2 * third));
    const last = lowerQuarter(values.slice(2 * third));
    const stays = last <= first * (1 + part) + besides;
    const comesBack = Math.min(...values.slice(2 * third)) <= Math.min(...values.slice(0, third)) + kept;
    const flat = samples.length < LEAST_SAMPLES ? undefined : stays && comesBack;
    return { measure, first, last, most: Math.max(...values), flat };
  });
}
