// A histogram in text, as docs/OPERATIONS.md shows it.

const MOST_ROWS = 8;
const BAR = 24;

/** The least of 1, 2, 5, 10, 20 … hundredths of a second that needs no more than MOST_ROWS rows for all. */
function binOf(times) {
  const longest = Math.max(...times);
  for (let unit = 10; ; unit *= 10)
    for (const factor of [1, 2, 5]) if (longest / (unit * factor) < MOST_ROWS) return unit * factor;
}

/**
 * Lines: the title, then one for each interval with its count and a bar.
 *
 * @param times in milliseconds from the event on, none below 0
 */
export function histogram(title, times) {
  const bin = binOf(times);
  const counts = Array.from({ length: Math.floor(Math.max(...times) / bin) + 1 }, () => 0);
  for (const time of times) counts[Math.floor(time / bin)]++;
  const digits = Math.max(3 - Math.ceil(Math.log10(bin)), 0);
  const seconds = (ms) => (ms / 1_000).toFixed(digits);
  const width = seconds(counts.length * bin).length;
  const most = Math.max(...counts);
  const rows = counts.map((count, i) => {
    const interval = `${seconds(i * bin).padStart(width)} to ${seconds((i + 1) * bin).padStart(width)} s`;
    return `   ${interval} ${String(count).padStart(4)} ${"#".repeat(Math.ceil((count / most) * BAR))}`.trimEnd();
  });
  return [title, ...rows];
}

/** Two blocks of lines beside each other. */
export function beside(left, right) {
  const width = Math.max(...left.map(({ length }) => length)) + 4;
  const rows = Math.max(left.length, right.length);
  return Array.from({ length: rows }, (_, i) =>
    `${(left[i] ?? "").padEnd(width)}${right[i] ?? ""}`.trimEnd(),
  ).join("\n");
}
