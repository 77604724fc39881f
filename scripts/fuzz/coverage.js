// Coverage of the library's own sources for the fuzzer. A counter for every block, branch and short circuit is put into
// the text as it is bundled. It costs an addition and works in every runtime.
import { parse } from "@babel/parser";

const NO_CHILDREN = new Set(["ImportDeclaration", "ExportAllDeclaration", "TemplateElement"]);
const EXPRESSIONS_OF_TYPESCRIPT = new Set([
  "TSAsExpression",
  "TSNonNullExpression",
  "TSSatisfiesExpression",
  "TSTypeAssertion",
  "TSInstantiationExpression",
]);
const LOOPS = new Set([
  "ForStatement",
  "ForInStatement",
  "ForOfStatement",
  "WhileStatement",
  "DoWhileStatement",
]);

const isNode = (value) => value !== null && typeof value === "object" && typeof value.type === "string";

/** The nodes below `node` that run. */
function childrenOf(node) {
  if (NO_CHILDREN.has(node.type)) return [];
  if (node.type.startsWith("TS") && !EXPRESSIONS_OF_TYPESCRIPT.has(node.type)) return [];
  return Object.entries(node).flatMap(([key, value]) =>
    key === "extra" || key.endsWith("Comments") || key === "typeAnnotation"
      ? []
      : (Array.isArray(value) ? value : [value]).filter(isNode),
  );
}

/** Numbers blocks over all files of a bundle. */
export class BlockCounter {
  blocks = 0;

  /**
   * The same program, whose blocks count how often they run in `fuzzHits`.
   *
   * @param {string} text TypeScript
   */
  instrument(text) {
    const insertions = [];
    const insert = (at, what) => insertions.push({ at, what });
    const hit = () => `fuzzHits[${this.blocks++}]++`;
    const inBlock = (node) => {
      if (node.type === "BlockStatement") return;
      insert(node.start, `{ ${hit()}; `);
      closes.push([node, " }"]);
    };
    const inSequence = (node) => {
      insert(node.start, `(${hit()}, `);
      closes.push([node, ")"]);
    };
    let closes = [];
    const visit = (node) => {
      const own = closes;
      closes = [];
      this.#mark(node, { insert, hit, inBlock, inSequence });
      const mine = closes;
      closes = own;
      for (const child of childrenOf(node)) {
        visit(child);
        for (const [closed, what] of mine) if (closed === child) insert(child.end, what);
      }
    };
    visit(parse(text, { sourceType: "module", plugins: ["typescript"] }).program);
    return applied(text, insertions);
  }

  #mark(node, { insert, hit, inBlock, inSequence }) {
    switch (node.type) {
      case "BlockStatement":
        insert(node.start + 1, ` ${hit()};`);
        return;
      case "IfStatement":
        inBlock(node.consequent);
        if (node.alternate) inBlock(node.alternate);
        return;
      case "ConditionalExpression":
        inSequence(node.consequent);
        inSequence(node.alternate);
        return;
      case "LogicalExpression":
        inSequence(node.right);
        return;
      case "ArrowFunctionExpression":
        if (node.body.type !== "BlockStatement") inSequence(node.body);
        return;
      case "SwitchCase":
        if (node.consequent.length > 0) insert(node.consequent[0].start, `${hit()}; `);
        return;
      default:
        if (LOOPS.has(node.type)) inBlock(node.body);
    }
  }
}

/** Insertions at one place stand in the order in which they were made. */
function applied(text, insertions) {
  const sorted = insertions.map((one, order) => ({ ...one, order }));
  sorted.sort((a, b) => a.at - b.at || a.order - b.order);
  let output = "";
  let done = 0;
  for (const { at, what } of sorted) {
    output += text.slice(done, at) + what;
    done = at;
  }
  return output + text.slice(done);
}
