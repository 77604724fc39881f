// Horizontal bars with their value at the end, and the latency chart: a dot for the median, a line to the
// 99th percentile.
import { base, contenderColours, logTicks, number, Plot } from "./style.js";

const ROW_HEIGHT = 26;

const RIGHT_MARGIN = 64;
const TICK_WIDTH = 62;

/** How many tick labels fit side by side. */
const fitting = (width, left) => Math.max(2, Math.floor((width - left - RIGHT_MARGIN) / TICK_WIDTH));

const labelMargin = (labels) => 16 + Math.max(...labels.map((label) => label.length)) * 6.6;

/**
 * @param {{ name: string, value: number, contender: string, low?: number, high?: number }[]} bars
 */
export function barChart(bars, contenders, { unit, format = number }, width) {
  const marginLeft = labelMargin(bars.map(({ name }) => name));
  return Plot.plot({
    ...base,
    width,
    height: bars.length * ROW_HEIGHT + 40,
    marginTop: 4,
    marginLeft,
    marginRight: RIGHT_MARGIN,
    marginBottom: 34,
    x: {
      label: unit,
      labelArrow: "none",
      grid: true,
      ticks: fitting(width, marginLeft) - 1,
      tickFormat: format,
      domain: [0, Math.max(1, ...bars.map(({ value, high = value }) => Math.max(value, high)))],
    },
    y: { label: null, domain: bars.map(({ name }) => name), padding: 0.25, tickSize: 0 },
    color: contenderColours(contenders),
    marks: [
      Plot.barX(bars, { x: "value", y: "name", fill: "contender", rx2: 2 }),
      Plot.ruleY(
        bars.filter(({ high }) => high !== undefined),
        { y: "name", x1: "low", x2: "high", stroke: "var(--ink)", strokeOpacity: 0.55 },
      ),
      Plot.text(bars, {
        x: (bar) => Math.max(bar.value, bar.high ?? 0),
        y: "name",
        text: (bar) => format(bar.value),
        textAnchor: "start",
        dx: 5,
        fill: "var(--ink)",
      }),
      Plot.ruleX([0], { stroke: "var(--muted)" }),
    ],
  });
}

/** @param {{ name: string, p50: number, p90: number, p99: number, contender: string }[]} rows in microseconds */
export function latencyChart(rows, contenders, width) {
  const values = rows.flatMap(({ p50, p99 }) => [p50, p99]);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const domain = [least * (least / most) ** 0.3, most * 1.1]; // room for the numbers left of the first dot
  const marginLeft = labelMargin(rows.map(({ name }) => name));
  const ticks = logTicks(domain, fitting(width, marginLeft));
  return Plot.plot({
    ...base,
    width,
    height: rows.length * ROW_HEIGHT + 44,
    marginTop: 4,
    marginLeft,
    marginRight: RIGHT_MARGIN,
    marginBottom: 36,
    x: { type: "log", domain },
    y: { label: null, domain: rows.map(({ name }) => name), tickSize: 0 },
    color: contenderColours(contenders),
    marks: [
      Plot.gridX(ticks),
      // Its own texts: the default axis leaves labels out on a logarithmic scale.
      Plot.axisX(ticks, { text: number, label: "µs per request (logarithmic)", labelArrow: "none" }),
      Plot.ruleY(rows, { y: "name", x1: "p50", x2: "p99", stroke: "contender", strokeWidth: 2 }),
      Plot.dot(rows, { x: "p50", y: "name", fill: "contender", r: 5 }),
      Plot.tickX(rows, { x: "p90", y: "name", stroke: "contender", strokeWidth: 2, inset: 7 }),
      Plot.dot(rows, { x: "p99", y: "name", stroke: "contender", fill: "var(--page)", r: 4 }),
      Plot.text(rows, {
        x: "p50",
        y: "name",
        text: (row) => number(row.p50),
        textAnchor: "end",
        dx: -9,
        fill: "var(--ink)",
      }),
      Plot.text(rows, {
        x: "p99",
        y: "name",
        text: (row) => number(row.p99),
        textAnchor: "start",
        dx: 8,
        fill: "var(--muted)",
      }),
    ],
  });
}

/**
 * One dot per row on a logarithmic axis, for values that differ by orders of magnitude. Everything below 1
 * stands at 1; its number says what it is.
 *
 * @param {{ name: string, value: number, contender: string }[]} rows
 */
export function dotChart(rows, contenders, { unit }, width) {
  const marginLeft = labelMargin(rows.map(({ name }) => name));
  const shown = rows.map((row) => ({ ...row, at: Math.max(1, row.value) }));
  const domain = [1, Math.max(10, ...shown.map(({ at }) => at)) * 1.2];
  const ticks = logTicks(domain, fitting(width, marginLeft));
  return Plot.plot({
    ...base,
    width,
    height: rows.length * ROW_HEIGHT + 44,
    marginTop: 4,
    marginLeft,
    marginRight: RIGHT_MARGIN,
    marginBottom: 36,
    x: { type: "log", domain },
    y: { label: null, domain: rows.map(({ name }) => name), tickSize: 0 },
    color: contenderColours(contenders),
    marks: [
      Plot.gridX(ticks),
      Plot.axisX(ticks, { text: number, label: `${unit} (logarithmic)`, labelArrow: "none" }),
      Plot.ruleY(shown, { y: "name", x1: 1, x2: "at", stroke: "contender", strokeOpacity: 0.35 }),
      Plot.dot(shown, { x: "at", y: "name", fill: "contender", r: 5 }),
      Plot.text(shown, {
        x: "at",
        y: "name",
        text: (row) => number(row.value),
        textAnchor: "start",
        dx: 9,
        fill: "var(--ink)",
      }),
    ],
  });
}
