// The tables of the section about streams.
import { readable } from "../matrix/statistics.js";
import { all, find } from "./query.js";

const spread = ({ median, min, max }) => `${readable(median)} (${readable(min)}–${readable(max)})`;
const times = (value, goal) => (value === undefined ? "–" : `${readable(value)} ×${goal}`);
const percent = (value, goal) => (value === undefined ? "–" : `${readable(100 * value)} %${goal}`);
const isOurs = ({ contender }) => contender.startsWith("sealwire");

/** "✓" or "✗" with the goal, for sealwire's rows alone. */
function verdict(result, reached, goal) {
  return isOurs(result) ? ` ${reached ? "✓" : "✗"} (${goal})` : "";
}

export function streamTables(run) {
  const of = (row) => all(run, { section: "streams", row });
  const runtime = (r) => run.machine.runtimes.find(({ id }) => id === r.client).label;
  const contender = (r) => run.contenders.find(({ id }) => id === r.contender).label;
  return [
    {
      title: "Streams: throughput of one stream, beside one-way messages of the same size",
      head: [
        "runtime",
        "contender",
        "how",
        "size",
        "MB/s",
        "ns per item (min–max)",
        "CPU ns client / server",
      ],
      rows: of("throughput").map((r) => [
        runtime(r),
        contender(r),
        r.how,
        `${r.size.toLocaleString("en-US")} B`,
        readable(r.mbPerS),
        spread(r.ns),
        `${readable(r.clientCpuNs.median)} / ${readable(r.serverCpuNs.median)}`,
      ]),
    },
    besideTable(run, of("beside"), runtime, contender),
    delayedTable(of("delayed"), runtime, contender),
  ];
}

function besideTable(run, results, runtime, contender) {
  const busy = results.filter(({ streams }) => streams > 0);
  return {
    title: "Streams: small requests, one at a time, alone and beside 4 bulk streams on the same connection",
    head: [
      ...["runtime", "contender", "p50 µs alone", "p99 µs alone", "p50 µs beside", "p99 µs beside"],
      ...["p99 beside, against alone", "p99 beside, against raw TCP", "bulk MB/s"],
    ],
    rows: busy.map((r) => {
      const { client } = r;
      const alone = find(run, {
        section: "streams",
        row: "beside",
        client,
        contender: r.contender,
        streams: 0,
      });
      const raw = busy.find((other) => other.contender === "raw" && other.client === client);
      const grown = alone && r.p99Us.median / alone.p99Us.median;
      const againstRaw = raw && r.p99Us.median / raw.p99Us.median;
      const goal = verdict(r, grown <= 3 || againstRaw <= 1, "≤ 3, or raw TCP's");
      return [
        runtime(r),
        contender(r),
        readable(alone?.p50Us.median),
        readable(alone?.p99Us.median),
        readable(r.p50Us.median),
        spread(r.p99Us),
        times(grown, goal),
        times(againstRaw, ""),
        readable(r.bulkMbPerS.median),
      ];
    }),
  };
}

function delayedTable(results, runtime, contender) {
  const roundTripMs = results[0]?.roundTripMs;
  return {
    title: `Streams: one connection over a path of ${roundTripMs} ms there and back, 4 MiB in flight at most`,
    head: [
      ...["runtime", "contender", "how", "MB/s of a run, its start included"],
      ...["MB/s when it has started", "of raw TCP's"],
    ],
    rows: results.map((r) => {
      const raw = results.find((other) => other.contender === "raw" && other.client === r.client);
      const share = raw && r.steadyMbPerS.median / raw.steadyMbPerS.median;
      return [
        runtime(r),
        contender(r),
        r.how,
        spread(r.wholeMbPerS),
        spread(r.steadyMbPerS),
        percent(share, verdict(r, share >= 0.8, "≥ 80")),
      ];
    }),
  };
}
