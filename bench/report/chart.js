// `npm run bench:chart -- <run.json> <chart.svg>`: one chart of a run as an SVG file for light and dark pages.
// Drawn by the report's own code in a headless browser (Debian's chromium), because the library needs a DOM.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";
import { chromium } from "playwright-core";

const WIDTH = 720;
const page = (name) => fileURLToPath(new URL(`page/${name}`, import.meta.url));

const [runFile, chartFile] = process.argv.slice(2);
if (chartFile === undefined) throw new Error("usage: npm run bench:chart -- <run.json> <chart.svg>");
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
    ([run, width]) => {
      const chart = globalThis.overview.drawOverview(run, width);
      chart.setAttribute("xmlns", "http://www.w3.org/2000/svg");
      return new XMLSerializer().serializeToString(chart);
    },
    [JSON.parse(readFileSync(runFile, "utf8")), WIDTH],
  );
  writeFileSync(chartFile, `${svg.replace(/<style>/, `<style>${colours}\n${fonts}\n`)}\n`);
  console.log(`written: ${chartFile}`);
} finally {
  await browser.close();
}
