// The functions of a source tree that V8 makes among its old objects (Node, Deno). V8 takes a function that is assigned to
// a property, and an accessor of an object literal, for part of a program's structure, which lives for long. Such a
// function holds what it captured, and the collections of young objects free nothing that an old object holds. Where
// one is made per connection, each connection therefore stays in memory with all its parts until a collection of
// everything, and is copied there first. A class that is made in a function is the same.
import { createRequire } from "node:module";
import type { SourceTree } from "./sourceTree.ts";

type TypeScript = typeof import("typescript-5.4");
type Node = import("typescript-5.4").Node;
// The compiler of the current version has no API for programs.
const ts = createRequire(import.meta.url)("typescript-5.4") as TypeScript;

const ASSIGNMENTS = new Set([
  ts.SyntaxKind.EqualsToken,
  ts.SyntaxKind.QuestionQuestionEqualsToken,
  ts.SyntaxKind.BarBarEqualsToken,
  ts.SyntaxKind.AmpersandAmpersandEqualsToken,
]);
/** Parsing takes far longer than this. */
const MAY_HAVE_ONE =
  /[.\]]#?\w*\s*(\?\?|\|\||&&)?=\s*(\(|async\b|function\b|\w+\s*=>)|\b[gs]et #?\w+\(|\bclass\b/;

/** Each of them that is made in a function, as "path: name". Fields of a class that begin with a function are none. */
export function tenuredFunctions(tree: SourceTree): string[] {
  return [...tree].flatMap(([path, text]) => {
    if (!MAY_HAVE_ONE.test(text)) return [];
    const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
    const found: string[] = [];
    const visit = (node: Node, inFunction: boolean): void => {
      if (inFunction && isTenured(node)) found.push(`${path}: ${nameOf(node)}`);
      ts.forEachChild(node, (child) => visit(child, inFunction || ts.isFunctionLike(node)));
    };
    visit(file, false);
    return found;
  });
}

function isTenured(node: Node): boolean {
  if (ts.isClassLike(node)) return true;
  if (ts.isAccessor(node)) return ts.isObjectLiteralExpression(node.parent);
  if (!ts.isBinaryExpression(node) || !ASSIGNMENTS.has(node.operatorToken.kind)) return false;
  if (!ts.isPropertyAccessExpression(node.left) && !ts.isElementAccessExpression(node.left)) return false;
  const value = unwrapped(node.right);
  return ts.isArrowFunction(value) || ts.isFunctionExpression(value);
}

/** Of the property or class. */
function nameOf(node: Node): string {
  const named = ts.isBinaryExpression(node) ? node.left : node;
  return (named as { name?: Node }).name?.getText() ?? "?";
}

function unwrapped(node: Node): Node {
  return ts.isParenthesizedExpression(node) || ts.isAsExpression(node) ? unwrapped(node.expression) : node;
}
