// The table of `npm run attack` with a row per attack and runtime, and its place in docs/SECURITY.md.
import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";

/** Measuring a p99 against a quiet one below this says more of the machine than of the server. */
const LEAST_P99_MS = 1;
/** What an attack may cost the good client. */
const MOST_TIMES = 10;
/**
 * A turn of the event loop: what handlers and handshakes of all connections together may take before sockets are looked at
 * (rpc/turnClock.ts, rpc/handshakeTurns.ts).
 */
const TURN_MS = 5;

const [BEGIN, END] = ["<!-- attack:table -->", "<!-- /attack:table -->"];

const head = [
  "attack",
  "sent",
  "good client's p99 in ms: quiet, control, attacked, afterwards",
  "new clients' longest wait in ms: control, attacked",
  "failed: good, new",
  "processor",
  "event loop late, ms: control p99, p99, worst; p99 without waits for a processor",
  "memory in MiB: before, most, afterwards",
];

const cell = (value) => (value >= 100 ? value.toFixed(0) : value.toFixed(1));
const cells = (...values) => values.map(cell).join(", ");
const line = (columns) => `| ${columns.join(" | ")} |`;

/** How many times as long as without an attack the good client waits. */
const timesQuiet = ({ quietP99, p99 }) => p99 / Math.max(quietP99, LEAST_P99_MS);

/**
 * The round of several whose p99 is the median one, by how many times as long as without an attack it is; of an even number
 * the worse one. It has the failed requests of all rounds. A round without figures is shown instead, because no round may
 * have none.
 *
 * @param {object[]} rounds rows of the same attack and runtime
 */
export function medianRound(rounds) {
  const broken = rounds.find(({ failure }) => failure !== undefined);
  if (broken !== undefined) return broken;
  const sum = (figure) => rounds.reduce((total, row) => total + row[figure], 0);
  const median = [...rounds].sort((a, b) => timesQuiet(a) - timesQuiet(b))[Math.floor(rounds.length / 2)];
  return { ...median, failures: sum("failures"), newFailures: sum("newFailures") };
}

/** The good client's p99 stayed within ten times the quiet one. */
export const isBounded = (row) => timesQuiet(row) <= MOST_TIMES;

/** What a row is above ten times the quiet p99 for is the machine's: with another server attacked, it is within a turn of this. */
export const isOfTheMachine = ({ controlP99, p99 }) => p99 <= controlP99 + TURN_MS;

/** What is to be said of a row's p99. */
function verdict(row) {
  if (isBounded(row)) return "";
  return ` (above ${MOST_TIMES} ×${isOfTheMachine(row) ? ", within a turn of the control" : ""})`;
}

/** The lateness of the server's event loop without the time in which other threads had the processors. */
const own = ({ lateOwnP99 }) => (lateOwnP99 < 0 ? "–" : cell(lateOwnP99));

/**
 * A row as it is printed.
 *
 * @param {{ name: string, failure?: string, [figure: string]: any }} row `failure`: why there are no figures
 */
export function attackRow({ name, failure, ...row }) {
  if (failure !== undefined) return line([name, `no figures: ${failure}`, ...head.slice(2).map(() => "–")]);
  return line([
    name,
    row.holding > 0 ? `${row.sent}, ${row.holding} open at the end` : row.sent,
    `${cells(row.quietP99, row.controlP99, row.p99)}${verdict(row)}, ${cell(row.afterP99)}`,
    cells(row.newControlWorst, row.newWorst),
    `${row.failures}, ${row.newFailures}`,
    `${Math.round(100 * row.cpu)} %`,
    `${cells(row.lateControl, row.lateP99, row.lateWorst)}; ${own(row)}`,
    cells(row.restMiB, row.mostMiB, row.leftMiB),
  ]);
}

/** Which rows are within neither bound. */
function aboveBoth(runtimes) {
  const rows = runtimes.flatMap(({ label, rows: ofRuntime }) =>
    ofRuntime
      .filter((row) => row.failure === undefined && !isBounded(row) && !isOfTheMachine(row))
      .map(
        (row) =>
          `${row.name} in ${label} (${cell(row.p99)} ms, control ${cell(row.controlP99)}, event loop's own lateness ${own(row)})`,
      ),
  );
  return rows.length === 0 ? "No row is above both." : `Above both: ${rows.join("; ")}.`;
}

/**
 * All tables with what they were measured on, as Markdown.
 *
 * @param {{ label: string, version: string, rows: object[] }[]} runtimes
 * @param {{ command: string, from: Date, until: Date, load: number, rounds?: number }} run load: of the minute before;
 *   rounds: each row is the median one of so many
 */
export function attackTables(runtimes, { command, from, until, load, rounds = 1 }) {
  const all = runtimes.flatMap(({ rows }) => rows);
  const measured = all.filter(({ failure }) => failure === undefined);
  const bounded = measured.filter(isBounded).length;
  const above = measured.filter((row) => !isBounded(row));
  const ofTheMachine = above.filter(isOfTheMachine).length;
  const failed = measured.reduce((sum, { failures, newFailures }) => sum + failures + newFailures, 0);
  const [day, began] = from.toISOString().split("T");
  const machine = `${cpus()[0]?.model.trim() ?? "an unknown processor"}, ${availableParallelism()} cores, load ${load.toFixed(1)} at the beginning`;
  return [
    `Run on ${day}, ${began.slice(0, 5)} to ${until.toISOString().slice(11, 16)} UTC, \`${command}\` (${machine}). The good client's`,
    `p99 stayed within ${MOST_TIMES} times the quiet one (of at least ${LEAST_P99_MS} ms) in ${bounded} of ${all.length} rows, and within`,
    `${TURN_MS} ms of the control (the same attack on another server of this machine) in ${ofTheMachine} more; ${failed} requests failed.`,
    ...(rounds === 1
      ? []
      : [
          `Each row is the round whose p99 is the median one of ${rounds}; the rounds are spread over the run.`,
        ]),
    "",
    aboveBoth(runtimes),
    ...runtimes.flatMap(({ label, version, rows }) => [
      "",
      `**${label} ${version}**`,
      "",
      line(head),
      `|${"---|".repeat(head.length)}`,
      ...rows.map(attackRow),
    ]),
  ].join("\n");
}

/** `document` with this between its two marks. */
export function withTables(document, tables) {
  const [begin, end] = [document.indexOf(BEGIN), document.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`the document has no ${BEGIN} … ${END}`);
  return `${document.slice(0, begin)}${BEGIN}\n${tables}\n${document.slice(end)}`;
}

/** Puts the tables into a document, between its two marks. */
export function writeTables(path, tables) {
  writeFileSync(path, withTables(readFileSync(path, "utf8"), tables));
}
