// The tables of a run in a terminal.
import { notesOf, tablesOf } from "../report/tables.js";

/** A table with its columns aligned, the first one to the left. */
export function textTable({ title, head, rows }) {
  const widths = head.map((name, i) => Math.max(name.length, ...rows.map((row) => row[i].length)));
  const line = (cells) =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join("  ");
  const rule = widths.map((width) => "─".repeat(width)).join("  ");
  return [title, line(head), rule, ...rows.map((row) => line(row).trimEnd()), ""].join("\n");
}

export function terminalTables(run) {
  const tables = tablesOf(run).map(textTable);
  return ["", ...tables, ...notesOf(run).map((note) => `  ${note}`), ""].join("\n");
}
