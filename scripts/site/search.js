// The search of the site, in the page. scripts/docs.js puts in SECTIONS.
import MiniSearch from "minisearch";

const MOST = 8;
const index = new MiniSearch({ fields: ["title", "text", "page"], storeFields: ["title", "page"] });
index.addAll(SECTIONS);

const input = document.getElementById("search");
const found = document.getElementById("found");
input.addEventListener("input", () => {
  const results = index
    .search(input.value, { prefix: true, fuzzy: 0.15, boost: { title: 3 } })
    .slice(0, MOST);
  found.replaceChildren(
    ...results.map(({ id, title, page }) => {
      const link = document.createElement("a");
      link.href = id;
      link.textContent = title === page ? title : `${page}: ${title}`;
      const item = document.createElement("li");
      item.append(link);
      return item;
    }),
  );
});
