// The mutants of a TypeScript file: small faults that a test should notice. All mutants are compiled into one text,
// each behind a switch. The suites are therefore bundled once, and a run chooses its fault by a number.
import { parse } from "@babel/parser";

/**
 * A fault: the source between `start` and `end` becomes `replacement`.
 *
 * `change` says so for people, with what is around it where that is short.
 *
 * @typedef {{ id: number, line: number, start: number, end: number, replacement: string, change: string,
 *   kind: "boundary" | "condition" | "constant" | "boolean" | "removed" }} Mutant
 */

/** An expression around a fault is shown if it is no longer than this. */
const SHOWN_CHARACTERS = 60;

const BOUNDARY = { "<": "<=", "<=": "<", ">": ">=", ">=": ">" };
const NEGATED = { "===": "!==", "!==": "===", "==": "!=", "!=": "==" };
const CONNECTED = { "&&": "||", "||": "&&" };

/** Statements that can be left out without a syntax error. */
const REMOVABLE = new Set(["ExpressionStatement", "ThrowStatement", "ContinueStatement", "BreakStatement"]);
/** Nodes of TypeScript that hold an expression; all others of its own hold types. */
const EXPRESSIONS_OF_TYPESCRIPT = new Set([
  "TSAsExpression",
  "TSNonNullExpression",
  "TSSatisfiesExpression",
  "TSTypeAssertion",
  "TSInstantiationExpression",
]);
const NO_CHILDREN = new Set(["ImportDeclaration", "ExportAllDeclaration", "TemplateElement"]);

const isNode = (value) => value !== null && typeof value === "object" && typeof value.type === "string";

/** The nodes below `node` that run. */
function childrenOf(node) {
  if (NO_CHILDREN.has(node.type)) return [];
  if (node.type.startsWith("TS") && !EXPRESSIONS_OF_TYPESCRIPT.has(node.type)) return [];
  return Object.entries(node).flatMap(([key, value]) => {
    // The name of a property is no value, unless it is computed.
    if (key === "key" && node.computed !== true) return [];
    if (key === "typeAnnotation" || key === "extra" || key.endsWith("Comments")) return [];
    return (Array.isArray(value) ? value : [value]).filter(isNode);
  });
}

/** Comparisons are mutated as such; negating their whole would be the same fault again. */
const isComparison = (node) => node.type === "BinaryExpression" && node.operator in NEGATED;

/** The faults of one node as [kind, node, replacement], without those of the nodes below it. */
function faultsOf(node, text) {
  const source = (part) => text.slice(part.start, part.end);
  switch (node.type) {
    case "BinaryExpression":
    case "LogicalExpression": {
      const { left, right, operator } = node;
      const other = BOUNDARY[operator] ?? NEGATED[operator] ?? CONNECTED[operator];
      if (other === undefined) return [];
      const between = text.slice(left.end, right.start).replace(operator, other);
      const kind = operator in BOUNDARY ? "boundary" : "condition";
      return [[kind, node, `${source(left)}${between}${source(right)}`]];
    }
    case "IfStatement":
    case "ConditionalExpression":
      return isComparison(node.test) ? [] : [["condition", node.test, `!(${source(node.test)})`]];
    case "WhileStatement":
    case "ForStatement":
      return node.test ? [["condition", node.test, "false"]] : [];
    case "NumericLiteral":
      return [
        ["constant", node, String(node.value + 1)],
        ["constant", node, node.value === 0 ? "-1" : String(node.value - 1)],
      ];
    case "BooleanLiteral":
      return [["boolean", node, String(!node.value)]];
    case "ReturnStatement":
      return node.argument === null ? [["removed", node, ""]] : [];
    default: {
      const isSuperCall =
        node.expression?.type === "CallExpression" && node.expression.callee.type === "Super";
      return REMOVABLE.has(node.type) && !isSuperCall ? [["removed", node, ""]] : [];
    }
  }
}

const oneLine = (text) => text.replace(/\s+/g, " ");

/** "`a < b` → `a <= b`"; a constant is shown in the expression or declaration that it stands in. */
function describeChange(text, node, replacement, parent, kind) {
  const original = text.slice(node.start, node.end);
  if (kind === "removed") return `removed \`${oneLine(original)}\``;
  const size = parent.end - parent.start;
  const shown = size <= SHOWN_CHARACTERS && parent.type !== "Program" ? parent : node;
  const before = text.slice(shown.start, node.start);
  const after = text.slice(node.end, shown.end);
  return `\`${oneLine(before + original + after)}\` → \`${oneLine(before + replacement + after)}\``;
}

/**
 * Every mutant of a source text, in the order of the text.
 *
 * @param {string} text
 * @returns {Mutant[]}
 */
export function mutantsOf(text) {
  const mutants = [];
  const visit = (node, parent) => {
    for (const [kind, at, replacement] of faultsOf(node, text)) {
      mutants.push({
        id: mutants.length,
        line: at.loc.start.line,
        start: at.start,
        end: at.end,
        replacement,
        change: describeChange(text, at, replacement, at === node ? parent : node, kind),
        kind,
      });
    }
    for (const child of childrenOf(node)) visit(child, node);
  };
  const { program } = parse(text, { sourceType: "module", plugins: ["typescript"] });
  visit(program, program);
  return mutants;
}

/** What stands before the instrumented text, on its first line: the switch, and the note of what was reached. */
const header = (count) =>
  `import { writeFileSync as __write } from "node:fs";` +
  `const __active = Number(process.env.SEALWIRE_MUTANT ?? -1);` +
  `const __reached = new Uint8Array(${count});` +
  `function __m(id: number): boolean { __reached[id] = 1; return id === __active; }` +
  `if (process.env.SEALWIRE_MUTANTS_REACHED !== undefined) process.on("exit", () => ` +
  `__write(process.env.SEALWIRE_MUTANTS_REACHED!, __reached));`;

/**
 * The text with every mutant behind a switch: SEALWIRE_MUTANT in the environment is the number of the one that is in
 * force, and to the file named by SEALWIRE_MUTANTS_REACHED a run writes a byte per mutant: 1 where it came by.
 *
 * @param {string} text
 * @param {Mutant[]} mutants
 * @returns {string}
 */
export function instrumented(text, mutants) {
  const insertions = [];
  for (const { id, start, end, replacement, kind } of mutants) {
    const size = end - start;
    const [before, after] =
      kind === "removed" ? [`{ if (!__m(${id})) {`, "}}"] : [`(__m(${id}) ? (${replacement}) : (`, "))"];
    // Of two that begin at one place the larger opens first, of two that end at one place the smaller closes first.
    insertions.push({ at: start, closes: false, order: [-size, id], text: before });
    insertions.push({ at: end, closes: true, order: [size, -id], text: after });
  }
  insertions.sort(
    (a, b) =>
      a.at - b.at ||
      Number(b.closes) - Number(a.closes) ||
      a.order[0] - b.order[0] ||
      a.order[1] - b.order[1],
  );
  let output = header(mutants.length);
  let done = 0;
  for (const { at, text: inserted } of insertions) {
    output += text.slice(done, at) + inserted;
    done = at;
  }
  return output + text.slice(done);
}
