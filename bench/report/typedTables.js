// The tables of the section about typed calls, one for each runtime.
import { readable } from "../matrix/statistics.js";
import { all, find, runtimesOf } from "./query.js";

const spread = ({ median, min, max }) => `${readable(median)} (${readable(min)}–${readable(max)})`;
const kilobytes = (bytes) => (bytes === undefined ? "–" : (bytes / 1_000).toFixed(1));

/** One contender's result in one runtime. */
export function typedResult(run, contender, runtime) {
  return find(run, { section: "typed", contender, client: runtime });
}

/** How many microseconds of processor time more a typed call takes than this one, 64 outstanding. */
export function typedBeyond(run, contender, runtime) {
  const [ours, other] = ["typed", contender].map((id) => typedResult(run, id, runtime));
  return ours && other && ours.manyUs.median - other.manyUs.median;
}

/** The same for calls one by one. */
function aloneBeyond(run, contender, runtime) {
  const [ours, other] = ["typed", contender].map((id) => typedResult(run, id, runtime));
  return ours && other && ours.oneUs.median - other.oneUs.median;
}

const signed = (value) => (value > 0 ? `+${readable(value)}` : readable(value).replace("-", "−"));

function differences(run, runtime) {
  const rows = [
    ["typed call − JSON by hand", "by-hand"],
    ["typed call − request with bytes", "raw"],
  ];
  return rows.flatMap(([name, contender]) => {
    const many = typedBeyond(run, contender, runtime);
    if (many === undefined) return [];
    return [[name, signed(many), signed(aloneBeyond(run, contender, runtime)), ""]];
  });
}

export function typedTables(run) {
  const results = all(run, { section: "typed" });
  return runtimesOf(run, results).map(({ id, label }) => ({
    title: `${label}: an echo of a small JSON object, both ends in one process`,
    head: [
      "call",
      "CPU µs of both ends, 64 outstanding (min–max)",
      "one outstanding (min–max)",
      "kB allocated",
    ],
    rows: [
      ...results
        .filter(({ client }) => client === id)
        .map(({ label: call, manyUs, oneUs, bytes }) => [
          call,
          spread(manyUs),
          spread(oneUs),
          kilobytes(bytes),
        ]),
      ...differences(run, id),
    ],
  }));
}
