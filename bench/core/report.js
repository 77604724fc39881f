// Tables from the measurements of bench/core.js: rows down, runtimes across.

/** What one line of the table has in common in all runtimes. */
const keyOf = ({ primitive, operation, implementation, bytes, batch }) =>
  JSON.stringify([primitive, operation, implementation, bytes, batch]);

function time(ns) {
  if (ns < 1_000) return `${ns.toFixed(0)} ns`;
  if (ns < 1_000_000) return `${(ns / 1_000).toFixed(2)} µs`;
  return `${(ns / 1_000_000).toFixed(2)} ms`;
}

/** Markdown table with aligned columns. */
function table(header, lines) {
  const widths = header.map((title, i) => Math.max(title.length, ...lines.map((line) => line[i].length)));
  const row = (cells) => `| ${cells.map((cell, i) => cell.padEnd(widths[i])).join(" | ")} |`;
  return [row(header), row(widths.map((width) => "-".repeat(width))), ...lines.map(row)].join("\n");
}

/** Every row with "minimum / median / mean" per runtime, one table per primitive. */
export function fullTables(results) {
  const primitives = [...new Set(results.flatMap(({ rows }) => rows.map((row) => row.primitive)))];
  return primitives.map((primitive) => {
    const lines = new Map();
    for (const { label, rows } of results) {
      for (const row of rows.filter((candidate) => candidate.primitive === primitive)) {
        const key = keyOf(row);
        if (!lines.has(key)) lines.set(key, { row, cells: new Map() });
        lines.get(key).cells.set(label, `${time(row.min)} / ${time(row.median)} / ${time(row.mean)}`);
      }
    }
    const header = ["operation", "bytes", "batch", "by", ...results.map(({ label }) => label)];
    const body = [...lines.values()].map(({ row, cells }) => [
      row.operation,
      row.bytes === null ? "" : row.bytes.toLocaleString("en-US"),
      String(row.batch),
      row.implementation,
      ...results.map(({ label }) => cells.get(label) ?? "–"),
    ]);
    return `### ${primitive}: minimum / median / mean (garbage collection included) per operation\n\n${table(header, body)}`;
  });
}

/**
 * Ratios and rates with their targets. Each target: { title, wanted: per runtime id, value(find), unit }, where
 * `find` gives the minimum of a row by its parts, or undefined. Minima, because they are what the code takes when
 * nothing else runs on the machine; medians and means are in the full tables.
 */
export function targetTable(results, targets) {
  const finders = results.map(({ rows }) => (wanted) => {
    const row = rows.find((candidate) =>
      Object.entries(wanted).every(([key, value]) => candidate[key] === value),
    );
    return row?.min;
  });
  const lines = targets.map(({ title, unit, wanted, atMost, value }) => [
    title,
    ...results.map(({ id }, i) => {
      const measured = value(finders[i]);
      if (measured === undefined || Number.isNaN(measured)) return "–";
      const target = wanted[id];
      if (target === undefined) return `${measured.toFixed(2)}${unit}`;
      const met = atMost ? measured <= target : measured >= target;
      const digits = measured < 100 ? 2 : 0;
      return `${measured.toFixed(digits)}${unit} (${atMost ? "≤" : "≥"} ${target}) ${met ? "✓" : "✗"}`;
    }),
  ]);
  return table(["target", ...results.map(({ label }) => label)], lines);
}
