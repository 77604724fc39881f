// The HTML report: one file that needs no other. The chart code (Observable Plot with the parts of D3 that it uses) and
// the run are inlined. The page draws its charts when it opens, at the width of the window.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";
import { notesOf, tablesOf } from "./tables.js";

const here = (name) => fileURLToPath(new URL(`page/${name}`, import.meta.url));

function chartCode() {
  const { outputFiles } = buildSync({
    entryPoints: [here("main.js")],
    bundle: true,
    minify: true,
    write: false,
    format: "iife",
    target: "es2022",
    legalComments: "none",
  });
  return outputFiles[0].text;
}

const escapes = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
const escaped = (text) => String(text).replace(/[&<>"]/g, (character) => escapes[character]);

function htmlTable({ title, head, rows }) {
  const cells = (tag, texts) => texts.map((text) => `<${tag}>${escaped(text)}</${tag}>`).join("");
  const body = rows.map(
    (row) => `<tr><th scope="row">${escaped(row[0])}</th>${cells("td", row.slice(1))}</tr>`,
  );
  return `<h3>${escaped(title)}</h3><div class="scroll"><table><thead><tr>${cells("th", head)}</tr></thead><tbody>${body.join("")}</tbody></table></div>`;
}

/** What the page draws from: the run without the single samples, which no chart shows. */
function embedded(run) {
  const results = run.results.map((result) =>
    Object.fromEntries(
      Object.entries(result).map(([key, value]) =>
        value !== null && typeof value === "object" && "samples" in value
          ? [key, { ...value, samples: undefined }]
          : [key, value],
      ),
    ),
  );
  return JSON.stringify({ ...run, results }).replaceAll("<", "\\u003c");
}

/** @returns {string} the whole page */
export function buildReport(run) {
  const [targets, ...tables] = tablesOf(run);
  const notes = notesOf(run).map((note) => `<li>${escaped(note)}</li>`);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>sealwire bench, ${escaped(run.machine.date.slice(0, 10))}</title>
<link rel="icon" href="data:,">
<style>${readFileSync(here("style.css"), "utf8")}</style>
</head>
<body>
<header>
<h1>sealwire bench</h1>
<ul class="notes">${notes.join("")}</ul>
</header>
<main>
<section class="targets">${htmlTable(targets)}</section>
<div id="charts"></div>
<details><summary>Every number</summary>${tables.map(htmlTable).join("")}</details>
</main>
<script type="application/json" id="run">${embedded(run)}</script>
<script>${chartCode().replaceAll("</script", "<\\/script")}</script>
</body>
</html>
`;
}
