// The tables of `npm run attack`: the limits above which the good client was too slow, and the place of the tables in a
// document.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import {
  attackRow,
  attackTables,
  isBounded,
  isOfTheMachine,
  medianRound,
  withTables,
} from "../scripts/attack/report.js";

const row = (name: string, quietP99: number, p99: number, controlP99 = quietP99) => ({
  name,
  sent: 7,
  holding: 0,
  quietP99,
  controlP99,
  p99,
  afterP99: quietP99,
  newControlWorst: 40,
  newWorst: 50,
  failures: 1,
  newFailures: 0,
  cpu: 0.5,
  lateControl: 1,
  lateP99: 1,
  lateWorst: 2,
  lateOwnP99: 0.5,
  restMiB: 50,
  mostMiB: 60,
  leftMiB: 55,
});

test("a good client's p99 is within ten times its quiet one, of a millisecond at least", () => {
  expect(isBounded(row("a", 2, 20))).toBe(true);
  expect(isBounded(row("a", 2, 20.1))).toBe(false);
  expect(isBounded(row("a", 0.2, 10))).toBe(true);
  expect(attackRow(row("a", 2, 21))).toContain("| 2.0, 2.0, 21.0 (above 10 ×), 2.0 |");
});

test("what the same attack on another server costs is the machine's, with a turn of the event loop besides", () => {
  expect(isOfTheMachine(row("a", 2, 21, 16))).toBe(true);
  expect(isOfTheMachine(row("a", 2, 21.1, 16))).toBe(false);
  expect(attackRow(row("a", 2, 21, 16))).toContain(
    "| 2.0, 16.0, 21.0 (above 10 ×, within a turn of the control), 2.0 |",
  );
  expect(attackRow(row("a", 2, 20, 16))).toContain("| 2.0, 16.0, 20.0, 2.0 |");
});

test("of several rounds the one with the median p99 is shown, with the failures of all", () => {
  const rounds = [row("a", 2, 20), row("a", 1, 40), row("a", 1, 12)];
  expect(medianRound(rounds)).toEqual({ ...rounds[2], failures: 3 });
  expect(medianRound(rounds.slice(0, 2))).toEqual({ ...rounds[1], failures: 2 });
  const gone = { name: "a", failure: "the server is gone" };
  expect(medianRound([row("a", 2, 20), gone, row("a", 2, 20)])).toBe(gone);
  const run = { command: "npm run attack", from: new Date(0), until: new Date(60_000), load: 0.25 };
  const table = [{ label: "Bun", version: "1.0.0", rows: [medianRound(rounds)] }];
  expect(attackTables(table, { ...run, rounds: 3 })).toContain("the median one of 3;");
});

test("the event loop's lateness is also told without its waits for a processor, where the system tells these", () => {
  expect(attackRow(row("a", 2, 20))).toContain("| 1.0, 1.0, 2.0; 0.5 |");
  expect(attackRow({ ...row("a", 2, 20), lateOwnP99: -1 })).toContain("| 1.0, 1.0, 2.0; – |");
});

test("the tables count rows, failures, and rows without figures", () => {
  const rows = [
    row("a", 2, 20),
    row("b", 2, 30),
    row("d", 2, 30, 25),
    { name: "c", failure: "the server is gone" },
  ];
  const run = { command: "npm run attack", from: new Date(0), until: new Date(60_000), load: 0.25 };
  const text: string = attackTables([{ label: "Bun", version: "1.0.0", rows }], run);
  expect(text).toContain("in 1 of 4 rows, and within\n5 ms of the control");
  expect(text).toContain("in 1 more; 3 requests failed.");
  expect(text).toContain("\nAbove both: b in Bun (30.0 ms, control 2.0, event loop's own lateness 0.5).\n");
  expect(attackTables([{ label: "Bun", version: "1.0.0", rows: [row("a", 2, 20)] }], run)).toContain(
    "\nNo row is above both.\n",
  );
  expect(text).toContain("Run on 1970-01-01, 00:00 to 00:01 UTC, `npm run attack`");
  expect(text).toContain("| c | no figures: the server is gone |");
  const columns = text.split("\n").flatMap((line) => (line.startsWith("|") ? [line.split("|").length] : []));
  expect(columns).toEqual(Array(6).fill(columns[0]));
});

test("they stand between two marks of the document on security, and nothing else of it changes", () => {
  const document = readFileSync(new URL("../docs/SECURITY.md", import.meta.url), "utf8");
  const [before, , after] = document.split(/<!-- \/?attack:table -->/) as [string, string, string];
  const changed = withTables(document, "new");
  expect(changed).toBe(`${before}<!-- attack:table -->\nnew\n<!-- /attack:table -->${after}`);
  expect(withTables(changed, "new")).toBe(changed);
  expect(() => withTables("no marks", "new")).toThrow("attack:table");
});

test.each(["--rounds=0", "--rounds=x", "--rounds=1.5", "--seconds=0", "--sockets=-1"])(
  "%s is refused before anything runs",
  (argument) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, ["scripts/attack.js", argument], {
      encoding: "utf8",
    });
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(argument.split("=")[0]);
  },
);
