// `npm run docs` makes a static site in build/site from README.md, SECURITY.md, CHANGELOG.md, docs/ and the docstrings
// (`deno doc --html`), with a search over all pages. The site loads nothing from another host.
import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";
import { Marked } from "marked";
import { runtimes } from "./runtimes.js";
import { referenceEntries } from "./site/entries.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const site = join(root, "build/site");
const read = (path) => readFileSync(join(root, path), "utf8");

/** The pages in the order of the menu: source, address, title. */
const pages = [
  ["README.md", "index.html", "sealwire"],
  ["docs/GUIDE.md", "guide.html", "Guide"],
  ["docs/API.md", "api.html", "Options and errors"],
  ["docs/OPERATIONS.md", "operations.html", "Operations"],
  ["docs/CODECS.md", "codecs.html", "Codecs"],
  ["docs/KNOWN_PEERS.md", "known-peers.html", "Known peers"],
  ["docs/PROTOCOL.md", "protocol.html", "Protocol"],
  ["docs/PERFORMANCE.md", "performance.html", "Performance"],
  ["docs/PERFORMANCE-LOG.md", "performance-log.html", "Performance log"],
  ["docs/BENCH.md", "bench.html", "Measurements"],
  ["docs/SECURITY.md", "security.html", "Security"],
  ["docs/STABILITY.md", "stability.html", "What stays"],
  ["SECURITY.md", "reporting.html", "Reporting a flaw"],
  ["examples/README.md", "examples.html", "Examples"],
  ["CHANGELOG.md", "changelog.html", "Changes"],
].filter(([source]) => existsSync(join(root, source)));

/** The last report of `npm run bench`, where there is one: a page of its own, with charts. */
const benchReport = "bench/results/latest.html";
const hasReport = existsSync(join(root, benchReport));

const addressOf = new Map(pages.map(([source, address]) => [source, address]));
const escaped = (text) =>
  text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);

/** The anchor that GitHub gives a heading. */
const slug = (text) =>
  text
    .toLowerCase()
    .replace(/<[^>]*>/g, "")
    .replace(/[^\p{L}\p{N}\s_-]/gu, "")
    .trim()
    .replace(/\s/g, "-");

/** Where a link of a document leads in the site: to the page of another document, else to where it did. */
function linkFrom(source, href) {
  if (/^[a-z]+:|^#/i.test(href)) return href;
  const [path, fragment] = href.split("#");
  const target = posix.join(posix.dirname(source), path);
  const address = addressOf.get(target) ?? (target.endsWith(".svg") ? posix.basename(target) : undefined);
  return address === undefined ? undefined : address + (fragment === undefined ? "" : `#${fragment}`);
}

/** A document as HTML, and its sections as text for the search. */
function render(source) {
  const sections = [];
  const marked = new Marked({
    renderer: {
      heading({ tokens, depth, text }) {
        const id = slug(text);
        sections.push({ id, title: text.replace(/`/g, ""), text: "" });
        return `<h${depth} id="${id}">${this.parser.parseInline(tokens)}</h${depth}>\n`;
      },
      link({ href, tokens }) {
        const target = linkFrom(source, href);
        const text = this.parser.parseInline(tokens);
        return target === undefined ? text : `<a href="${escaped(target)}">${text}</a>`;
      },
      image({ href, text }) {
        return `<img src="${escaped(linkFrom(source, href) ?? href)}" alt="${escaped(text)}">`;
      },
    },
  });
  const html = marked.parse(read(source));
  const parts = html.split(/(?=<h[1-6] id=)/).filter((part) => part.startsWith("<h"));
  parts.forEach((part, i) => {
    if (sections[i] !== undefined) sections[i].text = part.replace(/<[^>]*>/g, " ").replace(/\s+/g, " ");
  });
  // Tables and programs scroll by themselves on narrow screens.
  return {
    html: html.replaceAll("<table>", '<div class="wide"><table>').replaceAll("</table>", "</table></div>"),
    sections,
  };
}

function pageOf(title, address, body) {
  const more = [
    ...(hasReport ? [["report/index.html", "Charts"]] : []),
    ["reference/all_symbols.html", "Reference"],
  ];
  const entries = [...pages.map(([, to, name]) => [to, name]), ...more];
  const menu = entries.map(
    ([to, name]) => `<a href="${to}"${to === address ? ' aria-current="page"' : ""}>${name}</a>`,
  );
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)}${title === "sealwire" ? "" : " · sealwire"}</title>
<link rel="stylesheet" href="site.css">
<body>
<nav><label>Search <input id="search" type="search" autocomplete="off"></label><ol id="found"></ol>${menu.join("\n")}</nav>
<main>${body}</main>
<script src="search.js"></script>
</body>
</html>
`;
}

rmSync(site, { recursive: true, force: true });
mkdirSync(site, { recursive: true });
const index = [];
for (const [source, address, title] of pages) {
  const { html, sections } = render(source);
  writeFileSync(join(site, address), pageOf(title, address, html));
  for (const { id, title: heading, text } of sections) {
    index.push({ id: `${address}#${id}`, page: title, title: heading, text });
  }
}
for (const name of readdirSync(join(root, "docs"))) {
  if (name.endsWith(".svg")) copyFileSync(join(root, "docs", name), join(site, name));
}
if (hasReport) {
  mkdirSync(join(site, "report"));
  copyFileSync(join(root, benchReport), join(site, "report/index.html"));
}
copyFileSync(new URL("site/site.css", import.meta.url), join(site, "site.css"));
buildSync({
  entryPoints: [fileURLToPath(new URL("site/search.js", import.meta.url))],
  outfile: join(site, "search.js"),
  bundle: true,
  minify: true,
  define: { SECTIONS: JSON.stringify(index) },
});

const deno = runtimes().find(({ id }) => id === "deno");
if (deno === undefined) {
  console.warn("no reference: Deno, whose `deno doc` makes it, is not installed");
} else {
  // Quiet, because Deno warns of each file of Node's types that it does not need.
  const args = ["doc", "--quiet", "--html", "--name=sealwire", `--output=${join(site, "reference")}`];
  execFileSync(deno.path, [...args, ...referenceEntries], {
    cwd: root,
    stdio: ["ignore", "ignore", "inherit"],
  });
}
console.log(`build/site: ${pages.length} pages, ${index.length} sections to search`);
