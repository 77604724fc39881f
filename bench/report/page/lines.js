// Line charts of a value against a size or a count: one line per contender, labelled at its end.
import { base, logTicks, number, Plot, shortCount, spread } from "./style.js";

const HEIGHT = 300;
const MARGIN = { marginTop: 24, marginRight: 112, marginBottom: 36, marginLeft: 52 };
const LABEL_GAP = 14;

/** Round limits of a logarithmic axis around the values: 1, 2 or 5 times a power of ten. */
function logDomain(values) {
  const nice = (value, round) => {
    const power = 10 ** Math.floor(Math.log10(value));
    const steps = [1, 2, 5, 10].map((step) => step * power);
    return round === "down"
      ? steps.filter((step) => step <= value * 1.0001).at(-1)
      : steps.find((step) => step >= value * 0.9999);
  };
  return [nice(Math.min(...values), "down"), nice(Math.max(...values), "up")];
}

/** The end labels with y moved so that none covers another. */
function endLabels(points, series, domain) {
  const [low, high] = domain.map(Math.log);
  const [top, bottom] = [MARGIN.marginTop, HEIGHT - MARGIN.marginBottom];
  const toPixel = (y) => bottom - ((Math.log(y) - low) / (high - low)) * (bottom - top);
  const toValue = (pixel) => Math.exp(low + ((bottom - pixel) / (bottom - top)) * (high - low));
  const ends = series
    .map(({ id, ...look }) => ({ ...points.filter((point) => point.series === id).at(-1), ...look }))
    .sort((a, b) => b.y - a.y);
  const placed = spread(
    ends.map(({ y }) => toPixel(y)),
    LABEL_GAP,
    top,
    bottom,
  );
  return ends.map((end, i) => ({ ...end, y: toValue(placed[i]) }));
}

/** One line per contender, in its colour; sealwire's second one, with views, is dashed. */
export function contenderSeries(contenders) {
  return contenders.map(({ id, label }) => ({
    id,
    label,
    colour: `var(--${id})`,
    dashes: id === "sealwire-views" ? "7 3" : "none",
    strong: id === "sealwire",
  }));
}

const RUNTIME_DASHES = ["none", "7 3", "2 3", "9 3 2 3"];

/** One line per runtime, all sealwire's and in its colour, told apart by label and dashes. */
export function runtimeSeries(runtimes) {
  return runtimes.map(({ id, label }, i) => ({
    id,
    label,
    colour: "var(--sealwire)",
    dashes: RUNTIME_DASHES[i % RUNTIME_DASHES.length],
    strong: true,
  }));
}

/**
 * @param {{ x: number, y: number, low?: number, high?: number, series: string }[]} points
 * @param {{ id: string, label: string, colour: string, dashes: string, strong: boolean }[]} series
 * @param {{ xLabel: string, yLabel: string, xTicks: number[], xFormat?: (x: number) => string }} axes
 */
export function lineChart(points, series, axes, width) {
  const domain = logDomain(points.map(({ y }) => y));
  const last = Math.max(...points.map(({ x }) => x));
  const shown = series.filter(({ id }) => points.some((point) => point.series === id));
  const labels = endLabels(points, shown, domain).map((label) => ({ ...label, x: last }));
  const everySecond = width < 480 && axes.xTicks.length > 5;
  const xTicks = everySecond ? axes.xTicks.filter((_, i) => i % 2 === 0) : axes.xTicks;
  const yTicks = logTicks(domain, 9);
  return Plot.plot({
    ...base,
    ...MARGIN,
    width,
    height: HEIGHT,
    x: { type: "log" },
    y: { type: "log", domain },
    marks: [
      Plot.gridY(yTicks),
      Plot.axisY(yTicks, { text: number, label: axes.yLabel, labelArrow: "none" }),
      Plot.axisX(xTicks, { text: axes.xFormat ?? shortCount, label: axes.xLabel, labelArrow: "none" }),
      ...shown.flatMap((look) => seriesMarks(points, look)),
      ...labels.map(({ x, y, label, colour, strong }) =>
        Plot.text([label], {
          x: [x],
          y: [y],
          text: [label],
          fill: colour,
          textAnchor: "start",
          dx: 8,
          fontWeight: strong ? 700 : 400,
        }),
      ),
    ],
  });
}

function seriesMarks(points, { id, label, colour, dashes, strong }) {
  const own = points.filter((point) => point.series === id);
  const title = (point) => `${label}, ${number(point.x)}: ${number(point.y)}`;
  return [
    Plot.ruleX(own, {
      x: "x",
      y1: (point) => point.low ?? point.y,
      y2: (point) => point.high ?? point.y,
      stroke: colour,
      strokeOpacity: 0.35,
      clip: true, // the axis fits the medians
    }),
    Plot.line(own, {
      x: "x",
      y: "y",
      stroke: colour,
      strokeWidth: strong ? 2.5 : 1.5,
      strokeDasharray: dashes,
    }),
    Plot.dot(own, { x: "x", y: "y", fill: colour, r: 2.5, title }),
  ];
}
