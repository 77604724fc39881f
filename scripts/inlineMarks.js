// A transform of the AssemblyScript compiler (buildWasm.js names it). A line `// @inline` directly above a function of
// assembly/ means the same as the decorator `@inline`. TypeScript allows no decorators on functions. With the comment,
// the formatter, the linter and the type checker read these files unchanged.
import { DecoratorKind, Node, NodeKind } from "assemblyscript";
import { Transform } from "assemblyscript/transform";

const MARK = "// @inline";

/** The last line of `text` that holds anything but white space, without its indentation. */
function lastLine(text) {
  const trimmed = text.trimEnd();
  return trimmed.slice(trimmed.lastIndexOf("\n") + 1).trimStart();
}

/** The lines of a source that look like a mark, whatever stands below them. */
function marksIn(text) {
  return [...text.matchAll(/^[ \t]*\/\/[ \t]*@\w+.*$/gm)].map(([line]) => line.trim());
}

/**
 * Marks the functions of one source. Every mark must be known and belong to a function: a mark that is misspelt or
 * has lost its function would silently cost speed, and constant time where a branch was to disappear.
 *
 * @param {import("assemblyscript").Source} source
 */
function applyMarks(source) {
  const marks = marksIn(source.text);
  let applied = 0;
  for (const statement of source.statements) {
    if (statement.kind !== NodeKind.FunctionDeclaration) continue;
    if (lastLine(source.text.slice(0, statement.range.start)) !== MARK) continue;
    const name = Node.createIdentifierExpression("inline", statement.range);
    const decorator = Node.createDecorator(name, null, statement.range);
    if (decorator.decoratorKind !== DecoratorKind.Inline) throw new Error("@inline is no decorator any more");
    statement.decorators = [...(statement.decorators ?? []), decorator];
    applied++;
  }
  if (applied !== marks.length) {
    const found = marks.map((mark) => `"${mark}"`).join(", ");
    throw new Error(
      `${source.normalizedPath}: ${marks.length} marks but ${applied} functions with "${MARK}" above: ${found}`,
    );
  }
}

export default class InlineMarks extends Transform {
  /** @param {import("assemblyscript").Parser} parser */
  afterParse(parser) {
    for (const source of parser.sources) if (!source.normalizedPath.startsWith("~")) applyMarks(source);
  }
}
