// The Markdown summary of a run.
import { notesOf, tablesOf } from "./tables.js";

/** A table, below its title if it has one. */
export function markdownTable({ title, head, rows }) {
  const line = (cells) => `| ${cells.map((cell) => String(cell).replaceAll("|", "\\|")).join(" | ")} |`;
  const heading = title === undefined ? [] : [`## ${title}`, ""];
  return [...heading, line(head), line(head.map(() => "---")), ...rows.map(line), ""].join("\n");
}

/** @returns {string} the run as Markdown: notes, then every table */
export function markdownSummary(run) {
  const notes = notesOf(run).map((note) => `- ${note}`);
  return ["# sealwire bench", "", ...notes, "", ...tablesOf(run).map(markdownTable)].join("\n");
}
