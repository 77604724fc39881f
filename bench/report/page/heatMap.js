// The pair matrix: the throughput between every two runtimes. A stronger colour is more, and every cell has its number.
import { base, number, Plot } from "./style.js";

const CELL_HEIGHT = 46;

/** @param {{ client: string, server: string, value: number }[]} cells labels of the runtimes, not ids */
export function heatMap(cells, labels, width) {
  const most = Math.max(...cells.map(({ value }) => value));
  return Plot.plot({
    ...base,
    width: Math.min(width, 620),
    height: labels.length * CELL_HEIGHT + 56,
    marginTop: 44,
    marginLeft: 84,
    marginRight: 4,
    marginBottom: 8,
    padding: 0.05,
    x: {
      axis: "top",
      label: "server",
      labelArrow: "none",
      labelAnchor: "center",
      domain: labels,
      tickSize: 0,
    },
    y: { label: "client", labelArrow: "none", domain: labels, tickSize: 0 },
    marks: [
      Plot.cell(cells, {
        x: "server",
        y: "client",
        fill: "var(--sealwire)",
        fillOpacity: ({ value }) => 0.06 + 0.44 * (value / most),
        stroke: "var(--line)",
      }),
      Plot.text(cells, {
        x: "server",
        y: "client",
        text: ({ value }) => number(value),
        fill: "var(--ink)",
        fontSize: 13,
      }),
    ],
    opacity: { type: "identity" },
  });
}
