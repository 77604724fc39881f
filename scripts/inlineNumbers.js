// A Rollup plugin that puts the numbers that other files export in place of their names. V8 reads a name of another
// chunk from a cell, and checks that it is there, at each use (docs/PERFORMANCE-LOG.md). The spaces behind a number keep
// all places of the file, so its map stays as it is.
import { readFileSync } from "node:fs";

const EXPORTED_NUMBER = /^export const ([A-Z][A-Z\d_]*)(?:: number)? = ([\d_]+);/gm;

const PASSED_ON = /^export \{([^}]*)\} from "([^"]+)";/gm;

/** The numbers that a source exports, by name: its own, and those of others that it passes on. */
async function exportedNumbers(id, resolve) {
  const text = readFileSync(id, "utf8");
  const numbers = new Map([...text.matchAll(EXPORTED_NUMBER)].map(([, name, number]) => [name, number]));
  for (const [, names, source] of text.matchAll(PASSED_ON)) {
    const others = await exportedNumbers((await resolve(source, id)).id, resolve);
    for (const name of names
      .replace(/\/\/.*/g, "")
      .split(",")
      .map((word) => word.trim()))
      if (others.has(name)) numbers.set(name, others.get(name));
  }
  return numbers;
}

/** Calls `found` with every use of a name in a syntax tree: what is neither a property nor an import or export. */
function eachUse(node, found) {
  if (Array.isArray(node)) {
    for (const each of node) eachUse(each, found);
    return;
  }
  if (typeof node?.type !== "string") return;
  if (node.type === "Identifier") return found(node);
  if (/^(Import|Export(All|Specifier))/.test(node.type) || node.shorthand) return;
  const isNamed = ["MemberExpression", "Property", "PropertyDefinition", "MethodDefinition"].includes(
    node.type,
  );
  const name =
    isNamed && !node.computed ? (node.type === "MemberExpression" ? "property" : "key") : undefined;
  for (const [key, child] of Object.entries(node)) if (key !== name) eachUse(child, found);
}

/**
 * @param {string} folder of the sources
 * @returns {import("rollup").Plugin}
 */
export const inlineNumbers = (folder) => ({
  name: "inline numbers",
  async transform(code, id) {
    if (!id.startsWith(folder)) return null;
    const tree = this.parse(code);
    const numbers = new Map();
    for (const { type, source, specifiers } of tree.body) {
      const from = type === "ImportDeclaration" ? (await this.resolve(source.value, id))?.id : undefined;
      if (!from?.startsWith(folder)) continue;
      const exported = await exportedNumbers(from, (path, importer) => this.resolve(path, importer));
      for (const { imported, local } of specifiers) {
        const number = exported.get(imported?.name);
        if (number !== undefined && number.length <= local.name.length) numbers.set(local.name, number);
      }
    }
    let inlined = code;
    eachUse(tree.body, ({ name, start, end }) => {
      const number = numbers.get(name);
      if (number === undefined) return;
      inlined = inlined.slice(0, start) + number.padEnd(end - start) + inlined.slice(end);
    });
    return { code: inlined, map: null };
  },
});
