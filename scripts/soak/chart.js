// The chart of a soak: one panel per measure, one line per end, as an SVG that needs nothing else.
import { measures } from "./verdict.js";

const PANEL = { width: 440, height: 170, left: 52, right: 12, top: 26, bottom: 26 };
const COLUMNS = 2;
const TITLE_HEIGHT = 46;
const COLOURS = { server: "#0b5fc4", client: "#c04a00" };

const rounded = (value) => Number(value.toPrecision(3));
const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

function panel(measure, ends, lastSecond, index, title = measures[measure].title) {
  const { unit } = measures[measure];
  const x0 = (index % COLUMNS) * PANEL.width;
  const y0 = TITLE_HEIGHT + Math.floor(index / COLUMNS) * PANEL.height;
  const most = Math.max(
    1,
    ...Object.values(ends).flatMap((samples) => samples.map((sample) => sample[measure])),
  );
  const bottom = y0 + PANEL.height - PANEL.bottom;
  const x = (seconds) => x0 + PANEL.left + (seconds / lastSecond) * (PANEL.width - PANEL.left - PANEL.right);
  const y = (value) => bottom - (value / most) * (PANEL.height - PANEL.top - PANEL.bottom);
  const label = (text, at, height, anchor) =>
    `<text x="${rounded(at)}" y="${rounded(height)}" text-anchor="${anchor}">${text}</text>`;
  const grid = [0, 0.5, 1].map((part) => {
    const height = rounded(y(most * part));
    return `<path d="M${x(0)} ${height}H${x(lastSecond)}" stroke="#dfe3e8"/>${label(rounded(most * part), x(0) - 6, height + 4, "end")}`;
  });
  const lines = Object.entries(ends).map(([end, samples]) => {
    const points = samples.map((sample) => `${x(sample.second).toFixed(1)},${y(sample[measure]).toFixed(1)}`);
    return `<polyline points="${points.join(" ")}" fill="none" stroke="${COLOURS[end]}" stroke-width="1.2"/>`;
  });
  const minutes = `${rounded(lastSecond / 60)} min`;
  return [
    `<text x="${x(0)}" y="${y0 + 16}" font-weight="600">${escaped(title)}${unit === "" ? "" : `, ${unit}`}</text>`,
    ...grid,
    ...lines,
    label("0", x(0), bottom + 16, "middle"),
    label(minutes, x(lastSecond), bottom + 16, "end"),
  ].join("");
}

/**
 * A panel per measure.
 *
 * @param {string} title
 * @param {{ server: object[], client: object[] }} ends samples in order, each with its `second`
 * @returns {string}
 */
export function soakChart(title, ends) {
  const last = lastSecond([ends]);
  const panels = Object.keys(measures).map((name, i) => panel(name, ends, last, i));
  return drawing(title, panels);
}

/**
 * A panel per pair, with one measure.
 *
 * @param {string} title
 * @param {{ name: string, server: object[], client: object[] }[]} pairs
 * @param {string} measure
 * @returns {string}
 */
export function pairsChart(title, pairs, measure) {
  const last = lastSecond(pairs);
  const panels = pairs.map(({ name, server, client }, i) =>
    panel(measure, { server, client }, last, i, name),
  );
  return drawing(title, panels);
}

function lastSecond(pairs) {
  const samples = pairs.flatMap(({ server, client }) => [...server, ...client]);
  return Math.max(1, ...samples.map(({ second }) => second));
}

function drawing(title, panels) {
  const [width, height] = [
    COLUMNS * PANEL.width,
    TITLE_HEIGHT + Math.ceil(panels.length / COLUMNS) * PANEL.height,
  ];
  const legend = Object.entries(COLOURS).map(
    ([end, colour], i) =>
      `<path d="M${PANEL.left + 90 * i} 36h18" stroke="${colour}" stroke-width="2"/><text x="${PANEL.left + 90 * i + 24}" y="40">${end}</text>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="11" fill="#1a1d21">
<rect width="${width}" height="${height}" fill="#fff"/>
<text x="${PANEL.left}" y="20" font-size="14" font-weight="700">${escaped(title)}</text>
${legend.join("\n")}
${panels.join("\n")}
</svg>
`;
}
