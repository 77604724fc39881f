// Draws the report's charts from the run in the page, at the width of the window, and again when that
// changes.
import { chartSections } from "./sections.js";

const run = JSON.parse(document.getElementById("run").textContent);
const target = document.getElementById("charts");
const sections = chartSections(run);

function element(tag, text, className) {
  const created = document.createElement(tag);
  if (text !== undefined) created.textContent = text;
  if (className !== undefined) created.className = className;
  return created;
}

function buildSections() {
  for (const { title, about, narrow, charts } of sections) {
    const section = element("section");
    section.append(element("h2", title), element("p", about, "about"));
    const grid = element("div", undefined, narrow ? "grid narrow" : "grid");
    for (const chart of charts) {
      const figure = element("figure");
      figure.dataset.chart = chart.id;
      figure.append(element("figcaption", chart.title));
      grid.append(figure);
      chart.figure = figure;
    }
    section.append(grid);
    target.append(section);
  }
}

function draw() {
  for (const { charts } of sections) {
    for (const chart of charts) {
      const drawn = chart.draw(chart.figure.clientWidth);
      drawn.setAttribute("role", "img");
      drawn.setAttribute("aria-label", chart.title);
      chart.figure.querySelector("svg")?.remove();
      chart.figure.append(drawn);
    }
  }
}

function markTargets() {
  for (const cell of document.querySelectorAll(".targets td")) {
    if (cell.textContent.startsWith("✓")) cell.className = "reached";
    if (cell.textContent.startsWith("✗")) cell.className = "missed";
  }
}

buildSections();
markTargets();
draw();

let drawnWidth = target.clientWidth;
new ResizeObserver(() => {
  if (target.clientWidth === drawnWidth || target.clientWidth === 0) return; // 0: not shown right now
  drawnWidth = target.clientWidth;
  draw();
}).observe(target);
