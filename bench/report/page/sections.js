// The charts that a run can show: each section lists the charts for which the run has results.
import { all, contendersOf, find, runtimesOf } from "../query.js";
import { barChart, dotChart, latencyChart } from "./bars.js";
import { heatMap } from "./heatMap.js";
import { contenderSeries, lineChart, runtimeSeries } from "./lines.js";
import { byteTick, shortCount } from "./style.js";

const labelOf = (run, id) => run.contenders.find((contender) => contender.id === id).label;

/** One chart per runtime of these results. */
function perRuntime(run, results, id, draw) {
  return runtimesOf(run, results).map((runtime) => {
    const here = results.filter(({ client }) => client === runtime.id);
    return {
      id: `${id}-${runtime.id}`,
      title: runtime.label,
      draw: (width) => draw(here, contendersOf(run, here), width),
    };
  });
}

function headline(run) {
  const results = all(run, { section: "rows", row: "SendNoWait" });
  const draw = (here, contenders, width) => {
    const bars = here.map((r) => ({
      name: labelOf(run, r.contender),
      contender: r.contender,
      value: r.mbPerS,
      low: (r.size * 1e3) / r.ns.max,
      high: (r.size * 1e3) / r.ns.min,
    }));
    return barChart(bars, contenders, { unit: "MB/s" }, width);
  };
  return {
    title: "One-way messages, 1,400 bytes, delivered",
    about:
      "MB/s of payload until the far end has counted every message. Bars are medians, thin lines go from the slowest round to the fastest.",
    charts: perRuntime(run, results, "one-way", draw),
  };
}

function throughput(run, row, title, about) {
  const draw = (here, contenders, width) => {
    const points = here
      .map((r) => ({
        x: r.size,
        y: r.mbPerS,
        low: (r.size * 1e3) / r.ns.max,
        high: (r.size * 1e3) / r.ns.min,
        series: r.contender,
      }))
      .sort((a, b) => a.x - b.x);
    const xTicks = [...new Set(points.map(({ x }) => x))];
    return lineChart(
      points,
      contenderSeries(contenders),
      { xLabel: "payload, bytes", yLabel: "MB/s", xTicks, xFormat: byteTick },
      width,
    );
  };
  return { title, about, charts: perRuntime(run, all(run, { section: "sweep", row }), `sweep-${row}`, draw) };
}

function latency(run, row, pinned, title) {
  const draw = (here, contenders, width) => {
    const rows = here.map((r) => ({
      name: labelOf(run, r.contender),
      contender: r.contender,
      p50: r.p50Us.median,
      p90: r.p90Us.median,
      p99: r.p99Us.median,
    }));
    return latencyChart(rows, contenders, width);
  };
  return {
    title,
    about: "Filled dot: median. Tick: 90th percentile. Open dot: 99th percentile.",
    narrow: true,
    charts: perRuntime(
      run,
      all(run, { section: "rows", row, pinned }),
      `latency-${row}${pinned ? "-one-core" : ""}`,
      draw,
    ),
  };
}

function pairMatrix(run) {
  const matrix = (row, id, title, value) => {
    const results = all(run, { section: "pairs", row });
    const runtimes = runtimesOf(run, results);
    const label = (runtimeId) => runtimes.find((runtime) => runtime.id === runtimeId).label;
    const cells = results.map((r) => ({ client: label(r.client), server: label(r.server), value: value(r) }));
    return results.length === 0
      ? []
      : [
          {
            id,
            title,
            draw: (width) =>
              heatMap(
                cells,
                runtimes.map((runtime) => runtime.label),
                width,
              ),
          },
        ];
  };
  return {
    title: "sealwire between runtimes",
    about: "With the defaults, 1,400-byte payloads. The stronger the colour, the faster.",
    charts: [
      ...matrix("one-way", "pairs-one-way", "One-way, MB/s", (r) => r.mbPerS),
      ...matrix("request", "pairs-request", "Requests per second, 64 outstanding", (r) => 1e9 / r.ns.median),
    ],
  };
}

function heap(run) {
  const charts = ["SendNoWait", "ParallelRequest"].flatMap((row) => {
    const results = all(run, { section: "heap", row });
    const draw = (here, contenders, width) => {
      const bars = here.map((r) => ({
        name: labelOf(run, r.contender),
        contender: r.contender,
        value: Math.max(0, r.clientBytesPerOp),
      }));
      return dotChart(bars, contenders, { unit: "bytes per operation" }, width);
    };
    return perRuntime(run, results, `heap-${row}`, draw).map((chart) => ({
      ...chart,
      title: `${chart.title}: ${row}`,
    }));
  });
  return {
    title: "Bytes allocated per operation, client",
    about:
      "Objects on the JavaScript heap, by V8's own counters, without the memory behind array buffers, where copied bodies lie; in Bun the growth of the resident set with the collector off, memory outside the heap included, so compare Bun with Bun only.",
    narrow: true,
    charts,
  };
}

