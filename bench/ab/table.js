// The tables of a comparison in a terminal.
import { readable } from "../matrix/statistics.js";
import { textTable } from "../matrix/table.js";
import { sizeLabel } from "../report/tables.js";

const quartiles = ({ median, q1, q3 }) => `${readable(median)} (${readable(q1)}–${readable(q3)})`;
const times = ({ ratio, low, high }) => `${ratio.toFixed(3)} (${low.toFixed(3)}–${high.toFixed(3)})`;
const rowLabel = ({ row, size }) => `${row} ${sizeLabel(size)}`;

/** One table per section and runtime that has rows. */
export function tablesOf({ results, runtimes }) {
  return runtimes.flatMap((runtime) => {
    const of = (section) =>
      results.filter((result) => result.section === section && result.runtime === runtime.id);
    return [
      timedTable(runtime, of("timed")),
      heapTable(runtime, of("heap")),
      idleTable(runtime, of("idle")),
    ].filter(({ rows }) => rows.length > 0);
  });
}

function timedTable({ label, version }, results) {
  return {
    title: `${label} (${version}): nanoseconds per operation, median (quartiles); ratio of pairs, median (95 % interval)`,
    head: [
      "row",
      "bodies",
      "CPU A",
      "CPU B",
      "CPU B/A",
      "B is",
      "of means",
      "elapsed A",
      "elapsed B",
      "elapsed B/A",
    ],
    rows: results.map((result) => [
      rowLabel(result),
      result.bodies,
      quartiles(result.cpuNs.a),
      quartiles(result.cpuNs.b),
      times(result.cpuNs),
      result.cpuNs.verdict,
      result.cpuNs.meanRatio.toFixed(3),
      readable(result.elapsedNs.a.median),
      readable(result.elapsedNs.b.median),
      times(result.elapsedNs),
    ]),
  };
}

function heapTable({ label }, results) {
  const methods = [...new Set(results.map(({ method }) => method))];
  const ends = ({ client, server }) => `${readable(client.median)} / ${readable(server.median)}`;
  return {
    title: `${label}: bytes allocated per operation, client / server (${methods.join("; ")})`,
    head: ["row", "bodies", "A", "B", "B − A"],
    rows: results.map((result) => [
      rowLabel(result),
      result.bodies,
      ends(result.a),
      ends(result.b),
      ["client", "server"].map((end) => difference(result.a[end], result.b[end])).join(" / "),
    ]),
  };
}

/** B minus A in bytes; "≈" where the quartiles overlap, so that nothing can be said. */
function difference(a, b) {
  if (a.q1 <= b.q3 && b.q1 <= a.q3) return "≈";
  const bytes = Math.round(b.median - a.median);
  return `${bytes > 0 ? "+" : ""}${bytes}`;
}

function idleTable({ label }, results) {
  return {
    title: `${label}: microseconds of processor time per second of idle connections, both ends`,
    head: ["row", "connections", "A", "B", "B/A", "B is"],
    rows: results.map(({ row, connections, cpuUsPerSecond }) => [
      row,
      connections.toLocaleString("en-US"),
      quartiles(cpuUsPerSecond.a),
      quartiles(cpuUsPerSecond.b),
      times(cpuUsPerSecond),
      cpuUsPerSecond.verdict,
    ]),
  };
}

/** What stands below the tables: what was compared, and which rows differ. */
export function summaryOf({ builds, results, failures, settings }) {
  const judged = results.flatMap((result) => {
    const compared = result.cpuNs ?? result.cpuUsPerSecond;
    return compared === undefined ? [] : [compared.verdict];
  });
  const number = (verdict) => judged.filter((each) => each === verdict).length;
  return [
    ...builds.map(({ id, dist, options }) => `${id}: ${dist}${optionText(options)}`),
    `CPU: processor time of client and server together; timed rows have ${settings.rounds} pairs of slices from ${settings.starts} starts.`,
    `B is slower in ${number("slower")} rows, faster in ${number("faster")}, the same within ${Math.round(settings.tolerance * 100)} % in ${number("same")}, unclear in ${number("unclear")}.`,
    ...failures.map(({ what, reason }) => `No row for ${what}: ${reason}`),
  ];
}

function optionText({ client, server }) {
  const texts = (end, options) => Object.entries(options).map(([name, value]) => `${end}.${name}=${value}`);
  const all = [...texts("client", client), ...texts("server", server)];
  return all.length === 0 ? "" : `, ${all.join(", ")}`;
}

export function terminalTables(comparison) {
  const tables = tablesOf(comparison).map(textTable);
  return ["", ...tables, ...summaryOf(comparison).map((line) => `  ${line}`), ""].join("\n");
}
