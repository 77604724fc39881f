// `npm run bench:docs -- <run.json>` puts a run into the documentation: docs/BENCH.md (every table),
// docs/throughput.svg (one chart), and the parts of README.md, docs/PERFORMANCE.md and docs/PERFORMANCE-LOG.md between
// `<!-- bench:NAME -->` and `<!-- /bench:NAME -->`. The report's own code draws the chart in a headless browser
// (Debian's chromium), because the library needs a DOM.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";
import { chromium } from "playwright-core";
import { readable } from "../matrix/statistics.js";
import { markdownSummary, markdownTable } from "./markdown.js";
import { find } from "./query.js";
import { notesOf, tablesOf } from "./tables.js";
import { typedTables } from "./typedTables.js";

const CHART_WIDTH = 720;
const fromRoot = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const page = (name) => fileURLToPath(new URL(`page/${name}`, import.meta.url));

/** One contender per line, the runtimes in columns: what the README shows. */
function readmeTable(run) {
  const runtimes = run.machine.runtimes;
  const cell = (contender, runtime) => {
    const at = (row) => find(run, { section: "rows", row, contender, client: runtime, pinned: false });
    const [oneWay, request] = [at("SendNoWait"), at("ParallelRequest")];
    if (oneWay === undefined || request === undefined) return "–";
    return `${readable(oneWay.mbPerS)} MB/s, ${readable(1e6 / request.ns.median)}k/s`;
  };
  return markdownTable({
    head: ["one-way MB/s, requests per second", ...runtimes.map(({ label }) => label)],
    rows: run.contenders.map(({ id, label }) => [label, ...runtimes.map((runtime) => cell(id, runtime.id))]),
  });
}

/** What one operation takes, the runtimes in columns: what docs/PERFORMANCE.md shows. */
function usersTable(run) {
  const { runtimes } = run.machine;
  const chosen = [
    { name: "a message, one way", row: "SendNoWait", pinned: false },
    { name: "a request, 64 at once", row: "ParallelRequest", pinned: false },
    { name: "a request alone, both ends on one core", row: "Request", pinned: true },
  ];
  const rows = chosen.flatMap(({ name, row, pinned }) =>
    run.contenders
      .filter(({ id }) => ["sealwire", "sealwire-views", "raw", "tls"].includes(id))
      .flatMap(({ id: contender, label }) => {
        const cells = runtimes.map(({ id: client }) => {
          const result = find(run, { section: "rows", row, contender, client, pinned });
          return result === undefined ? "–" : readable(result.ns.median / 1_000);
        });
        return cells.every((cell) => cell === "–") ? [] : [[name, label, ...cells]];
      }),
  );
  return markdownTable({ head: ["µs", "", ...runtimes.map(({ label }) => label)], rows });
}

/** The rows of 1,400 bytes that the targets are about, the contenders that they compare. */
function costTable(run) {
  const chosen = [
    { row: "SendNoWait", pinned: false },
    { row: "ParallelRequest", pinned: false },
    { row: "ParallelRequest", pinned: true },
    { row: "Request", pinned: true },
  ];
  const rows = run.machine.runtimes.flatMap(({ id, label }) =>
    chosen.flatMap(({ row, pinned }) =>
      ["sealwire", "sealwire-views", "raw", "tls", "tls-node"].flatMap((contender) => {
        const result = find(run, { section: "rows", row, contender, client: id, pinned });
        if (result === undefined) return [];
        const { ns, mbPerS, clientCpuNs, serverCpuNs } = result;
        return [
          [
            `${label}, ${row}${pinned ? " [s]" : ""}`,
            run.contenders.find((candidate) => candidate.id === contender).label,
            `${readable(ns.median)} (${readable(ns.min)}–${readable(ns.max)})`,
            readable(mbPerS),
            `${readable(clientCpuNs.median)} / ${readable(serverCpuNs.median)}`,
          ],
        ];
      }),
    ),
  );
  const head = ["row", "contender", "ns/op (min–max)", "MB/s", "CPU ns/op client / server"];
  return markdownTable({ head, rows });
}

/** Typed calls, as `npm run bench:typed -- --write` writes them with more rounds. */
function typedPart(run) {
  const tables = typedTables(run).map(({ title, ...table }) => `**${title}**\n\n${markdownTable(table)}`);
  return [head, "", ...tables].join("\n");
}

async function drawChart(run) {
  const executablePath = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find((path) => existsSync(path));
  if (executablePath === undefined) throw new Error("there is no chromium here (apt-get install chromium)");
  const { outputFiles } = buildSync({
    entryPoints: [page("overview.js")],
    bundle: true,
    write: false,
    format: "iife",
    globalName: "overview",
  });
  // The colours of the report, light and dark, but not the layout of its page.
  const colours = readFileSync(page("style.css"), "utf8").split("\n* {")[0];
  const fonts = "svg { font-family: system-ui, sans-serif; color: var(--ink); }";
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  try {
    const tab = await browser.newPage();
    await tab.addScriptTag({ content: outputFiles[0].text });
    const svg = await tab.evaluate(
      ([data, width]) => {
        const chart = globalThis.overview.drawOverview(data, width);
        chart.setAttribute("xmlns", "http://www.w3.org/2000/svg");
        return new XMLSerializer().serializeToString(chart);
      },
      [run, CHART_WIDTH],
    );
    // A background of its own: the page around it may not follow the same preference.
    const opaque = svg.replace("background: none", "background: var(--page)");
    return `${opaque.replace(/<style>/, `<style>${colours}\n${fonts}\n`)}\n`;
  } finally {
    await browser.close();
  }
}

/** Replaces what stands between the two marks of a name; the marks must be there. */
function replacePart(file, name, text) {
  const [open, close] = [`<!-- bench:${name} -->`, `<!-- /bench:${name} -->`];
  const old = readFileSync(fromRoot(file), "utf8");
  const [start, end] = [old.indexOf(open), old.indexOf(close)];
  if (start < 0 || end < start) throw new Error(`${file} has no part ${open} … ${close}`);
  writeFileSync(fromRoot(file), `${old.slice(0, start + open.length)}\n${text.trim()}\n${old.slice(end)}`);
  console.log(`written: ${file}, ${name}`);
}

const [runFile] = process.argv.slice(2);
if (runFile === undefined) throw new Error("usage: npm run bench:docs -- <run.json>");
const run = JSON.parse(readFileSync(runFile, "utf8"));
// Older runs measured views and called the row sealwire.
for (const id of ["sealwire", "sealwire-views"])
  if (!run.contenders.some((contender) => contender.id === id)) throw new Error(`${runFile} has no ${id}`);
const notes = notesOf(run).map((note) => `- ${note}`);
/** The run and the machine. */
const head = notes.slice(0, 2).join("\n");
const table = (title) =>
  markdownTable({ ...tablesOf(run).find((candidate) => candidate.title === title), title: undefined });

writeFileSync(fromRoot("docs/BENCH.md"), markdownSummary(run));
writeFileSync(fromRoot("docs/throughput.svg"), await drawChart(run));
console.log("written: docs/BENCH.md, docs/throughput.svg");
replacePart("README.md", "table", `${head}\n\n${readmeTable(run)}`);
replacePart("docs/PERFORMANCE.md", "operations", `${head}\n\n${usersTable(run)}`);
replacePart("docs/PERFORMANCE-LOG.md", "machine", notes.join("\n"));
replacePart("docs/PERFORMANCE-LOG.md", "targets", table("Targets"));
replacePart("docs/PERFORMANCE-LOG.md", "cost", costTable(run));
replacePart("docs/PERFORMANCE-LOG.md", "typed-calls", typedPart(run));