function handshakes(run) {
  const results = all(run, { section: "handshakes", row: "16 at once" });
  const draw = (here, contenders, width) => {
    const bars = here.map((r) => ({
      name: `${labelOf(run, r.contender)}${r.variant ? ` ${r.variant}` : ""}`,
      contender: r.contender,
      value: r.perSecond.median,
      low: r.perSecond.min,
      high: r.perSecond.max,
    }));
    return barChart(bars, contenders, { unit: "per second" }, width);
  };
  return {
    title: "Handshakes per second, 16 at once",
    about: "Dial, handshake, one 16-byte request, close.",
    narrow: true,
    charts: perRuntime(run, results, "handshakes", draw),
  };
}

function idle(run) {
  const most = Math.max(...all(run, { section: "idle" }).map(({ connections }) => connections));
  const draw = (here, contenders, width) => {
    const bars = here.map((r) => ({
      name: labelOf(run, r.contender),
      contender: r.contender,
      value: r.serverBytesPerConnection / 1_024,
    }));
    return barChart(bars, contenders, { unit: "KiB of server RSS per connection" }, width);
  };
  return {
    title: `${most.toLocaleString("en-US")} idle connections`,
    about: "Growth of the server's resident set, divided by the connections.",
    narrow: true,
    charts: perRuntime(run, all(run, { section: "idle", connections: most }), "idle", draw),
  };
}

// One chart per question with a line per runtime: there is only one contender in it.
function growth(run) {
  const kinds = [
    {
      id: "messages",
      row: "messages",
      x: "messages",
      title: "ns per 64-byte message, over the length of a run",
      xLabel: "messages on one connection",
      yLabel: "ns",
      y: (r) => r.nsPerMessage,
    },
    {
      id: "memory",
      row: "messages",
      x: "messages",
      title: "Resident memory of the server, over the length of a run",
      xLabel: "messages on one connection",
      yLabel: "MiB",
      y: (r) => r.serverRss / 2 ** 20,
    },
    {
      id: "connections",
      row: "connections",
      x: "connections",
      title: "ns per 1,400-byte message, over busy connections",
      xLabel: "connections",
      yLabel: "ns",
      y: (r) => r.ns.median,
    },
    {
      id: "in-flight",
      row: "in flight",
      x: "inFlight",
      title: "ns per 1,400-byte request, over requests in flight",
      xLabel: "requests in flight",
      yLabel: "ns",
      y: (r) => r.ns.median,
    },
  ];
  const charts = kinds.flatMap(({ id, row, x, title, xLabel, yLabel, y }) => {
    const results = all(run, { section: "scaling", row, contender: "sealwire" });
    if (results.length === 0) return [];
    const runtimes = runtimesOf(run, results);
    const points = results.map((r) => ({
      x: r[x],
      y: y(r),
      series: r.client,
      low: r.ns?.min,
      high: r.ns?.max,
    }));
    const xTicks = [...new Set(points.map((point) => point.x))].sort((a, b) => a - b);
    const axes = { xLabel, yLabel, xTicks, xFormat: shortCount };
    return {
      id: `growth-${id}`,
      title,
      draw: (width) => lineChart(points, runtimeSeries(runtimes), axes, width),
    };
  });
  return {
    title: "How cost grows",
    about:
      "sealwire alone, with its defaults. Flat is good; more requests in flight share system calls and keystream, so there the line should fall and then stay.",
    charts,
  };
}

/** @returns {{ title: string, about: string, narrow?: boolean, charts: object[] }[]} those with charts */
export function chartSections(run) {
  const pinned = find(run, { section: "rows", row: "Request", pinned: true }) !== undefined;
  return [
    headline(run),
    throughput(
      run,
      "one-way",
      "One-way throughput by payload size",
      "Both axes are logarithmic. Thin vertical lines go from the slowest round to the fastest.",
    ),
    throughput(
      run,
      "request",
      "Request throughput by payload size",
      "Up to 64 requests, at most 4 MiB, outstanding; the bytes of one direction are counted.",
    ),
    latency(
      run,
      "Request",
      pinned,
      `Latency, one request outstanding${pinned ? ", both ends on one core" : ""}`,
    ),
    latency(run, "ParallelRequest", false, "Latency, 64 requests outstanding"),
    pairMatrix(run),
    heap(run),
    handshakes(run),
    idle(run),
    growth(run),
  ].filter(({ charts }) => charts.length > 0);
}
