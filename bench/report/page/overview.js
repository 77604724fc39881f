// One chart that gives a quick impression (the README): one-way messages of 1,400 bytes, every runtime and contender.
import { base, contenderColours, number, Plot } from "./style.js";

/**
 * @param {{ runtime: string, name: string, contender: string, value: number }[]} bars in MB/s, in their order
 */
export function overviewChart(bars, contenders, width) {
  const runtimes = [...new Set(bars.map(({ runtime }) => runtime))];
  const names = [...new Set(bars.map(({ name }) => name))];
  return Plot.plot({
    ...base,
    width,
    height: runtimes.length * (names.length * 20 + 30) + 40,
    marginLeft: 124,
    marginRight: 56,
    marginBottom: 36,
    x: { label: "MB/s, one-way, 1,400-byte payloads, delivered", labelArrow: "none", grid: true, ticks: 5 },
    y: { label: null, domain: names, padding: 0.2, tickSize: 0 },
    fy: { label: null, domain: runtimes, padding: 0.22, axis: null },
    color: contenderColours(contenders),
    marks: [
      Plot.text(runtimes, {
        fy: (runtime) => runtime,
        text: (runtime) => runtime,
        frameAnchor: "top-left",
        dx: -120,
        dy: -10,
        fontWeight: 700,
        fontSize: 13,
      }),
      Plot.barX(bars, { fy: "runtime", x: "value", y: "name", fill: "contender" }),
      Plot.text(bars, {
        fy: "runtime",
        x: "value",
        y: "name",
        text: (bar) => number(bar.value),
        textAnchor: "start",
        dx: 4,
        fontWeight: (bar) => (bar.contender === "sealwire" ? 700 : 400),
      }),
      Plot.ruleX([0]),
    ],
  });
}

/** The chart of a run, for `bench/report/chart.js`. */
export function drawOverview(run, width) {
  const label = new Map(run.contenders.map((contender) => [contender.id, contender.label]));
  const bars = run.results
    .filter(
      ({ section, row, contender }) => section === "rows" && row === "SendNoWait" && contender !== "tls-node",
    )
    .map((result) => ({
      runtime: run.machine.runtimes.find(({ id }) => id === result.client).label,
      name: label.get(result.contender),
      contender: result.contender,
      value: result.mbPerS,
    }));
  return overviewChart(bars, run.contenders, width);
}
